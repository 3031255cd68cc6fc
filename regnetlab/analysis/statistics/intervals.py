"""Estimates with intervals: quantiles, their differences, and statistics of rows by bootstrap.

The bootstrap of a quantile needs no resampling. The k-th least of n draws from these errors is the
error at place U_(k), the k-th order statistic of n uniform numbers, which has a Beta(k, n + 1 − k)
distribution (David & Nagaraja 2003, section 2.2); so one Beta number is one bootstrap quantile, whatever n.
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy import stats

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

    def text(self, form: str = ".2f") -> str:
        """Its ends in words, such as ``12.40 to 13.90``; a dash where it has none."""
        if not math.isfinite(self.low):
            return "–"
        return f"{self.low:{form}} to {self.high:{form}}".replace("-", "−")

    @property
    def points(self) -> str:
        """A difference of errors in words, such as ``−1.20 points (95% interval −2.00 to −0.40)``."""
        known = (
            f"95% interval {self.text('+.2f')}"
            if math.isfinite(self.low)
            else "too few networks for an interval"
        )
        return f"{self.estimate:+.2f} points ({known})".replace("-", "−")


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
    """The mean with Student's t interval; without one where fewer than ``FEWEST`` values are all equal.

    With few networks and skewed errors it covers the truth more often than the bootstrap's (BCa), as
    measured: docs/calibration.md.
    """
    values = np.asarray(errors, np.float64)
    if len(values) < 2 or (len(values) < FEWEST and np.ptp(values) == 0):
        return Interval(float(values[0]), -np.inf, np.inf)
    if np.ptp(values) == 0:
        return Interval(*(float(values[0]),) * 3)
    found = stats.ttest_1samp(values, 0.0).confidence_interval(LEVEL)
    return Interval(float(values.mean()), float(found.low), float(found.high))


def welch(a: Floats, b: Floats) -> tuple[float, float]:
    """The standard error of mean(b) − mean(a), and its degrees of freedom (Welch 1947).

    A single value has no spread; where nothing varies the error is 0.
    """
    parts = [float(np.var(each, ddof=1)) / len(each) if len(each) > 1 else 0.0 for each in (a, b)]
    variance = sum(parts)
    if not variance:
        return 0.0, 1.0
    shares = [
        (part / variance) ** 2 / max(len(each) - 1, 1) for part, each in zip(parts, (a, b), strict=True)
    ]
    return math.sqrt(variance), 1 / sum(shares)


def median_scale(errors: Floats) -> float:
    """√n times the standard error of the median of n networks: what is left of n in it.

    From the distance of the two order statistics that bound the median's 95% interval (McKean & Schrader
    1984, "A comparison of methods for studentizing the sample median", Communications in Statistics B 13),
    divided by what it is for normal errors (Blom 1958). The standard deviation of bootstrap medians won't do:
    where some networks fail to learn, it is ruled by the few resamples whose median falls among these.
    Not a number with one network; 0 where all errors between the two order statistics are equal.
    """
    ordered = np.sort(np.asarray(errors, np.float64))
    n = len(ordered)
    low, spacings = _window(n)
    if not spacings:
        return math.nan
    usual = -2 * stats.norm.ppf((low + 1 - 3 / 8) / (n + 1 / 4))
    return float((ordered[low + spacings] - ordered[low]) * math.sqrt(math.pi / 2) / usual)


def median_scale_draws(errors: Floats, random: np.random.Generator, draws: int = _DRAWS) -> Floats:
    """What ``median_scale`` may truly be, shape (draws,).

    k neighbouring spacings of n uniform numbers sum to a Beta(k, n + 1 − k) number (David & Nagaraja 2003,
    section 2.5); so where the density is about level around the median, the estimate over the truth is such a
    number over its mean, whatever the distribution (Bloch & Gastwirth 1968).
    """
    n = len(errors)
    _, spacings = _window(n)
    return median_scale(errors) * spacings / (n + 1) / random.beta(spacings, n + 1 - spacings, draws)


def _window(n: int) -> tuple[int, int]:
    """Place of the lower order statistic of the median's 95% interval, and spacings up to the upper one."""
    low = max(round((n + 1) / 2 - stats.norm.ppf((1 + LEVEL) / 2) * math.sqrt(n) / 2), 1)
    return low - 1, n + 1 - 2 * low


def quantile_draws(ordered: Floats, share: float, random: np.random.Generator) -> Floats:
    """The quantile of bootstrap samples of these errors, which are in ascending order; a half is the
    median.
    """
    n = len(ordered)
    lower = (n + 1) // 2 if share == 0.5 else max(math.ceil(share * n), 1)
    places = random.beta(lower, n + 1 - lower, _DRAWS)
    drawn = ordered[np.minimum(places * n, n - 1).astype(np.int64)]
    if share != 0.5 or n % 2:
        return np.asarray(drawn)
    places += (1 - places) * random.beta(1, n - lower, _DRAWS)  # the next order statistic, given this one
    return np.asarray((drawn + ordered[np.minimum(places * n, n - 1).astype(np.int64)]) / 2)


def fewest_for(level: float, share: float = 0.5) -> int:
    """Networks without which no quantile has an interval of that level (the sign test's): all of n
    networks lie on one side of it with a chance of max(share, 1 − share)ⁿ.
    """
    return math.ceil(math.log((1 - level) / 2) / math.log(max(share, 1 - share)) - 1e-9)
