"""What every executor is: a ``concurrent.futures.Executor`` that knows how much it can take.

And the ways in which a training can end without a score: its worker was lost, it ran over its hard limit, or
its worker can't be used. A training whose future was cancelled was lost with its executor.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from regnetlab.training.budget import Score
from regnetlab.trials.job import Job


@dataclass(frozen=True, slots=True)
class Setting:
    """Where and how a run trains; nothing of it is part of a job.

    ``checksum`` is that of the coordinator's data: a worker with other data refuses to train. ``kernels`` and
    ``device`` are as for ``training.devices``. A final training leaves its network in the folder ``weights``,
    if one is named, as IDENTITY.safetensors, and a long one keeps where it stands in ``checkpoints``.
    """

    data_dir: Path | None = None
    device: str = "cpu"
    kernels: str = "auto"
    checksum: str | None = None
    weights: Path | None = None
    checkpoints: Path | None = None


@dataclass(frozen=True, slots=True)
class Task:
    """One training. ``limit`` in seconds is enforced from outside its process, where the executor can.
    ``gpu_bytes`` is what it needs of a GPU's memory, as estimated; ``alone`` trains it with nothing beside it
    on its device."""

    job: Job
    limit: float | None = None
    gpu_bytes: int = 0
    alone: bool = False


@dataclass(frozen=True, slots=True)
class Report:
    """A score, and where it was earned; ``worker`` is HOST/PID, or an address."""

    score: Score
    host: str
    device: str
    worker: str = ""


class WorkerLostError(Exception):
    """The process that trained is gone; the message says how. The training may be tried again."""


class DeviceLostError(WorkerLostError):
    """The training left its process without a device that it can use; the next one needs another process."""


class OverdueError(WorkerLostError):
    """The training ran over its hard limit and its process was ended from outside."""


class MemoryLackError(WorkerLostError):
    """The training ran out of memory, the device's or the machine's; alone there it may have enough."""


class DataLackError(MemoryLackError):
    """The data did not fit into the memory of a training's process: no network can be trained there."""


class WorkerRefusedError(Exception):
    """A worker can't train for this study (another version, other data): a line, and its address."""

    def __init__(self, reason: str, worker: str) -> None:
        super().__init__(reason, worker)
        self.reason, self.worker = reason, worker


@dataclass(frozen=True, slots=True)
class Request:
    """What a run asks of an executor.

    ``workers`` trainings at once, ``None`` where the executor knows better; ``device`` as for
    ``find_device``. ``scheduler`` is an address (``tcp://…``, ``tls://…``) or the kind of cluster to
    start, ``cluster`` what is passed on to it. ``payload`` is the data set for workers that have none,
    sent once to each. ``memory`` in bytes is what one training's process may allocate. ``stopped`` tells
    whether the run was asked to stop, which ends any waiting for a scheduler.
    """

    workers: int | None = 1
    device: str = "cpu"
    scheduler: str | None = None
    cluster: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    payload: bytes | None = None
    memory: int | None = None
    note: Callable[[str], None] = lambda text: None
    stopped: Callable[[], bool] = lambda: False


@dataclass(frozen=True, slots=True)
class WorkerInfo:
    """A worker, HOST/PID or an address, and what computes there."""

    name: str
    device: str


OnStart = Callable[[WorkerInfo], None]
"""Called when a worker begins a training, from any thread, and again where the training began again."""


def ignore(worker: WorkerInfo) -> None:
    """An ``OnStart`` that does nothing."""


class TrainingExecutor(Executor, ABC):
    """An executor of trainings. ``shutdown(wait=False)`` ends what is running at once."""

    @abstractmethod
    def capacity(self) -> int:
        """How many trainings may be in flight just now; 0 while there is no worker."""

    def train(self, setting: Setting, task: Task, on_start: OnStart = ignore) -> Future[Report]:
        """Submit one training; its exceptions are those of this module, or ``InputError``.

        An executor that knows when a worker begins it, and which one, calls ``on_start``.
        """
        from regnetlab.execution.worker import work  # torch

        return self.submit(work, setting, task.job)

    def explain(self, error: BaseException) -> BaseException:
        """The error of a training as one of this module, where the executor has its own words for it."""
        return error

    def send_away(self, worker: str) -> int:
        """Give this worker no more trainings; how many workers are left."""
        return 0

    def revive(self) -> None:
        """Be ready again after futures were cancelled; raises ``InputError`` where that can't be."""
