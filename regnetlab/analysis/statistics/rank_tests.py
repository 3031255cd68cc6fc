"""Two populations by ranks: permutation tests, Holm's correction, the probability of superiority."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from regnetlab.analysis.statistics.intervals import LEVEL, Interval
from regnetlab.spaces.arrays import Floats

_PERMUTATIONS = 9_999
_PERMUTED = 2_000
"""Networks up to which labels are permuted; more have SciPy's asymptotic p, which then is the same."""
_SEED = 20200330


@dataclass(frozen=True, slots=True)
class RankTests:
    """Statistics and two-sided p-values, not corrected for the number of comparisons.

    ``ks`` is the largest difference of the two distribution functions (Kolmogorov–Smirnov),
    ``superiority`` P(error of b < error of a) + ½ P(equal), which Mann–Whitney's U tests against ½.
    """

    ks: float
    ks_p: float
    superiority: Interval
    mann_whitney_p: float
    permuted: bool


def rank_tests(a: Floats, b: Floats) -> RankTests:
    """Whether two populations of errors differ, in shape and in place."""
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    superiority = probability_of_superiority(a, b)
    if len(a) + len(b) > _PERMUTED:
        ks = stats.ks_2samp(a, b, method="asymp")
        shifted = stats.mannwhitneyu(a, b, method="asymptotic")
        return RankTests(float(ks.statistic), float(ks.pvalue), superiority, float(shifted.pvalue), False)
    pooled = np.concatenate([a, b])
    order = np.argsort(pooled, kind="stable")
    last = np.append(np.diff(pooled[order]) > 0, True)  # a step of the functions ends with its ties
    ranks = stats.rankdata(pooled)[order]
    is_a = (order < len(a)).astype(np.float64)
    distance, shift = _statistics(is_a[None], ranks, last, len(a))
    random = np.random.default_rng(_SEED)
    as_far, as_shifted = 0, 0
    for start in range(0, _PERMUTATIONS, 1_000):
        labels = np.tile(is_a, (min(1_000, _PERMUTATIONS - start), 1))
        distances, shifts = _statistics(random.permuted(labels, axis=1), ranks, last, len(a))
        as_far += int((distances >= distance - 1e-12).sum())
        as_shifted += int((shifts >= shift - 1e-9).sum())
    return RankTests(
        float(distance[0]),
        (1 + as_far) / (1 + _PERMUTATIONS),
        superiority,
        (1 + as_shifted) / (1 + _PERMUTATIONS),
        True,
    )


def probability_of_superiority(a: Floats, b: Floats) -> Interval:
    """P(error of b < error of a) + ½ P(equal): the chance that a network of b beats one of a.

    DeLong's variance (1988) on the logit scale, with Brunner and Munzel's degrees of freedom (2000).
    Where one population lies wholly below the other there is no variance; the interval then is Clopper
    and Pearson's for as many trials as the smaller has networks, which is wider than the truth.
    """
    n_a, n_b = len(a), len(b)
    ranks = stats.rankdata(np.concatenate([a, b]))
    over_b = (ranks[:n_a] - stats.rankdata(a)) / n_b  # for each of a: the share of b that beats it
    under_a = (n_a - (ranks[n_a:] - stats.rankdata(b))) / n_a
    share = float(over_b.mean())
    few = min(n_a, n_b)
    if share in (0.0, 1.0):
        reach = ((1 - LEVEL) / 2) ** (1 / few)
        return Interval(share, *((0.0, 1 - reach) if share == 0 else (reach, 1.0)))
    if few < 2 or np.ptp(over_b) == np.ptp(under_a) == 0:
        return Interval(share, 0.0, 1.0)
    parts = np.var(over_b, ddof=1) / n_a, np.var(under_a, ddof=1) / n_b
    freedom = sum(parts) ** 2 / (parts[0] ** 2 / (n_a - 1) + parts[1] ** 2 / (n_b - 1))
    width = stats.t.ppf((1 + LEVEL) / 2, freedom) * np.sqrt(sum(parts)) / (share * (1 - share))
    logit = np.log(share / (1 - share))
    low, high = (1 / (1 + np.exp(-(logit + sign * width))) for sign in (-1, 1))
    return Interval(share, float(low), float(high))


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values corrected for their number by Holm's step-down procedure (1979)."""
    corrected = [0.0] * len(p_values)
    most = 0.0
    for step, place in enumerate(np.argsort(p_values, kind="stable").tolist()):
        most = max(most, min(1.0, (len(p_values) - step) * p_values[place]))
        corrected[place] = most
    return corrected


def _statistics(is_a: Floats, ranks: Floats, last: Floats, n_a: int) -> tuple[Floats, Floats]:
    """Kolmogorov–Smirnov's distance and |rank sum − its mean| for rows of labels in ascending order."""
    n = is_a.shape[1]
    seen = np.cumsum(is_a, axis=1)[:, last]
    all_seen = np.arange(1, n + 1)[last]
    distance = np.abs(seen / n_a - (all_seen - seen) / (n - n_a)).max(axis=1)
    return distance, np.abs(is_a @ ranks - n_a * (n + 1) / 2)
