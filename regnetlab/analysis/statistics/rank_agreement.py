"""How well a cheap budget ranks networks as the dearest one does, and what an hour of it tells.

The arrays here hold errors of n networks at R budgets with S seeds each; statistics are computed for many
resamples of the networks at once. Why these statistics: docs/fidelity.md.
"""

from dataclasses import dataclass

import numpy as np
from scipy import stats

from regnetlab.spaces.arrays import Floats, Ints

RESAMPLES = 2_000
_SEED = 20200330
_AT_ONCE = 250  # resamples that are ranked together: some 100 MB at most


@dataclass(frozen=True, slots=True)
class Agreement:
    """Rank correlations of budgets with the last one, each of shape (…, R).

    ``reliability`` is between two seeds of one budget, ``raw`` between single trainings of both
    budgets with different seeds, ``corrected`` is ``raw`` / √(both reliabilities): what it would be
    without the noise of seeds (Spearman 1904, the correction for attenuation; exact for linear
    correlations, near enough for ranks). ``validity`` is how one training here correlates with what the
    last budget would say without that noise: ``raw`` / √(reliability of the last), both first made linear
    correlations (``linear``). What can't be had, because seeds agree by nothing, is NaN; nothing is capped.
    """

    reliability: Floats
    raw: Floats
    corrected: Floats
    validity: Floats


def agreement(errors: Floats, strata: Ints) -> Agreement:
    """From errors of shape (…, n, R, S); ranks are taken within each stratum, which has one number a network.

    A network's two trainings at different budgets with the same seed begin with the same weights, so
    only pairs of different seeds count.
    """
    budgets, seeds = errors.shape[-2:]
    flat = errors.reshape(*errors.shape[:-2], budgets * seeds)
    matrix = _rank_correlations(flat, strata).reshape(*errors.shape[:-3], budgets, seeds, budgets, seeds)
    different = ~np.eye(seeds, dtype=np.bool_)
    crossed = np.moveaxis(matrix, -3, -2)[..., different].mean(-1)  # (…, R, R)
    reliability = np.diagonal(crossed, axis1=-2, axis2=-1)
    raw = crossed[..., -1]
    own = _root(reliability)
    sizes = np.unique(strata, return_counts=True)[1]
    validity = linear(raw, sizes) / _root(linear(reliability[..., -1:], sizes))
    return Agreement(reliability, raw, raw / (own * own[..., -1:]), validity)


def linear(rank_correlation: Floats, sizes: Ints) -> Floats:
    """The correlation of normal variables whose rank correlation within strata of these sizes is this one.

    From its expectation in samples of n, 6 (asin ρ + (n − 2) asin(ρ/2)) / (π (n + 1)) (Moran 1948), which
    is nearer to zero than ρ, the more so the fewer networks; strata count by their sizes.
    """
    rho = np.linspace(-1, 1, 2_001)
    counts = sizes[:, None].astype(np.float64)
    expected = 6 * (np.arcsin(rho) + (counts - 2) * np.arcsin(rho / 2)) / (np.pi * (counts + 1))
    return np.interp(rank_correlation, np.average(expected, axis=0, weights=sizes), rho)


def evidence(validity: Floats, seconds: Floats) -> Floats:
    """What an hour of single trainings tells, in networks known at the last budget without seed noise.

    3600 / seconds · validity². A comparison of means or medians through a measure that correlates ρ with
    the one meant needs 1 / ρ² times as many networks for the same power: its asymptotic relative
    efficiency (Lehmann 1999, section 3.4; the same rule in genetics, Pritchard & Przeworski 2001).
    A budget that ranks backwards tells nothing, and none more than everything.
    """
    return np.asarray(3600 / seconds * np.clip(validity, 0.0, 1.0) ** 2)


def resampled(strata: Ints, resamples: int = RESAMPLES) -> Ints:
    """Rows of networks drawn again, as many of each stratum as it has; shape (resamples, n)."""
    random = np.random.default_rng(_SEED)
    rows = np.empty((resamples, len(strata)), np.int64)
    for each in np.unique(strata):
        own = np.flatnonzero(strata == each)
        rows[:, own] = own[random.integers(len(own), size=(resamples, len(own)))]
    return rows


def resampled_agreement(errors: Floats, strata: Ints, rows: Ints) -> Agreement:
    """``agreement`` of each row of networks; networks of a stratum are replaced by its own."""
    parts = [
        agreement(errors[rows[start : start + _AT_ONCE]], strata) for start in range(0, len(rows), _AT_ONCE)
    ]
    names = ("reliability", "raw", "corrected", "validity")
    return Agreement(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


def _root(correlation: Floats) -> Floats:
    """Its square root, NaN where there is none or nothing but rounding."""
    with np.errstate(invalid="ignore"):
        return np.asarray(np.sqrt(np.where(correlation > 1e-9, correlation, np.nan)))


def _rank_correlations(columns: Floats, strata: Ints) -> Floats:
    """Spearman's correlation of all pairs of columns (…, n, K) within strata, pooled; shape (…, K, K).

    Ranks are centred in each stratum and divided by its size, so each counts by its number of networks.
    """
    centred = np.empty_like(columns)
    for each in np.unique(strata):
        own = np.flatnonzero(strata == each)
        ranks = stats.rankdata(columns[..., own, :], axis=-2)
        centred[..., own, :] = (ranks - (len(own) + 1) / 2) / len(own)
    products = np.swapaxes(centred, -1, -2) @ centred
    norms = np.sqrt(np.diagonal(products, axis1=-2, axis2=-1))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(products / (norms[..., :, None] * norms[..., None, :]))
