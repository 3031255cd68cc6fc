"""Executors: where trainings run, all behind ``concurrent.futures.Executor``.

``local``: processes of this machine, one per core or per GPU; ``inline``: this process, to step through
a failure in a debugger; ``dask``: other machines, by an address or by a cluster started for the run. A
new place to run is one function in one file, and one line of ``_MAKERS``.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from regnetlab.errors import unknown
from regnetlab.execution.base import Request, TrainingExecutor


def _local(request: Request) -> TrainingExecutor:
    from regnetlab.execution.local import make_local  # torch

    return make_local(request)


def _inline(request: Request) -> TrainingExecutor:
    from regnetlab.execution.inline import Inline  # torch

    return Inline()


def _dask(request: Request) -> TrainingExecutor:
    from regnetlab.execution.dask import make_dask  # torch

    return make_dask(request)


_MAKERS: Mapping[str, Callable[[Request], TrainingExecutor]] = MappingProxyType(
    {"local": _local, "inline": _inline, "dask": _dask}
)


def check_executor(name: str) -> None:
    """Raise ``InputError`` unless there is an executor of that name."""
    if name not in _MAKERS:
        raise unknown("executor", name, _MAKERS)


def make_executor(name: str, request: Request) -> TrainingExecutor:
    """The executor of that name; raises ``InputError`` where it can't be had."""
    check_executor(name)
    return _MAKERS[name](request)
