"""The ladder of budgets: trained once, resumed, and never part of a population."""

import csv
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from regnetlab.errors import InputError
from regnetlab.execution import inline
from regnetlab.study.fidelity import ladder, parse_ladder, run_fidelity
from regnetlab.study.plan import Plan
from regnetlab.study.plan_file import load_plan
from regnetlab.study.results import stated_terms, study_trials
from regnetlab.training.budget import Budget
from regnetlab.trials.terms import Terms
from tests.conftest import write_idx
from tests.study.running import Heard, ran, trainings
from tests.study.running import inline as options

MakeStudy = Callable[..., Path]
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
def plan(make_study: MakeStudy) -> Plan:
    return load_plan(make_study(SMALL))


def climb(plan: Plan, data_dir: Path, text: str = "32", networks: int = 3) -> int:
    """Run the ladder; returns how many trainings the store has."""
    state = run_fidelity(plan, options(data_dir), Heard(), parse_ladder(text, plan.budget), networks)
    assert not state.missing
    return trainings(plan)


def test_a_ladder_says_what_differs_from_the_studys_own_budget() -> None:
    own = Budget(images=128, batch_size=32, validation=100, time_limit=10)
    found = parse_ladder("64x4@16/50, 128, 32,1024", own)
    assert [(b.images, b.epochs, b.batch_size, b.validation) for b in found] == [
        (32, 1, 32, 100),
        (128, 1, 32, 100),
        (64, 4, 16, 50),
        (1024, 1, 32, 100),
    ]
    assert found[1] == own
    assert [b.time_limit for b in found] == [10, 10, 20, 80]


def test_a_ladder_that_is_finished_notices_other_data_too(plan: Plan, data_dir: Path, tmp_path: Path) -> None:
    climb(plan, data_dir)
    before = plan.fidelity.read_bytes()
    other = Path(shutil.copytree(data_dir, tmp_path / "other"))
    write_idx(other / "train-labels-idx1-ubyte.gz", np.arange(1_200, dtype=np.uint8) % 10)
    with pytest.raises(InputError, match=r"data\.checksum was"):
        climb(plan, other)
    assert plan.fidelity.read_bytes() == before


@pytest.mark.parametrize(
    "text", ["", "a", "64,", "-64", "64x", "64@", "64x0", "1", "64@1", "64/0", "1e3", "64;128"]
)
def test_a_ladder_that_can_not_be_is_refused(text: str) -> None:
    with pytest.raises(InputError):
        parse_ladder(text, Budget(images=128))


def test_a_ladder_of_one_or_of_too_many_is_refused() -> None:
    with pytest.raises(InputError, match="own budget alone"):
        parse_ladder("128", Budget(images=128))
    with pytest.raises(InputError, match="20 at most"):
        parse_ladder(",".join(map(str, range(2, 40))), Budget(images=128))


def test_nothing_is_trained_twice_and_the_studys_trainings_are_used(plan: Plan, data_dir: Path) -> None:
    ran(plan, data_dir)
    assert trainings(plan) == 8
    # Two spaces, three networks, two budgets and seeds, of which the study has one seed at its own.
    assert climb(plan, data_dir) == 8 + 2 * 3 * 2 * 2 - 2 * 3
    written = plan.fidelity.read_text()
    assert climb(plan, data_dir) == 26
    assert plan.fidelity.read_text() == written
    trials = {
        (row["space"], row["index"]): row["error"]
        for row in csv.DictReader(plan.trials.read_text().splitlines())
    }
    for row in csv.DictReader(plan.fidelity.read_text().splitlines()):
        if row["images"] == "64" and row["replicate"] == "0":
            assert row["error"] == trials[row["space"], row["index"]]


