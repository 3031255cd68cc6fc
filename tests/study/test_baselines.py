"""Baselines and RegNets: tuned alike on validation, judged once on the test split, never chosen by it."""

import csv
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from regnetlab.analysis.baselines import baselines
from regnetlab.errors import InputError
from regnetlab.models.families import FAMILIES, NAMED_LIKE_A_NETWORK
from regnetlab.models.registry import ANY_DEPTH, is_network
from regnetlab.study import stages
from regnetlab.study.baselines import (
    UNSETTLED,
    Basis,
    check_unchanged,
    choose,
    go_on,
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
from regnetlab.trials.csv_tables import BASELINES
from regnetlab.trials.job import Job, Trial
from regnetlab.trials.store import open_store
from tests.conftest import STUDY
from tests.study.running import Heard, ran, trainings

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
    def stopped(contenders: object, tried: object) -> dict[str, float]:
        raise KeyboardInterrupt

    monkeypatch.setattr(stages, "go_on", stopped)
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


FAMILY = """
[baselines]
names = ["densenet_small@d@0.3MF", "densenet@0.3MF", "bn_lenet@small"]
lr = [0.05, 0.2]
"""


@pytest.fixture
def family_plan(make_study: MakeStudy) -> Plan:
    return load_plan(make_study(STUDY.replace("n = 2\n[[", "n = 4\n[[") + FAMILY))


def test_every_network_of_a_family_competes_within_it(family_plan: Plan) -> None:
    found = hand_designed(family_plan)
    groups = Counter(each.group for each in found)
    assert groups == {"densenet_small@d@0.3MF": 3, "densenet@0.3MF": 2, "": 1}
    assert found[0].name == f"densenet_small@d@0.3MF: {found[0].model}"
    assert found[0].model == "densenet_small@1d@0.203x"
    assert all(0.27e6 <= each.flops <= 0.33e6 for each in found if each.group)
    assert member(family_plan, found[0].name).text == found[0].model


def test_families_are_known_without_torch_as_the_registry_knows_them() -> None:
    assert set(ANY_DEPTH) == FAMILIES
    assert {name for name in ANY_DEPTH if is_network(name)} == NAMED_LIKE_A_NETWORK


@pytest.mark.parametrize(
    ("names", "line", "regnets"),
    [
        ('"resnet@1MF"', "", "equal"),
        ('"bn_lenet", "resnet"', 'forms = ["1MF"]', "equal"),
        ('"resnet@1MF"', "regnets = 3", 3),
        ('"resnet18@1MF"', "", 2),
        ('"resnet18@1MF"', 'regnets = "equal"', "equal"),
    ],
)
def test_with_a_family_both_sides_try_as_many_networks_unless_a_number_is_given(
    make_study: MakeStudy, names: str, line: str, regnets: object
) -> None:
    plan = load_plan(make_study(f"{STUDY}\n[baselines]\nnames = [{names}]\n{line}\n"))
    assert plan.baselines is not None
    assert plan.baselines.regnets == regnets
    again = load_plan(make_study(plan_toml(plan), name="again"))
    assert again.baselines == plan.baselines
    assert UNSETTLED.as_dict(again, Basis(""))["key"] == UNSETTLED.as_dict(plan, Basis(""))["key"]


@pytest.mark.parametrize("value", ['"same"', "-1", "1.5", "true"])
def test_another_number_of_regnets_is_refused(make_study: MakeStudy, value: str) -> None:
    with pytest.raises(InputError, match=r"line \d+: baselines.regnets is ") as caught:
        load_plan(make_study(STUDY + CONTEST.replace("regnets = 1", f"regnets = {value}")))
    assert caught.value.hint == 'it must be a whole number from 0 to 100, or "equal"'


def scored(
    plan: Plan, flops: int, errors: dict[str, Sequence[float | None]]
) -> tuple[list[Job], dict[str, Score]]:
    """The plan's networks of these spaces with these errors, and as many flops each."""
    model = "anynet:d=1,1,1,{};w=8,8,16,16;g=8;b=1"
    jobs = [
        plan.job(model.format(1 + i + 10 * place), 1, space=space, index=i, flops=flops)
        for place, space in enumerate(errors)
        for i, _ in enumerate(errors[space])
    ]
    values = [error for each in errors.values() for error in each]
    return jobs, {job.identity: Score(e, (), 1.0, 9, "x") for job, e in zip(jobs, values, strict=True)}


def test_the_regnets_are_the_best_derived_ones_then_the_best_drawn_ones(family_plan: Plan) -> None:
    designed = hand_designed(family_plan)
    errors: dict[str, Sequence[float | None]] = {
        "RegNet": [9, 8, None, 7, 6, 5, 4, 3],
        "derived": [20, 10, None],
    }
    found = regnets(family_plan, *scored(family_plan, 310_000, errors), designed)
    assert [each.name for each in found[:3]] == ["RegNet derived 1", "RegNet derived 0", "RegNet 7"]
    assert len(found) == sum(each.flops > 240_000 for each in designed) == 6
    assert {each.group for each in found} == {"RegNet near 320K"}


def test_regnets_at_a_compute_where_no_one_competes_are_not_tuned_for_equality(family_plan: Plan) -> None:
    designed = hand_designed(family_plan)
    assert regnets(family_plan, *scored(family_plan, 90_000, {"RegNet": [9, 8]}), designed) == []
    assert family_plan.baselines is not None
    two = replace(family_plan, baselines=replace(family_plan.baselines, regnets=2))
    assert len(regnets(two, *scored(two, 90_000, {"RegNet": [9, 8, 7]}), designed)) == 2


def test_a_regnet_that_is_named_counts_for_its_side(make_study: MakeStudy) -> None:
    named = "regnet:w0=16,wa=8,wm=2,d=4,g=8,b=1@0.3MF"
    plan = load_plan(make_study(STUDY + FAMILY.replace('"bn_lenet@small"', f'"{named}"')))
    designed = hand_designed(plan)
    assert sum(each.is_regnet for each in designed) == 1
    found = regnets(plan, *scored(plan, 310_000, {"RegNet": [9, 8, 7, 6, 5, 4]}), designed)
    assert len(found) + 1 == len(designed) - 1 == 5


def test_the_best_of_a_family_in_tuning_goes_on_and_a_killed_run_trains_nothing_twice(
    family_plan: Plan, data_dir: Path
) -> None:
    plan, runs = family_plan, []
    for most in (20, 12, 5, None):
        heard = Heard(most)
        runs.append(heard)
        if most is None:
            state = ran(plan, data_dir, heard)
        else:
            with pytest.raises(KeyboardInterrupt):
                ran(plan, data_dir, heard)
    trained = [identity for heard in runs for identity in heard.trained]
    assert len(trained) == len(set(trained)) == trainings(plan)
    assert not state.missing
    found = compared_with_baselines(plan)
    assert found.final
    went = [each for each in found.networks if each.test is not None]
    for group in {each.group for each in found.networks if each.group}:
        rivals = [each for each in found.networks if each.group == group]
        (champion,) = (each for each in rivals if each.test is not None)
        assert champion.tuning_error == min(each.tuning_error for each in rivals)
    assert all(each.correct is not None and each.correct.shape == (3, 200) for each in went)
    for each in went:
        assert each.test is not None
        assert each.correct is not None
        assert (100 - 100 * each.correct.mean(1)).tolist() == pytest.approx(each.test.errors)
    assert status(plan, state, 0)["planned"] == status(plan, state, 0)["complete"]
    kept = BASELINES.read(plan.baselines_table)
    assert BASELINES.csv(kept) == plan.baselines_table.read_text()
    assert (
        baselines(kept, 3, 1, found.guess, found.guess_test).to_json()["comparisons"]
        == found.to_json()["comparisons"]
    )

    assert plan.baselines is not None
    for changes in ({"regnets": 1}, {"names": plan.baselines.names[:2]}, {"lr": (0.05,)}):
        changed = replace(plan, baselines=replace(plan.baselines, **changes))
        with pytest.raises(InputError, match="the test split was used already"):
            ran(changed, data_dir)
    more = replace(plan, draws=tuple(replace(draw, n=draw.n + 1) for draw in plan.draws))
    assert ran(more, data_dir).baselines == state.baselines


def test_a_family_is_chosen_by_tuning_alone_a_failed_one_never(plan: Plan) -> None:
    contenders = [replace(each, group="g") for each in hand_designed(plan)]
    jobs = tuning_jobs(plan, contenders)
    for errors, model in (
        ([20.0, 30.0, 25.0, 19.0], "vgg11@0.07x"),
        ([20.0, 30.0, None, 21.0], "bn_lenet@small"),
        ([20.0, 30.0, 25.0, 20.0], "bn_lenet@small"),
        ([None, None, 90.0, None], "vgg11@0.07x"),
    ):
        tried = [(job, Score(error, (), 1, 1, "x")) for job, error in zip(jobs, errors, strict=True)]
        assert list(go_on(contenders, tried)) == [model]
    assert go_on(contenders, [(job, Score(None, (), 1, 1, "x")) for job in jobs]) == {}


def test_a_network_that_competes_under_two_names_is_refused(make_study: Callable[..., Path]) -> None:
    names = 'names = ["resnet@1MF", "resnet18@1MF"]\nlr = [0.1]\n'
    plan = load_plan(make_study('[[spaces]]\nspace = "RegNet"\nn = 6\n[baselines]\n' + names))
    with pytest.raises(InputError, match="resnet18@1MF is the network resnet@1MF: resnet@2d@"):
        hand_designed(plan)
