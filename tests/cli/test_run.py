"""``regnetlab run`` and what follows it, on a study as a user has one."""

import json
from pathlib import Path

import pytest

from regnetlab.cli import main
from regnetlab.study.plan_file import load_plan
from regnetlab.trials.store import open_store
from tests.cli.asked import Capture, MakeStudy, answer, complaint, pilot
from tests.committed import copy_committed_studies
from tests.conftest import STUDY
from tests.study.test_baselines import CONTEST

IDLE = f"{STUDY}\n[recipe]\nlr = 1e-9\n"


def test_a_whole_study_from_run_to_report(capsys: Capture, make_study: MakeStudy, data_dir: Path) -> None:
    study = make_study()
    run = answer(capsys, "run", str(study), "--data-dir", str(data_dir), "--executor", "inline")
    assert (run["study"], run["planned"], run["complete"] + run["failed"]) == ("tiny", 22, 22)
    assert answer(capsys, "status", str(study)) == run
    fit = answer(capsys, "fit-regnet", str(study), "--force")
    assert {"n", "n_best", "w0", "growth", "growth_interval", "r2"} <= set(fit["population"])
    assert fit["population"]["n"] == 12  # those of AnyNetA
    for model in fit["derived"]:
        assert 50_000 <= model["flops"] <= 400_000
        assert answer(capsys, "summary", model["model"], "--template", "small")["flops"] == model["flops"]
    quantized = answer(capsys, "fit-regnet", str(study), "--law", "quantized")["models"]
    assert all(m["e_fit"] == 0 for m in quantized if m["space"] == "RegNet")
    page = Path(answer(capsys, "report", str(study))["report"])
    assert page == study.parent.parent.parent / "reports" / "tiny.html"
    assert page.stat().st_size < 6e6
    assert main(["fit-regnet", str(study)]) == 0
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 100


def test_a_dry_run_shows_every_default_and_writes_nothing(capsys: Capture, make_study: MakeStudy) -> None:
    study = make_study()
    document = answer(capsys, "run", str(study), "--dry-run")
    assert document["planned"] == 22
    assert "label_smoothing" in document["plan"]
    assert [path.name for path in study.parent.iterdir()] == ["study.toml"]


def test_bad_studies_are_refused_and_nothing_is_written(
    capsys: Capture, make_study: MakeStudy, data_dir: Path
) -> None:
    run = ["--data-dir", str(data_dir), "--device", "cpu"]
    for text, part in (
        ("[[spaces]]\nspace = 'AnyNetA'\nn = 2\n[budget]\nimages = 99999\n", "to train on"),
        ("[[spaces]]\nspace = 'AnyNetA'\nn = 2\n[regime]\nflops = '1:2'\n", "networks found"),
        ("template = 'paper'\n[[spaces]]\nspace = 'AnyNetA'\nn = 2\n", 'input = "1x28x28"'),
        ("data = 'nothing'\n[[spaces]]\nspace = 'AnyNetA'\nn = 2\n", "data set 'nothing'"),
    ):
        study = make_study(text)
        assert part in complaint(capsys, ["run", str(study), *run])
        assert part not in complaint(capsys, ["report", str(study)])
        assert "no trainings yet" in complaint(capsys, ["fit-regnet", str(study)])
        assert [path.name for path in study.parent.parent.parent.rglob("*") if path.is_file()] == [
            "study.toml"
        ]
        assert not (study.parent.parent.parent / "reports").exists()
    assert "executor 'cluster'" in complaint(capsys, ["run", str(study), "--executor", "cluster"])


def test_a_newer_store_is_refused(capsys: Capture, make_study: MakeStudy, data_dir: Path) -> None:
    study = make_study()
    open_store(load_plan(study).store).keep("schema", {"version": 99})
    for command in ("run", "status", "report", "fit-regnet"):
        more = ["--data-dir", str(data_dir)] if command == "run" else []
        assert "newer regnetlab" in complaint(capsys, [command, str(study), *more])


