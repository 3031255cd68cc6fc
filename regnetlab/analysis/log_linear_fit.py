"""The log-linear law of one network, and whether a line describes the widths of several.

The law itself is in ``regnetlab.spaces.law``; how the widths of good networks grow in ``population_law``. A
fit is over stages; e_fit is the paper's mean over blocks of |log(predicted width / observed width)|
(Radosavovic et al. 2020, section 3.3).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from regnetlab.errors import InputError
from regnetlab.spaces.arrays import Floats
from regnetlab.spaces.law import fit_line
from regnetlab.trials.table import by_stages

ONE_STAGE = "one stage has no growth; a width law needs two stages or more"
HOLDS, FREE, OPEN = "holds", "free", "open"
_CLEAR = 2.0
"""Smaller differences of the criterion are hardly evidence (Kass & Raftery 1995)."""


@dataclass(frozen=True, slots=True)
class LogLinearFit:
    """w_i ≈ w_0 · growth^i. ``r2`` is of the log widths; NaN where all widths are equal."""

    w0: float
    growth: float
    r2: float
    e_fit: float


@dataclass(frozen=True, slots=True)
class LawEvidence:
    """Whether a line describes the mean log widths over stages of ``n`` networks.

    ``gain`` is BIC(line) − BIC(one mean per stage): below −2 the line describes them better for its fewer
    parameters, above 2 the stages' own means do. ``bend`` is, in factors of width, the largest
    departure of a stage's mean from the line.
    """

    n: int
    gain: float
    bend: float

    @property
    def answer(self) -> str:
        return HOLDS if self.gain < -_CLEAR else FREE if self.gain > _CLEAR else OPEN


@dataclass(frozen=True, slots=True)
class LogLinearFits:
    """The same of n networks at once, each of shape (n,)."""

    w0: Floats
    growth: Floats
    r2: Floats
    e_fit: Floats


def fit_log_linear(widths: Sequence[int], depths: Sequence[int]) -> LogLinearFit:
    """Least squares of log w_i on i, each stage once; e_fit is over blocks.

    Raises ``InputError`` where there is only one stage.
    """
    if len(widths) < 2:
        raise InputError(ONE_STAGE)
    fits = fit_log_linears(np.array([widths], np.float64), np.array([depths], np.float64))
    return LogLinearFit(*(float(each[0]) for each in (fits.w0, fits.growth, fits.r2, fits.e_fit)))


def fit_log_linears(widths: Floats, depths: Floats) -> LogLinearFits:
    """``fit_log_linear`` of n networks of the same number of stages, two or more; arrays (n, stages)."""
    logs = np.log(widths)
    start, slope = fit_line(logs)
    away = logs - (start[:, None] + slope[:, None] * np.arange(logs.shape[1]))
    total = ((logs - logs.mean(axis=1, keepdims=True)) ** 2).sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        r2 = np.where(total > 1e-12, 1 - (away**2).sum(axis=1) / total, np.nan)
    e_fit = (np.abs(away) * depths).sum(axis=1) / depths.sum(axis=1)
    return LogLinearFits(np.exp(start), np.exp(slope), r2, e_fit)


def fits_of_all(networks: pd.DataFrame) -> LogLinearFits:
    """The fits of all networks of a frame; NaN where one has a single stage, or no widths and depths."""
    columns = np.full((4, len(networks)), np.nan)
    for places, (widths, depths) in by_stages(networks, ("widths", "depths")):
        if widths.shape[1] > 1:
            fits = fit_log_linears(widths, depths)
            columns[:, places] = fits.w0, fits.growth, fits.r2, fits.e_fit
    return LogLinearFits(*columns)


def law_evidence(best: pd.DataFrame) -> LawEvidence | None:
    """The evidence in these networks; ``None`` with fewer than three stages or too few networks.

    Log widths of one network over its stages are one multivariate normal observation with a free
    covariance, for they depend on each other (rising widths, one regime). The likelihood ratio of a
    straight line of means is n log(1 + T² / (n − 1)) with Hotelling's T² of the second differences
    (Mardia, Kent & Bibby 1979, section 5.3), set against BIC's price of the parameters that it saves
    (Schwarz 1978).
    """
    logs = np.log(np.array(best["widths"].tolist(), np.float64))  # (n, stages)
    n, stages = logs.shape
    bends = np.diff(logs, 2, axis=1)
    if stages < 3 or n <= stages:
        return None
    covariance = np.atleast_2d(np.cov(bends, rowvar=False))
    mean = bends.mean(axis=0)
    if np.linalg.matrix_rank(covariance) < stages - 2:
        return None
    squared = n * mean @ np.linalg.solve(covariance, mean)
    gain = n * np.log1p(squared / (n - 1)) - (stages - 2) * np.log(n)
    means = logs.mean(axis=0)
    start, slope = fit_line(means[None])
    away = np.abs(means - start - slope * np.arange(stages))
    return LawEvidence(n, float(gain), float(np.exp(away.max())))
