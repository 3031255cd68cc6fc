"""What a worker does: one training, with data that it prepares once."""

import json
import os
import pickle
import platform
import socket
from dataclasses import replace
from functools import cache, partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch
from torch import nn

from regnetlab import __version__
from regnetlab.errors import InputError
from regnetlab.execution.base import DeviceLostError, Report, Setting
from regnetlab.models.registry import find_model
from regnetlab.models.weights import write_weights
from regnetlab.spaces.template import Template
from regnetlab.training.batches import DeviceData, on_device, with_test_split
from regnetlab.training.budget import COMPLETE, FAILED
from regnetlab.training.checkpoints import ENDING, Checkpoint
from regnetlab.training.datasets import DataSet, load_data
from regnetlab.training.devices import answers, find_device, kernels_used, set_up
from regnetlab.training.folders.decode import Reading
from regnetlab.training.trainer import train
from regnetlab.training.watching import Watching
from regnetlab.trials.job import Job


def work(setting: Setting, job: Job) -> Report:
    """One training, in whatever process this is called; raises ``DeviceLostError``."""
    data = prepared(setting, job.data, job.template, job.reading, job.final)
    build = partial(find_model(job.model).build, job.template)
    kept = None if setting.weights is None or not job.final else _Kept()
    device = computed_on(data.train.labels.device, setting.kernels)
    standing = None
    if (path := checkpoint_path(setting, job.identity)) is not None:
        standing = Checkpoint(path, f"{setting.checksum} {device} {json.dumps(versions())}")
    score = train(build, data, job.budget, job.recipe, job.seed, setting.kernels, kept, standing)
    if score.ended.startswith(FAILED) and not answers(data.train.labels.device):
        raise DeviceLostError(score.ended.removeprefix(FAILED))
    if kept is not None and score.ended == COMPLETE:
        kept.write(weights_path(setting, job), job)
    return Report(score, socket.gethostname(), device, process_name(os.getpid()))


class _Kept(Watching):
    """Keeps the network of a training for afterwards."""

    network: nn.Module | None = None

    def on_begin(self, network: nn.Module) -> None:
        self.network = network

    def write(self, path: Path, job: Job) -> None:
        assert self.network is not None
        path.parent.mkdir(parents=True, exist_ok=True)
        write_weights(path, self.network, {"model": job.model, "template": job.template.facts()})


def checkpoint_path(setting: Setting, identity: str) -> Path | None:
    """Where a training of this identity keeps how far it came, if anywhere."""
    return None if setting.checkpoints is None else setting.checkpoints / f"{identity}{ENDING}"


def weights_path(setting: Setting, job: Job) -> Path:
    """Where a final training leaves its network."""
    if setting.weights is None:
        raise ValueError("no folder of weights is named")
    return setting.weights / f"{job.identity}.safetensors"


def process_name(pid: int) -> str:
    """A process of this machine, as ``status`` names it."""
    return f"{socket.gethostname()}/{pid}"


def computed_on(device: torch.device, kernels: str) -> str:
    """What computes on this device, with a GPU's model: the bits of an error depend on it."""
    if device.type == "cpu":
        return f"cpu with {kernels_used(kernels, device.type)} kernels"
    return f"{device.type} {torch.cuda.get_device_name(device)}"


def prepare(setting: Setting, job: Job, payload: bytes | None = None) -> str:
    """Load a job's data before the first training, from ``payload`` where the coordinator sent them.

    Returns:
        What computes here (``computed_on``).

    Raises:
        InputError: This worker has no such data, or others.
    """
    if payload is not None:
        _keep_sent(job.data, setting.checksum, payload)
    data = prepared(setting, job.data, job.template, job.reading, final=False)
    return computed_on(data.train.labels.device, setting.kernels)


def data_key(setting: Setting, job: Job) -> tuple[object, ...]:
    """What a worker has to load again where it differs between two trainings."""
    return setting, job.data, job.template, job.reading


def versions() -> dict[str, str]:
    """What must be the same everywhere for errors to be the same to the last bit."""
    return {
        "regnetlab": __version__,
        "python": ".".join(platform.python_version_tuple()[:2]),
        "torch": _version("torch"),
        "numpy": _version("numpy"),
    }


_ARRIVED: dict[tuple[str, str | None], DataSet] = {}  # what the coordinator sent to this process


def _keep_sent(name: str, checksum: str | None, payload: bytes) -> None:
    """Keep the data set that the coordinator sent, over the connection that also brings the code's
    arguments: it is as trusted as those."""
    data = pickle.loads(payload)
    if isinstance(data, DataSet) and data.checksum == checksum:
        _ARRIVED[name, checksum] = data
    else:
        raise InputError(f"data {name} arrived damaged", "run again, which sends them again")


def prepared(setting: Setting, name: str, template: Template, reading: Reading, final: bool) -> DeviceData:
    """The data set on this process's device, loaded once; the test split only if ``final``."""
    found = _with_test_split if final else _without_test_split
    where = replace(setting, kernels="", weights=None, checkpoints=None)  # what the images do not depend on
    return found(where, name, template, reading)


@cache
def _with_test_split(setting: Setting, name: str, template: Template, reading: Reading) -> DeviceData:
    there = _without_test_split(setting, name, template, reading)
    return with_test_split(there, _loaded(setting, name, template, reading))


@cache
def _without_test_split(setting: Setting, name: str, template: Template, reading: Reading) -> DeviceData:
    device = find_device(setting.device)
    set_up(device)
    return on_device(_loaded(setting, name, template, reading), device)


@cache
def _loaded(setting: Setting, name: str, template: Template, reading: Reading) -> DataSet:
    data = _ARRIVED.get((name, setting.checksum)) or _found(setting, name, template, reading)
    if setting.checksum is not None and data.checksum != setting.checksum:
        raise InputError(
            f"{socket.gethostname()} has other data under the name {data.name}: checksum"
            f" {data.checksum[:12]}, the coordinator's is {setting.checksum[:12]}",
            "copy the coordinator's there, or send them with --send-data",
        )
    data.check_fits(template)
    return data


def _found(setting: Setting, name: str, template: Template, reading: Reading) -> DataSet:
    """The data where the coordinator has them, else where this machine has its own."""
    try:
        return load_data(name, template, setting.data_dir, reading)
    except InputError:
        if setting.data_dir is None or setting.data_dir.exists():
            raise
        return load_data(name, template, None, reading)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "none"
