"""Dispatch: what it keeps of what workers report."""

import pytest

from regnetlab.errors import InputError
from regnetlab.execution.base import Report, Setting
from regnetlab.execution.inline import Inline
from regnetlab.study.dispatch import Dispatch, Stop
from regnetlab.study.observer import Observer
from regnetlab.training.budget import Score


def test_workers_of_different_kinds_in_one_run_are_refused() -> None:
    score = Score(10.0, (), 1.0, 64, "complete")
    dispatch = Dispatch(Inline(), Setting(), lambda job, report: None, Observer(), Stop())
    dispatch._check_device(Report(score, "a", "cuda"))
    dispatch._check_device(Report(score, "b", "cuda"))
    with pytest.raises(InputError, match=r"different devices \(c on cpu with native kernels, b on cuda\)"):
        dispatch._check_device(Report(score, "c", "cpu with native kernels"))
