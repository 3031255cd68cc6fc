"""What every executor is: a ``concurrent.futures.Executor`` that knows how much it can take.

And the ways in which a training can end that are nobody's score: its worker was lost, it ran over its
hard limit, or its worker can't be used. A training whose future was cancelled was lost with the place.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from regnetlab.execution.worker import Report, Setup, Task, work


class WorkerLostError(Exception):
    """The process that trained is gone; the message says how. The training may be tried again."""


class OverdueError(WorkerLostError):
    """The training ran over its hard limit and its process was ended from outside."""


class MemoryLackError(WorkerLostError):
    """The training ran out of memory, the device's or the machine's; alone there it may have enough."""


class WorkerRefusedError(Exception):
    """A worker can't train for this study (another version, other data): a line, and its address."""

    def __init__(self, reason: str, worker: str) -> None:
        super().__init__(reason, worker)
        self.reason, self.worker = reason, worker


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a run asks of an executor.

    ``workers`` trainings at once, ``None`` where the place knows better; ``device`` as for
    ``find_device``. ``scheduler`` is an address (``tcp://…``, ``tls://…``) or the kind of cluster to
    start, ``cluster`` what is passed on to it. ``payload`` is the data set for workers that have none,
    sent once to each. ``memory`` in bytes is what one training's process may allocate.
    """

    workers: int | None = 1
    device: str = "cpu"
    scheduler: str | None = None
    cluster: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    payload: bytes | None = None
    memory: int | None = None
    note: Callable[[str], None] = lambda text: None


@dataclass(frozen=True, slots=True)
class Where:
    """A worker, HOST/PID or an address, and what computes there."""

    worker: str
    device: str


Began = Callable[[Where], None]
"""Told that a worker began with a training; called from any thread, and as often as it began anew."""


def ignore(where: Where) -> None:
    """For whom nobody is told."""


class Place(Executor, ABC):
    """An executor of trainings. ``shutdown(wait=False)`` ends what is running at once."""

    @abstractmethod
    def capacity(self) -> int:
        """How many trainings may be in flight just now; 0 while there is no worker."""

    def train(self, setup: Setup, task: Task, began: Began = ignore) -> Future[Report]:
        """Submit one training; its exceptions are those of this module, or ``InputError``.

        A place that knows when a worker begins with it, and which one, tells ``began``.
        """
        return self.submit(work, setup, task)

    def explain(self, error: BaseException) -> BaseException:
        """The error of a training as one of this module, where the place has its own words for it."""
        return error

    def send_away(self, worker: str) -> int:
        """Give this worker no more trainings; how many workers are left."""
        return 0

    def revive(self) -> None:
        """Be ready again after futures were cancelled; raises ``InputError`` where that can't be."""
