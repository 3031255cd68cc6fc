"""The best networks of a study, trained again: with fresh seeds, once, and never as part of a population."""

import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from regnetlab.analysis.retrain import Retraining
from regnetlab.errors import InputError
from regnetlab.spaces.custom import custom_space
from regnetlab.study.plan import Plan
from regnetlab.study.plan_file import load_plan
from regnetlab.study.results import study_retrained, study_trials
from regnetlab.study.retrain import retrain
from regnetlab.study.search.definition import RANDOM, Search
from regnetlab.study.search.run import run_search
from regnetlab.study.session import prepare
from regnetlab.study.stages import study_state
from regnetlab.study.status import status
from regnetlab.trials.copy import check_store
from regnetlab.trials.csv_tables import RETRAINED, TRIALS
from regnetlab.trials.files import read_trials
from regnetlab.trials.job import fresh_seeds, training_seed
from regnetlab.trials.store import open_store
from tests.conftest import STUDY
from tests.study import processes
from tests.study.running import Heard, inline, ran

Copy = Callable[[], Plan]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, data_dir: Path) -> Path:
    """A study that was run, with a search, and its store."""
    folder = tmp_path_factory.mktemp("whole")
    (folder / "study.toml").write_text(STUDY)
    plan = load_plan(folder / "study.toml")
    ran(plan, data_dir)
    search, options = Search(plan, plan.draws[1].space, RANDOM, 4), inline(data_dir)
    run_search(search, prepare(plan, options), options, Heard())
    return folder


@pytest.fixture
def copied(whole: Path, tmp_path: Path) -> Copy:
    """Copy the study with its store."""
    return lambda: load_plan(Path(shutil.copytree(whole, tmp_path / "study")) / "study.toml")


def again(plan: Plan, data_dir: Path, heard: Heard | None = None, top: int = 2, seeds: int = 2) -> Retraining:
    found, left = retrain(plan, inline(data_dir), heard or Heard(), top, seeds)
    assert left == 0
    return found


def test_the_best_of_every_space_and_search_are_trained_again(copied: Copy, data_dir: Path) -> None:
    plan, heard = copied(), Heard()
    trials, found = study_trials(plan).frame, again(plan, data_dir, heard)
    spaces = ["AnyNetA", "AnyNetE", "RegNet", "derived", "AnyNetE, random sampler (seed 0)"]
    assert [each.space for each in found.networks] == [space for space in spaces for _ in range(2)]
    assert [each.rank for each in found.networks] == [1, 2] * 5
    for each in found.networks[:8]:
        errors = sorted(trials.loc[trials["space"] == each.space, "error"])
        assert (each.first, each.of) == (errors[each.rank - 1], len(errors))
    assert found.networks[-1].of == 4
    assert all(len(each.errors) == 2 for each in found.networks)
    assert len(heard.trained) == len(set(heard.trained)) == 2 * len({each.model for each in found.networks})


def test_seeds_are_fresh_ones(copied: Copy, data_dir: Path) -> None:
    plan = copied()
    again(plan, data_dir)
    met = {
        (row["model"], row["seed"]) for row in open_store(plan.store).rows() if row["space"] != "retrained"
    }
    rows = RETRAINED.read(plan.retrained)
    assert not met & set(zip(rows["model"], rows["seed"], strict=True))


def test_a_seed_that_was_used_is_passed_over() -> None:
    first, second = (seed for seed, _ in zip(fresh_seeds(3, "m"), range(2), strict=False))
    assert next(fresh_seeds(3, "m", {first})) == second
    assert training_seed(3, "m", 0) not in (first, second)


def test_nothing_of_it_is_part_of_a_population(copied: Copy, data_dir: Path) -> None:
    plan = copied()
    store = open_store(plan.store)
    before = study_state(plan, store), study_trials(plan).to_csv(), plan.trials.read_bytes()
    orphans = check_store(
        plan.store, lambda opened: {j.identity for j in study_state(plan, opened).jobs}
    ).orphans
    again(plan, data_dir)
    after = study_state(plan, open_store(plan.store)), study_trials(plan).to_csv(), plan.trials.read_bytes()
    assert after == before
    assert status(plan, after[0], 0)["planned"] == status(plan, before[0], 0)["planned"]
    assert ran(plan, data_dir) == before[0]
    assert plan.trials.read_bytes() == before[2]
    found = check_store(plan.store, lambda opened: {j.identity for j in study_state(plan, opened).jobs})
    assert found.orphans == orphans
    with pytest.raises(InputError, match="no random sample of a space"):
        read_trials([plan.retrained], "percent")
    with pytest.raises(InputError, match="space name 'retrained' can't be used"):
        custom_space("retrained", "AnyNetA", ["b == 1"])


