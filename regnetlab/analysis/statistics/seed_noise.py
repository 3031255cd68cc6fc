"""How much of the spread of errors is between networks, and how much between seeds of one network."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from regnetlab.analysis.statistics.intervals import LEVEL, Interval
from regnetlab.spaces.arrays import Floats, Ints

_RESAMPLES = 2_000
_CELLS = 10_000_000
"""Networks times resamples: what many networks are resampled within, and a portion of it held at once."""
_SEED = 20200330


@dataclass(frozen=True, slots=True)
class SeedNoise:
    """Standard deviations in percentage points of error, over ``networks`` with two seeds or more.

    ``between`` is of networks of one space around its mean, ``seed`` of trainings of one network;
    ``agreement`` is the share of the variance of single trainings that is the networks' own (the
    intraclass correlation), which two trainings of the same networks are expected to correlate by.
    """

    networks: int
    trainings: int
    between: Interval
    seed: Interval
    agreement: Interval

    def to_json(self) -> dict[str, object]:
        return {
            "networks": self.networks,
            "trainings": self.trainings,
            "between_sd": self.between.to_json(),
            "seed_sd": self.seed.to_json(),
            "agreement": self.agreement.to_json(),
        }


def seed_noise(networks: pd.DataFrame) -> SeedNoise | None:
    """The components of variance of repeated trainings.

    ``None`` with fewer than three such networks, or where no two are of one space.

    One-way random effects within spaces, by the method of moments (Searle, Casella & McCulloch 1992,
    section 3.6); intervals are percentile bootstraps over networks.
    """
    scored = networks[networks["error"].notna()]
    groups = scored.groupby(["space", "index"], sort=False)["error"].agg(["size", "mean", "var"])
    repeated = groups[groups["size"] > 1].reset_index()
    if len(repeated) < 3 or not repeated["space"].duplicated().any():
        return None
    spaces = pd.factorize(repeated["space"])[0].astype(np.int64)
    sizes, means, variances = (repeated[name].to_numpy(np.float64) for name in ("size", "mean", "var"))
    random = np.random.default_rng(_SEED)
    everyone = np.arange(len(repeated))[None]
    resamples = int(np.clip(2 * _CELLS // len(repeated), 200, _RESAMPLES))
    estimates = _components(sizes, means, variances, spaces, everyone)
    portion = max(1, _CELLS // 10 // len(repeated))
    parts = []
    for done in range(0, resamples, portion):
        again = random.integers(len(repeated), size=(min(portion, resamples - done), len(repeated)))
        parts.append(_components(sizes, means, variances, spaces, again))
    draws = [np.concatenate(each) for each in zip(*parts, strict=True)]
    between, seed, agreement = (
        Interval(
            float(estimate[0]),
            *(float(end) for end in np.nanquantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])),
        )
        for estimate, drawn in zip(estimates, draws, strict=True)
    )
    return SeedNoise(len(repeated), int(sizes.sum()), between, seed, agreement)


def _components(
    sizes: Floats, means: Floats, variances: Floats, spaces: Ints, rows: Ints
) -> tuple[Floats, Floats, Floats]:
    """Between and seed standard deviation and the agreement, for each row of indexes of networks."""
    n, m, v, s = sizes[rows], means[rows], variances[rows], spaces[rows]
    within = ((n - 1) * v).sum(1) / (n - 1).sum(1)
    squares, effective, free = 0.0, 0.0, 0.0
    for space in range(int(spaces.max()) + 1):
        inside = n * (s == space)
        total = np.maximum(inside.sum(1), 1e-12)
        middle = (inside * m).sum(1) / total
        squares = squares + (inside * (m - middle[:, None]) ** 2).sum(1)
        effective = effective + inside.sum(1) - (inside**2).sum(1) / total
        free = free + np.maximum((inside > 0).sum(1) - 1, 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        between = np.maximum((squares - free * within) / effective, 0.0)
        agreement = between / (between + within)
    return np.sqrt(between), np.sqrt(within), agreement
