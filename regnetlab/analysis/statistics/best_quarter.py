"""Whether the best quarter of some networks differ from all of them in a property, by chance or not."""

import math
from dataclasses import dataclass

import numpy as np
from scipy import stats

from regnetlab.analysis.statistics.intervals import LEVEL, Interval
from regnetlab.spaces.arrays import Floats

BEST_SHARE = 0.25
_RESAMPLES, _FEWER_RESAMPLES = 1_000, 200
_PERMUTATIONS = 4_999
_MOST = 1_000
"""Networks above which permutations follow the normal law nearly enough, and fewer resamples do."""
_NUMBERS = 2_000_000
"""Random numbers that are held at a time."""
_SEED = 20200330


@dataclass(frozen=True, slots=True)
class BestQuarter:
    """The means of logs over the best quarter and over all of n networks.

    ``difference`` is that of their exponentials, best minus all, with a percentile bootstrap interval over
    networks, the best chosen again each time (Efron & Tibshirani 1993, section 13.3); infinite for fewer than
    twelve. ``p`` is that of the permutation test: how often errors that are shuffled among these networks
    give means that differ as much, either way; NaN for fewer than four networks.
    """

    mean: float
    mean_of_all: float
    difference: Interval
    p: float


def best_count(n: int) -> int:
    """How many of n networks are the best quarter: at least three, where there are as many."""
    return min(n, max(3, round(BEST_SHARE * n)))


def best_quarter(errors: Floats, logs: Floats) -> BestQuarter:
    """The best quarter by ``errors`` against all, in a property given as ``logs``; both of shape (n,), n ≥ 1.

    Networks whose errors are equal share the places that are left for them.
    """
    n, best = len(errors), best_count(len(errors))
    order = np.argsort(errors, kind="stable")
    ranked, values = errors[order], logs[order]
    firsts = np.flatnonzero(np.append(True, np.diff(ranked) > 0))  # of networks of equal errors
    weights = _shares(np.add.reduceat(np.ones((1, n)), firsts, axis=1), best)[0]
    weights = np.repeat(weights, np.diff(np.append(firsts, n)))
    mean, mean_of_all = float(weights @ values / best), float(values.mean())
    estimate = math.exp(mean) - math.exp(mean_of_all)
    low, high = -math.inf, math.inf
    random = np.random.default_rng(_SEED)
    if n >= _FEWEST:
        draws = []
        for size in _sizes(_RESAMPLES if n <= _MOST else _FEWER_RESAMPLES, n):
            counts = random.multinomial(n, np.full(n, 1 / n), size).astype(np.float64)
            sums = np.add.reduceat(counts * values, firsts, axis=1)
            shares = _shares(np.add.reduceat(counts, firsts, axis=1), best)
            draws.append(np.exp((shares * sums).sum(axis=1) / best) - np.exp(counts @ values / n))
        ends = np.quantile(np.concatenate(draws), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
        low, high = float(ends[0]), float(ends[1])
    return BestQuarter(
        mean, mean_of_all, Interval(estimate, low, high), _chance(weights / best, values, random)
    )


_FEWEST = 12
"""Networks without which no interval is given."""


def _shares(counts: Floats, best: int) -> Floats:
    """The share of each group that is among the ``best``; sizes of groups, the best first, (m, groups)."""
    before = np.cumsum(counts, axis=1) - counts
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(counts > 0, np.clip((best - before) / counts, 0, 1), 0.0)


def _chance(weights: Floats, values: Floats, random: np.random.Generator) -> float:
    """The two-sided p of the weighted mean under permutation of the values.

    For many networks by the combinatorial central limit theorem (Hoeffding 1951).
    """
    n = len(values)
    if n < 4 or np.ptp(values) == 0 or np.ptp(weights) == 0:
        return math.nan if n < 4 else 1.0
    found = abs(float(weights @ (values - values.mean())))
    if n > _MOST:
        spread = math.sqrt(((weights - 1 / n) ** 2).sum() * values.var() * n / (n - 1))
        return float(2 * stats.norm.sf(found / spread))
    centred = values - values.mean()
    as_far = 0
    for size in _sizes(_PERMUTATIONS, n):
        shuffled = random.permuted(np.broadcast_to(centred, (size, n)), axis=1)
        as_far += int((np.abs(shuffled @ weights) >= found * (1 - 1e-9)).sum())
    return (1 + as_far) / (1 + _PERMUTATIONS)


def _sizes(total: int, n: int) -> list[int]:
    """``total`` in parts of which each, times n, fits into the memory meant for it."""
    part = max(1, _NUMBERS // n)
    return [min(part, total - start) for start in range(0, total, part)]
