"""``[run]``: where a study's trainings run and are kept, said in its file or on the command line."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Running:
    """What ``[run]`` of a study file says; nothing of it changes an error.

    ``executor`` is ``local``, ``inline`` or ``dask``; ``workers`` trainings at once (none: one per core
    or GPU). ``scheduler`` is the address of a Dask scheduler, or a kind of cluster to start for the run
    (local, ssh, slurm, pbs, sge, lsf, kubernetes), for which ``[run.cluster]`` holds what Dask's class
    takes. ``storage`` is where trainings are kept (see ``stores.location``), ``send_data`` sends the
    data to workers that have none, ``memory`` is what one training may allocate, such as ``"4GB"``.
    """

    executor: str = "local"
    workers: int | None = None
    scheduler: str | None = None
    storage: str | None = None
    send_data: bool = False
    memory: str | None = None
    cluster: Mapping[str, Any] = field(default_factory=dict, hash=False)
