"""Which budget is enough: how each rung of a ladder ranks networks and spaces, and what an hour of it tells.

Two questions that have different answers. Networks: the rank correlation with the largest budget, raw and
corrected for the noise of seeds. Spaces: whether their medians differ as at the largest budget, for which no
correlation over networks vouches. ``statistics.budgets`` has the numbers, docs/fidelity.md the design.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from regnetlab.analysis.guessing import guessed
from regnetlab.analysis.result import Result
from regnetlab.analysis.statistics.budgets import (
    AGREES,
    BudgetStep,
    Rung,
    judged,
)
from regnetlab.analysis.statistics.intervals import LEVEL
from regnetlab.analysis.statistics.ladder import Measured, measured
from regnetlab.analysis.statistics.verdicts import UNDECIDED, points
from regnetlab.spaces.arrays import Floats
from regnetlab.training.guessing import Guessing
from regnetlab.trials.terms import MARGIN


@dataclass(frozen=True, repr=False)
class Fidelity(Result):
    """All rungs, smallest first; the last is what they are judged by.

    ``errors`` by space are the networks' means at the largest budget, failures left out.
    ``best`` has the most evidence an hour (``None`` where seeds of the largest agree by nothing),
    ``recommended`` the most of those that contradict no verdict of the largest. ``guess`` is what guessing
    earns at the largest budget.
    """

    spaces: tuple[str, ...]
    networks: int
    incomplete: int
    seeds: int
    margin: float
    rungs: tuple[Rung, ...]
    errors: Mapping[str, Floats]
    best: Rung | None
    recommended: Rung | None
    guess: Guessing | None = None

    def __repr__(self) -> str:
        names = ", ".join(rung.name for rung in self.rungs)
        chosen = "none" if self.recommended is None else self.recommended.name
        return f"Fidelity({self.networks} networks at {names} images; recommended: {chosen})"

    @property
    def largest(self) -> Rung:
        return self.rungs[-1]

    @property
    def candidates(self) -> list[Rung]:
        """The budgets that may well be the best one; the best itself is among them."""
        return [rung for rung in self.rungs if rung.may_be_best]

    @property
    def cheapest(self) -> Rung | None:
        """The budget with the fewest hours to a verdict at the margin; ``None`` where none can be had."""
        known = [rung for rung in self.rungs if math.isfinite(rung.needed)]
        return min(known, key=lambda rung: rung.hours) if known else None

    @property
    def guessing(self) -> dict[str, Any]:
        """What guessing earns, and which spaces are not clearly better at the largest budget."""
        return guessed(self.guess, self.errors)

    def remarks(self) -> list[str]:
        """What the ladder says, in sentences that claim no more than it does."""
        best, chosen, largest = self.best, self.recommended, self.largest
        if best is None or chosen is None:
            return [f"No budget can be recommended: {self._no_ranking()}."]
        low, high = (f"{end:,.0f}" for end in (best.evidence.low, best.evidence.high))
        text = (
            f"An hour of one worker buys the most evidence at {best.name} images: as much as"
            f" {best.evidence.estimate:,.0f} networks known at {largest.name} images without the noise of"
            f" seeds (95% interval {low} to {high})"
        )
        if best is not largest and largest.relative.estimate > 0:
            text += f", {1 / largest.relative.estimate:.1f} times what {largest.name} buy"
        remarks = [f"{text}."]
        if others := [each.name for each in self.candidates if each is not best]:
            remarks.append(f"So few networks can't tell it from {_listed(others)}.")
        if chosen is not best:
            steps = _listed([f"{step.a} → {step.b}" for step in best.contradictions])
            remarks.append(
                f"But its verdict on {steps} contradicts the one at {largest.name}; for verdicts between"
                f" spaces take {chosen.name}."
            )
        if chosen is not largest and chosen.steps:
            agreeing, open_ = (
                sum(step.agreement == kind for step in chosen.steps) for kind in (AGREES, UNDECIDED)
            )
            remarks.append(
                f"Verdicts between spaces that agree with those at {largest.name}: {agreeing} of"
                f" {len(chosen.steps)}; undecided at one of the two: {open_}."
            )
        return [*remarks, *self._margin_remarks()]

    def to_pandas(self) -> pd.DataFrame:
        """A row for each budget."""
        return pd.json_normalize([_rung(each, self.spaces) for each in self.rungs], sep="_")

    def to_json(self) -> dict[str, Any]:
        """The document of ``fidelity``, but for the study's name."""
        return {
            "networks": self.networks,
            "incomplete": self.incomplete,
            "seeds": self.seeds,
            "spaces": list(self.spaces),
            "margin": self.margin,
            "level": LEVEL,
            **self.guessing,
            "largest": self.largest.name,
            "rungs": [_rung(each, self.spaces) for each in self.rungs],
            "best": self.best.name if self.best is not None else None,
            "recommended": self.recommended.name if self.recommended is not None else None,
            "cheapest_verdict": self.cheapest.name if self.cheapest is not None else None,
            "may_be_best": [each.name for each in self.candidates] if self.best is not None else [],
            "finding": " ".join(self.remarks()),
        }

    def _no_ranking(self) -> str:
        name, reliability = self.largest.name, self.largest.within.reliability.estimate
        if math.isnan(reliability):
            return (
                f"at {name} images the networks of a space have errors too much alike to be ranked; train"
                " them for more steps"
            )
        return (
            f"two seeds at {name} images rank the networks of a space with a correlation of"
            f" {reliability:.2f}; train more networks"
        )

    def _margin_remarks(self) -> list[str]:
        """Which budget has a verdict at the margin for the fewest hours: spreads shrink as budgets grow."""
        cheapest, chosen = self.cheapest, self.recommended
        if cheapest is None:
            return []
        text = (
            f"A verdict on every step at a margin of {points(self.margin)} takes the fewest hours at"
            f" {cheapest.name} images: about {cheapest.needed:,.0f} networks a space"
        )
        if chosen is not None and chosen is not cheapest and math.isfinite(chosen.needed):
            text += f" and 1/{chosen.hours / cheapest.hours:.1f} of the hours at {chosen.name}"
        return [f"{text}."]


