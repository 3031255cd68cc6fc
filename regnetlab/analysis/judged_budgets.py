"""Everything that ``fidelity`` answers, as one document and one sentence."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from regnetlab.analysis.fidelity import AGREES, Correlation, Fidelity, RungResult, Step, fidelity
from regnetlab.analysis.guessing import guessed
from regnetlab.analysis.ladders import read_ladder
from regnetlab.analysis.statistics.intervals import LEVEL, Interval
from regnetlab.analysis.statistics.verdicts import MARGIN, UNDECIDED, check_margin, points
from regnetlab.study.plan import Plan
from regnetlab.study.provenance import guessing_in, recorded
from regnetlab.study.results import stated_margin, study_steps
from regnetlab.training.guessing import Guessing


def study_fidelity(plan: Plan, margin: float | None = None) -> Fidelity:
    """A study's ladder, from its fidelity.csv."""
    measured = read_ladder(plan.fidelity)
    pairs = [pair for pair in study_steps(plan) if set(pair) <= set(measured.spaces)]
    return fidelity(measured, stated_margin(plan) if margin is None else check_margin(margin), pairs)


def file_fidelity(path: Path, margin: float | None = None) -> Fidelity:
    """The ladder in a fidelity.csv, each space compared with the one before it."""
    measured = read_ladder(path)
    return fidelity(measured, MARGIN if margin is None else check_margin(margin))


def described(found: Fidelity, name: str, guess: Guessing | None = None) -> dict[str, Any]:
    """The ladder, ready for JSON; ``guess`` is what guessing gives at the largest budget."""
    return {
        "study": name,
        "networks": found.networks,
        "incomplete": found.incomplete,
        "seeds": found.seeds,
        "spaces": list(found.spaces),
        "margin": found.margin,
        "level": LEVEL,
        **guessed(guess, found.errors),
        "largest": found.largest.name,
        "rungs": [_rung(each, found.spaces) for each in found.rungs],
        "best": found.best.name if found.best is not None else None,
        "recommended": found.recommended.name if found.recommended is not None else None,
        "cheapest_verdict": found.cheapest.name if found.cheapest is not None else None,
        "may_be_best": [each.name for each in found.candidates] if found.best is not None else [],
        "finding": finding(found),
    }


def study_guess(plan: Plan, found: Fidelity) -> Guessing | None:
    """What guessing gives in a study, where the largest budget is judged by as many images as the study."""
    same = found.largest.budget.validation == plan.budget.validation
    return guessing_in(recorded(plan)) if same else None


def finding(found: Fidelity) -> str:
    """What the ladder says, in sentences that claim no more than it does."""
    best, chosen, largest = found.best, found.recommended, found.largest
    if best is None or chosen is None:
        reliability = largest.within.reliability.estimate
        if math.isnan(reliability):
            return (
                f"No budget can be recommended: at {largest.name} images the networks of a space have errors"
                " too much alike to be ranked; train them for more steps."
            )
        return (
            f"No budget can be recommended: two seeds at {largest.name} images rank the networks of a space"
            f" with a correlation of {reliability:.2f}; train more networks."
        )
    low, high = (f"{end:,.0f}" for end in (best.evidence.low, best.evidence.high))
    text = (
        f"An hour of one worker buys the most evidence at {best.name} images: as much as"
        f" {best.evidence.estimate:,.0f} networks known at {largest.name} images without the noise of seeds"
        f" (95 % interval {low} to {high})"
    )
    if best is not largest and largest.relative.estimate > 0:
        text += f", {1 / largest.relative.estimate:.1f} times what {largest.name} buy"
    text += "."
    if others := [each.name for each in found.candidates if each is not best]:
        text += f" So few networks can't tell it from {_listed(others)}."
    if chosen is not best:
        steps = _listed([f"{step.a} → {step.b}" for step in best.contradictions])
        text += (
            f" But its verdict on {steps} contradicts the one at {largest.name}; for verdicts between spaces"
            f" take {chosen.name}."
        )
    if chosen is not largest and chosen.steps:
        agreeing, open_ = (
            sum(step.agreement == kind for step in chosen.steps) for kind in (AGREES, UNDECIDED)
        )
        text += (
            f" Verdicts between spaces that agree with those at {largest.name}: {agreeing} of"
            f" {len(chosen.steps)}; undecided at one of the two: {open_}."
        )
    return text + _margin_finding(found)


def _margin_finding(found: Fidelity) -> str:
    """Which budget reaches a verdict at the margin for the fewest hours: spreads shrink as budgets grow."""
    cheapest, chosen = found.cheapest, found.recommended
    if cheapest is None:
        return ""
    text = (
        f" A verdict on every step at a margin of {points(found.margin)} takes the fewest hours at"
        f" {cheapest.name} images: about {cheapest.needed:,.0f} networks a space"
    )
    if chosen is not None and chosen is not cheapest and math.isfinite(chosen.needed):
        text += f" and 1/{chosen.hours / cheapest.hours:.1f} of the hours at {chosen.name}"
    return text + "."


def _listed(names: Sequence[str]) -> str:
    """a, b or c."""
    return " or ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def _rung(rung: RungResult, spaces: Sequence[str]) -> Mapping[str, Any]:
    budget = rung.budget
    return {
        "rung": rung.name,
        "images": budget.images,
        "epochs": budget.epochs,
        "batch_size": budget.batch_size,
        "validation": budget.validation,
        "steps": budget.steps,
        "failed": rung.failed,
        "seconds": _interval(rung.seconds),
        "networks_an_hour": 3600 / rung.seconds.estimate if rung.seconds.estimate > 0 else None,
        "all": _correlation(rung.overall),
        "within_spaces": _correlation(rung.within),
        "validity": _interval(rung.validity),
        "evidence_an_hour": _interval(rung.evidence),
        "relative": _interval(rung.relative),
        "for_margin": {"n": rung.needed, "hours": rung.hours},
        "may_be_best": rung.may_be_best,
        "medians": [
            {"space": space, **_interval(median)} for space, median in zip(spaces, rung.medians, strict=True)
        ],
        "comparisons": [_step(each) for each in rung.steps],
    }


def _correlation(found: Correlation) -> dict[str, Any]:
    return {
        "reliability": _interval(found.reliability),
        "raw": _interval(found.raw),
        "corrected": _interval(found.corrected),
        "capped": found.capped,
    }


def _step(step: Step) -> dict[str, Any]:
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


def _interval(interval: Interval) -> dict[str, float]:
    return {"estimate": interval.estimate, "low": interval.low, "high": interval.high}
