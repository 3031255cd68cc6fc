"""``fidelity`` and ``latency`` as a user meets them."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from regnetlab.cli import main
from regnetlab.report.content import study_content
from regnetlab.report.page import page as render
from regnetlab.spaces.template import TEMPLATES
from regnetlab.study.latency import network_columns, networks_to_time, this_machine
from regnetlab.study.plan_file import load_plan
from regnetlab.training.datasets import load_data
from regnetlab.trials.csv_tables import LATENCY
from tests.cli.asked import answer, complaint

Capture = pytest.CaptureFixture[str]
MakeStudy = Callable[..., Path]
NETWORK = "anynet:d=1,1;w=8,16;g=8;b=1"
SMALL = """
seed = 3
[regime]
flops = "0.05M:0.4M"
[ranges]
depth = [1, 2]
width = [8, 32]
[budget]
images = 64
batch_size = 32
validation = 50
[recipe]
precise_bn = 1
[[spaces]]
space = "AnyNetA"
n = 4
[[spaces]]
space = "AnyNetE"
n = 4
"""


@pytest.fixture
def study(make_study: MakeStudy) -> Path:
    return make_study(SMALL)


def climb(study: Path, data_dir: Path, *more: str) -> list[str]:
    return [
        *("fidelity", str(study), "--ladder", "32", "--networks", "4"),
        *("--executor", "inline", "--device", "cpu", "--data-dir", str(data_dir), *more),
    ]


def test_a_ladder_is_climbed_judged_and_reported(capsys: Capture, study: Path, data_dir: Path) -> None:
    planned = answer(capsys, *climb(study, data_dir, "--dry-run"))["rungs"]
    assert [(each["images"], each["trainings"], each["missing"]) for each in planned] == [
        (32, 16, 16),
        (64, 16, 16),
    ]
    assert not (study.parent / "study.db").exists()

    document = answer(capsys, *climb(study, data_dir))
    assert (document["networks"], document["seeds"], document["largest"]) == (8, 2, "64")
    assert [rung["rung"] for rung in document["rungs"]] == ["32", "64"]
    for rung in document["rungs"]:
        assert {"all", "within_spaces", "evidence_an_hour", "relative", "medians", "comparisons"} <= set(rung)
    assert (
        answer(capsys, "fidelity", "--from", str(study.parent / "fidelity.csv"))["rungs"] == document["rungs"]
    )

    assert main(climb(study, data_dir)) == 0
    text = capsys.readouterr().out
    assert document["finding"].split(":")[0] in " ".join(text.split())
    assert max(len(line) for line in text.splitlines() if str(study.parent) not in line) <= 100

    page = render(study_content(load_plan(study)))
    assert "Is the budget enough?" in page
    assert "Do flops or acts tell" not in page


def test_the_default_ladder_has_no_more_images_than_there_are(
    capsys: Capture, make_study: MakeStudy, data_dir: Path
) -> None:
    study = make_study(re.sub("images = [0-9]+", "", SMALL))
    words = ["fidelity", str(study), "--networks", "3", "--executor", "inline", "--device", "cpu"]
    words += ["--data-dir", str(data_dir)]
    assert main([*words, "--dry-run", "--json"]) == 0
    printed = capsys.readouterr()
    assert [each["images"] for each in json.loads(printed.out)["rungs"]] == [250, 500, 1_000]
    assert "fashion-mnist has 1,000 images to train on: the budgets are 250,500,1000" in printed.err
    assert main(words) == 0
    assert [path.name for path in study.parent.glob("fidelity.csv")] == ["fidelity.csv"]
    assert answer(capsys, *words)["largest"] == "1,000"  # and again from the recorded facts


def test_an_asked_for_budget_of_too_many_images_is_refused(
    capsys: Capture, study: Path, data_dir: Path
) -> None:
    line = complaint(capsys, climb(study, data_dir, "--ladder", "1001"))
    assert "images is 1,001, and fashion-mnist has 1,000 to train on" in line


def test_a_ladder_shows_guessing_where_the_largest_budget_is_judged_like_the_study(
    capsys: Capture, study: Path, data_dir: Path
) -> None:
    assert main(climb(study, data_dir)) == 0
    told = capsys.readouterr()
    assert "optimiser steps, in which most networks learn nothing" in told.err
    assert "always answering the commonest class" in told.out
    document = answer(capsys, *climb(study, data_dir))
    data = load_data("fashion-mnist", TEMPLATES["small"], data_dir)
    validation = load_plan(study).budget.validation
    assert document["majority_error"] == data.majority_error(validation)
    assert answer(capsys, *climb(study, data_dir, "--ladder", "64x2/100"))["majority_error"] is None


def test_a_report_waits_for_a_ladder_that_is_not_finished(
    capsys: Capture, study: Path, data_dir: Path
) -> None:
    assert main(climb(study, data_dir)) == 0
    path = study.parent / "fidelity.csv"
    path.write_text("\n".join(path.read_text().splitlines()[:3]) + "\n")
    assert "Is the budget enough?" not in render(study_content(load_plan(study)))
    path.write_text("a,b\n1,2\n")
    capsys.readouterr()
    assert "not what `regnetlab fidelity` writes" in complaint(capsys, ["report", str(study)])


def test_models_are_timed(capsys: Capture) -> None:
    words = ["latency", NETWORK, "bn_lenet", "--batch", "1,4", "--seconds", "0.01", "--device", "cpu"]
    document = answer(capsys, *words)
    assert (document["device"], document["threads"]) == ("cpu", 1)
    assert [each["batch"] for each in document["latencies"]] == [1, 4, 1, 4]
    assert all(0 < each["low_ms"] <= each["median_ms"] <= each["high_ms"] for each in document["latencies"])


def test_a_study_is_timed(capsys: Capture, study: Path) -> None:
    words = ["latency", str(study), "--batch", "1,8", "--seconds", "0.001", "--device", "cpu"]
    document = answer(capsys, *words)
    assert [(each["n"], each["batch"]) for each in document["groups"]] == [(8, 1), (8, 8)]
    assert set(document["groups"][0]["correlations"]) == {"flops", "params", "acts"}
    assert (document["confirmation"], document["fits"]) == (None, [])
    assert main(words) == 0
    assert "Spearman's correlation of latency" in capsys.readouterr().out


def keep_times(study: Path) -> None:
    """A latency.csv of this machine whose times lie on a line."""
    machine = this_machine(torch.device("cpu"))
    plan = load_plan(study)
    rows = (
        {**network_columns(job), **machine, "batch": 64, "low_ms": 1.0, "high_ms": 1.0, "runs": 9}
        | {"host": "host", "median_ms": 0.5 + 1e-6 * job.flops + 2e-5 * job.acts}
        for job in networks_to_time(plan)
    )
    plan.latencies.write_text(LATENCY.csv(LATENCY.frame(rows)))


def test_a_line_is_fitted_pasted_drawn_from_and_confirmed(
    capsys: Capture, make_study: MakeStudy, data_dir: Path
) -> None:
    study = make_study(SMALL.replace("n = 4", "n = 6"))
    keep_times(study)
    words = ["latency", str(study), "--batch", "64", "--device", "cpu", "--fit"]
    (fit,) = answer(capsys, *words)["fits"]
    assert (fit["base"], fit["flop"], fit["act"]) == pytest.approx((0.5, 1e-6, 2e-5), rel=1e-3)

    study.write_text(study.read_text() + "\n" + fit["toml"] + "\n")
    confirmed = answer(capsys, *words[:-1])["confirmation"]
    assert (confirmed["n"], confirmed["same_processor"], confirmed["inside"]) == (12, True, None)
    assert abs(confirmed["residuals"]["median"]) < 0.01

    sample = ["sample", "--space", "AnyNetA", "--n", "5", "--study", str(study), "--latency", ":0.9ms"]
    for each in answer(capsys, *sample)["models"]:
        expected = fit["base"] + fit["flop"] * each["flops"] + fit["act"] * each["acts"]
        assert each["latency"] == pytest.approx(expected)
        assert each["latency"] <= 0.9

    assert main(words) == 0
    assert fit["toml"] in capsys.readouterr().out
    run = ["run", str(study), "--executor", "inline", "--device", "cpu", "--data-dir", str(data_dir)]
    assert main(run) == 0
    assert "Do flops or acts tell how fast a network is?" in render(study_content(load_plan(study)))


@pytest.mark.parametrize(
    ("words", "part"),
    [
        ("fidelity", "give either a study or --from FILE"),
        ("fidelity STUDY --from x.csv", "give either a study or --from FILE"),
        ("fidelity nope", "not known"),
        ("fidelity --from nowhere.csv", "can't be read"),
        ("fidelity STUDY --ladder 1600,x", "'x' is no budget"),
        ("fidelity STUDY --ladder 64", "own budget alone"),
        ("fidelity STUDY --ladder 32@1", "batch_size is 1"),
        ("fidelity STUDY --networks 2", "3 of each space"),
        ("fidelity STUDY --margin -1", "it must be above 0"),
        ("fidelity STUDY --executor cloud", "executor 'cloud'"),
        ("fidelity STUDY --ladder 99999", "to train on"),
        ("latency", "MODEL"),
        ("latency nope", "nor is it a study"),
        ("latency regnetx_40mf", "did you mean 'regnetx_400mf'"),
        ("latency anynet:d=1;w=x", "w"),
        ("latency bn_lenet STUDY", "is a study; give it alone"),
        ("latency bn_lenet --batch 0", "--batch '0'"),
        ("latency bn_lenet --batch 1,,2", "--batch '1,,2'"),
        ("latency bn_lenet --batch 99999999", "list of 1 to 65,536"),
        ("latency bn_lenet --seconds 0", "--seconds is 0"),
        ("latency bn_lenet --seconds nan", "--seconds is nan"),
        ("latency bn_lenet --fit", "give one study"),
        ("latency bn_lenet --n 3", "give one study"),
        ("latency bn_lenet --device tpu", "device 'tpu'"),
        ("latency alexnet --input 1x28x28", "`alexnet` needs 1×65×65 at least; `alexnet@original` resizes"),
        ("latency STUDY --template paper", "a study has its own"),
        ("latency STUDY --n 1 --batch 1 --seconds 0.001 --device tpu", "device 'tpu'"),
        ("sample --space AnyNetA --n 2 --latency :2ms", "[latency] section"),
        ("sample --space AnyNetA --n 2 --latency 2", "LOW:HIGH"),
        ("sample --space AnyNetA --n 2 --study STUDY --latency :2ms", "[latency] section"),
    ],
)
def test_bad_input_is_refused_and_writes_nothing(
    capsys: Capture, study: Path, data_dir: Path, monkeypatch: pytest.MonkeyPatch, words: str, part: str
) -> None:
    monkeypatch.setenv("REGNETLAB_DATA", str(data_dir))
    assert part in complaint(capsys, words.replace("STUDY", str(study)).split())
    assert [each.name for each in study.parent.iterdir()] == ["study.toml"]


def test_a_fit_of_too_few_networks_is_refused(capsys: Capture, study: Path) -> None:
    words = ["latency", str(study), "--batch", "1", "--seconds", "0.001", "--device", "cpu", "--fit"]
    assert "needs 10 networks, and there are 8" in complaint(capsys, words)
    assert not (study.parent / "latency.csv").exists()


@pytest.mark.parametrize(
    ("command", "words"),
    [("fidelity", "1600x4@16/1000"), ("latency", "section latency"), ("sample", "--latency")],
)
def test_help_is_shown(capsys: Capture, command: str, words: str) -> None:
    assert main([command, "--help"]) == 0
    assert words in " ".join(re.sub("│", " ", capsys.readouterr().out).split())


def test_json_has_no_number_that_json_lacks(capsys: Capture, study: Path, data_dir: Path) -> None:
    assert main(climb(study, data_dir, "--json")) == 0

    def refuse(text: str) -> Any:
        raise AssertionError(text)

    json.loads(capsys.readouterr().out, parse_constant=refuse)
