"""What each budget of a ladder is good for, in numbers: rankings, evidence an hour, and medians of spaces.

The formulas are in ``rank_agreement``; docs/fidelity.md has the design.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from regnetlab.analysis.statistics.budget_effects import Effects, effects_of
from regnetlab.analysis.statistics.differences import difference
from regnetlab.analysis.statistics.intervals import (
    FEWEST,
    LEVEL,
    Interval,
    median_scale,
    quantile_interval,
)
from regnetlab.analysis.statistics.ladder import Measured
from regnetlab.analysis.statistics.rank_agreement import (
    Agreement,
    agreement,
    evidence,
    resampled,
    resampled_agreement,
)
from regnetlab.analysis.statistics.verdicts import (
    BETTER,
    NO_WORSE,
    UNDECIDED,
    held_together,
    networks_needed,
    verdict,
)
from regnetlab.spaces.arrays import Floats, Ints, Mask
from regnetlab.training.budget import Budget

AGREES, CONTRADICTS = "agrees", "contradicts"


@dataclass(frozen=True, slots=True)
class Correlation:
    """A rank correlation with the largest budget; ``capped`` where the corrected one came out above 1."""

    reliability: Interval
    raw: Interval
    corrected: Interval
    capped: bool


@dataclass(frozen=True, slots=True)
class BudgetStep:
    """Space ``b`` against ``a`` at one budget: median(b) − median(a) in points, failed networks at 100%.

    ``change`` is that difference less the one at the largest budget, over the same networks.
    ``verdict`` has the budget's own margin, and holds together with those on all other steps.
    ``agreement`` of the two verdicts: *contradicts* where one says worse and the other not, *undecided* where
    one of them is. ``effect`` is mean(b) − mean(a) over the standard deviation of single trainings within the
    two, ``effect_per_sqrt_hour`` that times √networks an hour, by which a z statistic grows, and
    ``effect_change`` the effect less the one at the largest budget.
    """

    a: str
    b: str
    difference: Interval
    verdict: str
    change: Interval
    agreement: str
    effect: Interval
    effect_per_sqrt_hour: Interval
    effect_change: Interval


@dataclass(frozen=True, slots=True)
class Rung:
    """What one budget is good for.

    ``sd`` is the standard deviation of single trainings within spaces, and ``margin`` the one stated for the
    largest budget times sd here over sd there. ``needed`` networks of each space give 80% power for the
    largest budget's verdict on the step with the widest spread: as many as there, more or fewer by how well
    the networks of a space are ranked here. ``differ``: the steps' effects don't seem to be those of the
    largest budget (``p``); a change below ``unseen`` would hardly be noticed.

    ``overall`` ranks all networks together, ``within`` those of each space, which is what evidence rests
    on: ``validity`` and ``evidence`` an hour (``agreement``), and ``relative``, that evidence over that of
    the budget that has most. ``may_be_best`` unless the resamples rule it out. ``medians`` are in the
    order of spaces.
    """

    name: str
    budget: Budget
    failed: int
    seconds: Interval
    overall: Correlation
    within: Correlation
    validity: Interval
    evidence: Interval
    relative: Interval
    may_be_best: bool
    medians: tuple[Interval, ...]
    steps: tuple[BudgetStep, ...]
    needed: float
    sd: float
    margin: float
    differ: bool
    p: float
    unseen: float

    @property
    def hours(self) -> float:
        """Hours of one worker for both spaces of the step that needs the most networks."""
        return 2 * self.needed * self.seconds.estimate / 3600


def judged(
    measured: Measured, margin: float, steps: Sequence[tuple[str, str]]
) -> tuple[tuple[Rung, ...], int | None]:
    """Every rung, and the place of the one with the most evidence an hour.

    That is ``None`` where seeds of the largest agree by nothing.
    """
    rows = resampled(measured.strata)
    errors, everyone = measured.with_failures, np.zeros_like(measured.strata)
    overall = agreement(errors, everyone), resampled_agreement(errors, everyone, rows)
    within = agreement(errors, measured.strata), resampled_agreement(errors, measured.strata, rows)
    seconds = measured.seconds.mean(-1)  # (n, R)
    mean, means = seconds.mean(0), seconds[rows].mean(1)
    hourly = evidence(within[0].validity, mean), evidence(within[1].validity, means)
    place, possible, relative = _best(within, mean, means)
    effects = effects_of(measured, steps, rows)
    with np.errstate(invalid="ignore", divide="ignore"):
        margins = margin * effects.sd / effects.sd[-1]
        # Of the largest budget's verdict. Its reliability cancels, as in ``relative``.
        times = np.where(within[0].raw > 0, (within[0].raw[-1] / within[0].raw) ** 2, np.nan)
    compared = _steps(measured, margins, steps, rows, effects, (mean, means))
    needed = _needed(measured, margin, steps)
    rungs = tuple(
        Rung(
            name=name,
            budget=measured.budgets[r],
            failed=int(np.isnan(measured.errors[:, r]).sum()),
            seconds=_interval(mean[r], means[:, r]),
            overall=_correlation(*overall, r),
            within=_correlation(*within, r),
            validity=_capped(_interval(within[0].validity[r], within[1].validity[:, r])),
            evidence=_interval(hourly[0][r], hourly[1][:, r], 0.0, float(3600 / mean[r])),
            relative=relative[r],
            may_be_best=bool(possible[r]),
            medians=tuple(_median(measured, r, space) for space in range(len(measured.spaces))),
            steps=tuple(compared[r]),
            needed=float(needed * times[r]),
            sd=float(effects.sd[r]),
            margin=float(margins[r]),
            differ=bool(effects.differ[r]),
            p=float(effects.p[r]),
            unseen=float(effects.unseen[r]),
        )
        for r, name in enumerate(measured.names)
    )
    return rungs, place


def _best(
    within: tuple[Agreement, Agreement], seconds: Floats, means: Floats
) -> tuple[int | None, Mask, list[Interval]]:
    """The rung with the most evidence an hour, which may be it, and every rung's share of its evidence.

    The largest budget's reliability cancels in a share. A rung may be best unless fewer resamples than
    2.5% over the number of others put it at or above the best (Bonferroni).
    """
    gains = np.maximum(within[0].raw, 0.0) ** 2 / seconds
    drawn = np.nan_to_num(np.maximum(within[1].raw, 0.0)) ** 2 / means
    if not np.isfinite(within[0].validity).all() or not np.nanmax(gains) > 0:
        nothing = Interval(np.nan, np.nan, np.nan)
        return None, np.ones(len(gains), np.bool_), [nothing] * len(gains)
    place = int(np.argmax(gains))
    beats = (drawn >= drawn[:, [place]]).mean(0)
    possible = beats >= (1 - LEVEL) / 2 / max(len(gains) - 1, 1)
    ratios = drawn / np.where(drawn[:, [place]] > 0, drawn[:, [place]], np.nan)
    shares = [_interval(gains[r] / gains[place], ratios[:, r], 0.0, np.inf) for r in range(len(gains))]
    return place, possible, shares


def _steps(
    measured: Measured,
    margins: Floats,
    pairs: Sequence[tuple[str, str]],
    rows: Ints,
    effects: Effects,
    seconds: tuple[Floats, Floats],
) -> list[list[BudgetStep]]:
    """Every step at every rung."""
    means = measured.means
    resampled_means = means[rows]  # (resamples, n, R)
    found: list[list[BudgetStep]] = [[] for _ in measured.budgets]
    rates = tuple(np.sqrt(3600 / each) for each in seconds)  # (R,) and (resamples, R)
    level = held_together(len(pairs))
    for k, (a, b) in enumerate(pairs):
        sides = [measured.strata == measured.spaces.index(name) for name in (a, b)]
        few = min(int(side.sum()) for side in sides) < FEWEST
        differences = [
            difference(means[sides[0], r], means[sides[1], r]) for r in range(len(measured.budgets))
        ]
        verdicts = [
            verdict(each.interval(level), own) if np.isfinite(own) else UNDECIDED
            for each, own in zip(differences, margins, strict=True)
        ]
        medians = [np.median(resampled_means[:, side], axis=1) for side in sides]
        drawn = medians[1] - medians[0]
        for r, steps in enumerate(found):
            change = differences[r].estimate - differences[-1].estimate
            moved = drawn[:, r] - drawn[:, -1]
            interval = Interval(change, -np.inf, np.inf) if few else _interval(change, moved)
            agrees = _agreement(verdicts[r], verdicts[-1])
            effect, samples = effects.effects[k], effects.drawn[:, k]
            in_sd = (
                (effect[r], samples[:, r]),
                (effect[r] * rates[0][r], samples[:, r] * rates[1][:, r]),
                (effect[r] - effect[-1], samples[:, r] - samples[:, -1]),
            )
            standard = (_interval(*each, -np.inf, np.inf) for each in in_sd)
            found_here = differences[r].interval(LEVEL)
            steps.append(BudgetStep(a, b, found_here, verdicts[r], interval, agrees, *standard))
    return found


def _needed(measured: Measured, margin: float, pairs: Sequence[tuple[str, str]]) -> float:
    """Networks of each space for a verdict on every step at the largest budget (``networks_needed``)."""
    scales = {}
    for place, space in enumerate(measured.spaces):
        errors = measured.with_failures[measured.strata == place, -1, 0]
        scale = median_scale(errors) if len(errors) >= FEWEST else math.nan
        scales[space] = scale if scale > 0 else math.nan  # of errors mostly equal: it is not known
    level = held_together(len(pairs))
    needed = [networks_needed((scales[a], scales[b]), margin, level=level) for a, b in pairs]
    return max(needed) if needed and np.isfinite(needed).all() else math.nan


def _agreement(here: str, there: str) -> str:
    if UNDECIDED in (here, there):
        return UNDECIDED
    good = (BETTER, NO_WORSE)
    return AGREES if (here in good) == (there in good) else CONTRADICTS


def _median(measured: Measured, rung: int, space: int) -> Interval:
    return quantile_interval(measured.means[measured.strata == space, rung])


def _correlation(found: Agreement, drawn: Agreement, rung: int) -> Correlation:
    corrected = _interval(found.corrected[rung], drawn.corrected[:, rung])
    return Correlation(
        _interval(found.reliability[rung], drawn.reliability[:, rung]),
        _interval(found.raw[rung], drawn.raw[:, rung]),
        _capped(corrected),
        bool(corrected.estimate > 1 + 1e-9),
    )


def _capped(interval: Interval) -> Interval:
    return Interval(*(min(each, 1.0) for each in (interval.estimate, interval.low, interval.high)))


def _interval(estimate: float, drawn: Floats, least: float = -1.0, most: float = 1.0) -> Interval:
    """A percentile interval; a resample without a value counts as the least at the low end and the most at
    the high one, for it may be anything.
    """
    unknown = np.isnan(drawn)
    low = np.quantile(np.where(unknown, least, drawn), (1 - LEVEL) / 2, method="lower")
    high = np.quantile(np.where(unknown, most, drawn), (1 + LEVEL) / 2, method="higher")
    return Interval(float(estimate), float(low), float(high))
