"""``regnetlab search`` as a user or a script meets it."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from regnetlab.cli import main
from tests.cli.asked import answer, complaint

MakeStudy = Callable[..., Path]
Capture = pytest.CaptureFixture[str]


def words(data_dir: Path, *more: str) -> list[str]:
    return ["search", *more, "--executor", "inline", "--device", "cpu", "--data-dir", str(data_dir)]


def test_a_search_of_a_study_answers_in_json_and_goes_on(
    capsys: Capture, make_study: MakeStudy, data_dir: Path
) -> None:
    study = make_study()
    call = words(data_dir, str(study), "--space", "AnyNetE", "--sampler", "nsga2", "--batch", "2")
    document = answer(capsys, *call, "--trials", "3")
    assert {"study": "tiny", "space": "AnyNetE", "sampler": "nsga2", "trials": 3}.items() <= document.items()
    assert document["complete"] + document["failed"] == 3
    assert {"model", "error", "flops", "params", "acts"} <= set(document["best"])
    assert document["front"][-1] == document["best"]
    assert document["random"] is None  # the study has no population yet
    assert 80 < document["majority_error"] <= 100
    longer = answer(capsys, *call, "--trials", "4")
    assert longer["trials"] == 4
    assert answer(capsys, *call, "--trials", "3") == document
    assert not (study.parent / "trials.csv").exists()


def test_a_search_without_a_study_has_a_folder_of_its_own(
    capsys: Capture, tmp_path: Path, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    call = words(data_dir, "--space", "AnyNetE", "--trials", "1", "--images", "64", "--flops", "0.2M:0.4M")
    assert main(call) == 0
    text = capsys.readouterr().out
    assert "1 of 1 training complete" in text
    assert max(map(len, text.splitlines())) <= 100
    assert {"searches.csv", "searches.db"} < {path.name for path in (tmp_path / "searches").iterdir()}
    assert answer(capsys, *call)["study"] is None


def test_a_search_of_more_images_than_there_are_by_default_takes_all(
    capsys: Capture, tmp_path: Path, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    call = words(data_dir, "--space", "AnyNetE", "--trials", "1", "--flops", "0.05M:0.1M")
    assert main(call) == 0
    told = capsys.readouterr()
    assert "1 training of 1,000 images × 1 on fashion-mnist" in told.err
    assert "fewer than the default of 6,400: all are used" in told.err
    assert "warning: 15 optimiser steps" in told.err
    assert "always answering the commonest class" in told.out
    assert main(call) == 0
    assert capsys.readouterr().err.count("\n") == 1  # nothing is left to train or to warn of
    assert "images is 1,001" in complaint(capsys, [*call, "--images", "1001"])


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        (["--space", "AnyNetF"], "did you mean"),
        (["--space", "RegNet", "--sampler", "cma"], "there are random, tpe, nsga2"),
        (["--space", "RegNet", "--trials", "0"], "trials is 0"),
        (["--space", "RegNet", "--batch", "0"], "batch is 0"),
        (["--space", "RegNet", "--flops", "1:2", "--images", "64"], "widen or move the window"),
        (["--space", "RegNet", "--images", "0"], "images is 0"),
        (["--sampler", "tpe"], "Missing option '--space'"),
        (["nowhere", "--space", "RegNet"], "study 'nowhere' is not known"),
    ],
)
def test_bad_input_is_refused_and_writes_nothing(
    capsys: Capture,
    tmp_path: Path,
    data_dir: Path,
    monkeypatch: pytest.MonkeyPatch,
    more: list[str],
    expected: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert expected in complaint(capsys, words(data_dir, *more))
    assert list(tmp_path.iterdir()) == []


def test_what_a_study_says_is_not_said_again(capsys: Capture, make_study: MakeStudy, data_dir: Path) -> None:
    study = str(make_study())
    line = complaint(capsys, words(data_dir, study, "--space", "RegNet", "--images", "64", "-o", "x"))
    assert "says what --images, -o would" in line
    folder = str(Path(study).parent)
    line = complaint(capsys, words(data_dir, "--space", "AnyNetE", "-o", folder, "--flops", "0.2M:0.4M"))
    assert "holds a study" in line


def test_a_search_can_not_be_compared_as_a_population(
    capsys: Capture, make_study: MakeStudy, data_dir: Path
) -> None:
    study = make_study()
    capsys.readouterr()
    assert main([*words(data_dir, str(study), "--space", "AnyNetE", "--trials", "2"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["complete"] == 2
    for name in ("searches.csv", "searches.db"):
        for command in ("compare", "report", "fit-regnet"):
            assert "no random sample" in complaint(capsys, [command, "--from", str(study.parent / name)])
