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


@dataclass(frozen=True, slots=True)
class Job:
    """One training: network ``index`` of ``space`` with training seed ``seed``.

    ``replicate`` counts the seeds of one network from 0; ``law`` holds the parameters that a RegNet
    was drawn from.
    """

    space: str
    index: int
    replicate: int
    config: Config
    seed: int
    identity: str
    flops: int
    params: int
    acts: int
    law: tuple[tuple[str, float], ...] = ()


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


def training_seed(study_seed: int, config: Config, replicate: int) -> int:
    """The seed of a training, 31 bits from the study's seed and the network's identity."""
    text = f"{study_seed}|{config.text}|{replicate}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") >> 1


def _replicates(
    plan: Plan, space: str, index: int, config: Config, law: tuple[tuple[str, float], ...]
) -> list[Job]:
    counts = config_complexity(config, plan.template)
    jobs = []
    for replicate in range(plan.seeds):
        seed = training_seed(plan.seed, config, replicate)
        identity = _identity(plan, config, seed)
        jobs.append(Job(space, index, replicate, config, seed, identity, **counts, law=law))
    return jobs


def _identity(plan: Plan, config: Config, seed: int) -> str:
    """A hash of everything that decides the error: network, template, data, budget, recipe, seed."""
    budget = {name: value for name, value in asdict(plan.budget).items() if name != "time_limit"}
    facts = [config.text, asdict(plan.template), plan.data, budget, asdict(plan.recipe), seed]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:24]
