"""Whether the best networks' widths follow the log-linear law, or only means of each stage describe them."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from regnetlab.spaces.arrays import Floats

HOLDS, FREE, OPEN = "holds", "free", "open"
_CLEAR = 2.0
"""Smaller differences of the criterion are hardly evidence (Kass & Raftery 1995)."""


@dataclass(frozen=True, slots=True)
class LawEvidence:
    """Two descriptions of the mean log widths over stages of ``n`` networks.

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
    return LawEvidence(n, float(gain), float(np.exp(np.abs(_residuals(logs.mean(axis=0))).max())))


def _residuals(means: Floats) -> Floats:
    stages = np.arange(len(means))
    slope, start = np.polyfit(stages, means, 1)
    return np.asarray(means - start - slope * stages)
