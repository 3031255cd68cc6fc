"""``inline``: each training at once in this process and thread, to step through it in a debugger."""

import os
from collections.abc import Callable
from concurrent.futures import Future
from typing import ParamSpec, TypeVar

from regnetlab.execution.base import Began, Place, Wanted, Where, ignore
from regnetlab.execution.worker import Report, Setup, Task, prepare, process_name, work

P = ParamSpec("P")
T = TypeVar("T")


class Inline(Place):
    """Runs each call at once, in this process and thread."""

    def capacity(self) -> int:
        return 1

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        future: Future[T] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future

    def train(self, setup: Setup, task: Task, began: Began = ignore) -> Future[Report]:
        def told() -> Report:
            began(Where(process_name(os.getpid()), prepare(setup)))
            return work(setup, task)

        return self.submit(told)


def make_inline(wanted: Wanted) -> Place:
    return Inline()
