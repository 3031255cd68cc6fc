"""Estimates with intervals: quantiles, their differences, and statistics of rows by bootstrap.

The bootstrap of a quantile needs no resampling. The k-th least of n draws from these errors is the
error at place U_(k), the k-th order statistic of n uniform numbers, which has a Beta(k, n + 1 − k)
distribution (David & Nagaraja 2003, section 2.2); so one Beta number is one bootstrap quantile, whatever n.
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy import stats

from regnetlab.errors import InputError
from regnetlab.spaces.arrays import Floats

LEVEL = 0.95
FEWEST = 6
"""Networks without which no median has a 95% interval: 2 · ½ⁿ > 5% below (the sign test's)."""

_DRAWS = 20_000
_SEED = 20200330


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate and its confidence interval."""

    estimate: float
    low: float
    high: float

    @property
    def excludes_zero(self) -> bool:
        return self.low > 0 or self.high < 0

    @property
    def ends(self) -> list[float]:
        return [self.low, self.high]

    def to_json(self) -> dict[str, float]:
        return {"estimate": self.estimate, "low": self.low, "high": self.high}

    @property
    def points(self) -> str:
        """A difference of errors in words, such as ``−1.20 points (95% interval −2.00 to −0.40)``."""
        text = f"{self.estimate:+.2f} points (95% interval {self.low:+.2f} to {self.high:+.2f})"
        if not math.isfinite(self.low):
            text = f"{self.estimate:+.2f} points (too few networks for an interval)"
        return text.replace("-", "−")


def quantile_interval(errors: Floats, share: float = 0.5) -> Interval:
    """The least error that ``share`` of the networks don't exceed (a half: the median), and where it lies.

    The interval is from order statistics and holds for any distribution (Conover 1999, section 3.2);
    an end beyond the networks' own range is infinite.
    """
    ordered = np.sort(np.asarray(errors, np.float64))
    n = len(ordered)
    middle = np.median(ordered) if share == 0.5 else ordered[max(int(np.ceil(share * n)), 1) - 1]
    below = int(stats.binom.ppf((1 - LEVEL) / 2, n, share))
    if stats.binom.cdf(below, n, share) > (1 - LEVEL) / 2:
        below -= 1
    above = int(stats.binom.ppf((1 + LEVEL) / 2, n, share))
    low = float(ordered[below]) if below >= 0 else -np.inf
    high = float(ordered[above]) if above < n else np.inf
    return Interval(float(middle), low, high)


def mean_interval(errors: Floats) -> Interval:
    """The mean with Student's t interval.

    With few networks and skewed errors it covers the truth more often than the bootstrap's (BCa), as
    measured: docs/calibration.md.
    """
    values = np.asarray(errors, np.float64)
    if len(values) < 2:
        return Interval(float(values[0]), -np.inf, np.inf)
    if np.ptp(values) == 0:
        return Interval(*(float(values[0]),) * 3)
    found = stats.ttest_1samp(values, 0.0).confidence_interval(LEVEL)
    return Interval(float(values.mean()), float(found.low), float(found.high))


def median_difference(a: Floats, b: Floats, level: float = LEVEL) -> Interval:
    """median(b) − median(a) with a percentile-bootstrap interval (Efron & Tibshirani 1993, section 13.3).

    With fewer than six networks on a side the interval is the whole line. How well it covers the truth
    is measured in docs/calibration.md.
    """
    first, second = (np.sort(np.asarray(each, np.float64)) for each in (a, b))
    if not min(len(first), len(second)):
        raise InputError("a difference needs networks with errors on both sides")
    estimate = float(np.median(second) - np.median(first))
    if min(len(first), len(second)) < FEWEST:
        return Interval(estimate, -np.inf, np.inf)
    random = np.random.default_rng(_SEED)
    draws = _medians(second, random) - _medians(first, random)
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
    return Interval(estimate, float(low), float(high))


def median_scale(errors: Floats) -> float:
    """√n times the standard error of the median of n networks, by bootstrap: what is left of n in it."""
    ordered = np.sort(np.asarray(errors, np.float64))
    return float(np.std(_medians(ordered, np.random.default_rng(_SEED))) * np.sqrt(len(ordered)))


def _medians(ordered: Floats, random: np.random.Generator) -> Floats:
    """Medians of bootstrap samples of these errors, which are in ascending order."""
    n = len(ordered)
    lower = (n + 1) // 2
    places = random.beta(lower, n + 1 - lower, _DRAWS)
    medians = ordered[np.minimum(places * n, n - 1).astype(np.int64)]
    if n % 2:
        return np.asarray(medians)
    places += (1 - places) * random.beta(1, n - lower, _DRAWS)  # the next order statistic, given this one
    return np.asarray((medians + ordered[np.minimum(places * n, n - 1).astype(np.int64)]) / 2)
