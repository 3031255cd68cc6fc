"""The stages of a study: each is a function from what was earned so far to the jobs that it wants.

Populations come first, then the RegNets derived from them, then the tuning of the baselines, then their final
trainings. What is decided between two stages is kept in the store together with a hash of everything that it
follows from, data included: where one of these changes, it is decided again.
"""

import hashlib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from regnetlab.errors import InputError
from regnetlab.spaces.complexity import config_complexity
from regnetlab.spaces.config import Config
from regnetlab.spaces.law import parse_config
from regnetlab.spaces.sampler import sample
from regnetlab.study.baselines import (
    UNSETTLED,
    Baselines,
    Basis,
    final_jobs,
    go_on,
    hand_designed,
    kept_baselines,
    regnets,
    replaced_regnets,
    tuning_jobs,
)
from regnetlab.study.plan import Plan
from regnetlab.training.budget import Score
from regnetlab.trials.job import DERIVED, Job, training_seed
from regnetlab.trials.terms import look_size

if TYPE_CHECKING:
    from regnetlab.trials.store import Store


@dataclass(frozen=True, slots=True)
class State:
    """Where a study stands: its jobs, and the scores they have so far, by identity.

    ``derived`` tells whether the derived RegNets were chosen already and are among the jobs, ``outdated``
    whether those that were chosen followed from something else than the plan asks for now; ``baselines`` what
    was settled of the comparison with the baselines.
    """

    jobs: tuple[Job, ...]
    scores: Mapping[str, Score]
    derived: bool = False
    baselines: Baselines = UNSETTLED
    outdated: bool = False

    @property
    def missing(self) -> list[Job]:
        return [job for job in self.jobs if job.identity not in self.scores]


def study_state(plan: Plan, store: "Store") -> State:
    """Where a study stands, as far as its stages are settled. Needs no torch."""
    basis = basis_of(store)
    population = population_jobs(plan, store)
    configs = _kept_derived(plan, store, population, basis) if plan.derived else None
    jobs = [*population, *derived_jobs(plan, configs or [])]
    settled = kept_baselines(plan, store.fact("contest"), basis)
    if settled.contenders:
        jobs += [*tuning_jobs(plan, settled.contenders), *final_jobs(plan, settled)]
    asked = {job.identity for job in jobs}
    scores = {key: score for key, score in store.scores(*basis).items() if key in asked}
    outdated = bool(plan.derived and configs is None and store.fact("derived"))
    return State(tuple(jobs), scores, configs is not None, settled, outdated)


def settle_next(plan: Plan, store: "Store", state: State, note: Callable[[str], None]) -> bool:
    """Keep the next decision that the finished trainings allow; whether there was one."""
    basis = basis_of(store)
    if plan.derived and not state.derived:
        population = population_jobs(plan, store)
        configs = _derive(plan, population, state.scores, note)
        before = store.fact("derived").get("configs", [])
        facts = derived_facts(plan, population, configs, basis)
        store.keep("derived", facts)
        found = {"inputs": facts["inputs"], "regnets": len(configs)}  # for a clone: the law may have fewer
        store.keep("provenance", {**store.fact("provenance"), "derived": found})
        if before and (new := len({config.text for config in configs} - {*before})):
            note(f"RegNets were derived again, since the study changed: {new} of {len(configs)} are others")
        if replaced_regnets(state.baselines, derived_jobs(plan, configs)):
            if any(score.test_error is not None for score in state.scores.values()):
                note(
                    "the comparison with hand-designed networks stays that of the RegNets that were derived"
                    " before, since it has used the test split; names there are theirs"
                )
            else:
                store.keep("contest", {})
    elif plan.baselines is not None and not state.baselines.contenders:
        designed = hand_designed(plan)
        contenders = (*designed, *regnets(plan, state.jobs, state.scores, designed))
        store.keep("contest", Baselines(contenders).as_dict(plan, basis))
        store.keep("latencies", {})
    elif plan.baselines is not None and state.baselines.chosen is None:
        contenders = state.baselines.contenders
        tried = [(job, state.scores[job.identity]) for job in tuning_jobs(plan, contenders)]
        chosen = go_on(contenders, tried)
        ahead = {each.group or each.name for each in contenders if each.model in chosen}
        for name in dict.fromkeys(each.group or each.name for each in contenders):
            if name not in ahead:
                note(f"{name} failed at every learning rate; it has no final training")
        store.keep("contest", Baselines(contenders, chosen).as_dict(plan, basis))
    else:
        return False
    return True


def basis_of(store: "Store") -> Basis:
    """The data and the device of the trainings that count, as the last run knew them."""
    began = store.fact("changes").get("began", {})
    return Basis(began.get("data.checksum", ""), began.get("device"))


def planned_jobs(plan: Plan) -> list[Job]:
    """The trainings of every population, in the plan's order of spaces."""
    return list(_planned(replace(plan, stated=(), left_out=(), ended=())))


def walked_jobs(plan: Plan) -> list[Job]:
    """The same, of a walk (``study.walk``) as far as a space's steps did not end before."""
    ended = dict(plan.ended)
    shares: dict[str, float] = {} if len(plan.draws) > 1 else {plan.draws[0].space.name: 1.0}
    for a, b in walk_steps(plan):
        share = ended.get(b, 1.0)
        shares |= {name: max(share, shares.get(name, 0.0)) for name in (a, b)}
    return first_networks(
        plan, {draw.space.name: look_size(draw.n, shares[draw.space.name]) for draw in plan.draws}
    )


