"""What a worker does: one training, with data that it prepares once."""

import os
import pickle
import platform
import socket
from dataclasses import dataclass, field
from functools import cache, partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from regnetlab import __version__
from regnetlab.errors import InputError
from regnetlab.models.registry import find_model
from regnetlab.spaces.template import Template
from regnetlab.training.batches import DeviceData, check_budget, on_device
from regnetlab.training.budget import Budget, Recipe, Score
from regnetlab.training.datasets import DataSet, load_data
from regnetlab.training.devices import AUTO, find_device, kernels_used, set_up
from regnetlab.training.folders.decode import Reading
from regnetlab.training.trainer import train


@dataclass(frozen=True, slots=True)
class Setup:
    """What all trainings of a study share; a worker prepares its data once.

    ``checksum`` is that of the coordinator's data: a worker with other data refuses to train.
    """

    template: Template
    data: str
    data_dir: Path | None
    device: str
    budget: Budget
    kernels: str = AUTO
    checksum: str | None = None
    reading: Reading = field(default_factory=Reading)


@dataclass(frozen=True, slots=True)
class Task:
    """One training; only a ``final`` one has the test split. ``limit`` in seconds is enforced from
    outside its process, where the executor can. ``gpu_bytes`` is what it needs of a GPU's memory, as
    estimated; ``alone`` trains it with nothing beside it on its device."""

    model: str
    recipe: Recipe
    seed: int
    final: bool = False
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


def work(setup: Setup, task: Task) -> Report:
    """One training, in whatever process this is called."""
    data = prepared(setup, task.final)
    build = partial(find_model(task.model).build, setup.template)
    score = train(build, data, setup.budget, task.recipe, task.seed, setup.kernels)
    device = computed_on(data.train.labels.device.type, setup.kernels)
    return Report(score, socket.gethostname(), device, process_name(os.getpid()))


def process_name(pid: int) -> str:
    """A process of this machine, as ``status`` names it."""
    return f"{socket.gethostname()}/{pid}"


def computed_on(device: str, kernels: str) -> str:
    """What computes on a device of this kind (``cpu``, ``cuda``): the bits of an error depend on it."""
    return f"{device} with {kernels_used(kernels, device)} kernels" if device == "cpu" else device


def prepare(setup: Setup, payload: bytes | None = None) -> str:
    """Load the data before the first training, from ``payload`` where the coordinator sent them; returns
    what computes here.

    Raises ``InputError`` where this worker has no such data, or others.
    """
    if payload is not None:
        _sent(setup.data, setup.checksum, payload)
    data = prepared(setup, final=False)
    return computed_on(data.train.labels.device.type, setup.kernels)


def versions() -> dict[str, str]:
    """What must be the same everywhere for errors to be the same to the last bit."""
    return {
        "regnetlab": __version__,
        "python": ".".join(platform.python_version_tuple()[:2]),
        "torch": _version("torch"),
        "numpy": _version("numpy"),
    }


_ARRIVED: dict[tuple[str, str | None], DataSet] = {}  # what the coordinator sent to this process


def _sent(name: str, checksum: str | None, payload: bytes) -> None:
    """Keep the data set that the coordinator sent, over the connection that also brings the code's
    arguments: it is as trusted as those."""
    data = pickle.loads(payload)
    if isinstance(data, DataSet) and data.checksum == checksum:
        _ARRIVED[name, checksum] = data
    else:
        raise InputError(f"data {name} arrived damaged", "run again to send them anew")


@cache
def prepared(setup: Setup, final: bool) -> DeviceData:
    """The data set on this process's device, loaded once."""
    device = find_device(setup.device)
    set_up(device)
    data = _ARRIVED.get((setup.data, setup.checksum)) or _found(setup)
    if setup.checksum is not None and data.checksum != setup.checksum:
        raise InputError(
            (
                f"{socket.gethostname()} has other data under the name {data.name}: checksum"
                f" {data.checksum[:12]}, the coordinator's is {setup.checksum[:12]}"
            ),
            "copy the coordinator's there, or send them with --send-data",
        )
    data.check_fits(setup.template)
    check_budget(data, setup.budget)
    return on_device(data, device, final)


def _found(setup: Setup) -> DataSet:
    """The data where the coordinator has them, else where this machine has its own."""
    try:
        return load_data(setup.data, setup.template, setup.data_dir, setup.reading)
    except InputError:
        if setup.data_dir is None or setup.data_dir.exists():
            raise
        return load_data(setup.data, setup.template, None, setup.reading)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "none"