def test_a_second_time_nothing_is_trained_and_more_seeds_extend_it(copied: Copy, data_dir: Path) -> None:
    plan, second, more = copied(), Heard(), Heard()
    first = again(plan, data_dir)
    assert study_retrained(plan) == first
    table = plan.retrained.read_bytes()
    assert again(plan, data_dir, second) == first
    assert second.trained == []
    assert plan.retrained.read_bytes() == table
    longer = again(plan, data_dir, more, seeds=3)
    assert [each.errors[:2] for each in longer.networks] == [each.errors for each in first.networks]
    assert len(more.trained) == len({each.model for each in first.networks})
    shorter = Heard()
    again(plan, data_dir, shorter, top=1, seeds=3)
    assert shorter.trained == []
    assert any("kept as retrained.backup-" in note for note in shorter.notes)


def test_interrupted_it_goes_on_to_the_same_table(copied: Copy, data_dir: Path) -> None:
    plan, rest = copied(), Heard()
    with pytest.raises(KeyboardInterrupt):
        again(plan, data_dir, Heard(most=3))
    assert sum(len(each.errors) for each in study_retrained(plan).networks) >= 3
    found = again(plan, data_dir, rest)
    assert len(rest.trained) == 2 * len({each.model for each in found.networks}) - 3


def test_killed_it_goes_on_to_the_same_errors(
    copied: Copy, data_dir: Path, whole: Path, tmp_path: Path
) -> None:
    plan = copied()
    calm = load_plan(Path(shutil.copytree(whole, tmp_path / "calm")) / "study.toml")
    before = open_store(plan.store).count()
    words = ["retrain", str(plan.folder / "study.toml"), "--data-dir", str(data_dir), "--device", "cpu"]
    process = processes.start(*words, "--top", "2", "--seeds", "2", "--workers", "2")
    processes.wait_for(lambda: open_store(plan.store).count() >= before + 2)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    heard = Heard()
    found = again(plan, data_dir, heard)
    assert len(heard.trained) < 2 * len({each.model for each in found.networks})
    assert found == again(calm, data_dir)
    identities = processes.identities_of(plan.folder / "study.toml")
    assert len(identities) == len(set(identities))


def test_a_clone_takes_what_was_trained_again_in(copied: Copy, data_dir: Path) -> None:
    plan, heard = copied(), Heard()
    first, table = again(plan, data_dir), plan.retrained.read_bytes()
    plan.store.unlink()
    assert again(plan, data_dir, heard) == first
    assert heard.trained == []
    assert plan.retrained.read_bytes() == table
    plan.store.unlink()
    plan.retrained.write_bytes(table.replace(b",complete,128,", b",complete,64,", 1))
    with pytest.raises(InputError, match=r"retrained\.csv, line 2: images is 64, study\.toml asks for 128"):
        again(plan, data_dir)
    seed = str(RETRAINED.read(plan.retrained)["seed"][0])
    plan.retrained.write_bytes(table.replace(f",{seed},".encode(), b",17,", 1))
    with pytest.raises(InputError, match="line 2: 17 is no seed to train that network again with"):
        again(plan, data_dir)


def test_a_study_that_grew_chooses_again_and_an_accepted_change_puts_the_table_aside(
    copied: Copy, data_dir: Path
) -> None:
    plan = copied()
    again(plan, data_dir, top=1)
    study = plan.folder / "study.toml"
    study.write_text(study.read_text().replace("n = 6", "n = 9", 1))
    larger = load_plan(study)
    ran(larger, data_dir)
    assert [each.of for each in again(larger, data_dir, top=1).networks][:2] == [12, 9]
    heard = Heard()
    ran(larger, data_dir, heard, kernels="torch", accept_change=True)
    assert not larger.retrained.exists()
    assert any(
        note.startswith("retrained.csv was written before this change: kept as") for note in heard.notes
    )


@pytest.mark.parametrize(
    ("top", "seeds", "expected"), [(0, 5, "top is 0"), (3, 1, "seeds is 1"), (3, 101, "seeds is")]
)
def test_numbers_that_can_not_be_are_refused(
    copied: Copy, data_dir: Path, top: int, seeds: int, expected: str
) -> None:
    plan = copied()
    with pytest.raises(InputError, match=expected):
        again(plan, data_dir, top=top, seeds=seeds)
    assert not plan.retrained.exists()


def test_a_study_without_errors_has_no_best(tmp_path: Path, copied: Copy, data_dir: Path) -> None:
    (tmp_path / "study.toml").write_text(STUDY)
    empty, failed = load_plan(tmp_path / "study.toml"), copied()
    with pytest.raises(InputError, match="has no trainings yet; start with: regnetlab run"):
        again(empty, data_dir)
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["study.toml"]
    frame = study_trials(failed).frame
    failed.store.unlink()
    text = TRIALS.csv(frame.assign(error=float("nan"), ended="diverged", id=frame["name"]))
    failed.trials.write_text(text)
    with pytest.raises(InputError, match="no training has earned an error yet"):
        again(failed, data_dir)
    assert not failed.store.exists()