def walk_steps(plan: Plan) -> list[tuple[str, str]]:
    """The steps of a walk: to each space, from the one before it that was not left out."""
    steps, here = [], plan.draws[0].space.name
    for draw in plan.draws[1:]:
        steps.append((here, draw.space.name))
        if draw.space.name not in plan.left_out:
            here = draw.space.name
    return steps


def population_jobs(plan: Plan, store: "Store") -> list[Job]:
    """The trainings of every population, as far as a planned look did not end them (``keep_ended``)."""
    if plan.terms.walk:
        return walked_jobs(plan)
    jobs = planned_jobs(plan)
    kept = store.fact("ended") if plan.terms.sequential else {}
    return up_to(plan, kept["share"]) if kept.get("of") == _hash(jobs) else jobs


def keep_ended(plan: Plan, store: "Store", share: float) -> None:
    """Keep that the populations end at the look at this share of the planned networks."""
    store.keep("ended", {"share": share, "of": _hash(planned_jobs(plan))})


def up_to(plan: Plan, share: float) -> list[Job]:
    """The trainings of the first networks of every space: this share of the planned ones."""
    return first_networks(plan, {draw.space.name: look_size(draw.n, share) for draw in plan.draws})


def first_networks(plan: Plan, sizes: Mapping[str, int]) -> list[Job]:
    """The trainings of the first networks of these spaces, so many of each."""
    return [job for job in planned_jobs(plan) if job.index < sizes.get(job.space, 0)]


@lru_cache(maxsize=1)  # a run asks again after each of its stages, and drawing takes seconds at 100,000
def _planned(plan: Plan) -> tuple[Job, ...]:
    jobs: list[Job] = []
    for draw in plan.draws:
        drawn = sample(draw.space, draw.n, plan.template, plan.regime, plan.seed)
        laws = drawn.population.law
        for index, config in enumerate(drawn.population.configs()):
            law = tuple((name, float(values[index])) for name, values in laws.items())
            counts = drawn.complexity.row(index)
            jobs += _replicates(plan, draw.space.name, index, config, counts, _seeds(plan, index), law)
    return tuple(jobs)


def derived_jobs(plan: Plan, configs: Sequence[Config]) -> list[Job]:
    """The trainings of the derived RegNets, all with every seed: they are few."""
    return [
        job
        for index, config in enumerate(configs)
        for job in _replicates(
            plan, DERIVED, index, config, config_complexity(config, plan.template), plan.seeds
        )
    ]


def derived_facts(
    plan: Plan, population: Sequence[Job], configs: Sequence[Config], basis: Basis
) -> dict[str, object]:
    """The decision on the derived RegNets as a store keeps it, with what it follows from."""
    inputs = derive_inputs(plan, population, basis)
    return {"inputs": inputs, "configs": [config.text for config in configs]}


def _kept_derived(plan: Plan, store: "Store", population: Sequence[Job], basis: Basis) -> list[Config] | None:
    kept = store.fact("derived")
    configs = [parse_config(text) for text in kept.get("configs", ())]
    if kept and kept.get("inputs") == derive_inputs(plan, population, basis):
        return configs
    # What a version kept that hashed the population alone.
    if kept.get("population") == _hash(population) and len(configs) == plan.derived:
        return configs
    return None


def _derive(
    plan: Plan, population: Sequence[Job], scores: Mapping[str, Score], note: Callable[[str], None]
) -> list[Config]:
    from regnetlab.analysis.derive import derive_regnets  # pandas, SciPy
    from regnetlab.trials.table import trials_of

    try:
        designs = {draw.space.name: draw.space for draw in plan.draws}
        trials = replace(trials_of(population, scores), template=plan.template, designs=designs)
        found = derive_regnets(
            trials, plan.derived, plan.template, plan.regime, plan.ranges, force=plan.derive_forced
        )
    except InputError as error:
        note(f"no RegNets derived: {error}")
        return []
    if len(found) < plan.derived:
        note(f"{len(found)} of {plan.derived} RegNets derived: the law has no more in this regime")
    return found


def derive_inputs(plan: Plan, population: Sequence[Job], basis: Basis) -> str:
    """What the derived RegNets follow from: which trainings, on which data, how many are asked for, and where
    they may lie."""
    facts = [_hash(population), *basis, plan.derived, plan.regime.text, plan.ranges.text]
    facts += ["forced"] * plan.derive_forced
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]


def _hash(population: Sequence[Job]) -> str:
    return hashlib.sha256("".join(job.identity for job in population).encode()).hexdigest()[:16]


def _seeds(plan: Plan, index: int) -> int:
    """How many seeds network ``index`` of a space is trained with.

    The repeated ones are spread evenly over the indexes, and networks are drawn independently of their
    indexes: they are a random choice, which stays the same when a study is extended.
    """
    chosen = math.floor((index + 1) * plan.repeated) > math.floor(index * plan.repeated)
    return plan.seeds if chosen else 1


def _replicates(
    plan: Plan,
    space: str,
    index: int,
    config: Config,
    counts: Mapping[str, Any],
    seeds: int,
    law: tuple[tuple[str, float], ...] = (),
) -> list[Job]:
    model = config.text
    return [
        plan.job(
            model,
            training_seed(plan.seed, model, replicate),
            space=space,
            index=index,
            replicate=replicate,
            config=config,
            law=law,
            **counts,
        )
        for replicate in range(seeds)
    ]
