"""Dispatch: what it keeps of what workers report."""

from collections.abc import Sequence
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass

import pytest

from regnetlab.errors import InputError
from regnetlab.execution.base import (
    OnStart,
    Report,
    Setting,
    Task,
    WorkerLostError,
    WorkerRefusedError,
    ignore,
)
from regnetlab.execution.inline import Inline
from regnetlab.spaces.template import SMALL
from regnetlab.study.dispatch import TRIES, Dispatch, Stop
from regnetlab.study.observer import Observer
from regnetlab.training.budget import COMPLETE, Budget, Recipe, Score
from regnetlab.trials.job import Job


def test_workers_of_different_kinds_in_one_run_are_refused() -> None:
    score = Score(10.0, (), 1.0, 64, "complete")
    dispatch = Dispatch(Inline(), Setting(), lambda job, report: None, Observer(), Stop())
    dispatch._check_device(Report(score, "a", "cuda"))
    dispatch._check_device(Report(score, "b", "cuda"))
    with pytest.raises(InputError, match=r"different devices \(c on cpu with native kernels, b on cuda\)"):
        dispatch._check_device(Report(score, "c", "cpu with native kernels"))


class Scripted(Inline):
    """Ends the trainings as told, by their seeds, and those of a single step as ``steps``, in their order.

    So many are in flight together; an ending that is an exception is raised.
    """

    def __init__(self, endings: Sequence[str], steps: Sequence[str | Exception], together: int = 1) -> None:
        self.endings, self.steps, self.together = endings, list(steps), together
        self.looked = 0
        self.revived = 0

    def capacity(self) -> int:
        return self.together

    def train(self, setting: Setting, task: Task, on_start: OnStart = ignore) -> Future[Report]:
        ended: str | Exception = self.endings[task.job.seed % len(self.endings)]
        if task.job.budget.images == 64:
            ended = self.steps[min(self.looked, len(self.steps) - 1)]
            self.looked += 1
        future: Future[Report] = Future()
        if isinstance(ended, CancelledError):
            future.cancel()
            future.set_running_or_notify_cancel()
        elif isinstance(ended, Exception):
            future.set_exception(ended)
        else:
            error = 10.0 if ended == COMPLETE else None
            future.set_result(Report(Score(error, (), 1.0, 64, ended), "a", "cpu"))
        return future

    def revive(self) -> None:
        self.revived += 1


def job(seed: int) -> Job:
    return Job("anynet:d=1;w=8;g=8;b=1", SMALL, "fashion-mnist", Budget(), Recipe(), seed, acts=1_000)


@dataclass
class Kept:
    """What was kept of trainings, what was raised, and how often it was looked whether a step works."""

    endings: list[str]
    said: str = ""
    looked: int = 0


def kept_of(
    *endings: str,
    proven: bool = False,
    steps: Sequence[str | Exception] = (COMPLETE,),
    together: int = 1,
    calls: int = 1,
) -> Kept:
    """All endings are trained in so many calls of ``train``."""
    found = Kept([])
    executor = Scripted(endings, steps, together)
    keep = lambda job, report: found.endings.append(report.score.ended)  # noqa: E731
    dispatch = Dispatch(executor, Setting(), keep, Observer(), Stop())
    jobs = list(map(job, range(len(endings))))
    size = len(jobs) // calls
    try:
        for start in range(0, len(jobs), size):
            dispatch.train(jobs[start : start + size], job(99) if proven else None)
    except InputError as error:
        found.said = error.what
    found.looked = executor.looked
    return found


A, B = "failed: ImportError: x", "failed: RuntimeError: y"


@pytest.mark.parametrize(
    ("endings", "looked"),
    [
        ((COMPLETE, A, A, A, A, A), 2),
        ((A, COMPLETE, A), 1),
        ((A, COMPLETE, B, COMPLETE), 0),
        ((A,), 1),
        ((A, B, A, B), 2),
        (("out of memory",) * 4, 2),
        (("diverged: the loss was not finite by step 3",) * 4, 0),
        (("time limit of 5 s",) * 4, 0),
    ],
)
def test_failures_of_networks_are_kept(endings: tuple[str, ...], looked: int) -> None:
    assert kept_of(*endings) == Kept(list(endings), "", looked)


SILENT = "time limit of 5 s, 3 times without any answer"


@pytest.mark.parametrize(
    "endings", [(A,), (A, A), (A, A, A, A), (A, B, A, B), ("out of memory",) * 4, (SILENT, A, SILENT)]
)
@pytest.mark.parametrize("calls", [1, 0])
def test_failures_where_not_even_the_smallest_network_trains_are_not_the_networks(
    endings: tuple[str, ...], calls: int
) -> None:
    found = kept_of(*endings, steps=[A], calls=calls or len(endings))
    assert found.endings == []
    assert "and so did a step of the smallest network: it is not the network" in found.said


@pytest.mark.parametrize("endings", [(COMPLETE, A, A, A), (COMPLETE, COMPLETE, A), (A, COMPLETE, B, B)])
def test_a_machine_that_breaks_down_during_a_run_is_not_the_networks_fault(endings: tuple[str, ...]) -> None:
    last = max(at for at, ended in enumerate(endings) if ended == COMPLETE)
    found = kept_of(*endings, steps=[A])
    assert found.endings == list(endings[: last + 1])
    assert "and so did a step of a network that was trained before" in found.said


def test_what_began_before_a_failure_shows_nothing_of_the_machine_after_it() -> None:
    found = kept_of(A, A, COMPLETE, B, steps=[A], together=4)
    assert found.endings == [COMPLETE]
    assert found.said
    found = kept_of(A, A, COMPLETE, B, together=4)
    assert (sorted(found.endings), found.said, found.looked) == (sorted([COMPLETE, A, A, B]), "", 1)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_a_run_that_goes_on_tells_a_broken_machine_from_networks_that_fail(count: int) -> None:
    assert kept_of(*[A] * count, proven=True).endings == [A] * count
    found = kept_of(*[A] * count, proven=True, steps=[B])
    assert found.endings == []
    assert "failed (ImportError: x)" in found.said


def test_a_step_that_is_lost_is_tried_again_as_a_training_is() -> None:
    lost: list[str | Exception] = [WorkerLostError("killed"), CancelledError(), COMPLETE]
    assert kept_of(A, A, A, proven=True, steps=lost) == Kept([A, A, A], "", 3)
    found = kept_of(A, A, A, proven=True, steps=[WorkerLostError("killed")])
    assert (found.endings, found.looked) == ([], TRIES)
    found = kept_of(A, A, A, proven=True, steps=[WorkerRefusedError("other data", "w")])
    assert (found.endings, found.said) == ([], "no worker is left: other data")
    found = kept_of(A, A, A, proven=True, steps=["out of memory"])
    assert (found.endings, found.looked) == ([], TRIES)


def test_after_a_stop_nothing_is_looked_for() -> None:
    executor, stop, kept = Scripted([A], [COMPLETE]), Stop(), []
    dispatch = Dispatch(executor, Setting(), lambda job, _: kept.append(job), Observer(), stop)
    dispatch._proven = job(99)
    dispatch._failing = [(job(i), executor.train(Setting(), Task(job(i))).result(), i) for i in range(3)]
    stop.asked.set()
    dispatch._settle()
    assert (kept, executor.looked) == ([], 0)
