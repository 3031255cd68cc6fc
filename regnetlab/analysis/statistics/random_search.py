"""Random search: how good the best of k networks of a space is, whatever k."""

from dataclasses import dataclass

import numpy as np

from regnetlab.analysis.statistics.intervals import LEVEL
from regnetlab.analysis.statistics.verdicts import BETTER, UNDECIDED, WORSE
from regnetlab.errors import InputError
from regnetlab.spaces.arrays import Floats, Ints


@dataclass(frozen=True, slots=True)
class Efficiency:
    """The best of k networks drawn at random, for each k.

    ``expected`` is the mean of the least error of k draws, ``low`` and ``high`` hold 95% of such
    searches (not the uncertainty of the mean). ``hours`` is what k trainings took.
    """

    k: Ints
    expected: Floats
    low: Floats
    high: Floats
    hours: Floats


def random_search(errors: Floats, seconds: float = float("nan"), most: int | None = None) -> Efficiency:
    """From one population's errors, for k up to their number (Radosavovic et al. 2019, section 5.3).

    Exact over the empirical distribution: the least of k draws exceeds the i-th of n errors with
    probability (1 − i/n)^k. ``seconds`` are those of one training.
    """
    ordered = np.sort(np.asarray(errors, np.float64))
    n = len(ordered)
    if not n:
        raise InputError("a random search needs at least one network with an error")
    k = np.unique(np.geomspace(1, min(most or n, n), 60).round().astype(np.int64))
    above = _above(n, k)
    expected = _expected(ordered, above)
    low, high = (_quantile(ordered, k, share) for share in ((1 - LEVEL) / 2, (1 + LEVEL) / 2))
    return Efficiency(k, expected, low, high, k * seconds / 3600)


@dataclass(frozen=True, slots=True)
class AtRandom:
    """What a random search of ``k`` trainings finds in a population of ``n``: see ``Efficiency``.

    ``as_good`` is the chance that another random search of k is as good as the error that was asked about,
    ``as_bad`` that it is as bad. They are exact whatever the distribution: if m of the n errors are below
    that one, k further draws of the same kind have at most m of them below their least with probability
    1 − Π (n − i) / (n + k − i), i from 0 to m (the ranks of exchangeable numbers). With few networks it stays
    far from 0: a sample's own least error is no bound for the next sample's.
    """

    n: int
    k: int
    expected: float
    low: float
    high: float
    as_good: float
    as_bad: float

    @property
    def verdict(self) -> str:
        """A claim only where chance alone is as good, or as bad, in at most 2.5% of cases."""
        tail = (1 - LEVEL) / 2
        return BETTER if self.as_good <= tail else WORSE if self.as_bad <= tail else UNDECIDED

    @property
    def text(self) -> str:
        """What a random search finds, and how often it is as good."""
        good = self.as_good
        chance = "under 1%" if good < 0.01 else "over 99%" if good > 0.99 else f"{100 * good:.0f}%"
        least = (
            f", the least that {self.n} networks can show"
            if good <= self.k / (self.n + self.k) + 1e-9
            else ""
        )
        return (
            f"{self.expected:.2f}% on average (95% of such draws: {self.low:.2f} to {self.high:.2f});"
            f" by ranks, another random search of {self.k} is as good with a chance of {chance}{least}."
        )


def best_at_random(errors: Floats, k: int, error: float) -> AtRandom:
    """The best of exactly ``k`` draws from these errors, against an ``error`` found at the same cost.

    Raises ``InputError`` for more draws than there are errors: a sample does not say how much better
    the best of a larger one would be.
    """
    ordered = np.sort(np.asarray(errors, np.float64))
    n = len(ordered)
    if not 1 <= k <= n:
        raise InputError(f"the best of {k} can't be told from {n} networks")
    draws = np.array([k], np.int64)
    expected = float(_expected(ordered, _above(n, draws))[0])
    low, high = (float(_quantile(ordered, draws, share)[0]) for share in ((1 - LEVEL) / 2, (1 + LEVEL) / 2))
    as_good = 1 - _with_below(n, k, int((ordered < error).sum()) + 1)
    as_bad = _with_below(n, k, int((ordered <= error).sum()))
    return AtRandom(n, k, expected, low, high, as_good, as_bad)


def _with_below(n: int, k: int, m: int) -> float:
    """The chance that at least m of n exchangeable numbers are below all of k others."""
    places = np.arange(m)
    return float(np.prod((n - places) / (n + k - places)))


def _above(n: int, k: Ints) -> Floats:
    """P(least of k draws > i-th of n errors) for i from 0 to n, of shape (n + 1, len(k))."""
    return np.asarray((1 - np.arange(n + 1) / n)[:, None] ** k)


def _expected(ordered: Floats, above: Floats) -> Floats:
    """The mean of the least: what is surely reached, and each further gap with the chance of reaching it.

    Rising gaps instead of weighted errors, so that equal errors give just that error.
    """
    return np.asarray(ordered[0] + (np.diff(ordered)[:, None] * above[1:-1]).sum(axis=0))


def _quantile(ordered: Floats, k: Ints, share: float) -> Floats:
    """The error that the least of k stays below with this probability."""
    n = len(ordered)
    ranks = np.ceil(n * (1 - (1 - share) ** (1 / k)) - 1e-9).astype(np.int64)
    return np.asarray(ordered[np.clip(ranks, 1, n) - 1])
