"""``local``: processes of this machine, one thread each, one per core or per GPU."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import ParamSpec, TypeVar, cast

from regnetlab.execution.base import Began, Place, Wanted, ignore
from regnetlab.execution.slots import Slots
from regnetlab.execution.worker import Report, Setup, Task
from regnetlab.training.devices import visible_gpus

P = ParamSpec("P")
T = TypeVar("T")


class Local(Place):
    """A thread for each slot waits for what its child answers."""

    def __init__(self, slots: Slots, workers: int) -> None:
        self._slots, self._workers = slots, workers
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="slot")

    def capacity(self) -> int:
        return self._workers

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        def on_slot() -> T:
            with self._slots.taken() as slot:
                return cast(T, slot.call(fn, args))

        return self._threads.submit(on_slot)

    def train(self, setup: Setup, task: Task, began: Began = ignore) -> Future[Report]:
        def on_slot() -> Report:
            with self._slots.taken(task.alone) as slot:
                return slot.train(setup, task, began=began)

        return self._threads.submit(on_slot)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        if not wait:
            self._slots.close()
        self._threads.shutdown(wait=True, cancel_futures=cancel_futures)
        self._slots.close()


def make_local(wanted: Wanted) -> Place:
    workers = wanted.workers or 1
    gpus = visible_gpus() if wanted.device == "cuda" else ()
    return Local(Slots(workers, gpus, wanted.memory), workers)