def test_the_populations_are_the_same_with_and_without_it(
    make_study: MakeStudy, plan: Plan, data_dir: Path
) -> None:
    calm = load_plan(make_study(SMALL, name="calm"))
    assert climb(plan, data_dir) == 24
    ran(plan, data_dir)
    ran(calm, data_dir)
    texts = [study_trials(each).to_csv() for each in (plan, calm)]
    rows = [[{**row, "seconds": ""} for row in csv.DictReader(text.splitlines())] for text in texts]
    assert rows[0] == rows[1]
    assert len(study_trials(plan).frame) == 8


def test_one_that_was_stopped_goes_on(plan: Plan, data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    work, calls = inline.work, []

    def stopping(*words: object) -> object:
        calls.append(words)
        if len(calls) == 6:
            raise KeyboardInterrupt
        return work(*words)  # type: ignore[arg-type]

    monkeypatch.setattr(inline, "work", stopping)
    with pytest.raises(KeyboardInterrupt):
        climb(plan, data_dir)
    assert trainings(plan) == 5
    assert len(plan.fidelity.read_text().splitlines()) == 6
    monkeypatch.setattr(inline, "work", work)
    assert climb(plan, data_dir) == 24


def test_terms_count_as_stated_before_the_first_training(plan: Plan, data_dir: Path) -> None:
    climb(plan, data_dir)
    assert stated_terms(plan) == Terms()
    with pytest.raises(InputError, match="began with margin 1 and now states 5"):
        stated_terms(replace(plan, terms=Terms(5.0)))
    with pytest.raises(InputError, match="began with matched none and now states depth"):
        stated_terms(replace(plan, terms=Terms(matched="depth")))
    assert stated_terms(replace(plan, terms=Terms(5.0)), ("margin",)).margin == 5.0


def test_more_images_than_there_are_are_refused_before_anything_is_written(
    plan: Plan, data_dir: Path
) -> None:
    with pytest.raises(InputError, match="to train on"):
        climb(plan, data_dir, "32,99999")
    assert not plan.store.exists()
    assert not plan.fidelity.exists()


def test_too_few_networks_to_rank_are_refused(plan: Plan) -> None:
    with pytest.raises(InputError, match="3 of each space"):
        ladder(plan, parse_ladder("32", plan.budget), 2)


def test_a_space_with_fewer_networks_gives_what_it_has(plan: Plan) -> None:
    assert len(ladder(plan, parse_ladder("32", plan.budget), 50).jobs) == 2 * 4 * 2 * 2


def test_a_ladder_that_came_without_its_store_is_not_climbed_again(
    plan: Plan, data_dir: Path, tmp_path: Path
) -> None:
    climb(plan, data_dir)
    clone = tmp_path / "clone"
    clone.mkdir()
    for file in (plan.folder / "study.toml", plan.fidelity, plan.provenance):
        shutil.copy(file, clone)
    there, heard = load_plan(clone / "study.toml"), Heard()
    run_fidelity(there, options(data_dir), heard, parse_ladder("32", there.budget), 3)
    assert heard.trained == []
    assert f"{trainings(plan)} trainings taken in from fidelity.csv" in heard.notes
    assert there.fidelity.read_bytes() == plan.fidelity.read_bytes()
    assert climb(there, data_dir, networks=4) > trainings(plan)  # what is missing is trained


def test_a_ladder_of_other_networks_is_refused_and_one_of_unknown_origin_climbed_again(
    plan: Plan, data_dir: Path, tmp_path: Path
) -> None:
    climb(plan, data_dir)
    text = plan.fidelity.read_text()
    seed = next(csv.DictReader(text.splitlines()))["seed"]
    plan.fidelity.write_text(text.replace(f",{seed},", ",7,", 1))
    plan.store.unlink()
    with pytest.raises(InputError, match=r"fidelity\.csv, line 2: seed is '7', study\.toml asks for"):
        climb(plan, data_dir)
    plan.provenance.unlink()
    plan.store.unlink(missing_ok=True)
    heard = Heard()
    run_fidelity(plan, options(data_dir), heard, parse_ladder("32", plan.budget), 3)
    assert len(heard.trained) == len(list(csv.DictReader(text.splitlines())))
