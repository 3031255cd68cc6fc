"""A study that goes on with another device or other kernels would mix errors: refused unless accepted."""

from collections.abc import Callable
from pathlib import Path

import pytest

from regnetlab.cli import main
from regnetlab.errors import InputError
from regnetlab.execution.worker import Report
from regnetlab.study.changes import check_changes
from regnetlab.study.dispatch import _check_device
from regnetlab.study.plan_file import load_plan
from regnetlab.study.store import open_store
from regnetlab.training.budget import Score
from tests.study.processes import SMALL

MakeStudy = Callable[..., Path]


def test_other_kernels_are_shown_and_refused_until_accepted(
    make_study: MakeStudy, data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study = make_study(SMALL.replace("n = 4", "n = 1"))
    words = ["run", str(study), "--data-dir", str(data_dir), "--device", "cpu", "--executor", "inline"]
    assert main([*words, "--kernels", "torch"]) == 0
    store = open_store(load_plan(study).store)
    assert store.changes["began"]["device"] == "cpu with torch kernels"
    store.keep_changes({"began": store.changes["began"] | {"device": "cuda"}})
    study.write_text(SMALL.replace("n = 4", "n = 2"))
    capsys.readouterr()
    assert main([*words, "--kernels", "torch"]) == 2
    assert "device was 'cuda', is 'cpu with torch kernels'" in capsys.readouterr().err
    assert len(store.scores()) == 1
    assert main([*words, "--kernels", "torch", "--accept-change"]) == 0
    changes = store.changes["accepted"][0]["changes"]
    assert changes == {"device": ["cuda", "cpu with torch kernels"]}


def test_a_device_that_is_not_known_beforehand_changes_nothing(make_study: MakeStudy) -> None:
    plan = load_plan(make_study(SMALL))
    store = open_store(plan.store)
    check_changes(plan, store, "c" * 64, accept=False, device="cuda")
    check_changes(plan, store, "c" * 64, accept=False)
    assert store.changes["began"]["device"] == "cuda"
    with pytest.raises(InputError, match="device was 'cuda', is 'cpu with native kernels'"):
        check_changes(plan, store, "c" * 64, accept=False, device="cpu with native kernels")


def test_workers_of_different_kinds_in_one_run_are_refused() -> None:
    score = Score(10.0, (), 1.0, 64, "complete")
    where: dict[str, str] = {}
    _check_device(Report(score, "a", "cuda"), where)
    _check_device(Report(score, "b", "cuda"), where)
    with pytest.raises(InputError, match=r"different devices \(c on cpu with native kernels, b on cuda\)"):
        _check_device(Report(score, "c", "cpu with native kernels"), where)
