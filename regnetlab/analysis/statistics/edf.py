"""Error distributions: the empirical distribution function with its bands, plain or weighted."""

from dataclasses import dataclass

import numpy as np
from scipy import stats

from regnetlab.analysis.statistics.intervals import LEVEL
from regnetlab.errors import InputError
from regnetlab.spaces.arrays import Floats


@dataclass(frozen=True, slots=True)
class Edf:
    """Share of networks with an error of at most e, at every step (n points, ascending).

    ``margin`` is the half width of a band that holds the whole true distribution with 95%
    confidence (Dvoretzky–Kiefer–Wolfowitz with Massart's constant, 1990: √(log(2/α) / 2n)).
    ``low`` and ``high`` hold each single share with 95%: quantiles of the bootstrap's distribution of
    it, which is binomial and needs no resampling.
    """

    errors: Floats
    shares: Floats
    margin: float

    @property
    def low(self) -> Floats:
        return self._end((1 - LEVEL) / 2)

    @property
    def high(self) -> Floats:
        return self._end((1 + LEVEL) / 2)

    def _end(self, chance: float) -> Floats:
        n = len(self.errors)
        return np.asarray(stats.binom.ppf(chance, n, self.shares)) / n

    def thinned(self, points: int) -> "Edf":
        """At most so many steps, each on the curve, at equal distances of share, with both ends."""
        n = len(self.errors)
        if n <= points:
            return self
        kept = np.unique(np.linspace(0, n - 1, points).round().astype(np.int64))
        return Edf(self.errors[kept], self.shares[kept], self.margin)


def edf(errors: Floats) -> Edf:
    """The exact step function of these errors."""
    ordered = np.sort(np.asarray(errors, np.float64))
    if not len(ordered):
        raise InputError("an error distribution needs at least one network with an error")
    n = len(ordered)
    margin = float(np.sqrt(np.log(2 / (1 - LEVEL)) / (2 * n)))
    return Edf(ordered, np.arange(1, n + 1) / n, margin)


def weighted_edf(errors: Floats, weights: Floats) -> tuple[Floats, Floats]:
    """Errors of positive weight, ascending, and the share of all weight up to each."""
    used = np.flatnonzero(weights > 0)
    order = used[np.argsort(errors[used], kind="stable")]
    return errors[order], np.cumsum(weights[order]) / weights[order].sum()
