"""A search inside a space: what it is a function of, and what it has trained so far.

A search proposes networks one after another and learns from their errors, so what it trains is no random
sample of its space. Its trainings are therefore kept apart from a study's populations, in a store of their
own (``search_store``), and nothing that reads populations accepts them.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from regnetlab.errors import InputError, unknown
from regnetlab.spaces.config import Config
from regnetlab.spaces.space import DesignSpace
from regnetlab.study.plan import Plan
from regnetlab.training.budget import Score
from regnetlab.trials.job import Job, training_seed

RANDOM, TPE, NSGA2 = "random", "tpe", "nsga2"
SAMPLERS = (RANDOM, TPE, NSGA2)
MOST_TRIALS = 10_000


@dataclass(frozen=True, slots=True)
class Search:
    """``trials`` trainings proposed by one of Optuna's samplers in one space, under a plan's protocol.

    ``batch`` networks are proposed before the errors of any of them are told; for NSGA-II they are a
    generation. The batch, not the number of workers, decides what the sampler knows when, so the result
    depends on neither machine nor order of completion. A search of more trials begins with these.
    """

    plan: Plan
    space: DesignSpace
    sampler: str
    trials: int
    seed: int = 0
    batch: int = 4

    def __post_init__(self) -> None:
        if self.sampler not in SAMPLERS:
            raise unknown("sampler", self.sampler, SAMPLERS)
        if not 1 <= self.trials <= MOST_TRIALS:
            raise InputError(f"trials is {self.trials}", f"it must be between 1 and {MOST_TRIALS:,}")
        least = 2 if self.sampler == NSGA2 else 1
        if not least <= self.batch <= 1_000:
            raise InputError(f"batch is {self.batch}", f"{self.sampler} takes {least} to 1,000")

    @property
    def objectives(self) -> tuple[str, ...]:
        """What is minimised."""
        return ("error", "flops") if self.sampler == NSGA2 else ("error",)

    @property
    def protocol(self) -> str:
        return protocol(self.plan, self.space)

    @property
    def name(self) -> str:
        """The name of the Optuna study that keeps it; another protocol or batch is another study."""
        text = f"{self.protocol}|{self.sampler}|{self.seed}|{self.batch}"
        label = f"{self.plan.name}/search/{self.space.name}/{self.sampler}/{self.seed}"
        return f"{label}/{hashlib.sha256(text.encode()).hexdigest()[:8]}"


@dataclass(frozen=True, slots=True)
class Proposal:
    """A network that a sampler proposed: its parameters, and what the sampler wrote down about it."""

    params: Mapping[str, float]
    notes: Mapping[str, object]
    config: Config
    law: tuple[tuple[str, float], ...]
    counts: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Step:
    """Training ``number`` of a search, finished."""

    number: int
    proposal: Proposal
    score: Score


def protocol(plan: Plan, space: DesignSpace) -> str:
    """A hash of what a search in this space shares with the study's population of it.

    Space and ranges, regime, template, data, budget, recipe and the seed that training seeds derive from:
    where it is equal, the trainings of both cost and earn the same.
    """
    where = [space.lineage, space.ranges.text, plan.regime.text, asdict(plan.template)]
    facts = [*where, plan.data, plan.budget.facts(), plan.recipe.facts(), plan.seed]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]


def search_job(search: Search, number: int, proposal: Proposal) -> Job:
    """The training of a proposal: the same one that the network would get in the study's population."""
    plan, model = search.plan, proposal.config.text
    return plan.job(
        model,
        training_seed(plan.seed, model, 0),
        space=search.space.name,
        index=number,
        config=proposal.config,
        law=proposal.law,
        **proposal.counts,
    )
