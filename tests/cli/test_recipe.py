"""``regnetlab train --recipe textbook``, its parts as options, and what is kept of a training."""

import json
import math
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from regnetlab.cli import main
from regnetlab.cli.train_options import one_training
from regnetlab.models.registry import named_models
from regnetlab.models.weights import trained_network
from regnetlab.spaces.template import SMALL
from regnetlab.training.datasets import load_data
from regnetlab.training.folders.listener import Listener
from regnetlab.training.recipes import recipe_values
from tests.cli.asked import NETWORK, Capture, answer, complaint
from tests.study.processes import environment
from tests.training.folders.pictures import plant


def words(data_dir: Path, *more: str) -> list[str]:
    return ["train", *more, "--data-dir", str(data_dir), "--device", "cpu", "--threads", "1"]


def test_the_textbook_recipe_trains_on_all_images_and_judges_on_the_test_images(
    capsys: Capture, data_dir: Path
) -> None:
    assert main(words(data_dir, "bn_lenet", "--recipe", "textbook", "--epochs", "3", "--json")) == 0
    printed = capsys.readouterr()
    found = json.loads(printed.out)
    assert (found["model"], found["judged_on"], found["images"]) == ("bn_lenet", "test", 3 * 1_200)
    assert found["test_error"] == found["error"] == pytest.approx(100 - found["epochs"][-1]["test_accuracy"])
    assert [each["epoch"] for each in found["epochs"]] == [1, 2, 3]
    keys = {"epoch", "train_loss", "train_accuracy", "test_loss", "test_accuracy", "seconds"}
    assert all(set(each) == keys for each in found["epochs"])
    recipe = found["recipe"]
    assert (recipe["lr"], recipe["momentum"], recipe["nesterov"]) == (0.1, 0, False)
    assert (recipe["schedule"], recipe["init"], recipe["input_scale"]) == ("constant", "xavier", "0-1")
    assert (recipe["precise_bn"], recipe["weight_decay"]) == (0, 0)
    assert "changed: epochs 3 for 10, so errors are higher" in printed.err
    assert "all 1,200 training images may be used and the 200 test images judge" in printed.err


@pytest.mark.parametrize(
    ("name", "text", "lr"),
    [
        ("alexnet", "alexnet@224px", 0.01),
        ("vgg11_slim", "vgg11_slim@224px", 0.1),
        ("nin", "nin@224px", 0.05),
        ("googlenet", "googlenet@96px", 0.01),
        ("resnet18", "resnet18@96px", 0.01),
        ("resnext50_32x4d", "resnext50_32x4d@96px", 0.01),
        ("densenet_small", "densenet_small@96px", 0.01),
        ("bn_lenet", "bn_lenet", 0.1),
        ("bn_lenet_scratch", "bn_lenet_scratch", 0.1),
    ],
)
def test_each_network_has_the_chapters_size_and_rate(data_dir: Path, name: str, text: str, lr: float) -> None:
    asked = one_training(name, {"recipe": "textbook", "data_dir": data_dir}, Listener())
    assert (asked.model.text, asked.recipe.lr) == (text, lr)
    budget = asked.budget
    assert (budget.images, budget.epochs, budget.batch_size, budget.drop_last) == (1_200, 10, 128, False)
    assert (budget.validation, budget.time_limit) == (200, math.inf)
    assert budget.steps_per_epoch == 10


def test_every_family_has_a_recipe_and_those_that_the_chapter_does_not_train_are_named(
    data_dir: Path,
) -> None:
    for family in {model.family for model in named_models()}:
        assert recipe_values("textbook", family)["epochs"] == 10
    asked = one_training("regnetx_200mf", {"recipe": "textbook", "data_dir": data_dir}, Listener())
    assert "the chapter trains no RegNetX" in " ".join(asked.notes)


