"""The jobs of a study: which trainings its populations and derived RegNets are."""

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from regnetlab.spaces.complexity import config_complexity
from regnetlab.spaces.config import Config
from regnetlab.spaces.sampler import sample
from regnetlab.study.plan import Plan
from regnetlab.trials.job import DERIVED, Job, training_seed


def planned_jobs(plan: Plan) -> list[Job]:
    """The trainings of every space, in the plan's order of spaces."""
    return list(_planned(plan))


@lru_cache(maxsize=1)  # a run asks again after each of its phases, and drawing takes seconds at 100,000
def _planned(plan: Plan) -> tuple[Job, ...]:
    jobs: list[Job] = []
    for draw in plan.draws:
        drawn = sample(draw.space, draw.n, plan.template, plan.regime, plan.seed)
        laws = drawn.population.law
        for index, config in enumerate(drawn.population.configs()):
            law = tuple((name, float(values[index])) for name, values in laws.items())
            counts = drawn.complexity.row(index)
            jobs += _replicates(plan, draw.space.name, index, config, law, counts, _seeds(plan, index))
    return tuple(jobs)


def derived_jobs(plan: Plan, configs: Sequence[Config]) -> list[Job]:
    """The trainings of the derived RegNets, all with every seed: they are few."""
    jobs: list[Job] = []
    for index, config in enumerate(configs):
        counts = config_complexity(config, plan.template)
        jobs += _replicates(plan, DERIVED, index, config, (), counts, plan.seeds)
    return jobs


def population_hash(jobs: Iterable[Job]) -> str:
    """What the derived RegNets depend on: which trainings the population consists of."""
    return hashlib.sha256("".join(job.identity for job in jobs).encode()).hexdigest()[:16]


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
    law: tuple[tuple[str, float], ...],
    counts: Mapping[str, Any],
    seeds: int,
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
