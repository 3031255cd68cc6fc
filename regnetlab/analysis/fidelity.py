"""Which budget is enough: the one that gives the largest budget's verdicts on spaces in the fewest hours.

How many networks a verdict takes at a smaller budget follows from how well it ranks the networks of a space
as the largest does. No correlation over networks says whether spaces differ from each other as they do there:
budgets at which they seem to differ otherwise are ruled out. ``statistics.budgets`` and ``budget_effects``
have the numbers, docs/fidelity.md the design.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd

from regnetlab.analysis.guessing import guessed
from regnetlab.analysis.result import Result
from regnetlab.analysis.statistics.budget_effects import LENIENT
from regnetlab.analysis.statistics.budgets import BudgetStep, Rung, judged
from regnetlab.analysis.statistics.intervals import LEVEL
from regnetlab.analysis.statistics.ladder import Measured, measured
from regnetlab.analysis.statistics.verdicts import points
from regnetlab.plain import duration
from regnetlab.spaces.arrays import Floats
from regnetlab.training.guessing import Guessing
from regnetlab.trials.terms import MARGIN


@dataclass(frozen=True, repr=False)
class Fidelity(Result):
    """All rungs, smallest first; the last is what they are judged by.

    ``errors`` by space are the networks' means at the largest budget, failures left out.
    ``best`` ranks networks with the most evidence an hour (``None`` where seeds of the largest agree by
    nothing). ``recommended`` has the most of the budgets at which the spaces differ as at the largest, and so
    the fewest hours to its verdicts. ``guess`` is what guessing earns at the largest budget.
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
        """The recommended budget where its hours to a verdict at the margin are known, else ``None``."""
        chosen = self.recommended
        return chosen if chosen is not None and math.isfinite(chosen.needed) else None

    @property
    def guessing(self) -> dict[str, Any]:
        """What guessing earns, and which spaces are not clearly better at the largest budget."""
        return guessed(self.guess, self.errors)

    def remarks(self) -> list[str]:
        """What the ladder says, in sentences that claim no more than it does."""
        best, chosen, largest = self.best, self.recommended, self.largest
        if best is None or chosen is None:
            return [f"No budget can be recommended: {self._no_ranking()}."]
        others = [each for each in self.rungs if each is not chosen and not each.differ]
        remarks = [f"Recommended: {chosen.name} images. {self._why(chosen, others)}."]
        if alike := [each.name for each in others if each.may_be_best and chosen.may_be_best]:
            remarks.append(f"So few networks can't tell it from {_listed(alike)}.")
        cheaper = [r for r in self.rungs if r.differ and r.relative.estimate > chosen.relative.estimate]
        if cheaper:
            chances = _listed([f"{each.p:.2g}" for each in cheaper if not math.isnan(each.p)], "and")
            remarks.append(
                f"{_listed([each.name for each in cheaper], 'and')} would take fewer hours, but the"
                f" differences between spaces there don't match those at {largest.name} (p"
                f" {chances or 'not known'}; ruled out below {LENIENT:g})."
            )
        if chosen is not largest and math.isfinite(chosen.unseen):
            remarks.append(
                f"A step may change by up to {chosen.unseen:.1f} standard deviations between {chosen.name}"
                f" and {largest.name} without this ladder showing it."
            )
        return remarks

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

    def _why(self, chosen: Rung, others: Sequence[Rung]) -> str:
        """What the recommended budget is chosen by, and what a verdict there takes."""
        largest = self.largest
        if not chosen.steps:
            text = f"An hour there says most about how {largest.name} ranks networks"
        elif others:
            text = f"It gives the verdicts of {largest.name} for the fewest hours"
        else:
            text = f"At no smaller budget do the differences between spaces match those at {largest.name}"
        if self.cheapest is None:
            return text
        took = duration(3600 * chosen.hours)
        text += (
            f": about {chosen.needed:,.0f} networks a space, {took} of one worker for both spaces of a step,"
            f" at a margin of {points(float(f'{chosen.margin:.2g}'))}"
        )
        if chosen is not largest:
            text += (
                f" (as many standard deviations as {points(self.margin)} at {largest.name}, where it takes"
                f" {duration(3600 * largest.hours)})"
            )
        return text


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
    sound = [rung for rung in rungs if not rung.differ]
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
        errors=ends,
        best=best,
        recommended=recommended,
        guess=guess if same else None,
    )


def _listed(names: Sequence[str], word: str = "or") -> str:
    """a, b or c."""
    return f" {word} ".join(filter(None, (", ".join(names[:-1]), names[-1])))


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
        "sd_within_spaces": rung.sd,
        "margin_scaled": rung.margin,
        "for_margin": {"n": rung.needed, "hours": rung.hours},
        "effects_differ": {"differ": rung.differ, "p": rung.p, "unseen": rung.unseen},
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
        "effect": asdict(step.effect),
        "effect_per_sqrt_hour": asdict(step.effect_per_sqrt_hour),
        "effect_change": asdict(step.effect_change),
    }
