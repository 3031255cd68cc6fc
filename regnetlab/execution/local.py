"""``local``: trainings in child processes of this machine, one per core or GPU, one at a time each.

A child, which may die or hang alone, is asked over a pair of sockets. What a pool of processes can't do, a
slot can: end one hung training without touching the others, tell which training took its process along, and
give a whole device to one training. Cluster workers train in the same slots.
"""

import signal
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from threading import Condition
from typing import Any, ParamSpec, TypeVar, cast

from torch import OutOfMemoryError

from regnetlab.children import environment, python
from regnetlab.execution.base import (
    DataLackError,
    DeviceLostError,
    OnStart,
    OverdueError,
    Report,
    Request,
    Setting,
    Task,
    TrainingExecutor,
    WorkerInfo,
    WorkerLostError,
    ignore,
)
from regnetlab.execution.worker import data_key, prepare, process_name, work
from regnetlab.training.devices import visible_gpus
from regnetlab.training.trainer import OUT_OF_MEMORY

P = ParamSpec("P")
T = TypeVar("T")

_PREPARING = 600.0  # seconds that loading the data may take; a download of 30 MB among them


class Slot:
    """One child process, started when it is first needed and again whenever it was lost."""

    def __init__(self, gpu: str | None = None, memory: int | None = None) -> None:
        self.gpu, self._memory = gpu, memory
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: Connection[Any, Any] | None = None
        self._ready_for: tuple[object, ...] = ()
        self._device = ""
        self._closed = False

    def train(
        self, setting: Setting, task: Task, payload: bytes | None = None, on_start: OnStart = ignore
    ) -> Report:
        """One training; raises ``WorkerLostError`` or ``OverdueError`` where it took its process along,
        ``DataLackError`` where there is no room for the data."""
        wanted = data_key(setting, task.job)
        if self._ready_for != wanted:
            try:
                self._device = self.call(prepare, (setting, task.job, payload), _PREPARING)
            except (MemoryError, OutOfMemoryError):
                raise DataLackError(OUT_OF_MEMORY) from None
            self._ready_for = wanted
        on_start(self._worker())
        try:
            report: Report = self.call(work, (setting, task.job), task.limit)
        except DeviceLostError:
            self.rest()
            raise
        return report

    def call(self, fn: Callable[..., Any], args: tuple[Any, ...], limit: float | None = None) -> Any:
        """Call in the child; raises what the call raised."""
        connection = self._connected()
        try:
            connection.send((fn, args))
            if not connection.poll(limit):
                self._how_it_ended()  # waited for: the next training gets a new process, not the dying one
                raise OverdueError(f"no answer within {limit:.0f} s")
            worked, answer = connection.recv()
        except (EOFError, OSError):
            raise WorkerLostError(self._how_it_ended()) from None
        if worked:
            return answer
        raise answer

    def _worker(self) -> WorkerInfo:
        pid = self._process.pid if self._process is not None else 0
        return WorkerInfo(
            process_name(pid), self._device if self.gpu is None else f"{self._device} {self.gpu}"
        )

    def kill(self) -> None:
        """End the child at once; the call that waits for it raises ``WorkerLostError``."""
        if self._process is not None:
            self._process.kill()

    def rest(self) -> None:
        """End the child, which trains nothing now; the next training starts another."""
        if self._process is not None:
            self._how_it_ended()

    def close(self) -> None:
        """End the child, and never start one again."""
        self._closed = True
        self.kill()

    def _connected(self) -> "Connection[Any, Any]":
        if self._closed:
            raise WorkerLostError("this executor is closed")
        if self._process is None or self._process.poll() is not None or self._connection is None:
            ours, theirs = Pipe()
            # Before CUDA is first used, which is when the variable is read.
            gpu = {} if self.gpu is None else {"CUDA_VISIBLE_DEVICES": self.gpu}
            words = [str(theirs.fileno()), *([str(self._memory)] if self._memory else [])]
            self._process = subprocess.Popen(
                python("regnetlab.execution.child", *words),
                stdin=subprocess.PIPE,  # ends when this process does, however that ends
                stdout=2,  # stdout is the coordinator's
                pass_fds=[theirs.fileno()],
                env=environment(**gpu),
                start_new_session=True,  # Ctrl-C is the coordinator's
            )
            theirs.close()
            self._connection, self._ready_for = ours, ()
            if self._closed:  # meanwhile
                self._process.kill()
        return self._connection

    def _how_it_ended(self) -> str:
        """Why the child is gone, and make room for the next one."""
        process, self._process = self._process, None
        if self._connection is not None:
            self._connection.close()
        if process is None:
            return "its process is gone"
        process.kill()
        status = process.wait()
        if process.stdin is not None:
            process.stdin.close()
        if status >= 0:
            return f"its process ended with status {status}"
        try:
            return f"its process was ended by {signal.Signals(-status).name}"
        except ValueError:
            return f"its process was ended by signal {-status}"