def test_what_is_said_overrides_the_recipe(data_dir: Path) -> None:
    given = {"recipe": "textbook", "data_dir": data_dir, "lr": 0.2, "resize": 64, "test": False}
    asked = one_training("resnet18", given | {"images": 200, "drop_last": True}, Listener())
    assert (asked.model.text, asked.recipe.lr, asked.judge) == ("resnet18@64px", 0.2, "validation")
    assert (asked.budget.images, asked.budget.validation, asked.budget.drop_last) == (200, 200, True)
    told = " ".join(asked.notes)
    for change in ("lr 0.2 for 0.01", "resize 64 for 96", "images 200 for 1,000", "test no for yes"):
        assert change in told
    small = one_training("alexnet@0.25x", {"recipe": "textbook", "data_dir": data_dir}, Listener())
    assert small.model.text == "alexnet@0.25x"  # its form says what it sees


def test_resize_is_the_form_in_pixels(capsys: Capture, data_dir: Path) -> None:
    short = ["--images", "64", "--validation", "50", "--epochs", "1"]
    one = answer(capsys, *words(data_dir, "resnet18@0.25x", "--resize", "40", *short))
    other = answer(capsys, *words(data_dir, "resnet18@0.25x@40px", *short))
    assert one["model"] == other["model"] == "resnet18@0.25x@40px"
    assert (one["curve"], one["error"]) == (other["curve"], other["error"])
    assert answer(capsys, *words(data_dir, NETWORK, "--resize", "28", *short))["model"] == NETWORK


def test_a_folder_of_images_is_read_at_the_size_that_is_asked_for(tmp_path: Path) -> None:
    pets = plant(tmp_path / "pets", *(f"{kind}/{i}.png" for kind in ("cat", "dog") for i in range(20)))
    asked = one_training("resnet18@0.25x", {"data": f"folder:{pets}", "resize": 40}, Listener())
    assert asked.pictures.input == "1x40x40"
    assert asked.model.text == "resnet18@0.25x"


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["bn_lenet", "--recipe", "texbook"], "did you mean 'textbook'?"),
        (["bn_lenet", "--recipe", "cookbook2"], "textbook"),
        (["nin", "--resize", "20"], "`nin` needs 1×67×67 at least"),
        (["resnet18@32px", "--resize", "40"], "says twice"),
        (["bn_lenet", "--resize", "0"], "it must be 1 to 1,024"),
        (["bn_lenet", "--recipe", "textbook", "--warmup", "0.1"], "the schedule constant has none"),
        (["bn_lenet", "--recipe", "textbook", "--images", "1201"], "has 1,200 to train on"),
        (["bn_lenet", "--keep-last", "--images", "65"], "holds a single image"),
    ],
)
def test_what_can_not_be_is_refused_in_a_line(
    more: list[str], message: str, capsys: Capture, data_dir: Path
) -> None:
    assert message in complaint(capsys, words(data_dir, *more))


def test_a_study_has_its_own_recipe_and_time_limit(
    make_study: Callable[..., Path], data_dir: Path, capsys: Capture
) -> None:
    study = str(make_study())
    line = complaint(capsys, words(data_dir, "AnyNetA:0", "--study", study, "--recipe", "textbook"))
    assert "leave out --recipe" in line
    asked = one_training("AnyNetA:0", {"study": study, "data_dir": data_dir}, Listener())
    assert asked.budget.time_limit == 600
    assert one_training(NETWORK, {"data_dir": data_dir}, Listener()).budget.time_limit == math.inf


@pytest.mark.parametrize("name", [NETWORK, "bn_lenet", "resnet18@0.25x@32px"])
@pytest.mark.parametrize("how", [[], ["--recipe", "textbook"]])
def test_what_is_saved_has_the_error_that_was_earned(
    name: str, how: list[str], capsys: Capture, data_dir: Path, tmp_path: Path
) -> None:
    path = tmp_path / "net.safetensors"
    short = ["--epochs", "1", "--images", "320", "--lr", "0.05"]
    found = answer(capsys, *words(data_dir, name, *how, *short, "--save", str(path)))
    assert found["saved"] == str(path)
    network, facts = trained_network(path)
    data = load_data("fashion-mnist", SMALL, data_dir)
    split = data.test if how else data.validation
    mean, std = (torch.tensor(facts["normalisation"][key]).reshape(1, -1, 1, 1) for key in ("mean", "std"))
    with torch.inference_mode():
        answers = network((torch.from_numpy(split.images) / 255 - mean) / std).argmax(1)
    wrong = (answers != torch.from_numpy(split.labels)).float().mean().item()
    assert 100 * wrong == pytest.approx(found["error"], abs=0.51)  # an image on the edge may fall either way
    assert facts["classes"] == list(data.classes)
    assert (facts["error"], facts["ended"], facts["seed"]) == (found["error"], "complete", 0)


