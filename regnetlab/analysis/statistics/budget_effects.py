"""How far spaces differ at each budget of a ladder, in standard deviations within spaces.

Points of error are no common measure: errors and their spread shrink as budgets grow, so a margin in points
is reached soonest at the largest budget, whatever it is good for. In standard deviations a step's effect is
the same at all budgets that only stretch the errors, and its z statistic grows with effect · √networks.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from regnetlab.analysis.statistics.ladder import Measured
from regnetlab.spaces.arrays import Floats, Ints, Mask

LENIENT = 0.2
"""A budget's effects are taken for other ones than the largest's where their test has a p below this. It
decides on pooling, where the miss of a difference costs more than a false alarm (Bancroft & Han 1977)."""


@dataclass(frozen=True, slots=True)
class Effects:
    """Of K steps at R budgets.

    ``sd`` (R,) is the standard deviation of single trainings within spaces. ``effects`` (K, R) are
    differences of the means of b and a over the standard deviation within the two, ``drawn`` (resamples, K,
    R) the same of resampled networks. ``p`` (R,) tests that all K effects are those at the largest budget:
    NaN at that one itself, without any step, and where a space has no spread or no networks to tell it by.
    ``unseen`` (R,) is how far the effect of some step would have to change for the test to notice it in four
    of five ladders, if it were the only one.
    """

    sd: Floats
    effects: Floats
    drawn: Floats
    p: Floats
    unseen: Floats

    @property
    def differ(self) -> Mask:
        """Where spaces seem to differ otherwise than at the largest, or nothing tells; shape (R,)."""
        steps, budgets = self.effects.shape
        found = ~(self.p >= LENIENT) if steps else np.zeros(budgets, np.bool_)
        found[-1] = False
        return found


def effects_of(measured: Measured, pairs: Sequence[tuple[str, str]], rows: Ints) -> Effects:
    """Of these pairs of spaces; ``rows`` are resampled networks (``rank_agreement.resampled``)."""
    places = [(measured.spaces.index(a), measured.spaces.index(b)) for a, b in pairs]
    means, variances = _moments(measured, np.arange(len(measured.strata))[None])
    found = _standardised(means, variances, places)[0]
    drawn = _standardised(*_moments(measured, rows), places)
    sizes = np.bincount(measured.strata, minlength=len(measured.spaces))
    sd = np.sqrt(np.average(variances[0], axis=0, weights=np.maximum(sizes - 1, 1)))
    free = len(measured.strata) - len(measured.spaces)
    tested = [_test(found, drawn, budget, free) for budget in range(len(measured.budgets))]
    return Effects(sd, found, drawn, *(np.array(each) for each in zip(*tested, strict=True)))


def _moments(measured: Measured, rows: Ints) -> tuple[Floats, Floats]:
    """Mean and variance of single trainings of each space in each sample; both (samples, spaces, R)."""
    means, variances = [], []
    for space in range(len(measured.spaces)):
        errors = measured.errors[rows[:, measured.strata == space]]  # (samples, n, R, S)
        earned = ~np.isnan(errors)
        count = earned.sum(1)
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = np.where(earned, errors, 0.0).sum(1) / count  # (samples, R, S)
            squares = (np.where(earned, errors - mean[:, None], 0.0) ** 2).sum(1)
            variances.append((squares / (count - 1)).mean(-1))
        means.append(mean.mean(-1))
    return np.stack(means, 1), np.stack(variances, 1)


def _standardised(means: Floats, variances: Floats, places: Sequence[tuple[int, int]]) -> Floats:
    """Effects (samples, K, R), NaN where nothing varies."""
    effects = np.full((len(means), len(places), means.shape[-1]), np.nan)
    for step, (a, b) in enumerate(places):
        spread = np.sqrt((variances[:, a] + variances[:, b]) / 2)
        np.divide(means[:, b] - means[:, a], spread, out=effects[:, step], where=spread > 0)
    return effects


def _test(found: Floats, drawn: Floats, budget: int, free: int) -> tuple[float, float]:
    """p of Hotelling's T² that this budget's effects are the last one's, and the least change it would see.

    The covariance of the changes is the bootstrap's, with the n/(n − 1) that it lacks; networks are the same
    at both budgets.
    """
    changes, samples = found[:, budget] - found[:, -1], drawn[..., budget] - drawn[..., -1]
    samples = samples[np.isfinite(samples).all(-1)]
    steps = len(changes)
    last = budget == found.shape[1] - 1
    if last or not steps or free <= steps or len(samples) < len(drawn) / 2 or not np.isfinite(changes).all():
        return np.nan, np.nan
    covariance = np.atleast_2d(np.cov(samples.T)) * (free + 1) / free
    rank = int(np.linalg.matrix_rank(covariance, hermitian=True))
    if not rank:
        return np.nan, np.nan
    distance = changes @ np.linalg.pinv(covariance, hermitian=True) @ changes
    p = stats.f.sf(distance * (free - rank + 1) / (free * rank), rank, free - rank + 1)
    clear = stats.norm.ppf(1 - LENIENT / 2 / rank) + stats.norm.ppf(0.8)
    return float(p), float(clear * np.sqrt(np.diagonal(covariance).max()))