def test_comparing_baselines_needs_some(capsys: Capture, make_study: MakeStudy) -> None:
    assert "has no [baselines]" in complaint(capsys, ("compare-baselines", str(make_study())))
    study = make_study(STUDY + CONTEST, name="with")
    assert "has not come to its baselines" in complaint(capsys, ("compare-baselines", str(study)))
    assert not (study.parent / "study.db").exists()


def test_everything_that_shows_errors_shows_guessing_and_names_what_has_not_learned(
    capsys: Capture, make_study: MakeStudy, data_dir: Path
) -> None:
    study = make_study(IDLE + CONTEST.replace("[0.01, 0.1]", "[1e-9]"))
    assert main(["run", str(study), "--data-dir", str(data_dir), "--executor", "inline"]) == 0
    told = capsys.readouterr()
    guess = json.loads((study.parent / "provenance.json").read_text())["majority_error"]
    assert f"always answering the commonest class has an error of {guess:.2f}%" in told.err
    assert "warning: 4 optimiser steps" in told.err
    assert "epochs = 25 gives 100" in told.err
    line = f"always answering the commonest class: {guess:.2f}% error"
    assert line in told.out
    assert "AnyNetA has not learned: median" in told.out
    for command in ("status", "compare", "fit-regnet", "compare-baselines"):
        document = answer(capsys, command, str(study))
        assert document["majority_error"] == guess
        assert document["not_learned"]
        assert main([command, str(study)]) == 0
        printed = capsys.readouterr().out
        assert line in printed
        assert document["not_learned"][0] in " ".join(printed.split())
    spaces = {each["space"]: each["learned"] for each in answer(capsys, "compare", str(study))["spaces"]}
    assert spaces["AnyNetA"] is False
    assert main(["compare", str(study)]) == 0
    steps = " ".join(capsys.readouterr().out.split())
    assert "AnyNetA → AnyNetE: neither space has clearly learned, so this verdict says nothing" in steps
    contest = answer(capsys, "compare-baselines", str(study))
    assert 80 < contest["majority_error_test"] <= 100
    assert {each["learned"] for each in contest["contenders"]} == {False}
    assert any(each.startswith("BN-LeNet") or "lenet" in each for each in contest["not_learned"])


def test_a_study_that_learns_is_not_told_off(capsys: Capture, make_study: MakeStudy, data_dir: Path) -> None:
    study = make_study(
        STUDY.replace("images = 128", "images = 960\nepochs = 3")
        .replace("n = 6", "n = 3")
        .replace("n = 12", "n = 3")
    )
    run = answer(capsys, "run", str(study), "--data-dir", str(data_dir), "--executor", "inline")
    assert run["not_learned"] == []
    learned = {each["space"]: each["learned"] for each in run["spaces"]}
    assert learned["AnyNetA"] is learned["RegNet"] is True


def test_tables_of_others_say_nothing_of_guessing(capsys: Capture, tmp_path: Path) -> None:
    words = ("--from", str(pilot(tmp_path)))
    for command in ("compare", "fit-regnet"):
        document = answer(capsys, command, *words)
        assert (document["majority_error"], document["not_learned"]) == (None, [])
        assert main([command, *words]) == 0
        assert "commonest class" not in capsys.readouterr().out


def test_the_status_of_a_clone_counts_the_rows_of_its_tables(
    capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy_committed_studies(tmp_path)
    monkeypatch.chdir(tmp_path)
    before = sorted(Path("studies/quick").iterdir())
    document = answer(capsys, "status", "quick")
    assert document["complete"] == document["planned"] == 138
    assert document["spaces"][0]["median"] > document["spaces"][0]["min"] > 0
    assert sorted(Path("studies/quick").iterdir()) == before
    table = Path("studies/quick/trials.csv")
    table.write_text(table.read_text().replace("AnyNetA,0,0,", "AnyNetA,14,0,"))
    assert "trials.csv, line 2: study.toml asks for no network 14" in complaint(capsys, ["status", "quick"])
