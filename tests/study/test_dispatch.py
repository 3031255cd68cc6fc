"""Dispatch: what it keeps of what workers report."""

from collections.abc import Sequence
from concurrent.futures import Future

import pytest

from regnetlab.errors import InputError
from regnetlab.execution.base import OnStart, Report, Setting, Task, ignore
from regnetlab.execution.inline import Inline
from regnetlab.spaces.template import SMALL
from regnetlab.study.dispatch import Dispatch, Stop
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
    """Ends the trainings as told, by their seeds, and those of a single step as ``steps``."""

    def __init__(self, endings: Sequence[str], steps: str) -> None:
        self.endings, self.steps = endings, steps
        self.trained: list[str] = []

    def train(self, setting: Setting, task: Task, on_start: OnStart = ignore) -> Future[Report]:
        ended = self.steps if task.job.budget.images == 64 else self.endings[task.job.seed]
        self.trained.append(ended)
        error = 10.0 if ended == COMPLETE else None
        return self.submit(lambda: Report(Score(error, (), 1.0, 64, ended), "a", "cpu"))


def job(seed: int) -> Job:
    return Job("anynet:d=1;w=8;g=8;b=1", SMALL, "fashion-mnist", Budget(), Recipe(), seed, acts=1_000)


def kept_of(*endings: str, proven: bool = False, steps: str = COMPLETE) -> tuple[list[str], str]:
    """The endings of what is kept of trainings that end so, and what is raised, if anything."""
    kept: list[str] = []
    keep = lambda job, report: kept.append(report.score.ended)  # noqa: E731
    dispatch = Dispatch(Scripted(endings, steps), Setting(), keep, Observer(), Stop())
    try:
        dispatch.train(list(map(job, range(len(endings)))), job(99) if proven else None)
    except InputError as error:
        return kept, error.what
    return kept, ""


A, B = "failed: ImportError: x", "failed: RuntimeError: y"


@pytest.mark.parametrize(
    "endings",
    [
        (COMPLETE, A, A, A, A, A),
        (A, COMPLETE, A),
        (A, B, A),
        (A,),
        ("out of memory",) * 4,
        ("diverged: the loss was not finite by step 3",) * 4,
    ],
)
def test_failures_of_networks_are_kept(endings: tuple[str, ...]) -> None:
    assert kept_of(*endings) == (list(endings), "")


@pytest.mark.parametrize("count", [2, 3, 4])
def test_failures_that_are_alike_from_the_first_on_are_not_the_networks(count: int) -> None:
    kept, said = kept_of(*(f"failed: RuntimeError: kernel {i} of image" for i in range(count)))
    assert kept == []
    assert said.startswith(
        f"{min(count, 3)} trainings one after the other failed alike (RuntimeError: kernel 0 of image)"
    )


@pytest.mark.parametrize("endings", [(COMPLETE, A, A, A), (COMPLETE, COMPLETE, A), (A, COMPLETE, B, B)])
def test_a_machine_that_breaks_down_during_a_run_is_not_the_networks_fault(endings: tuple[str, ...]) -> None:
    last = max(at for at, ended in enumerate(endings) if ended == COMPLETE)
    kept, said = kept_of(*endings, steps=A)
    assert kept == list(endings[: last + 1])
    assert "so does a network that was trained before" in said


@pytest.mark.parametrize("count", [1, 2, 5])
def test_a_run_that_goes_on_tells_a_broken_machine_from_networks_that_fail(count: int) -> None:
    assert kept_of(*[A] * count, proven=True) == ([A] * count, "")
    kept, said = kept_of(*[A] * count, proven=True, steps=B)
    assert kept == []
    assert "failed alike (ImportError: x)" in said
