"""What `regnetlab new` writes for a folder of images is run to its end: nothing in it is refused later."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from regnetlab.cli import main
from regnetlab.study.plan_file import load_plan
from tests.cli.asked import Capture, answer, complaint
from tests.training.sources.test_cifar import write_cifar_10


def write_classes(root: Path, classes: int, each: int, mode: str, size: tuple[int, int]) -> None:
    random = np.random.default_rng(0)
    width, height = size
    for label in range(classes):
        folder = root / f"class {label:03}"
        folder.mkdir(parents=True)
        for i in range(each):
            shape = (height, width) if mode == "L" else (height, width, 3)
            Image.fromarray(random.integers(0, 256, shape).astype(np.uint8)).save(folder / f"{i}.png")


def shorten(study: Path) -> None:
    """One network a space, one low rate and an epoch: what `run` checks stays as it was written."""
    text = study.read_text()
    text = re.sub(r"^n = \d+", "n = 1", text, flags=re.MULTILINE)
    text = re.sub(r"^epochs = \d+", "epochs = 1", text, flags=re.MULTILINE)
    study.write_text(re.sub(r"^lr = .*", "lr = [0.01]", text, flags=re.MULTILINE))


def run_to_the_end(capsys: Capture, *more: str) -> None:
    dry = answer(capsys, "run", "mine", "--dry-run")
    assert dry["planned"] > 80
    study = Path("studies/mine/study.toml")
    shorten(study)
    done = answer(capsys, "run", "mine", "--executor", "inline", "--device", "cpu", *more)
    assert done["failed"] == 0
    contest = pd.read_csv(study.parent / "baselines.csv")
    baselines = load_plan(study).baselines
    assert baselines is not None
    judged = contest[contest["stage"] == "final"]
    assert set(baselines.names) <= set(judged["contender"])
    assert judged["test_error"].notna().all()


@pytest.mark.parametrize(
    ("classes", "each", "mode", "size", "input"),
    [
        (2, 30, "L", (16, 16), None),
        (100, 3, "RGB", (64, 24), None),
        (3, 20, "RGB", (160, 90), "3x72x128"),
    ],
    ids=["small, grey, few", "many classes, wide", "large"],
)
def test_a_study_on_a_folder_of_images_runs_to_its_end(
    capsys: Capture,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    classes: int,
    each: int,
    mode: str,
    size: tuple[int, int],
    input: str | None,
) -> None:
    monkeypatch.chdir(tmp_path)
    write_classes(tmp_path / "images", classes, each, mode, size)
    words = ("new", "mine", "--data", "folder:images", *(("--input", input) if input else ()))
    channels = 1 if mode == "L" else 3
    assert answer(capsys, *words)["template"]["channels"] == channels
    run_to_the_end(capsys)


def test_a_study_with_files_that_can_not_be_read_is_run_as_it_was_written(
    capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where only decoding tells: `new` counts what is left, and its file says how to go on without them."""
    monkeypatch.chdir(tmp_path)
    write_classes(tmp_path / "pets", 2, 40, "RGB", (16, 16))
    for name in ("class 000/0.png", "class 001/7.png"):
        raw = (tmp_path / "pets" / name).read_bytes()
        (tmp_path / "pets" / name).write_bytes(raw[: len(raw) // 2])
    assert "2 of 80 images" in complaint(capsys, ("new", "mine", "--data", "folder:pets"))
    assert not Path("studies").exists()
    answer(capsys, "new", "mine", "--data", "folder:pets", "--skip-unreadable")
    plan = load_plan(Path("studies/mine/study.toml"))
    assert plan.reading.skip_unreadable
    assert plan.budget.images <= 78 - 13 - 10
    run_to_the_end(capsys)


def test_a_study_in_whole_groups_is_run_as_it_was_written(
    capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_classes(tmp_path / "pets", 2, 40, "RGB", (16, 16))
    words = ("--data", "folder:pets", "--split", "stratified", "--group-by", r"(\d)\.png$")
    answer(capsys, "new", "mine", *words)
    plan = load_plan(Path("studies/mine/study.toml"))
    assert (plan.reading.split, plan.reading.group_by) == ("stratified", r"(\d)\.png$")
    run_to_the_end(capsys)


def test_a_study_on_cifar_10_runs_to_its_end(
    capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_cifar_10(tmp_path / "data", n=60)
    assert main(["new", "mine", "--data", "cifar-10", "--data-dir", "data"]) == 0
    run_to_the_end(capsys, "--data-dir", "data")
