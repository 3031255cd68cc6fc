"""Searches: what they propose, that nothing disturbs them, and that no population ever sees them."""

import csv
import math
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from regnetlab.errors import InputError
from regnetlab.spaces.complexity import complexity
from regnetlab.spaces.population import Population
from regnetlab.spaces.ranges import Ranges
from regnetlab.spaces.regime import Regime, Window
from regnetlab.spaces.sampler import sample
from regnetlab.spaces.space import REGNET, SPACES
from regnetlab.spaces.template import SMALL
from regnetlab.study.observer import Observer
from regnetlab.study.plan import Plan
from regnetlab.study.plan_file import load_plan
from regnetlab.study.results import study_trials
from regnetlab.study.search import sampler as search_sampler
from regnetlab.study.search.definition import NSGA2, RANDOM, SAMPLERS, TPE, Search, Step, search_job
from regnetlab.study.search.run import next_batch, run_search
from regnetlab.study.search.sampler import FAILED, propose, values
from regnetlab.study.search.space import distributions, expressed
from regnetlab.study.search.store import kept_searches, open_search
from regnetlab.study.session import prepare
from regnetlab.study.stages import basis_of, planned_jobs
from regnetlab.training.budget import Score
from regnetlab.trials.job import Job, Trial
from regnetlab.trials.store import open_store
from tests.study.running import Heard, inline, ran, scores_of, trainings

MakeStudy = Callable[..., Path]
WIDER = Ranges(depth=(1, 12), width=(8, 256))
OWN = """
[[spaces]]
space = "few groups"
n = 2
parent = "AnyNetC"
constraints = ["g[1] >= 2", "flops <= 300000"]
"""


@pytest.fixture
def plan(make_study: MakeStudy) -> Plan:
    return load_plan(make_study())


def scored(study: Path) -> Plan:
    """This study's plan, its population scored but not trained: 20 %, 21 %, … within each space."""
    plan = load_plan(study)
    store = open_store(plan.store)
    for job in planned_jobs(plan):
        store.add(Trial(job, Score(20.0 + job.index, (), 1.0, 128, "complete")))
    return plan


def a_search(plan: Plan, sampler: str = TPE, trials: int = 12, space: str = "AnyNetE", **more: Any) -> Search:
    return Search(plan, SPACES[space].within(plan.ranges), sampler, trials, **more)


def score_of(job: Job) -> Score:
    """A score that is a function of the network: wide last stages are good, one bottleneck ratio fails."""
    config = job.config
    assert config is not None
    if config.bottleneck_ratios[-1] == 4:
        return Score(None, (), 1.0, 0, "diverged: the loss was not finite by step 3")
    return Score(
        10 + 5 * abs(math.log(config.widths[-1] / 30)) + sum(config.depths), (), 1.0, 128, "complete"
    )


def finished(search: Search, order: Callable[[list[Step]], Step]) -> list[tuple[int, str, float | None]]:
    """The search, its trainings coming back in this order."""
    store = open_search(search)
    steps = store.steps()
    while len(steps) < search.trials:
        flying = proposed(search, steps)
        while flying:
            step = order(flying)
            flying.remove(step)
            store.add(step)
            steps[step.number] = step
    return [(k, steps[k].proposal.config.text, steps[k].score.error) for k in sorted(steps)]


def proposed(search: Search, steps: dict[int, Step]) -> list[Step]:
    """What is missing of the batch that comes next, as it will end."""
    batch = next_batch(search, steps)
    return [
        Step(number, batch[number], score_of(search_job(search, number, batch[number])))
        for number in batch
        if number not in steps
    ]


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("space", SPACES)
def test_every_proposal_is_a_new_network_of_the_space_and_regime(
    plan: Plan, space: str, sampler: str
) -> None:
    if space == "RegNet":  # whose law hardly fits the small ranges of the others
        plan = replace(plan, regime=Regime(flops=Window(0.8e6, 1.2e6)))
        plan = replace(plan, draws=(replace(plan.draws[0], space=REGNET.within(WIDER)),))
    search = a_search(plan, sampler, 14 if space == "AnyNetE" else 4, space, batch=3)
    found = finished(search, lambda steps: steps[0])
    assert len({model for _, model, _ in found}) == len(found) == search.trials
    for step in kept_searches(plan.searches_store)[0].steps:
        population = Population.of([step.proposal.config])
        law = {name: [value] for name, value in step.proposal.law}
        assert set(law) == ({"w0", "wa", "wm"} if space == "RegNet" else set())
        counts = complexity(population, plan.template)
        assert counts.row(0) == step.proposal.counts
        assert plan.regime.holds(counts).all()
        linked = [each for each in search.space.constraints if each.link is not None]
        assert all(each.holds(population).all() for each in linked)
        assert max(step.proposal.config.widths) <= plan.ranges.width[1]
        assert max(step.proposal.config.depths) <= plan.ranges.depth[1]


