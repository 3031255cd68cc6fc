"""What a study says follows from its file, data and kernels: what changes is decided again, or refused."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from regnetlab.cli import main
from regnetlab.errors import InputError
from regnetlab.study.fidelity import Ladder, parse_ladder, run_fidelity
from regnetlab.study.observer import Observer
from regnetlab.study.plan_file import load_plan
from regnetlab.study.run import run_study
from regnetlab.study.search.definition import RANDOM, TPE, Search
from regnetlab.study.search.run import run_search
from regnetlab.study.session import Options, prepare
from regnetlab.study.stages import (
    State,
    basis_of,
    derive_inputs,
    planned_jobs,
    study_state,
)
from regnetlab.study.status import status
from regnetlab.study.take_in import unread_tables
from regnetlab.trials.csv_tables import FIDELITY
from regnetlab.trials.store import open_store
from tests.conftest import STUDY, refusal
from tests.study.running import Heard, MakeStudy, inline, ran, scores_of, trainings

Capture = pytest.CaptureFixture[str]
FEW = """
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
"""
POPULATION = f"""{FEW}
[[spaces]]
space = "AnyNetA"
n = 4
"""
SMALL_STUDY = STUDY.replace("images = 128", "images = 64")


@pytest.fixture
def other_dir(data_dir: Path, tmp_path: Path) -> Path:
    """Other data under the same name: the test split trains, too."""
    other = tmp_path / "other"
    shutil.copytree(data_dir, other)
    for stem in ("images-idx3", "labels-idx1"):
        shutil.copy(other / f"t10k-{stem}-ubyte.gz", other / f"train-{stem}-ubyte.gz")
    return other


def words(command: str, study: Path, data_dir: Path, *more: str) -> list[str]:
    places = ["--data-dir", str(data_dir), "--device", "cpu", "--executor", "inline"]
    return [command, str(study), *places, *more]


def search(study: Path, options: Options, sampler: str = RANDOM, batch: int = 2) -> list[float | None]:
    """The errors of a search of three trainings."""
    plan = load_plan(study)
    found = Search(plan, plan.draws[0].space, sampler, 3, batch=batch)
    return [step.score.error for step in run_search(found, prepare(plan, options), options, Observer())]


def climb(study: Path, options: Options) -> Ladder:
    """A ladder of two budgets for four networks of each space."""
    plan = load_plan(study)
    return run_fidelity(plan, options, Observer(), parse_ladder("32", plan.budget), 4)


def run(study: Path, options: Options) -> State:
    return run_study(load_plan(study), options, Observer())


def test_every_network_of_a_ladder_gets_both_seeds_where_a_study_repeats_few(
    make_study: MakeStudy, data_dir: Path
) -> None:
    study = make_study(POPULATION.replace("images = 64", "images = 64\nseeds = 3\nrepeated = 0.2"))
    for _ in range(2):
        assert not climb(study, inline(data_dir)).missing
        rows = FIDELITY.read(load_plan(study).fidelity)
        seeds = rows.groupby(["images", "index"])["replicate"].apply(list)
        assert seeds.tolist() == [[0, 1]] * 8


@pytest.mark.parametrize(("sampler", "batch"), [(RANDOM, 2), (RANDOM, 3), (TPE, 2)])
def test_a_search_begun_after_the_data_changed_is_refused_with_any_sampler_and_batch(
    make_study: MakeStudy, data_dir: Path, other_dir: Path, sampler: str, batch: int
) -> None:
    study = make_study(POPULATION)
    search(study, inline(data_dir))
    before = trainings(load_plan(study))
    with pytest.raises(InputError, match=r"data\.checksum was") as caught:
        search(study, inline(other_dir), sampler, batch)
    assert caught.value.hint
    assert trainings(load_plan(study)) == before


def test_a_search_after_an_accepted_change_of_the_data_has_their_errors(
    make_study: MakeStudy, data_dir: Path, other_dir: Path
) -> None:
    study, fresh = make_study(POPULATION), make_study(POPULATION, "fresh")
    search(study, inline(data_dir))
    ran(load_plan(study), other_dir, accept_change=True)
    options = inline(other_dir)
    assert search(study, options, batch=3) == search(fresh, options, batch=3)


def test_on_changed_data_that_are_accepted_everything_is_decided_again(
    make_study: MakeStudy, data_dir: Path, other_dir: Path
) -> None:
    contest = '\n[baselines]\nnames = ["bn_lenet"]\nlr = [0.01, 0.1]\nseeds = 3\nregnets = 1\n'
    study, fresh = make_study(SMALL_STUDY + contest), make_study(SMALL_STUDY + contest, "fresh")
    plan = load_plan(study)
    first = ran(plan, data_dir)
    again = ran(plan, other_dir, accept_change=True)
    alone = ran(load_plan(fresh), other_dir)
    assert again.jobs == alone.jobs
    assert again.baselines == alone.baselines
    assert errors(again) == errors(alone) != errors(first)


def errors(state: State) -> dict[str, float | None]:
    return {key: score.error for key, score in state.scores.items()}


@pytest.mark.parametrize("train", [climb, search, run])
def test_other_kernels_than_the_studys_are_refused_by_everything_that_trains(
    make_study: MakeStudy, data_dir: Path, train: Callable[[Path, Options], object]
) -> None:
    study = make_study(POPULATION.replace("n = 4", "n = 1"))
    run(study, inline(data_dir, kernels="torch"))
    study.write_text(POPULATION)
    with pytest.raises(
        InputError, match="device was 'cpu with torch kernels', is 'cpu with native"
    ) as caught:
        train(study, inline(data_dir, kernels="native"))
    assert "change it back" in caught.value.hint
    plan = load_plan(study)
    assert trainings(plan) == 1
    assert json.loads(plan.provenance.read_text())["kernels"] == "torch"
    train(study, inline(data_dir, kernels="torch"))
    assert open_store(plan.store).devices(basis_of(open_store(plan.store)).data) == {"cpu with torch kernels"}


@pytest.mark.parametrize("count", [1, 3])
def test_as_many_regnets_are_derived_as_the_file_asks_for_now(
    make_study: MakeStudy, data_dir: Path, count: int
) -> None:
    study, text = make_study(SMALL_STUDY), SMALL_STUDY.replace("[derive]\nn = 2", f"[derive]\nn = {count}")
    fresh = make_study(text, "fresh")
    ran(load_plan(study), data_dir)
    study.write_text(text)
    plan = load_plan(study)
    assert not study_state(plan, open_store(plan.store)).derived
    state = ran(plan, data_dir)
    assert state.jobs == ran(load_plan(fresh), data_dir).jobs
    derived = {row["space"]: row for row in status(plan, state, 0)["spaces"]}["derived"]
    assert derived["planned"] == derived["complete"] == count


def test_a_study_derives_nothing_where_no_growth_is_shown_and_says_why(
    make_study: MakeStudy, data_dir: Path
) -> None:
    plan, heard = load_plan(make_study(SMALL_STUDY.replace("force = true\n", ""))), Heard()
    state = ran(plan, data_dir, heard)
    assert state.derived
    assert not state.missing
    assert {job.space for job in state.jobs} == {"AnyNetA", "AnyNetE", "RegNet"}
    (note,) = [each for each in heard.notes if each.startswith("no RegNets derived: ")]
    assert "the width law is undecided (" in note
    assert "force = true in [derive]" in note


def test_a_clone_of_a_study_that_derived_nothing_knows_so_until_the_plan_asks_for_others(
    make_study: MakeStudy, data_dir: Path
) -> None:
    text = SMALL_STUDY.replace("force = true\n", "")
    study = make_study(text)
    assert not ran(load_plan(study), data_dir).missing
    load_plan(study).store.unlink()
    tables = unread_tables(load_plan(study))
    assert tables is not None
    assert tables.state.derived
    study.write_text(text.replace("[derive]\nn = 2", "[derive]\nn = 3"))
    tables = unread_tables(load_plan(study))
    assert tables is not None
    assert not tables.state.derived


def test_regnets_that_were_derived_before_the_law_had_a_claim_stay(
    make_study: MakeStudy, data_dir: Path
) -> None:
    """What is kept depends on the populations, and not on how a law follows from them."""
    study = make_study(SMALL_STUDY)
    before = ran(load_plan(study), data_dir)
    plan = load_plan(make_study(SMALL_STUDY.replace("force = true\n", "")))
    store = open_store(plan.store)
    population = planned_jobs(plan)
    configs = [job.config.text for job in before.jobs if job.space == "derived" and job.config]
    store.keep("derived", {"inputs": derive_inputs(plan, population, basis_of(store)), "configs": configs})
    after = ran(plan, data_dir)
    assert [job.identity for job in after.jobs] == [job.identity for job in before.jobs]


LATENCY = '[latency]\nbase = 0.1\nflop = 1e-7\nact = 2e-6\nbatch = 8\nprocessor = "x"\n[ranges]'


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ('"0.15ms:0.2ms"', '"0.15ms:0.25ms"', "regime.latency"),
        ("flop = 1e-7", "flop = 2e-7", "latency.flop"),
    ],
)
def test_a_changed_latency_regime_is_noticed(
    make_study: MakeStudy, data_dir: Path, capsys: Capture, old: str, new: str, key: str
) -> None:
    text = POPULATION.replace("[ranges]", 'latency = "0.15ms:0.2ms"\n' + LATENCY)
    study = make_study(text)
    assert main(words("run", study, data_dir)) == 0
    before = scores_of(load_plan(study))
    assert old in text
    study.write_text(text.replace(old, new))
    capsys.readouterr()
    assert main(words("run", study, data_dir)) == 2
    assert f"{key} was" in refusal(capsys.readouterr().err, alone=False)
    assert scores_of(load_plan(study)) == before


CUSTOM = (
    POPULATION
    + """
[[spaces]]
space = "few groups"
n = 2
parent = "AnyNetA"
[spaces.constraints]
"old label" = "g[1] >= 2"
"""
)


def test_a_constraint_may_be_given_another_label_but_not_another_meaning(
    make_study: MakeStudy, data_dir: Path, capsys: Capture
) -> None:
    study = make_study(CUSTOM)
    assert main(words("run", study, data_dir)) == 0, capsys.readouterr().err
    study.write_text(CUSTOM.replace("old label", "new label"))
    assert main(words("run", study, data_dir)) == 0
    study.write_text(CUSTOM.replace("g[1] >= 2", "g[1] >= 4"))
    capsys.readouterr()
    assert main(words("run", study, data_dir)) == 2
    assert "spaces.few groups was" in refusal(capsys.readouterr().err, alone=False)