def fidelity(
    trainings: pd.DataFrame,
    margin: float = MARGIN,
    pairs: Sequence[tuple[str, str]] = (),
    guess: Guessing | None = None,
) -> Fidelity:
    """Judge the budgets of a ladder.

    Args:
        trainings: A row for each (``trials.csv_tables.FIDELITY``).
        margin: Points of error that still count as no worse.
        pairs: The steps to compare; by default each space with the one before it. Those with a space that
            the ladder has not are left out.
        guess: What guessing earns; it is of use where as many images judge as at the largest budget.

    Raises:
        InputError: A value can't be, or (``UnfinishedError``) there are too few trainings yet.
    """
    return judge(measured(trainings), margin, pairs, guess)


def judge(
    ladder: Measured,
    margin: float,
    pairs: Sequence[tuple[str, str]] = (),
    guess: Guessing | None = None,
) -> Fidelity:
    """``fidelity`` of arrays."""
    there = [pair for pair in pairs if set(pair) <= set(ladder.spaces)]
    steps = there or list(zip(ladder.spaces, ladder.spaces[1:], strict=False))
    rungs, place = judged(ladder, margin, steps)
    best = None if place is None else rungs[place]
    sound = [rung for rung in rungs if not rung.contradictions]
    recommended = max(sound, key=lambda rung: rung.relative.estimate) if best is not None else None
    ends = {space: ladder.means[ladder.strata == i, -1] for i, space in enumerate(ladder.spaces)}
    same = guess is not None and guess.images == ladder.budgets[-1].validation
    return Fidelity(
        spaces=ladder.spaces,
        networks=len(ladder.strata),
        incomplete=ladder.incomplete,
        seeds=ladder.errors.shape[-1],
        margin=margin,
        rungs=rungs,
        errors={space: means[~np.isnan(means)] for space, means in ends.items()},
        best=best,
        recommended=recommended,
        guess=guess if same else None,
    )


def _listed(names: Sequence[str]) -> str:
    """a, b or c."""
    return " or ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def _rung(rung: Rung, spaces: Sequence[str]) -> dict[str, Any]:
    budget = rung.budget
    return {
        "rung": rung.name,
        "images": budget.images,
        "epochs": budget.epochs,
        "batch_size": budget.batch_size,
        "validation": budget.validation,
        "steps": budget.steps,
        "failed": rung.failed,
        "seconds": asdict(rung.seconds),
        "networks_an_hour": 3600 / rung.seconds.estimate if rung.seconds.estimate > 0 else None,
        "all": asdict(rung.overall),
        "within_spaces": asdict(rung.within),
        "validity": asdict(rung.validity),
        "evidence_an_hour": asdict(rung.evidence),
        "relative": asdict(rung.relative),
        "for_margin": {"n": rung.needed, "hours": rung.hours},
        "may_be_best": rung.may_be_best,
        "medians": [
            {"space": space, **asdict(median)} for space, median in zip(spaces, rung.medians, strict=True)
        ],
        "comparisons": [_step(each) for each in rung.steps],
    }


def _step(step: BudgetStep) -> dict[str, Any]:
    return {
        "a": step.a,
        "b": step.b,
        "median_difference": step.difference.estimate,
        "interval": [step.difference.low, step.difference.high],
        "verdict": step.verdict,
        "change": step.change.estimate,
        "change_interval": [step.change.low, step.change.high],
        "agreement": step.agreement,
    }
