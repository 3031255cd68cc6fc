"""Where the best network of a sample lies: the empirical bootstrap of Radosavovic et al. 2020, section 3.1.

They draw a quarter of the networks many times with replacement, keep the best of each sample, and take the
2.5 to 97.5% range of its property. Of m such draws from n networks the best has rank r, counted from 0, or a
later one with chance (1 − r / n)^m: the distribution of the best is known, and nothing needs to be drawn.
"""

from dataclasses import dataclass

import numpy as np

from regnetlab.analysis.statistics.intervals import LEVEL, Interval
from regnetlab.spaces.arrays import Floats, Ints

SHARE = 0.25
"""The share of the networks in a sample."""

_LEVELS = ((1 - LEVEL) / 2, 0.5, (1 + LEVEL) / 2)
_ROUNDING = 1e-9
_PERMUTATIONS = 4_999
_SEED = 20200330


@dataclass(frozen=True, slots=True)
class Narrowness:
    """How much a band narrows a population.

    ``inside`` is the share of all networks in the band, ``by_chance`` the median of that share where errors
    say nothing about any property. ``p`` is how often any band of all the properties that are looked at is
    then as rare as this one.
    """

    inside: float
    by_chance: float
    p: float

    @property
    def informative(self) -> bool:
        return self.p <= 1 - LEVEL


def chances_of_best(errors: Floats) -> Floats:
    """The chance of each of n networks to be the best of a sample, shape (n,); equal errors share theirs."""
    n = len(errors)
    _, group, sizes = np.unique(np.asarray(errors, np.float64), return_inverse=True, return_counts=True)
    later = (1 - np.append(0, np.cumsum(sizes)) / n) ** max(1, round(SHARE * n))
    return np.asarray((-np.diff(later) / sizes)[group])


def band(values: Floats, errors: Floats) -> Interval:
    """The 2.5, 50 and 97.5% points of the value of the best network of a sample, each a network's own."""
    low, middle, high = _points(np.asarray(values, np.float64)[None], chances_of_best(errors))[:, 0].tolist()
    return Interval(middle, low, high)


def narrowness(values: Floats, errors: Floats) -> list[Narrowness]:
    """How much the band of each property narrows the population, against errors that are shuffled.

    Args:
        values: The properties of n networks, shape (n, properties).
        errors: Their errors, shape (n,).

    The same shuffles serve all properties, and the p of each counts those in which any property's band is so
    rare as its own (Westfall & Young 1993, section 2.5, single step): with errors that say nothing, no
    property at all is called informative in 95% of cases, however the properties depend on each other.
    """
    n = len(values)
    chances = chances_of_best(errors)
    order = np.argsort(-chances, kind="stable")
    order = order[
        : np.searchsorted(np.cumsum(chances[order]), 1 - _ROUNDING) + 1
    ]  # the others are never best
    random = np.random.default_rng(_SEED)
    shuffled = [random.choice(n, len(order), replace=False) for _ in range(_PERMUTATIONS)]
    rows = np.stack([order, *shuffled])
    inside = np.stack([_inside(column, rows, chances[order]) for column in values.T], axis=1)
    ranks = [np.searchsorted(np.sort(each), each, side="right") / len(rows) for each in inside.T]
    rarest = np.min(ranks, axis=0)
    return [
        Narrowness(float(shares[0]), float(np.median(shares[1:])), float(np.mean(rarest <= rank[0])))
        for shares, rank in zip(inside.T, ranks, strict=True)
    ]


def _inside(values: Floats, rows: Ints, chances: Floats) -> Floats:
    """The share of all networks in the band, where those in each of the ``rows`` have these chances."""
    ordered = np.sort(values)
    low, _, high = _points(values[rows], chances)
    above = np.searchsorted(ordered, high, side="right")
    return np.asarray((above - np.searchsorted(ordered, low, side="left")) / len(values))


def _points(values: Floats, chances: Floats) -> Floats:
    """Quantiles of the rows of values (rows, k), of which each has its chance (k,); shape (3, rows)."""
    order = np.argsort(values, axis=1, kind="stable")
    ordered, summed = np.take_along_axis(values, order, axis=1), np.cumsum(chances[order], axis=1)
    places = [np.minimum((summed < level - _ROUNDING).sum(axis=1), values.shape[1] - 1) for level in _LEVELS]
    return np.stack([np.take_along_axis(ordered, each[:, None], axis=1)[:, 0] for each in places])
