"""Jobs: which trainings a plan asks for, each with an identity that never changes.

Two jobs with the same identity are the same training, whichever space they came from; it is trained
once and counts for both.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

from regnetlab.spaces.complexity import config_complexity
from regnetlab.spaces.config import Config
from regnetlab.spaces.sampler import sample
from regnetlab.study.plan import DERIVED, Plan
from regnetlab.training.budget import Recipe


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
    jobs: list[Job] = []
    for draw in plan.draws:
        drawn = sample(draw.space, draw.n, plan.template, plan.regime, plan.seed)
        laws = drawn.population.law
        for index, config in enumerate(drawn.population.configs()):
            law = tuple((name, float(values[index])) for name, values in laws.items())
            jobs += _replicates(plan, draw.space.name, index, config, law)
    return jobs


def derived_jobs(plan: Plan, configs: Sequence[Config]) -> list[Job]:
    """The trainings of the derived RegNets."""
    return [
        job for index, config in enumerate(configs) for job in _replicates(plan, DERIVED, index, config, ())
    ]


def population_hash(jobs: Iterable[Job]) -> str:
    """What the derived RegNets depend on: which trainings the population consists of."""
    return hashlib.sha256("".join(job.identity for job in jobs).encode()).hexdigest()[:16]


def training_seed(study_seed: int, model: str, replicate: int) -> int:
    """The seed of a training, 31 bits from the study's seed and the network's text."""
    text = f"{study_seed}|{model}|{replicate}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") >> 1


def _replicates(
    plan: Plan, space: str, index: int, config: Config, law: tuple[tuple[str, float], ...]
) -> list[Job]:
    counts = config_complexity(config, plan.template)
    jobs = []
    for replicate in range(plan.seeds):
        seed = training_seed(plan.seed, config.text, replicate)
        identity = identity_of(plan, config.text, plan.recipe, seed)
        job = Job(
            space,
            index,
            replicate,
            config.text,
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
    budget = {name: value for name, value in asdict(plan.budget).items() if name != "time_limit"}
    facts = [model, asdict(plan.template), plan.data, budget, asdict(recipe), seed]
    facts += ["test"] if final else []
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:24]