def test_a_store_of_searches_that_is_removed_ends_the_search_and_its_trainings_stay(
    plan: Plan, data_dir: Path
) -> None:
    class Remover(Observer):
        def on_finish(self, trial: Trial, replay: str) -> None:
            plan.searches_store.unlink(missing_ok=True)

    found, options = a_search(plan, "random", 4, batch=2), inline(data_dir)
    with pytest.raises(InputError, match="was removed or replaced while the search ran"):
        run_search(found, prepare(plan, options), options, Remover())
    assert open_store(plan.store).count() == 2
    assert not plan.searches_store.exists()
    assert not plan.searches.exists()
    assert len(run_search(found, prepare(plan, options), options, Observer())) == 4
    assert open_store(plan.store).count() == 4


def test_a_search_that_goes_on_tells_networks_that_fail_from_a_broken_machine(
    plan: Plan, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second batch fails, and the step of a network of the first batch does not, or does too."""
    options = inline(data_dir)
    first = run_search(a_search(plan, "random", 2, batch=2), prepare(plan, options), options, Observer())
    broken = Score(None, (), 0.1, 0, "failed: RuntimeError: x")
    known = {step.proposal.config.text for step in first}

    def failing(build: Any, data: Any, budget: Any, *others: Any) -> Score:
        whole = budget.images == plan.budget.images
        return broken if whole or everything else Score(10.0, (), 0.1, 32, "complete")

    monkeypatch.setattr("regnetlab.execution.worker.train", failing)
    more, everything = a_search(plan, "random", 4, batch=2), True
    with pytest.raises(InputError, match="so did a step of a network that was trained before"):
        run_search(more, prepare(plan, options), options, Observer())
    assert open_store(plan.store).count() == 2
    everything = False
    found = run_search(more, prepare(plan, options), options, Observer())
    assert [step.score.ended for step in found if step.proposal.config.text not in known] == [
        broken.ended
    ] * 2


@pytest.mark.parametrize("space", SPACES)
def test_every_drawn_network_has_parameters(space: str) -> None:
    narrow = SPACES[space].within(WIDER)
    drawn = sample(narrow, 30, SMALL, Regime()).population
    for i, config in enumerate(drawn.configs()):
        proposal = expressed(narrow, SMALL, Regime(), drawn.take(np.array([i])))
        assert proposal.config == config
        assert set(proposal.params) == set(distributions(narrow, 4))


def test_where_a_sampler_finds_nothing_the_space_is_drawn_from(
    plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search_sampler, "_ASKS", 0)
    search = a_search(plan, TPE, space="AnyNetA")
    first = propose(search, [], [], 0)
    second = propose(search, [], [first], 1)
    assert first.config != second.config
    assert propose(search, [], [first], 1) == second


def test_a_custom_space_is_searched_within_its_constraints(make_study: MakeStudy) -> None:
    path = make_study()
    path.write_text(path.read_text() + OWN)
    plan = load_plan(path)
    search = Search(plan, plan.draws[-1].space, RANDOM, 8)
    finished(search, lambda steps: steps[0])
    for step in kept_searches(plan.searches_store)[0].steps:
        assert step.proposal.config.group_widths[0] >= 2
        assert step.proposal.counts["flops"] <= 300_000


def test_shared_parameters_stand_once_and_the_laws_are_regnets(plan: Plan) -> None:
    names = {space: set(distributions(SPACES[space].within(plan.ranges), 4)) for space in SPACES}
    assert len(names["AnyNetA"]) == 16
    assert {"b", "g1", "g4"} <= names["AnyNetB"]
    assert {"b", "g"} <= names["AnyNetC"] == names["AnyNetE"]
    assert names["RegNet"] == {"d", "w0", "wa", "wm", "g", "b"}


def test_a_proposals_parameters_are_the_networks_own(plan: Plan) -> None:
    for step in range(3):
        proposal = propose(a_search(plan), [], [], step)
        config, params = proposal.config, proposal.params
        assert [params[f"w{i}"] for i in range(1, 5)] == list(config.widths)
        assert [params[f"d{i}"] for i in range(1, 5)] == list(config.depths)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_the_order_in_which_trainings_end_changes_nothing(make_study: MakeStudy, sampler: str) -> None:
    calm, wild = (load_plan(make_study(name=name)) for name in ("calm", "wild"))
    shuffled = random.Random(1)
    searches = [a_search(each, sampler, 17, batch=5) for each in (calm, wild)]
    first = finished(searches[0], lambda steps: steps[0])
    assert first == finished(searches[1], shuffled.choice)
    assert any(error is None for _, _, error in first)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_interrupted_anywhere_a_search_makes_the_same_proposals(make_study: MakeStudy, sampler: str) -> None:
    calm, torn = (load_plan(make_study(name=name)) for name in ("calm", "torn"))
    whole = finished(a_search(calm, sampler, 17, batch=5), lambda steps: steps[0])
    search = a_search(torn, sampler, 17, batch=5)
    for kept in (1, 3, 6, 0, 3):
        store = open_search(search)
        flying = proposed(search, store.steps())
        for _ in range(kept):  # in the reverse of their order; then killed with the rest in flight
            flying = flying or proposed(search, store.steps())
            store.add(flying.pop())
    assert finished(search, lambda steps: steps[0]) == whole
    assert len(open_search(search).study.get_trials()) == 17


def test_a_longer_search_begins_with_the_shorter_one(make_study: MakeStudy) -> None:
    one, two = (load_plan(make_study(name=name)) for name in ("one", "two"))
    longer = finished(a_search(one, TPE, 21), lambda steps: steps[0])
    finished(a_search(two, TPE, 14), lambda steps: steps[0])
    assert finished(a_search(two, TPE, 21), lambda steps: steps[0]) == longer


def test_tpe_and_nsga2_learn_from_what_they_were_told(plan: Plan) -> None:
    late = {}
    for sampler in SAMPLERS:
        search = a_search(plan, sampler, 40, batch=8)
        finished(search, lambda steps: steps[0])
        steps = open_search(search).steps()
        late[sampler] = [
            (values(search, steps[k])[0], steps[k].proposal.counts["flops"]) for k in range(24, 40)
        ]
    error, flops = (
        {sampler: np.mean([each[i] for each in found]) for sampler, found in late.items()} for i in (0, 1)
    )
    assert error[TPE] < error[RANDOM] - 5
    assert error[NSGA2] < error[RANDOM] - 5
    assert flops[NSGA2] < flops[TPE]


def test_different_seeds_and_protocols_are_different_searches(plan: Plan) -> None:
    search = a_search(plan)
    others = [
        replace(search, seed=1),
        replace(search, batch=5),
        replace(search, sampler=RANDOM),
        replace(search, plan=replace(plan, budget=replace(plan.budget, images=64))),
        replace(search, space=REGNET.within(plan.ranges)),
    ]
    assert len({each.name for each in (search, *others)}) == 6
    longer = replace(plan, budget=replace(plan.budget, time_limit=5.0))
    assert replace(search, plan=longer, trials=99).name == search.name


def test_a_network_that_failed_is_told_as_the_worst(plan: Plan) -> None:
    search = a_search(plan, NSGA2, batch=2)
    finished(search, lambda steps: steps[0])
    steps = kept_searches(plan.searches_store)[0].steps
    for step in steps:
        told = dict(zip(search.objectives, values(search, step), strict=True))
        earned = {"error": step.score.error, "flops": step.proposal.counts["flops"]}
        assert told == (FAILED if step.score.error is None else earned)
    assert {step.score.error is None for step in steps} == {True, False}


def test_what_can_not_be_searched_is_refused(plan: Plan, data_dir: Path) -> None:
    for words, changes in (
        ("did you mean 'tpe'", {"sampler": "tpee"}),
        ("trials is 0", {"trials": 0}),
        ("nsga2 takes 2 to 1,000", {"sampler": NSGA2, "batch": 1}),
    ):
        with pytest.raises(InputError, match=words):
            replace(a_search(plan), **changes)
    narrow = replace(plan, regime=replace(plan.regime, params=plan.regime.flops))
    tiny = replace(narrow, regime=replace(narrow.regime, acts=type(plan.regime.flops)(1, 2)))  # type: ignore[misc]
    with pytest.raises(InputError, match="widen or move the window"):
        search_inline(a_search(tiny), data_dir, Heard())
    assert not plan.searches_store.exists()
    assert not plan.store.exists()


def search_inline(search: Search, data_dir: Path, heard: Heard) -> None:
    options = inline(data_dir)
    run_search(search, prepare(search.plan, options), options, heard)


def rows(plan: Plan) -> list[dict[str, str]]:
    lines = plan.searches.read_text().splitlines()
    return [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(lines)]


def test_real_trainings_survive_a_kill_and_none_is_done_twice(make_study: MakeStudy, data_dir: Path) -> None:
    calm, torn = (load_plan(make_study(name=name)) for name in ("calm", "torn"))
    search_inline(a_search(calm, trials=5), data_dir, Heard())
    killed, again = Heard(most=3), Heard()
    with pytest.raises(KeyboardInterrupt):
        search_inline(a_search(torn, trials=5), data_dir, killed)
    assert len(rows(torn)) == 3
    search_inline(a_search(torn, trials=5), data_dir, again)
    assert rows(torn) == rows(calm)
    assert len(killed.trained) + len(again.trained) == 5
    assert all(each["error"] and each["ended"] == "complete" for each in rows(calm))


def test_a_search_changes_no_population_and_trains_nothing_that_one_has(plan: Plan, data_dir: Path) -> None:
    plan = replace(plan, draws=(replace(plan.draws[0], n=2),), derived=0)
    ran(plan, data_dir)
    before, known = plan.trials.read_bytes(), scores_of(plan)
    search_inline(a_search(plan, RANDOM, 4, "AnyNetA"), data_dir, Heard())
    assert plan.trials.read_bytes() == before
    assert study_trials(plan).to_csv() == before.decode()
    assert trainings(plan) == 2 + 4  # in one store, where no population asks for them
    for trial in open_search(a_search(plan, RANDOM, 4, "AnyNetA")).study.get_trials():
        assert trial.user_attrs["search"] == RANDOM
        assert trial.user_attrs["identity"] not in known
    assert all(row["test_error"] is None for row in open_store(plan.store).rows())

    # The same training in a population has the same identity, and is taken from there.
    other = a_search(plan, RANDOM, 4, "AnyNetA", seed=5)
    first = search_job(other, 0, next_batch(other, {})[0])
    open_store(plan.store).add(
        Trial(first, Score(1.0, (), 1.0, 128, "complete"), basis_of(open_store(plan.store)).data)
    )
    heard = Heard()
    search_inline(other, data_dir, heard)
    assert first.identity not in heard.trained
    assert len(heard.trained) == 3
    assert open_search(other).steps()[0].score.error == 1.0


def test_a_search_opens_as_an_optuna_study(plan: Plan) -> None:
    import optuna

    for sampler in (TPE, NSGA2):
        finished(a_search(plan, sampler, 8), lambda steps: steps[0])
        name = a_search(plan, sampler, 8).name
        study = optuna.load_study(study_name=name, storage=f"sqlite:///{plan.searches_store}")
        assert len(study.directions) == (2 if sampler == NSGA2 else 1)
        assert {trial.user_attrs["number"] for trial in study.get_trials()} == set(range(8))
        best = study.best_trials[0]
        assert best.values[0] == best.user_attrs["error"]
        assert {"d1", "w1", "g", "b"} <= set(best.params)
