"""The width law backwards: from networks to the parameters of both its notations.

Forwards it is ``regnetlab.spaces.law``, where the notations are explained. Per network: the
log-linear fit over stages, and the quantized-linear fit over blocks with the paper's
e_fit = mean over blocks of |log(predicted width / observed width)| (Radosavovic et al. 2020, section
3.3). Over a population: the law that its best networks share.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from regnetlab.analysis.intervals import Interval, paired_bootstrap
from regnetlab.errors import InputError
from regnetlab.spaces.arrays import Floats
from regnetlab.spaces.law import fit_line

BEST_SHARE = 0.25
"""The share of a population whose law is fitted: its best quarter."""
FEWEST = 12
"""Networks that a population needs for a law: fewer leave less than three in its best quarter."""


@dataclass(frozen=True, slots=True)
class LogLinearFit:
    """w_i ≈ w_0 · growth^i. ``r2`` is of the log widths; NaN where all widths are equal."""

    w0: float
    growth: float
    r2: float
    e_fit: float


@dataclass(frozen=True, slots=True)
class PopulationLaw:
    """The law of the ``n_best`` best of ``n`` networks.

    ``w0`` and ``growth`` are geometric means over those networks, with bootstrap intervals in which
    the choice of the best is made anew each time; ``r2`` is the share of the variance of all their
    log widths that the one common line explains, ``median_r2`` the median of the networks' own.
    ``depth_growth`` is the same for stage depths, ``depth`` the median number of blocks.
    """

    n: int
    n_best: int
    w0: Interval
    growth: Interval
    r2: float
    median_r2: float
    depth_growth: float
    depth: float
    best: pd.DataFrame


def fit_log_linear(widths: Sequence[int], depths: Sequence[int]) -> LogLinearFit:
    """Least squares of log w_i on i, each stage once; e_fit is over blocks.

    Raises ``InputError`` where there is only one stage.
    """
    if len(widths) < 2:
        raise InputError("one stage has no growth; a width law needs two stages or more")
    logs = np.log(np.asarray(widths, np.float64))
    start, slope = fit_line(logs)
    predicted = start + slope * np.arange(len(logs))
    total = float(((logs - logs.mean()) ** 2).sum())
    residual = float(((logs - predicted) ** 2).sum())
    return LogLinearFit(
        w0=math.exp(start),
        growth=math.exp(slope),
        r2=1 - residual / total if total > 1e-12 else math.nan,
        e_fit=float(np.average(np.abs(logs - predicted), weights=np.asarray(depths))),
    )


def population_law(networks: pd.DataFrame) -> PopulationLaw:
    """The law of the best quarter of these networks, all with errors and of two stages or more.

    Raises ``InputError`` that says why where they can't carry one.
    """
    n = len(networks)
    if n < FEWEST:
        raise InputError(
            f"{n} networks with errors are too few for a law of the best quarter; it needs {FEWEST}"
        )
    stages = networks["widths"].map(len)
    if stages.min() < 2 or stages.nunique() > 1:
        raise InputError(
            f"the networks have {stages.min()} to {stages.max()} stages; a law over a population needs"
            " the same number in each, two or more"
        )
    widths = np.log(np.array(networks["widths"].tolist(), np.float64))  # (n, stages)
    depths = np.log(np.array(networks["depths"].tolist(), np.float64))
    if np.ptp(widths, axis=1).max() == 0:
        raise InputError("every network has equal widths in all its stages; there is no growth to fit")
    errors = networks["error"].to_numpy(np.float64)
    starts, slopes = fit_line(widths)
    chosen = np.argsort(errors, kind="stable")[: _count_best(n)]
    best = networks.iloc[chosen]

    predicted = starts[chosen].mean() + slopes[chosen].mean() * np.arange(widths.shape[1])
    observed = widths[chosen]
    spread = ((observed - observed.mean()) ** 2).sum()
    fits = [fit_log_linear(w, d) for w, d in zip(best["widths"], best["depths"], strict=True)]
    return PopulationLaw(
        n=n,
        n_best=len(chosen),
        w0=_exponential(paired_bootstrap((errors, starts), _mean_of_best)),
        growth=_exponential(paired_bootstrap((errors, slopes), _mean_of_best)),
        r2=float(1 - ((observed - predicted) ** 2).sum() / spread) if spread > 0 else math.nan,
        median_r2=float(np.nanmedian([fit.r2 for fit in fits])),
        depth_growth=math.exp(float(fit_line(depths[chosen])[1].mean())),
        depth=float(np.median([sum(each) for each in best["depths"]])),
        best=best,
    )


def _count_best(n: int) -> int:
    return max(3, round(BEST_SHARE * n))


def _mean_of_best(errors: Floats, values: Floats, axis: int = -1) -> Floats:
    """Mean of ``values`` over the rows with the least errors, along the last axis."""
    order = np.argsort(errors, axis=axis, kind="stable")
    best = np.take(order, np.arange(_count_best(errors.shape[axis])), axis=axis)
    return np.asarray(np.take_along_axis(values, best, axis=axis).mean(axis=axis))


def _exponential(interval: Interval) -> Interval:
    return Interval(*(math.exp(each) for each in (interval.estimate, interval.low, interval.high)))
