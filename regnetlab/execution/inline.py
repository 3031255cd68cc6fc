"""``inline``: each training at once in this process and thread, to step through it in a debugger."""

import os
from collections.abc import Callable
from concurrent.futures import Future
from typing import ParamSpec, TypeVar

from regnetlab.execution.base import (
    OnStart,
    Report,
    Setting,
    Task,
    TrainingExecutor,
    WorkerInfo,
    ignore,
)
from regnetlab.execution.worker import prepare, process_name, work

P = ParamSpec("P")
T = TypeVar("T")


class Inline(TrainingExecutor):
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

    def train(self, setting: Setting, task: Task, on_start: OnStart = ignore) -> Future[Report]:
        def told() -> Report:
            on_start(WorkerInfo(process_name(os.getpid()), prepare(setting, task.job)))
            return work(setting, task.job)

        return self.submit(told)