class Slots:
    """So many slots, spread over the GPUs; a training takes one and gives it back.

    What ran out of memory beside others takes a whole device: a GPU, or this machine where there is none.
    """

    def __init__(self, count: int, gpus: Sequence[str] = (), memory: int | None = None) -> None:
        self._all = [Slot(gpus[i % len(gpus)] if gpus else None, memory) for i in range(count)]
        self._idle = list(self._all)
        self._reserved: set[str | None] = set()  # GPUs that a training has or waits for alone
        self._changed = Condition()

    @contextmanager
    def taken(self, alone: bool = False) -> Iterator[Slot]:
        """A free slot, waited for; ``alone`` with nothing else on its device, processes that rest there
        and their memory among it."""
        slots = self._take_device() if alone else [self._take_slot()]
        try:
            if alone:
                for slot in slots:
                    slot.rest()
            yield slots[0]
        finally:
            with self._changed:
                self._idle += slots
                if alone:
                    self._reserved.discard(slots[0].gpu)
                self._changed.notify_all()

    def _take_slot(self) -> Slot:
        """One of those idle on the GPU that has most of them."""

        def free() -> list[Slot]:
            return [slot for slot in self._idle if slot.gpu not in self._reserved]

        with self._changed:
            self._changed.wait_for(free)
            there = Counter(slot.gpu for slot in free())
            slot = max(free(), key=lambda slot: there[slot.gpu])
            self._idle.remove(slot)
            return slot

    def _take_device(self) -> list[Slot]:
        """All slots of a GPU, once the trainings there are done; no other gets one there meanwhile."""
        gpus = {slot.gpu for slot in self._all}
        with self._changed:
            self._changed.wait_for(lambda: gpus - self._reserved)
            idle = Counter(slot.gpu for slot in self._idle)
            gpu = max(gpus - self._reserved, key=lambda gpu: idle[gpu])
            self._reserved.add(gpu)
            slots = [slot for slot in self._all if slot.gpu == gpu]
            self._changed.wait_for(lambda: all(slot in self._idle for slot in slots))
            self._idle = [slot for slot in self._idle if slot.gpu != gpu]
            return slots

    def close(self) -> None:
        """End all children at once."""
        for slot in self._all:
            slot.close()

    def reap(self) -> None:
        """Wait for the children's end, once no thread asks them any more."""
        for slot in self._all:
            slot.rest()


class Local(TrainingExecutor):
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

    def train(self, setting: Setting, task: Task, on_start: OnStart = ignore) -> Future[Report]:
        def on_slot() -> Report:
            with self._slots.taken(task.alone) as slot:
                return slot.train(setting, task, on_start=on_start)

        return self._threads.submit(on_slot)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        if not wait:
            self._slots.close()
        self._threads.shutdown(wait=True, cancel_futures=cancel_futures)
        self._slots.close()
        self._slots.reap()


def make_local(request: Request) -> TrainingExecutor:
    workers = request.workers or 1
    gpus = visible_gpus() if request.device == "cuda" else ()
    return Local(Slots(workers, gpus, request.memory), workers)
