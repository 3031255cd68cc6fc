"""Executors: where trainings run, all behind ``concurrent.futures.Executor``.

``local``: processes of this machine, one per core or per GPU; ``inline``: this process, to step through
a failure in a debugger; ``dask``: other machines, by an address or by a cluster started for the run. A
new place to run is one function in one file, and one line of ``_MAKERS``.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from regnetlab.errors import unknown
from regnetlab.execution.base import Request, TrainingExecutor
from regnetlab.execution.dask import make_dask
from regnetlab.execution.inline import make_inline
from regnetlab.execution.local import make_local

_MAKERS: Mapping[str, Callable[[Request], TrainingExecutor]] = MappingProxyType(
    {"local": make_local, "inline": make_inline, "dask": make_dask}
)


def check_executor(name: str) -> None:
    """Raise ``InputError`` unless there is an executor of that name."""
    if name not in _MAKERS:
        raise unknown("executor", name, _MAKERS)


def make_executor(name: str, request: Request) -> TrainingExecutor:
    """The executor of that name; raises ``InputError`` where it can't be had."""
    check_executor(name)
    return _MAKERS[name](request)
