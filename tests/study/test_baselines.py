"""Baselines and RegNets: tuned alike on validation, judged once on the test split, never chosen by it."""

import csv
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from regnetlab.errors import InputError
from regnetlab.study import stages
from regnetlab.study.baselines import (
    UNSETTLED,
    Basis,
    check_unchanged,
    choose,
    hand_designed,
    regnets,
    tuning_jobs,
)
from regnetlab.study.members import member
from regnetlab.study.plan import Plan
from regnetlab.study.plan_file import load_plan
from regnetlab.study.plan_text import plan_toml
from regnetlab.study.results import compared_with_baselines
from regnetlab.study.stages import planned_jobs, study_state
from regnetlab.study.status import status
from regnetlab.training.budget import Score, mean_error
from regnetlab.trials.job import Trial
from regnetlab.trials.store import open_store
from tests.conftest import STUDY
from tests.study.running import ran, trainings

MakeStudy = Callable[..., Path]
DATA = "f" * 64
CONTEST = """
[baselines]
names = ["bn_lenet", "vgg11@0.07x"]
forms = ["small"]
lr = [0.01, 0.1]
regnets = 1
[baselines.recipe.VGG]
warmup = 0.2
"""


def test_a_file_is_no_baseline_but_its_network_is(make_study: MakeStudy, data_dir: Path) -> None:
    file = Path(__file__).parents[1] / "models" / "pycls" / "sweep_job.yaml"
    study = load_plan(make_study(STUDY + CONTEST.replace("bn_lenet", str(file))))
    with pytest.raises(InputError, match=r"may change; write its network: anynet:d=4,5;w=128,288;g=16"):
        ran(study, data_dir)
    assert not study.trials.exists()


@pytest.fixture
def plan(make_study: MakeStudy) -> Plan:
    return load_plan(make_study(STUDY + CONTEST))


def test_everyone_tries_the_same_rates_and_the_final_has_new_seeds(plan: Plan, data_dir: Path) -> None:
    before = status(plan, study_state(plan, open_store(plan.store)), 0)
    state = ran(plan, data_dir)
    assert not state.missing
    after = status(plan, state, 0)
    assert before["planned"] == after["planned"] == after["complete"] == 12 + 6 + 2 + 2 + 6 + 9

    rows = list(csv.DictReader(plan.baselines_table.read_text().splitlines()))
    tuning, final = ([row for row in rows if row["stage"] == stage] for stage in ("tuning", "final"))
    models = {row["model"] for row in rows}
    assert len(models) == 3
    for model in models:
        assert [row["lr"] for row in tuning if row["model"] == model] == ["0.01", "0.1"]
        finals = [row for row in final if row["model"] == model]
        assert len({row["seed"] for row in finals}) == len(finals) == 3
        assert not {row["seed"] for row in finals} & {r["seed"] for r in tuning if r["model"] == model}
        best = min((float(r["error"]), float(r["lr"])) for r in tuning if r["model"] == model)[1]
        assert {float(row["lr"]) for row in finals} == {best}
    assert not any(row["test_error"] for row in tuning)
    assert all(row["test_error"] and float(row["latency_1_ms"]) > 0 for row in final)
    assert "bn_lenet" not in plan.trials.read_text()

    document = compared_with_baselines(plan).to_json()
    assert document["final"]
    assert [each["test"]["mean"] for each in document["contenders"]] == sorted(
        each["test"]["mean"] for each in document["contenders"]
    )
    kept = trainings(plan)
    ran(plan, data_dir)
    assert trainings(plan) == kept


