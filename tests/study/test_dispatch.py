"""Dispatch: what it keeps of what workers report."""

import pytest

from regnetlab.errors import InputError
from regnetlab.execution.base import Report, Setting
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


def held(*endings: str) -> tuple[list[str], str]:
    """The endings of what is kept of trainings that end so, and what is raised, if anything."""
    kept: list[str] = []
    keep = lambda job, report: kept.append(report.score.ended)  # noqa: E731
    dispatch = Dispatch(Inline(), Setting(), keep, Observer(), Stop())
    job = Job("anynet:d=1;w=8;g=8;b=1", SMALL, "fashion-mnist", Budget(), Recipe(), 1)
    try:
        for each in endings:
            dispatch._hold(
                job, Report(Score(10.0 if each == COMPLETE else None, (), 1.0, 64, each), "a", "cpu")
            )
        dispatch._settle(len(dispatch._failing) < 2)
    except InputError as error:
        return kept, error.what
    return kept, ""


@pytest.mark.parametrize(
    "endings",
    [
        (COMPLETE,) + ("failed: ImportError: x",) * 5,
        ("failed: ImportError: x", COMPLETE, "failed: ImportError: x"),
        ("failed: ImportError: x", "failed: RuntimeError: y", "failed: ImportError: x"),
        ("failed: ImportError: x",),
        ("out of memory",) * 4,
        ("diverged: the loss was not finite by step 3",) * 4,
    ],
)
def test_failures_of_networks_are_kept(endings: tuple[str, ...]) -> None:
    assert held(*endings) == (list(endings), "")


@pytest.mark.parametrize("count", [2, 3, 4])
def test_failures_that_are_alike_from_the_first_on_are_not_the_networks(count: int) -> None:
    kept, said = held(*(f"failed: RuntimeError: kernel {i} of image" for i in range(count)))
    assert kept == []
    assert said.startswith(
        f"the first {min(count, 3)} trainings failed alike (RuntimeError: kernel 0 of image)"
    )
