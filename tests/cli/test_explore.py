"""``explore`` and ``finish`` as they are typed, on small images of bars."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from regnetlab.cli import main
from regnetlab.cli.finish import print_finished
from regnetlab.study.plan_file import load_plan
from tests.cli.asked import Capture
from tests.cli.test_contract import keys
from tests.conftest import refusal
from tests.study.finished import finished
from tests.study.running import ran

MakeStudy = Callable[..., Path]
_FAMILY = "{acts augment epochs error flops interval latency{batch device ms} lr model name params seeds"
_WORDS = ("--executor", "inline", "--device", "cpu", "--progress", "plain", "--flops", "0.4M")


def _bars(folder: Path, each: int = 90) -> Path:
    """Images of 16 × 16 in three classes, of ten films with as many frames."""
    random = np.random.default_rng(0)
    for label, name in enumerate(("low", "middle", "high")):
        (folder / name).mkdir(parents=True)
        for i in range(each):
            pixels = random.integers(0, 120, (16, 16)).astype(np.uint8)
            pixels[11 - 4 * label : 14 - 4 * label] += 90
            Image.fromarray(pixels).save(folder / name / f"film{i % 10}-{i}.png")
    return folder


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short trainings, and few of them: what is looked at here is what follows from them."""
    monkeypatch.setattr("regnetlab.study.short_ladder.LEAST_STEPS", 10)
    monkeypatch.setattr("regnetlab.study.new_for_data.LEAST_STEPS", 10)
    monkeypatch.setattr("regnetlab.study.short_ladder._RUNGS", (1,))
    monkeypatch.setattr("regnetlab.study.explore._MOST", 16)
    monkeypatch.setattr("regnetlab.study.effort._TRIED", ((2, (0.5, 1.0), 2),))
    monkeypatch.setattr("regnetlab.study.effort.MOST_SEEDS", 2)
    monkeypatch.setattr("regnetlab.models.export.onnx.find_spec", lambda name: None)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.usefixtures("quick")
def test_two_commands_lead_from_a_folder_to_predictions(here: Path, capsys: Capture) -> None:
    _bars(here / "bars")
    asked = ["explore", "bars", "--minutes", "4", "--group-by", "film[0-9]+", *_WORDS]
    asked += ["--final-epochs", "6", "--json"]
    assert main(asked) == 0
    document = json.loads(capsys.readouterr().out)
    assert keys(document) == (
        "{family{error flops interval model name} folder law space study use"
        " walk{ended minutes networks step verdict} why}"
    )
    assert document["study"] == "bars"
    assert [each["name"] for each in document["family"]] == ["small", "medium", "large"]
    assert (here / "reports" / "bars.html").stat().st_size > 1_000_000
    plan = load_plan(here / "studies" / "bars" / "study.toml")
    assert plan.reading.split == "stratified"
    assert plan.reading.group_by == "film[0-9]+"
    assert main(["predict", "family", "bars/high", "--json"]) == 0
    predictions = json.loads(capsys.readouterr().out)["predictions"]
    assert len(predictions) == 90
    assert sum(each["label"] == "high" for each in predictions) > 60
    assert main(asked) == 0  # nothing is left to do
    assert json.loads(capsys.readouterr().out) == document


@pytest.mark.usefixtures("quick")
def test_plan_only_leaves_a_file_that_explore_goes_on_with(here: Path, capsys: Capture) -> None:
    _bars(here / "bars")
    assert main(["explore", "bars", "--minutes", "6", "--plan-only", *_WORDS]) == 0
    path = here / "studies" / "bars" / "study.toml"
    assert path.read_text().startswith("# 270 images in 3 classes")
    assert "next: regnetlab explore bars --minutes 6 --flops 0.4M\n" in capsys.readouterr().out
    assert not (path.parent / "study.db").exists()
    assert main(["run", "bars", "--dry-run"]) == 0
    assert json.loads((path.parent / "explore.json").read_text())["seconds"] > 0


@pytest.mark.usefixtures("quick")
def test_the_plan_counts_the_images_that_can_be_decoded(here: Path, capsys: Capture) -> None:
    """Not those whose header alone is whole."""
    _bars(here / "bars")
    for path in (here / "bars").glob("*/film3-3.png"):
        path.write_bytes(path.read_bytes()[:200])
    words = ["explore", "bars", "--minutes", "6", "--plan-only", *_WORDS]
    assert main(words) == 2
    assert "3 of 270 images" in refusal(capsys.readouterr().err, alone=False)
    assert not (here / "studies").exists()
    assert main([*words, "--skip-unreadable"]) == 0
    path = here / "studies" / "bars" / "study.toml"
    assert path.read_text().startswith("# 267 images in 3 classes")
    plan = load_plan(path)
    assert plan.budget.images + plan.budget.validation <= 267 * 5 / 6 + 1
    assert main(["run", "bars", "--dry-run"]) == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--flops", "1M", "--latency", "2ms"), "both say a size"),
        (("--flops", "many"), "--flops 'many' is no size"),
        (("--flops", "0"), "--flops is 0"),
        (("--latency", "fast"), "--latency 'fast' is no size"),
        (("--flops", "900G"), "no walk at flops"),
        (("--name", "../up"), "can't be a folder's"),
        (("-o", "bars/family"), "lies in the data"),
        (("--group-by", "("), "group_by"),
        (("--log", "wandb"), "--log 'wandb' is not known"),
    ],
)
def test_what_can_not_be_explored_is_refused_and_leaves_nothing(
    here: Path, capsys: Capture, words: tuple[str, ...], said: str
) -> None:
    _bars(here / "bars", 30)
    assert main(["explore", "bars", "--minutes", "5", *words]) == 2
    assert said in refusal(capsys.readouterr().err, alone=False)
    assert sorted(each.name for each in here.iterdir()) == ["bars"]


def test_a_study_of_other_images_is_not_gone_on_with(
    here: Path, capsys: Capture, make_study: MakeStudy
) -> None:
    make_study('data = "mnist"\n[[spaces]]\nspace = "AnyNetA"\nn = 1\n', "bars")
    _bars(here / "bars", 30)
    assert main(["explore", "bars", "--minutes", "5"]) == 2
    assert "is a study of mnist" in refusal(capsys.readouterr().err, alone=False)


def test_a_missing_folder_is_refused_with_what_could_be_meant(here: Path, capsys: Capture) -> None:
    assert main(["explore", "photoz", "--minutes", "5"]) == 2
    assert "photoz" in refusal(capsys.readouterr().err, alone=False)


def test_finish_says_what_it_wrote(
    here: Path, capsys: Capture, make_study: MakeStudy, data_dir: Path
) -> None:
    path = make_study()
    ran(load_plan(path), data_dir)
    words = ["--minutes", "1.5", "--executor", "inline", "--device", "cpu", "--data-dir", str(data_dir)]
    asked = ["finish", "tiny", "derived0", "-o", "one", "--final-epochs", "2", *words, "--json"]
    assert main(asked) == 0
    document = json.loads(capsys.readouterr().out)
    assert keys(document) == (
        f"{{baselines difference folder law networks{_FAMILY} test_images validation_error}} space use why}}"
    )
    assert document["use"] == "derived0"
    assert document["folder"] == "one"


def test_a_family_is_shown_with_the_network_to_use_and_why(capsys: Capture) -> None:
    print_finished(finished(why="it is the smallest"))
    assert "\nwhy medium: it is the smallest\n" in capsys.readouterr().out
    print_finished(finished(why=""))
    assert "why" not in capsys.readouterr().out
