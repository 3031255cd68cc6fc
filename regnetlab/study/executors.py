"""Executors: where trainings run, all behind ``concurrent.futures.Executor``.

``local`` is a pool of processes, one thread each, one per core or per GPU; ``inline`` runs in this
process, to step through a failure in a debugger. A new place to run is one more function here.
"""

import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial
from multiprocessing import connection, get_context, parent_process
from multiprocessing.queues import SimpleQueue
from pathlib import Path
from types import MappingProxyType
from typing import Any, ParamSpec, TypeVar

from regnetlab.errors import unknown
from regnetlab.models.registry import find_model
from regnetlab.spaces.template import Template
from regnetlab.training.batches import DeviceData, check_budget, on_device
from regnetlab.training.budget import Budget, Recipe, Score
from regnetlab.training.datasets import load_data
from regnetlab.training.devices import AUTO, find_device, set_up, visible_gpus
from regnetlab.training.trainer import train

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Setup:
    """What all trainings of a study share; a worker prepares its data once."""

    template: Template
    data: str
    data_dir: Path | None
    device: str
    budget: Budget
    kernels: str = AUTO


def work(setup: Setup, model: str, recipe: Recipe, seed: int, final: bool) -> Score:
    """One training, in whatever process this is called; only a ``final`` one has the test split."""
    data = _prepared(setup, final)
    build = partial(find_model(model).build, setup.template)
    return train(build, data, setup.budget, recipe, seed, setup.kernels)


@cache
def _prepared(setup: Setup, final: bool) -> DeviceData:
    device = find_device(setup.device)
    set_up(device)
    data = load_data(setup.data, setup.template, setup.data_dir)
    data.check_fits(setup.template)
    check_budget(data, setup.budget)
    return on_device(data, device, final)


def check_executor(name: str) -> None:
    """Raise ``InputError`` unless there is an executor of that name."""
    if name not in _MAKERS:
        raise unknown("executor", name, _MAKERS)


def make_executor(name: str, workers: int, device: str = "cpu") -> Executor:
    """The executor of that name with so many workers, spread over the GPUs if ``device`` is ``cuda``."""
    check_executor(name)
    return _MAKERS[name](workers, visible_gpus() if device == "cuda" else ())


class Inline(Executor):
    """Runs each call at once, in this process and thread."""

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        future: Future[T] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


def _local(workers: int, gpus: Sequence[str]) -> Executor:
    context = get_context("spawn")
    slots = context.SimpleQueue()
    for worker in range(workers):
        slots.put(gpus[worker % len(gpus)] if gpus else None)
    return ProcessPoolExecutor(workers, mp_context=context, initializer=_start_worker, initargs=(slots,))


_MAKERS: Mapping[str, Callable[[int, Sequence[str]], Executor]] = MappingProxyType(
    {"local": _local, "inline": lambda workers, gpus: Inline()}
)


def _start_worker(slots: "SimpleQueue[str | None]") -> None:
    """A worker leaves signals to its coordinator, ends when that is gone, and sees one GPU."""
    gpu = slots.get()
    if gpu is not None:  # before CUDA is first used, which is when the variable is read
        os.environ["CUDA_VISIBLE_DEVICES"] = gpu
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    parent = parent_process()
    if parent is not None:
        threading.Thread(target=_follow, args=(parent.sentinel,), daemon=True).start()


def _follow(sentinel: int) -> None:
    connection.wait([sentinel])
    os._exit(1)


@contextmanager
def sheltered() -> Iterator[None]:
    """Processes that are started inside do not see Ctrl-C, not even before they are ready."""
    held = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, held)


def stop_at_once(executor: Executor) -> None:
    """End the executor without waiting for what it is doing."""
    processes: dict[int, Any] = getattr(executor, "_processes", None) or {}
    for process in list(processes.values()):
        process.kill()
    executor.shutdown(wait=False, cancel_futures=True)
