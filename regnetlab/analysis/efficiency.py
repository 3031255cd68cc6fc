"""Random search: how good the best of k networks of a space is, whatever k."""

from dataclasses import dataclass

import numpy as np

from regnetlab.analysis.intervals import LEVEL
from regnetlab.errors import InputError
from regnetlab.spaces.arrays import Floats, Ints


@dataclass(frozen=True, slots=True)
class Efficiency:
    """The best of k networks drawn at random, for each k.

    ``expected`` is the mean of the least error of k draws, ``low`` and ``high`` hold 95 % of such
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
    above = (1 - np.arange(n + 1) / n)[:, None] ** k  # P(least of k > i-th error), i from 0 to n
    expected = (ordered[:, None] * (above[:-1] - above[1:])).sum(axis=0)
    low, high = (_quantile(ordered, k, share) for share in ((1 - LEVEL) / 2, (1 + LEVEL) / 2))
    return Efficiency(k, expected, low, high, k * seconds / 3600)


def _quantile(ordered: Floats, k: Ints, share: float) -> Floats:
    """The error that the least of k stays below with this probability."""
    n = len(ordered)
    ranks = np.ceil(n * (1 - (1 - share) ** (1 / k)) - 1e-9).astype(np.int64)
    return np.asarray(ordered[np.clip(ranks, 1, n) - 1])
