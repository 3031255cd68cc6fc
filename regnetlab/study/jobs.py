"""Jobs: which trainings a plan asks for, each with an identity that never changes.

Two jobs with the same identity are the same training, whichever space they came from; it is trained
once and counts for both.
"""

import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache

from regnetlab.spaces.complexity import config_complexity
from regnetlab.spaces.config import Config
from regnetlab.spaces.sampler import sample
from regnetlab.spaces.template import Template
from regnetlab.study.plan import DERIVED, Plan
from regnetlab.training.budget import Budget, Recipe
from regnetlab.training.folders.decode import Reading, is_folder


@dataclass(frozen=True, slots=True)
class Job:
    """One training: network ``index`` of ``space`` with training seed ``seed``.

    ``model`` is the network's text; ``replicate`` counts the seeds of one network from 0. ``config`` is
    there where the network was drawn or derived, ``law`` with the parameters that a RegNet was drawn
    from. Only a ``final`` training is judged on the test split.
    """

    space: str
    index: int
    replicate: int
    model: str
    recipe: Recipe
    seed: int
    identity: str
    flops: int
    params: int
    acts: int
    config: Config | None = None
    law: tuple[tuple[str, float], ...] = ()
    final: bool = False


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


def training_seed(study_seed: int, model: str, replicate: int) -> int:
    """The seed of a training, 31 bits from the study's seed and the network's text."""
    text = f"{study_seed}|{model}|{replicate}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") >> 1


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
    counts: Mapping[str, int],
    seeds: int,
) -> list[Job]:
    jobs = []
    model = config.text
    for replicate in range(seeds):
        seed = training_seed(plan.seed, model, replicate)
        identity = identity_of(plan, model, plan.recipe, seed)
        job = Job(
            space,
            index,
            replicate,
            model,
            plan.recipe,
            seed,
            identity,
            **counts,
            config=config,
            law=law,
            final=False,
        )
        jobs.append(job)
    return jobs


def identity_of(plan: Plan, model: str, recipe: Recipe, seed: int, final: bool = False) -> str:
    """A hash of everything that decides the errors: network, template, data, budget, recipe, seed, splits."""
    shared = _shared_facts(plan.template, plan.data, plan.reading, plan.budget, recipe)
    split = ', "test"' if final else ""
    text = f"[{json.dumps(model)}, {shared}, {seed}{split}]"
    return hashlib.sha256(text.encode()).hexdigest()[:24]


@lru_cache(maxsize=64)  # the same for all trainings of a plan with one recipe
def _shared_facts(template: Template, data: str, reading: Reading, budget: Budget, recipe: Recipe) -> str:
    """What an identity depends on beside network and seed, as JSON without its brackets."""
    images = [data, reading.fit, list(reading.colour)] if is_folder(data) else data
    return json.dumps([asdict(template), images, budget.facts(), recipe.facts()], sort_keys=True)[1:-1]
