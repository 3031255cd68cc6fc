"""Error distributions: the empirical distribution function, its band, and summaries with intervals."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import stats

from regnetlab.errors import InputError
from regnetlab.spaces.arrays import Floats

_RESAMPLES = 2_000
_SEED = 20200330
LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate and its confidence interval."""

    estimate: float
    low: float
    high: float

    @property
    def excludes_zero(self) -> bool:
        return self.low > 0 or self.high < 0


@dataclass(frozen=True, slots=True)
class Edf:
    """Share of networks with an error of at most e, at every step (n points, ascending).

    ``margin`` is the half width of a band that holds the whole true distribution with 95 %
    confidence (Dvoretzky–Kiefer–Wolfowitz with Massart's constant, 1990: √(log(2/α) / 2n)).
    """

    errors: Floats
    shares: Floats
    margin: float


def edf(errors: Floats) -> Edf:
    """The exact step function of these errors."""
    ordered = np.sort(np.asarray(errors, np.float64))
    if not len(ordered):
        raise InputError("an error distribution needs at least one network with an error")
    n = len(ordered)
    margin = float(np.sqrt(np.log(2 / (1 - LEVEL)) / (2 * n)))
    return Edf(ordered, np.arange(1, n + 1) / n, margin)


def median_interval(errors: Floats) -> Interval:
    """The median with an interval from order statistics, which holds for any distribution.

    The binomial interval of the sign test (Conover 1999, section 3.2); with fewer than six networks
    no such interval has 95 % confidence, and the whole line is returned.
    """
    ordered = np.sort(np.asarray(errors, np.float64))
    middle = float(np.median(ordered))
    rank = int(stats.binom.ppf((1 - LEVEL) / 2, len(ordered), 0.5))
    if 2 * stats.binom.cdf(rank - 1, len(ordered), 0.5) > 1 - LEVEL or rank < 1:
        return Interval(middle, -np.inf, np.inf)
    return Interval(middle, float(ordered[rank - 1]), float(ordered[-rank]))


def median_difference(a: Floats, b: Floats) -> Interval:
    """median(b) − median(a) with a percentile-bootstrap interval (Efron & Tibshirani 1993, 13.3)."""
    if min(len(a), len(b)) < 3:
        raise InputError(f"a difference needs three networks on each side; there are {len(a)}, {len(b)}")
    return _bootstrap(
        (np.asarray(a, np.float64), np.asarray(b, np.float64)),
        lambda x, y, axis: np.median(y, axis=axis) - np.median(x, axis=axis),
        paired=False,
    )


def paired_bootstrap(columns: tuple[Floats, ...], statistic: Callable[..., Floats]) -> Interval:
    """A statistic of rows of several columns, rows resampled together; ``statistic(…, axis)``."""
    return _bootstrap(columns, statistic, paired=True)


def _bootstrap(data: tuple[Floats, ...], statistic: Callable[..., Floats], paired: bool) -> Interval:
    result = stats.bootstrap(
        data,
        statistic,
        n_resamples=_RESAMPLES,
        batch=200,
        vectorized=True,
        paired=paired,
        confidence_level=LEVEL,
        method="percentile",
        rng=np.random.default_rng(_SEED),
    )
    low, high = result.confidence_interval
    return Interval(float(statistic(*data, axis=-1)), float(low), float(high))
