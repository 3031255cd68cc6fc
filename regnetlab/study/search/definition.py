"""What a search is a function of, its proposals, and the plan of one without a study."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from regnetlab.errors import InputError, unknown
from regnetlab.spaces.config import Config
from regnetlab.spaces.ranges import Ranges
from regnetlab.spaces.regime import Regime, parse_window
from regnetlab.spaces.space import DesignSpace, space_named
from regnetlab.spaces.template import SMALL, template_named
from regnetlab.study.plan import Draw, Plan
from regnetlab.training.budget import Budget, Recipe, Score
from regnetlab.trials.job import Job, training_seed

RANDOM, TPE, NSGA2 = "random", "tpe", "nsga2"
SAMPLERS = (RANDOM, TPE, NSGA2)
MOST_TRIALS = 10_000
FOLDER = Path("searches")
_SMALL_RANGES = Ranges(depth=(1, 12), width=(8, 256))
_SMALL_FLOPS, _PAPER_FLOPS = "0.8M:1.2M", "360M:400M"
"""The regimes where no window is given: studies/quick's, and one near 400 MF (Radosavovic et al. 2020,
section 3.2). Without one a search for the least error would find the largest network."""


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
class Candidate:
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
    proposal: Candidate
    score: Score


def protocol(plan: Plan, space: DesignSpace) -> str:
    """A hash of what a search in this space shares with the study's population of it.

    Space and ranges, regime, template, data, budget, recipe and the seed that training seeds derive from:
    where it is equal, the trainings of both cost and earn the same.
    """
    where = [space.lineage, space.ranges.text, plan.regime.text, plan.template.facts()]
    facts = [*where, plan.data, plan.budget.facts(), plan.recipe.facts(), plan.seed]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]


def search_job(search: Search, number: int, proposal: Candidate) -> Job:
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


def plan_alone(
    space: str,
    folder: Path = FOLDER,
    template: str = "small",
    data: str = "fashion-mnist",
    images: int | None = None,
    epochs: int = Budget().epochs,
    windows: dict[str, str] | None = None,
) -> Plan:
    """A plan whose only space is this one; ``windows`` are texts by flops, params and acts.

    Without ``images`` it is the default of budgets, or all that there are.

    Raises ``InputError`` for what can't be, and for a folder that holds a study, whose searches are its own.
    """
    if (folder / "study.toml").exists():
        raise InputError(f"{folder} holds a study", f"search with its protocol: regnetlab search {folder} …")
    shape = template_named(template)
    small = shape == SMALL
    texts = windows or {"flops": _SMALL_FLOPS if small else _PAPER_FLOPS}
    ranges = _SMALL_RANGES if small else Ranges()
    return Plan(
        name=folder.resolve().name,
        folder=folder,
        template=shape,
        data=data,
        seed=0,
        regime=Regime(**{name: parse_window(name, text) for name, text in texts.items()}, model=None),
        budget=Budget(epochs=epochs) if images is None else Budget(images, epochs),
        seeds=1,
        recipe=Recipe(),
        draws=(Draw(space_named(space).within(ranges), 1),),
        derived=0,
        images_stated=images is not None,
        adhoc=True,
    )