def test_no_test_error_exists_before_the_choice(
    plan: Plan, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(tried: object) -> dict[str, float]:
        raise KeyboardInterrupt

    monkeypatch.setattr(stages, "choose", stopped)
    with pytest.raises(KeyboardInterrupt):
        ran(plan, data_dir)
    assert all(row["test_error"] is None for row in open_store(plan.store).rows())
    assert "final" not in plan.baselines_table.read_text()
    assert all(each["test"] is None for each in compared_with_baselines(plan).to_json()["contenders"])


def test_a_drawn_regnet_competes_under_a_name_that_the_study_knows(make_study: MakeStudy) -> None:
    """Where none is derived, the best that were drawn: "RegNet 2", not "RegNet RegNet 2" and not derived."""
    drawn = STUDY.partition("[derive]")[0] + '\n[[spaces]]\nspace = "RegNet"\nn = 3\n'
    plan = load_plan(make_study(drawn + CONTEST))
    jobs = planned_jobs(plan)
    scores = {job.identity: Score(30.0 - job.index, (), 1.0, 128, "complete") for job in jobs}
    (best,) = regnets(plan, jobs, scores)
    assert best.name == "RegNet 2"
    for name in (best.name, "RegNet RegNet 2"):  # as baselines.csv has it, now and in earlier versions
        assert member(plan, name).text == best.model


def test_a_choice_refuses_to_see_test_errors(plan: Plan) -> None:
    job = tuning_jobs(plan, hand_designed(plan))[0]
    score = Score(10.0, (), 1.0, 128, "complete")
    assert choose([(job, score)]) == {job.model: 0.01}
    for pair in ((replace(job, final=True), score), (job, replace(score, test_error=9.0))):
        with pytest.raises(ValueError, match="must not know the test split"):
            choose([pair])


def test_the_lower_of_two_equal_rates_is_chosen_and_failures_are_not(plan: Plan) -> None:
    jobs = tuning_jobs(plan, hand_designed(plan))
    errors = [20.0, 20.0, None, None]
    tried = [(job, Score(error, (), 1, 1, "x")) for job, error in zip(jobs, errors, strict=True)]
    assert choose(tried) == {jobs[0].model: 0.01}


def test_a_rate_is_judged_by_the_mean_of_its_seeds_and_a_failed_one_weighs(plan: Plan) -> None:
    assert plan.baselines is not None
    twice = replace(plan, baselines=replace(plan.baselines, tuning_seeds=2))
    jobs = tuning_jobs(twice, hand_designed(twice))
    lenet = [job for job in jobs if job.model == "bn_lenet@small"]
    assert [job.recipe.lr for job in lenet] == [0.01, 0.01, 0.1, 0.1]
    assert lenet[0].seed == lenet[2].seed != lenet[1].seed == lenet[3].seed
    once = tuning_jobs(plan, hand_designed(plan))
    assert {job.identity for job in once} < {job.identity for job in jobs}
    for errors, chosen in (
        ([20.0, 30.0, 24.0, 25.0], 0.1),
        ([10.0, None, 40.0, 60.0], 0.1),
        ([10.0, 80.0, None, None], 0.01),
    ):
        tried = [(job, Score(error, (), 1, 1, "x")) for job, error in zip(lenet, errors, strict=True)]
        assert choose(tried) == {"bn_lenet@small": chosen}
    assert mean_error([None, None]) is None


def test_a_contest_with_one_tuning_seed_is_the_one_that_older_studies_began(plan: Plan) -> None:
    """Pinned: stores hold this key, and refuse another once the test split was used."""
    assert UNSETTLED.as_dict(plan, Basis(""))["key"] == "f57c94e8ff771253"


def test_a_contest_can_not_be_changed_once_the_test_split_was_used(plan: Plan) -> None:
    assert plan.baselines is not None
    changed = replace(plan, baselines=replace(plan.baselines, lr=(0.5,)))
    store = open_store(plan.store)
    store.keep("contest", UNSETTLED.as_dict(plan, Basis(DATA)))
    check_unchanged(changed, store, DATA)  # nothing was judged on the test split
    job = replace(tuning_jobs(plan, hand_designed(plan))[0], final=True)
    store.add(Trial(job, Score(10.0, (), 1.0, 128, "complete", 11.0), DATA))
    check_unchanged(plan, store, DATA)
    check_unchanged(replace(plan, draws=plan.draws[:1]), store, DATA)
    check_unchanged(changed, store, "0" * 64)  # other data, whose test split no one has seen
    with pytest.raises(InputError, match="the test split was used already"):
        check_unchanged(changed, store, DATA)


def test_a_familys_recipe_differs_only_where_the_plan_says(plan: Plan) -> None:
    warmups = {job.model: job.recipe.warmup for job in tuning_jobs(plan, hand_designed(plan))}
    assert warmups == {"bn_lenet@small": 0.4, "vgg11@0.07x": 0.2}


def test_a_plan_with_baselines_is_written_and_read_back(plan: Plan, make_study: MakeStudy) -> None:
    again = load_plan(make_study(plan_toml(plan), name="again"))
    assert again.baselines == plan.baselines


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('"bn_lenet"', '"bn_lenett"', "did you mean 'bn_lenet'"),
        ('"bn_lenet"', '"googlenet@1MF"', "the smallest small form has"),
        ('["small"]', '["tiny"]', "there are original, small"),
        ("recipe.VGG", "recipe.VGGG", "did you mean 'VGG'"),
    ],
)
def test_baselines_that_can_not_be_are_refused_before_anything_is_written(
    make_study: MakeStudy, data_dir: Path, old: str, new: str, words: str
) -> None:
    plan = load_plan(make_study(STUDY + CONTEST.replace(old, new)))
    with pytest.raises(InputError, match=words):
        ran(plan, data_dir)
    assert not plan.store.exists()


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("regnets = 1", "seeds = 2", "line 2[0-9]: baselines.seeds is 2"),
        ("lr = [0.01, 0.1]", "lr = [0.1, 0.1]", "list each once"),
        ("lr = [0.01, 0.1]", "lr = [-1.0]", "lr is -1.0"),
        ("warmup = 0.2", "warmup = 2.0", "warmup is 2.0"),
        ("warmup = 0.2", "lr = 0.2", "every contender tries the same"),
        ("warmup = 0.2", "warm = 0.2", "did you mean 'warmup'"),
        ("names = ", "nams = ", "baselines"),
    ],
)
def test_mistakes_in_the_section_are_named(make_study: MakeStudy, old: str, new: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        load_plan(make_study(STUDY + CONTEST.replace(old, new)))
