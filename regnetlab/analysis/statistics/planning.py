"""How many networks a verdict needs, with the range that a pilot leaves open.

A pilot estimates how far medians vary, and the number that follows from it is an estimate too: every other
study planned with it is too small. A study planned with an upper confidence limit of it reaches the power
that was asked for (Browne 1995, "On the use of a pilot sample for sample size determination", Statistics in
Medicine 14).
"""

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from scipy import stats

from regnetlab.analysis.statistics.differences import difference
from regnetlab.analysis.statistics.intervals import (
    FEWEST,
    LEVEL,
    median_scale,
    median_scale_draws,
)
from regnetlab.analysis.statistics.sequential import anytime_factor
from regnetlab.analysis.statistics.verdicts import BETTER, NO_WORSE, POWER, WORSE, networks_needed
from regnetlab.spaces.arrays import Floats

RANGE = 0.8
"""How often the range holds the number that is truly needed: one in ten lies above it."""

_SEED = 20200330


class Range(NamedTuple):
    """Networks in each space: an estimate and the ends of its 80% range; infinite where none is enough."""

    estimate: float
    low: float
    high: float

    @property
    def planned(self) -> int | None:
        """The upper end, which is what to plan with; ``None`` where no number can be promised."""
        return self.ends[1]

    @property
    def whole(self) -> int | None:
        """The estimate in whole networks; ``None`` where no number is enough."""
        return math.ceil(self.estimate) if math.isfinite(self.estimate) else None

    @property
    def ends(self) -> tuple[int | None, int | None]:
        """The range in whole networks."""
        low, high = (math.ceil(each) if math.isfinite(each) else None for each in (self.low, self.high))
        return low, high

    def added(self, level: float) -> "Range":
        """The same where networks are added after errors were known (``added``)."""
        return Range(*(added(each, level) for each in self))

    @property
    def words(self) -> str:
        """``about 400 networks in each space (250 to 900)``, or that no number can be promised."""
        if self.whole is None:
            return "no number of networks that can be promised"
        text = f"about {self.whole:,} networks in each space"
        if math.isfinite(self.high):
            return f"{text} ({math.ceil(self.low):,} to {math.ceil(self.high):,})"
        return f"{text} ({math.ceil(self.low):,} or more)"


def networks_range(
    a_errors: Floats, b_errors: Floats, margin: float, power: float = POWER, level: float = LEVEL
) -> Range:
    """Networks in each space for a verdict at this margin, from the errors of a pilot's networks.

    As many as ``networks_needed`` says for a gap of the margin; infinite where errors are too coarse for it.
    """
    random = np.random.default_rng(_SEED)
    spread = _Spread.of(a_errors, b_errors, random)
    return spread.range(margin, np.full(1, margin), power, level)


def networks_to_decide_ranges(
    a_errors: Floats, b_errors: Floats, margin: float, power: float = POWER, level: float = LEVEL
) -> Mapping[str, Range]:
    """For each verdict that is true where the true difference is the one found: networks in each space.

    The range reflects how uncertain the difference is, as well as the spreads. Its upper end is infinite
    where more than one in ten of the differences that may be true don't allow the verdict.

    Args:
        a_errors: Errors of at least two networks of the first space.
        b_errors: Those of the second one.
        margin: Points of error that still count as no worse.
        power: The chance of the verdict.
        level: Of the interval that the verdict is read from.
    """
    random = np.random.default_rng(_SEED)
    spread = _Spread.of(a_errors, b_errors, random)
    found = float(np.median(b_errors) - np.median(a_errors))
    drawn = difference(a_errors, b_errors).draws
    gaps = {BETTER: (-found, -drawn), NO_WORSE: (margin - found, margin - drawn), WORSE: (found, drawn)}
    true = [BETTER, NO_WORSE] if found < 0 else [NO_WORSE] if found < margin else [WORSE]
    return {claim: spread.range(*gaps[claim], power, level) for claim in true}


def added(planned: float, level: float, power: float = POWER) -> float:
    """The networks in each space that a verdict needs where they are added after errors were known.

    Its interval then holds at any number of networks (``sequential.anytime_factor``) and is wider.

    Args:
        planned: Those that it needs where they are planned from the start.
        level: Of the interval that the verdict is read from.
        power: The chance of the verdict.
    """
    beyond = stats.norm.ppf(power)
    usual = stats.norm.isf((1 - level) / 2) + beyond
    n = planned
    while math.isfinite(n):
        before, n = n, planned * ((anytime_factor(n, 1 - level) + beyond) / usual) ** 2
        if abs(n - before) < 0.5:
            break
    return float(n)


def resolution(errors: Floats) -> float:
    """The step in which errors come: the least distance of two of them where some are equal, else 0.

    Errors are shares of the images that judge, so they have one: 0.02 points with 5,000 images.
    """
    distinct = np.unique(np.round(np.asarray(errors, np.float64), 9))
    return float(np.diff(distinct).min()) if 1 < len(distinct) < len(errors) else 0.0


class _Spread(NamedTuple):
    """How far the medians of two spaces vary: their scales, what these may be, and the step of the errors."""

    scales: tuple[float, float]
    drawn: Floats  # squared scales of both, added
    step: float

    @classmethod
    def of(cls, a: Floats, b: Floats, random: np.random.Generator) -> "_Spread":
        drawn = sum(median_scale_draws(each, random) ** 2 for each in (a, b))
        scales = (median_scale(a), median_scale(b))
        return cls(scales, np.asarray(drawn), resolution(np.concatenate([a, b])))

    def range(self, gap: float, gaps: Floats, power: float, level: float) -> Range:
        """Of the gap found, and of gaps that may be the true one.

        An interval's ends fall on the errors' steps, so it must keep half a step more from the border: the
        usual correction for continuity.
        """
        half = self.step / 2
        estimate = networks_needed(self.scales, gap - half, power, level)
        clear = gaps - half
        unit = networks_needed((1.0, 0.0), 1.0, power, level)
        with np.errstate(divide="ignore"):
            drawn = np.where(clear > 0, unit * self.drawn / clear**2, np.inf)
        ends = [(1 - RANGE) / 2, (1 + RANGE) / 2]
        low, high = np.quantile(drawn, ends, method="nearest")  # no mean of a number and infinity
        return Range(*(max(float(each), FEWEST) for each in (estimate, low, high)))
