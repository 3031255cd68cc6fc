"""TensorBoard's event files hold the learning curves of a study, each once."""

import importlib.util
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from regnetlab.cli import main
from regnetlab.errors import InputError
from regnetlab.study.observer import Observer, Observers
from regnetlab.study.plan import Plan
from regnetlab.study.plan_file import load_plan
from regnetlab.study.results import study_trials
from regnetlab.study.run import run_study
from regnetlab.study.session import Options
from regnetlab.study.stages import planned_jobs
from regnetlab.study.tensorboard import TensorBoardLog, tensorboard_log
from regnetlab.training.budget import CurvePoint, Score
from regnetlab.trials.job import Trial
from tests.conftest import STUDY

pytest.importorskip("tensorboard")


def curves(folder: Path) -> dict[str, dict[str, list[tuple[int, float]]]]:
    """Every run's scalars: (images, value) by tag."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = {}
    for run in sorted(folder.iterdir()):
        events = EventAccumulator(str(run))
        events.Reload()
        tags = events.Tags()["scalars"]
        found[run.name] = {tag: [(each.step, each.value) for each in events.Scalars(tag)] for tag in tags}
    return found


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory, data_dir: Path) -> Plan:
    folder = tmp_path_factory.mktemp("studies") / "logged"
    folder.mkdir()
    (folder / "study.toml").write_text(STUDY)
    plan = load_plan(folder / "study.toml")
    log = tensorboard_log("tensorboard", plan.folder)
    run_study(plan, Options("inline", device="cpu", data_dir=data_dir), Observers(Observer(), log))
    return plan


def test_every_training_has_a_run_with_its_curve(plan: Plan) -> None:
    found = curves(plan.folder / "tensorboard")
    trials = study_trials(plan).frame
    names = trials["space"] + "-" + trials["index"].astype(str) + "-" + trials["seed"].astype(str)
    assert set(found) == set(names)
    first = trials.iloc[0]
    run = found[f"{first['space']}-{first['index']}-{first['seed']}"]
    assert run["validation/error"][-1][1] == pytest.approx(first["error"], abs=1e-3)
    steps = [images for images, _ in run["train/loss"]]
    assert steps == sorted(steps) and steps[-1] == plan.budget.images * plan.budget.epochs
    assert len(run["train/error"]) == len(steps)


def test_a_run_that_goes_on_writes_nothing_twice(plan: Plan, data_dir: Path) -> None:
    def files() -> set[Path]:
        return set((plan.folder / "tensorboard").rglob("*"))

    before = files()
    log = tensorboard_log("tensorboard", plan.folder)
    run_study(plan, Options("inline", device="cpu", data_dir=data_dir), log)
    assert files() == before


def test_what_was_trained_without_a_log_is_added_by_the_next_run(
    plan: Plan, tmp_path: Path, data_dir: Path
) -> None:
    log = tensorboard_log(f"tensorboard:{tmp_path / 'elsewhere'}", plan.folder)
    run_study(plan, Options("inline", device="cpu", data_dir=data_dir), log)
    assert curves(tmp_path / "elsewhere") == curves(plan.folder / "tensorboard")


def test_two_rates_of_one_network_are_two_runs(plan: Plan, tmp_path: Path) -> None:
    score = Score(20.0, (CurvePoint(100, 1.0, 50.0, 20.0),), 1.0, 100, "complete")
    job = planned_jobs(plan)[0]
    trial = Trial(job, score)
    other = Trial(replace(job, recipe=replace(job.recipe, lr=0.77)), score)
    for _ in range(2):
        log = TensorBoardLog(tmp_path)
        log.on_finish(trial, "")
        log.on_finish(other, "")
    assert len(list(tmp_path.iterdir())) == 2
    assert len({name.split("-")[0] for name in curves(tmp_path)}) == 1


def test_train_writes_its_curve_and_a_grid_of_images(
    tmp_path: Path, data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    text = "anynet:d=1,1,1,1;w=8,8,16,16;g=8;b=1"
    command = ["train", text, "--data-dir", str(data_dir), "--images", "128", "--validation", "50"]
    for _ in range(2):
        assert main([*command, "--log", f"tensorboard:{tmp_path / 'logs'}"]) == 0
    assert "curve in" in capsys.readouterr().out
    runs = sorted((tmp_path / "logs").iterdir())
    assert [run.name for run in runs] == [
        "anynet_d=1,1,1,1_w=8,8,16,16_g=8_b=1-0",
        "anynet_d=1,1,1,1_w=8,8,16,16_g=8_b=1-0-2",
    ]
    events = EventAccumulator(str(runs[0]))
    events.Reload()
    assert events.Tags()["images"] == ["training images"]
    assert events.Scalars("validation/error")[-1].step == 128


@pytest.mark.parametrize("text", ["wandb", "tensorboard:", "tensorboardx", ""])
def test_another_log_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(InputError, match="--log"):
        tensorboard_log(text, tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_link_in_place_of_the_studys_folder_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / "tensorboard").symlink_to(tmp_path / "victim")
    with pytest.raises(InputError, match="is a link"):
        tensorboard_log("tensorboard", tmp_path / "study")
    assert not (tmp_path / "victim").exists()


def test_without_the_package_one_line_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def found(name: str, *rest: Any) -> Any:
        return None if name == "tensorboard" else importlib.util.find_spec(name, *rest)

    monkeypatch.setattr("regnetlab.study.tensorboard.find_spec", found)
    assert main(["train", "lenet", "--log", f"tensorboard:{tmp_path / 'logs'}"]) == 2
    assert "pip install 'regnetlab[log]'" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
