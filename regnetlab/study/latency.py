"""Measuring how long a study's networks take for one batch, into latency.csv (``csv_tables.LATENCY``).

Rows of other machines stay where they are, and what was measured is not measured again; so a killed command
loses the last seconds of its work at most.
"""

import platform
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from regnetlab.files import write_atomically
from regnetlab.study.plan import Plan
from regnetlab.study.provenance import processor
from regnetlab.study.stages import planned_jobs, study_state
from regnetlab.trials.csv_tables import LATENCY
from regnetlab.trials.job import Job
from regnetlab.trials.lease import locked
from regnetlab.trials.store import open_store

if TYPE_CHECKING:  # reading latency.csv does without torch
    import torch

_WRITE_EVERY = 5.0  # seconds
NETWORK = ("space", "index", "model", "flops", "params", "acts")
"""Columns that say what was measured: a template that changes, changes the counts of the same text."""
MACHINE = ("device", "processor", "threads")
"""Columns that say where latencies are comparable."""


def this_machine(device: "torch.device") -> dict[str, Any]:
    """This machine as ``latency`` uses it: the columns of ``MACHINE``."""
    import torch

    from regnetlab.training.devices import set_up

    if device.type == "cuda":
        return {"device": "cuda", "processor": torch.cuda.get_device_name(device), "threads": 1}
    set_up(device)
    return {"device": "cpu", "processor": processor(), "threads": torch.get_num_threads()}


def networks_to_time(plan: Plan, most: int | None = None) -> list[Job]:
    """A study's drawn and derived networks, the first ``most`` of each space, one of each space in turn."""
    jobs: Iterable[Job] = (
        study_state(plan, open_store(plan.store)).jobs if plan.store.exists() else planned_jobs(plan)
    )
    chosen = [
        job
        for job in jobs
        if job.config is not None and job.replicate == 0 and (most is None or job.index < most)
    ]
    return sorted(chosen, key=lambda job: job.index)


def measure(
    plan: Plan,
    jobs: Sequence[Job],
    device: "torch.device",
    batches: Sequence[int],
    seconds: float,
    note: Callable[[str], None],
) -> pd.DataFrame:
    """Measure what is missing, keep it in latency.csv as it comes, and return all rows of that file.

    Alone: it holds the study's lock, for trainings beside it would be in its times.
    """
    from regnetlab.models.registry import find_model
    from regnetlab.training.latency import latency

    machine = this_machine(device)
    known = LATENCY.read(plan.latencies) if plan.latencies.exists() else LATENCY.frame(())
    rows: list[Mapping[str, Any]] = known.to_dict("records")  # type: ignore[assignment]
    there = {_key(row) for row in rows}
    missing = [
        (job, batch)
        for job in jobs
        for batch in batches
        if _key({**network_columns(job), **machine, "batch": batch}) not in there
    ]
    if not missing:
        return known
    note(f"measuring {len(missing)} latencies, about {len(missing) * (seconds + 0.2) / 60:.1f} min")
    with locked(plan.lock):
        written = time.monotonic()
        try:
            for job, batch in missing:
                found = latency(find_model(job.model).build, plan.template, device, batch, seconds)
                times = zip(
                    ("median_ms", "low_ms", "high_ms"), (found.median, found.low, found.high), strict=True
                )
                rows.append(
                    {
                        **network_columns(job),
                        **machine,
                        "batch": batch,
                        **{name: float(f"{value:.5g}") for name, value in times},
                        "runs": found.runs,
                        "host": platform.node(),
                    }
                )
                if time.monotonic() - written > _WRITE_EVERY:
                    _write(plan, rows)
                    written = time.monotonic()
                    note(f"{job.space} {job.index}: {found.median:.3f} ms for a batch of {batch}")
        finally:
            if rows:
                _write(plan, rows)
    return LATENCY.frame(rows)


def network_columns(job: Job) -> dict[str, Any]:
    """The columns of ``NETWORK`` for a job."""
    return {name: getattr(job, name) for name in NETWORK}


def _key(row: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(row[name] for name in (*NETWORK, *MACHINE, "batch"))


def _write(plan: Plan, rows: Sequence[Mapping[str, Any]]) -> None:
    ordered = sorted(rows, key=lambda row: tuple(row[name] for name in ("space", "index", *MACHINE, "batch")))
    write_atomically(plan.latencies, LATENCY.csv(LATENCY.frame(ordered)))
