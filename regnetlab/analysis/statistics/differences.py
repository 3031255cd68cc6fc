"""The difference of two spaces in one statistic of their errors, and intervals of it.

An interval holds for one look at all networks, for planned looks, or at any time (``sequential``).
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy import stats

from regnetlab.analysis.statistics.intervals import LEVEL, Interval, fewest_for, quantile_draws, welch
from regnetlab.analysis.statistics.sequential import anytime_factor, boundaries
from regnetlab.errors import InputError
from regnetlab.spaces.arrays import Floats
from regnetlab.training.budget import WORST
from regnetlab.trials.terms import AREA, LOOKS, MEAN, MEDIAN, Q05, look_size

FIXED, SEQUENTIAL, ANYTIME = "fixed", "sequential", "anytime"
"""What an interval holds for: one look, planned looks, any time."""

SHARES = {MEDIAN: 0.5, Q05: 0.05, MEAN: 0.5, AREA: 0.5}
"""Which quantile a statistic is; a half for means."""
_FEWEST_LOOKED_AT = 10
"""Networks of each space at the first of several looks: of fewer, a standard error says little."""
_IN_TAIL = 10
"""Bootstrap draws beyond an end of an interval that is taken from them."""
_SEED = 20200330


@dataclass(frozen=True, slots=True, eq=False)
class Difference:
    """statistic(b) − statistic(a) with its standard ``error``.

    ``draws`` are bootstrap differences; for means there are none, but ``freedom`` degrees of Student's t.
    ``n`` are the networks of the smaller space, ``share`` is the quantile's (a half for the median and
    for means).
    """

    estimate: float
    error: float
    draws: Floats
    freedom: float
    n: int
    share: float

    def interval(self, level: float) -> Interval:
        """For one look: percentile bootstrap (Efron & Tibshirani 1993, section 13.3), for means Welch's t.

        It is the whole line where there are too few networks for any interval of that level.
        """
        if self.n < fewest_for(level, self.share):
            return Interval(self.estimate, -math.inf, math.inf)
        return self._with_tails((1 - level) / 2)

    def at(self, factor: float) -> Interval:
        """For one of several looks, whose boundary is so many standard errors of a normal estimate."""
        return self._with_tails(float(stats.norm.sf(factor)))

    def _with_tails(self, tail: float) -> Interval:
        """The percentile interval where the draws reach that far out; beyond, Student's t with the networks'
        degrees of freedom, since a standard error of few networks is uncertain itself.
        """
        if tail * len(self.draws) >= _IN_TAIL:
            low, high = np.quantile(self.draws, [tail, 1 - tail])
            return Interval(self.estimate, float(low), float(high))
        if tail == 0:
            return Interval(self.estimate, -math.inf, math.inf)
        freedom = self.freedom if math.isfinite(self.freedom) else self.n - 1
        reach = float(stats.t.isf(tail, freedom)) * self.error
        return Interval(self.estimate, self.estimate - reach, self.estimate + reach)


@dataclass(frozen=True, slots=True, eq=False)
class Course:
    """The errors of two spaces, failed networks at the worst, and what an interval of them has to hold for.

    ``planned`` are the networks of each that are to be trained; ``in_order`` the errors of both in the order
    of drawing up to the first network that is missing, which planned looks are at: by default ``a`` and
    ``b``.
    """

    a: Floats
    b: Floats
    planned: tuple[int, int]
    kind: str = FIXED
    in_order: tuple[Floats, Floats] | None = None

    @property
    def looks(self) -> list[tuple[int, int]]:
        """Networks of both at each planned look that has come."""
        n_a, n_b = self.planned
        sizes = [(look_size(n_a, share), look_size(n_b, share)) for share in LOOKS]
        here_a, here_b = map(len, self.in_order or (self.a, self.b))
        return [(a, b) for a, b in sizes if a <= here_a and b <= here_b]

    def factor(self, level: float) -> float | None:
        """How many standard errors an interval of all networks so far takes to each side; ``None`` for
        one look.

        Between two planned looks it is that of the earlier one, which is the wider.
        """
        if self.kind == FIXED:
            return None
        if self.kind == ANYTIME:
            return anytime_factor(2 / (1 / len(self.a) + 1 / len(self.b)), 1 - level)
        done = len(self.looks)
        return boundaries(1 - level)[done - 1] if done else math.inf

    def interval(self, found: Difference, level: float) -> Interval:
        """The interval of a difference of all networks so far; the whole line where they are too few."""
        factor = self.factor(level)
        if factor is None:
            return found.interval(level)
        if found.n < self.fewest(level, found.share):
            return Interval(found.estimate, -math.inf, math.inf)
        return found.at(factor)

    def fewest(self, level: float, share: float) -> int:
        """The networks of each space without which this quantile has no interval."""
        least = fewest_for(level, share)
        return least if self.kind == FIXED else max(_FEWEST_LOOKED_AT, least)


def difference(
    a: Floats, b: Floats, statistic: str = MEDIAN, bound: float = WORST, seed: int = _SEED
) -> Difference:
    """The difference b − a in a statistic.

    Args:
        a: Errors of the first space, failed networks at the worst.
        b: Of the second.
        statistic: ``median``, ``q05`` (the error that the best twentieth does not exceed), ``mean``, or
            ``area`` between the two distribution functions up to ``bound``, signed.
        bound: An error beyond which all are alike, such as that of guessing. Up to it the area between the
            functions is the difference of the restricted means (as of survival times; Royston & Parmar 2013).
        seed: Of the bootstrap.
    """
    first, second = (np.sort(np.asarray(each, np.float64)) for each in (a, b))
    few = min(len(first), len(second))
    if not few:
        raise InputError("a difference needs networks with errors on both sides")
    if statistic in (MEAN, AREA):
        if statistic == AREA:
            first, second = np.minimum(first, bound), np.minimum(second, bound)
        estimate = float(second.mean() - first.mean())
        error, freedom = welch(first, second)
        return Difference(estimate, error, np.empty(0), freedom, few, SHARES[statistic])
    share = SHARES[statistic]
    random = np.random.default_rng(seed)
    draws = quantile_draws(second, share, random) - quantile_draws(first, share, random)
    estimate = quantile(second, share) - quantile(first, share)
    return Difference(estimate, float(np.std(draws)), draws, math.inf, few, share)


def median_difference(a: Floats, b: Floats, level: float = LEVEL) -> Interval:
    """median(b) − median(a) for one look. How well it covers the truth is measured in docs/calibration.md."""
    return difference(a, b).interval(level)


def quantile(ordered: Floats, share: float) -> float:
    """The least of these errors, in ascending order, that ``share`` of them don't exceed; the usual
    median.
    """
    if share == 0.5:
        return float(np.median(ordered))
    return float(ordered[max(math.ceil(share * len(ordered)), 1) - 1])


def interval_of(course: Course, level: float, statistic: str = MEDIAN, bound: float = WORST) -> Interval:
    """The interval of the difference that holds for what the course is.

    At planned looks it is what the intervals of all looks so far have in common, for they hold together;
    a look that contradicts the ones before, which is one of the cases in 20, changes nothing: a verdict
    is final.
    """
    whole = difference(course.a, course.b, statistic, bound)
    if course.kind != SEQUENTIAL:
        return course.interval(whole, level)
    a, b = course.in_order or (course.a, course.b)
    enough = course.fewest(level, whole.share)
    low, high = -math.inf, math.inf
    for (n_a, n_b), factor in zip(course.looks, boundaries(1 - level), strict=False):
        if min(n_a, n_b) >= enough:
            found = difference(a[:n_a], b[:n_b], statistic, bound).at(factor)
            if max(low, found.low) > min(high, found.high):
                break
            low, high = max(low, found.low), min(high, found.high)
    return Interval(whole.estimate, low, high)
