"""The command that a study prints for a network trains it alone, with the study's own score."""

import json
import re
import shlex
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path

import pytest

from regnetlab.cli import main
from regnetlab.execution.base import Setting
from regnetlab.study.plan_file import load_plan
from regnetlab.study.replay import replay_command
from regnetlab.study.stages import planned_jobs
from regnetlab.training.budget import Budget, CurvePoint, Recipe, Score
from tests.conftest import refusal
from tests.study import processes
from tests.study.running import scores_of
from tests.training.folders.pictures import plant

MakeStudy = Callable[..., Path]

UNUSUAL = """
seed = 5
template = { stem_width = 12, stem_stride = 1, strides = [2, 1, 2] }
[regime]
flops = "0.02M:2M"
[ranges]
depth = [1, 2]
width = [8, 24]
[budget]
images = 130
epochs = 2
batch_size = 24
validation = 77
time_limit = 250.5
drop_last = false
[recipe]
lr = 0.037
momentum = 0.8
nesterov = false
weight_decay = 0.0123
schedule = "cosine"
warmup = 0.1
label_smoothing = 0.05
augment = "crop-flip"
precise_bn = 3
init = "he"
input_scale = "0-1"
decay = "all"
lr_batch = 48
ema = 0.4
erasing = 0.25
[[spaces]]
space = "AnyNetE"
n = 3
"""
"""Nothing in it is what ``train`` does without being told."""

DIVERGING = """
seed = 5
[regime]
flops = "0.05M:0.4M"
[ranges]
depth = [1, 2]
width = [8, 32]
[budget]
images = 256
batch_size = 16
[recipe]
lr = 1000.0
warmup = 0.0
nesterov = false
[[spaces]]
space = "AnyNetA"
n = 4
"""


def trained_by(command: str, capsys: pytest.CaptureFixture[str]) -> Score:
    """What a command line of ``regnetlab train`` gives."""
    capsys.readouterr()
    name, *words = shlex.split(command)
    assert name == "regnetlab"
    assert main([*words, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    curve = tuple(CurvePoint(*point.values()) for point in found["curve"])
    return Score(found["error"], curve, found["seconds"], found["images"], found["ended"])


def same(a: Score, b: Score) -> bool:
    """The same but for the time it took; losses that are no numbers are written as null by JSON."""
    return (a.error, a.ended, a.images, a.curve) == (b.error, b.ended, b.images, b.curve)


def test_the_command_trains_every_network_of_an_unusual_study_to_the_same_bits(
    make_study: MakeStudy, data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = load_plan(make_study(UNUSUAL))
    usual = Recipe()
    alike = ("optimizer", "lighting")  # there is one, and the images are grey
    told = [field.name for field in fields(Recipe) if field.name not in alike]
    assert all(getattr(plan.recipe, name) != getattr(usual, name) for name in told)
    assert all(getattr(plan.budget, name) != getattr(Budget(), name) for name in Budget.__slots__)
    words = ["--data-dir", str(data_dir), "--device", "cpu", "--executor", "inline"]
    assert main(["run", str(plan.folder), *words]) == 0
    scores = scores_of(plan)
    setting = Setting(data_dir, "cpu")
    jobs = planned_jobs(plan)
    assert len(jobs) == 3
    for job in jobs:
        assert scores[job.identity].error is not None
        assert same(trained_by(replay_command(setting, job), capsys), scores[job.identity])


def test_the_command_reads_a_folder_as_the_study_does(
    make_study: MakeStudy, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pets = plant(tmp_path / "pets", *(f"{kind}/{i}.png" for kind in ("cat", "dog") for i in range(40)))
    (pets / "cat" / "broken.png").write_bytes(b"no picture")
    head = f'data = "folder:{pets}"\nfit = "pad"\nbackground = "#102030"\ngroup_by = "-?[02468]"\n'
    shape = 'template = { input = "3x16x16", classes = 2 }\n'
    text = head + DIVERGING.replace("1000.0", "0.1").replace("256", "32").replace("seed", f"{shape}seed", 1)
    plan = load_plan(make_study(text))
    words = ["--device", "cpu", "--executor", "inline", "--skip-unreadable"]
    assert main(["run", str(plan.folder), *words]) == 0
    told = capsys.readouterr().err
    assert "80 images in 2 classes (40 each), 12×8 px, 80 RGB" in told
    assert "unreadable and left out: 1" in told
    survey = json.loads(plan.provenance.read_text())["survey"]
    assert (survey["unreadable"], survey["unreadable_n"]) == (["cat/broken.png"], 1)
    assert survey["lines"][0] in told
    scores = scores_of(plan)
    setting = Setting(None, "cpu")
    for job in planned_jobs(replace(plan, reading=replace(plan.reading, skip_unreadable=True)))[:2]:
        assert same(trained_by(replay_command(setting, job), capsys), scores[job.identity])


def test_a_network_that_fails_is_named_with_the_command_that_fails_in_the_same_way(
    make_study: MakeStudy, data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study = make_study(DIVERGING)
    done = processes.run(study, "--data-dir", str(data_dir), "--workers", "1")
    assert done.returncode == 0, done.stderr
    scores = scores_of(load_plan(study)).values()
    failed = [score for score in scores if score.error is None]
    said = re.findall(r"^AnyNetA \d+: (diverged: .*)\. Alone: (regnetlab train .*)$", done.stderr, re.M)
    assert len(said) == len(failed) >= 1
    log = [json.loads(line) for line in (study.parent / "study.log.jsonl").read_text().splitlines()]
    assert [each["again"] for each in log if "again" in each] == [command for _, command in said]
    for ended, command in said:
        score = trained_by(command, capsys)
        assert score.ended == ended
        assert any(same(score, other) for other in failed)


def test_the_command_names_folders_from_the_root_and_is_one_line_for_a_shell(
    make_study: MakeStudy, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = load_plan(make_study(DIVERGING))
    job = replace(planned_jobs(plan)[0], data="folder:a b")
    monkeypatch.chdir(data_dir.parent)
    setting = Setting(None, "auto", "torch")
    monkeypatch.setenv("REGNETLAB_DATA", data_dir.name)
    command = replay_command(setting, job)
    words = shlex.split(command)
    assert words[words.index("--data") + 1] == f"folder:{data_dir.parent / 'a b'}"
    assert words[words.index("--data-dir") + 1] == str(data_dir)
    assert words[words.index("--kernels") + 1] == "torch"
    assert "--device" not in words
    assert "\n" not in command


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--strides", "1,x"], "--strides '1,x'"),
        (["--strides", ""], "--strides ''"),
        (["--stem-width", "0"], "stem_width is 0"),
        (["--lr", "nan"], "lr is nan"),
        (["--warmup", "2"], "warmup is 2"),
        (["--momentum", "0", "--nesterov"], "nesterov needs a momentum"),
        (["--schedule", "constant", "--warmup", "0.1"], "the schedule constant has none"),
        (["--init", "zeros"], "--init"),
        (["--input-scale", "255"], "--input-scale"),
        (["--keep-last", "--images", "129", "--batch-size", "128"], "holds a single image"),
        (["--validation", "0"], "validation is 0"),
        (["--time-limit", "nan"], "time_limit is nan"),
        (["--schedule", "step"], "--schedule"),
        (["--augment", "mixup"], "--augment"),
    ],
)
def test_an_option_that_can_not_be_is_refused_in_a_line(
    words: list[str], message: str, data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", "anynet:d=1;w=8;g=8", "--data-dir", str(data_dir), *words]) == 2
    told = capsys.readouterr().err
    assert message in refusal(told)