def test_a_place_that_can_not_be_written_is_refused_before_training(
    capsys: Capture, data_dir: Path, tmp_path: Path
) -> None:
    (tmp_path / "there.safetensors").mkdir()
    for place in (
        tmp_path,
        tmp_path / "net.pt",
        tmp_path / "there.safetensors",
        tmp_path / "a/b.safetensors",
    ):
        line = complaint(capsys, words(data_dir, "bn_lenet", "--epochs", "100000", "--save", str(place)))
        assert "output" in line
    assert sorted(each.name for each in tmp_path.iterdir()) == ["there.safetensors"]


def test_a_network_that_diverged_is_not_saved(capsys: Capture, data_dir: Path, tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    wild = words(data_dir, "vgg11_slim@32px", "--lr", "1000", "--warmup", "0", "--images", "640")
    assert main([*wild, "--save", str(path), "--json"]) == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out)["saved"] is None
    assert "was not written: diverged" in " ".join(printed.err.split())
    assert not path.exists()


def test_a_network_that_can_not_be_written_does_not_hide_what_was_earned(
    data_dir: Path, tmp_path: Path
) -> None:
    path = tmp_path / "net.safetensors"
    command = [sys.executable, "-m", "regnetlab", *words(data_dir, "bn_lenet", "--images", "320")]
    line = f"ulimit -f 16; exec {shlex.join([*command, '--save', str(path), '--json'])}"
    done = subprocess.run(
        ["bash", "-c", line], capture_output=True, text=True, check=False, env=environment(), timeout=100
    )
    assert done.returncode == 2, done.stderr
    assert (found := json.loads(done.stdout))["saved"] is None
    assert found["ended"] == "complete"
    assert f"{path} can't be written" in done.stderr
    assert not list(tmp_path.iterdir())


def test_rows_are_printed_as_the_epochs_end(capsys: Capture, data_dir: Path) -> None:
    assert main(words(data_dir, NETWORK, "--images", "320", "--epochs", "2")) == 0
    header, first, second, *_ = capsys.readouterr().out.splitlines()
    assert header.split() == [
        *("epoch", "train", "loss", "train", "acc", "validation", "loss", "validation", "acc", "seconds")
    ]
    assert [row.split()[0] for row in (first, second)] == ["1", "2"]
    assert len({len(row) for row in (header, first, second)}) == 1


def test_a_terminal_shows_how_long_is_left(
    capsys: Capture, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setattr("regnetlab.cli.epochs._EVERY", 0.0)
    assert main(words(data_dir, NETWORK, "--images", "320", "--epochs", "2")) == 0
    told = capsys.readouterr().err
    assert "epoch 1 of 2: step 1 of 5, 0:0" in told
    assert "in all" in told
    assert told.endswith("\r\x1b[K")  # nothing of it stays


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_an_interrupt_keeps_what_is_there(form: list[str], data_dir: Path, tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    endless = words(data_dir, "bn_lenet", "--epochs", "100000", "--images", "640", "--save", str(path))
    process = subprocess.Popen(
        [sys.executable, "-m", "regnetlab", *endless, *form],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(PYTHONUNBUFFERED="1"),
    )
    assert process.stdout is not None
    assert process.stderr is not None
    rows = process.stderr if form else process.stdout
    for row in iter(rows.readline, ""):
        if row.split()[:1] == ["2"]:
            break
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in err
    if form:
        found = json.loads(out)
        assert (found["ended"], found["error"], found["saved"]) == ("interrupted", None, str(path))
        assert len(found["epochs"]) >= 2
    else:
        assert "interrupted in epoch" in out
        assert "steps" in out
    _, facts = trained_network(path)
    assert facts["ended"] == "interrupted"
