"""Slots: child processes that train, one training at a time each, which may die or hang alone.

A slot is a process of this package's interpreter, asked over a pair of sockets. What a pool of
processes can't do, a slot can: end one hung training without touching the others, and tell which
training it was that took its process along. Local runs and cluster workers train in the same slots.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from queue import SimpleQueue
from typing import Any

from regnetlab.study.executors.place import OverdueError, WorkerLostError
from regnetlab.study.executors.work import Report, Setup, Task, prepare, work

_PREPARING = 600.0  # seconds that loading the data may take; a download of 30 MB among them


class Slot:
    """One child process, started when it is first needed and again whenever it was lost."""

    def __init__(self, gpu: str | None = None, memory: int | None = None) -> None:
        self._gpu, self._memory = gpu, memory
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: Connection[Any, Any] | None = None
        self._ready_for: Setup | None = None
        self._closed = False

    def train(self, setup: Setup, task: Task, payload: bytes | None = None) -> Report:
        """One training; raises ``WorkerLostError`` or ``OverdueError`` where it took its process along."""
        if self._ready_for != setup:
            self.call(prepare, (setup, payload), _PREPARING)
            self._ready_for = setup
        report: Report = self.call(work, (setup, task), task.limit)
        return report

    def call(self, fn: Callable[..., Any], args: tuple[Any, ...], limit: float | None = None) -> Any:
        """Call in the child; raises what the call raised."""
        connection = self._connected()
        try:
            connection.send((fn, args))
            if not connection.poll(limit):
                self.kill()
                raise OverdueError(f"no answer within {limit:.0f} s")
            worked, answer = connection.recv()
        except (EOFError, OSError):
            raise WorkerLostError(self._how_it_ended()) from None
        if worked:
            return answer
        raise answer

    def kill(self) -> None:
        """End the child at once; whoever waits for it gets ``WorkerLostError``."""
        if self._process is not None:
            self._process.kill()

    def close(self) -> None:
        """End the child, and never start one again."""
        self._closed = True
        self.kill()

    def _connected(self) -> "Connection[Any, Any]":
        if self._closed:
            raise WorkerLostError("this executor is closed")
        if self._process is None or self._process.poll() is not None or self._connection is None:
            ours, theirs = Pipe()
            environment = {
                **os.environ,
                "PYTHONPATH": os.pathsep.join(each or os.curdir for each in sys.path),
            }
            if self._gpu is not None:  # before CUDA is first used, which is when the variable is read
                environment["CUDA_VISIBLE_DEVICES"] = self._gpu
            words = [str(theirs.fileno()), *([str(self._memory)] if self._memory else [])]
            self._process = subprocess.Popen(
                [sys.executable, "-m", "regnetlab.study.executors.child", *words],
                stdin=subprocess.PIPE,  # ends when this process does, however that ends
                stdout=2,  # stdout is the coordinator's
                pass_fds=[theirs.fileno()],
                env=environment,
                start_new_session=True,  # Ctrl-C is the coordinator's
            )
            theirs.close()
            self._connection, self._ready_for = ours, None
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
    """So many slots, spread over the GPUs; whoever trains takes one and gives it back."""

    def __init__(self, count: int, gpus: Sequence[str] = (), memory: int | None = None) -> None:
        self._all = [Slot(gpus[i % len(gpus)] if gpus else None, memory) for i in range(count)]
        self._free: SimpleQueue[Slot] = SimpleQueue()
        for slot in self._all:
            self._free.put(slot)

    @contextmanager
    def taken(self) -> Iterator[Slot]:
        """A free slot, waited for."""
        slot = self._free.get()
        try:
            yield slot
        finally:
            self._free.put(slot)

    def close(self) -> None:
        """End all children at once."""
        for slot in self._all:
            slot.close()
