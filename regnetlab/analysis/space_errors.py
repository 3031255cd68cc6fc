"""The errors of a space's networks, and what they say of the space: quantiles, mean, learning."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd

from regnetlab.analysis.guessing import has_learned
from regnetlab.analysis.statistics.edf import edf
from regnetlab.analysis.statistics.intervals import Interval, mean_interval, quantile_interval
from regnetlab.errors import InputError
from regnetlab.spaces.arrays import Floats, Ints
from regnetlab.training.budget import WORST
from regnetlab.training.guessing import Guessing
from regnetlab.trials.job import DERIVED
from regnetlab.trials.table import incomplete, judged, spaces_of

COMPLEXITIES = ("flops", "params", "acts", "depth", "latency")
"""What spaces are compared at equal values of. Depth is the number of blocks, on which errors depend most
where budgets are short; latency the milliseconds for one image, where a study has measured them."""
LATENCY = COMPLEXITIES[-1]


@dataclass(frozen=True, slots=True)
class SpaceErrors:
    """The errors of one space's networks (several seeds of one averaged), and how many earned none.

    ``incomplete`` are those of files that were stopped before their end; they have not failed.
    ``complexity`` has a column for each of ``COMPLEXITIES`` that is known of every network, and ``indexes``
    their numbers in the order of drawing: those with an error first, (n,), then the failed ones.
    """

    space: str
    errors: Floats
    failed: int
    complexity: Mapping[str, Floats]
    indexes: Ints
    incomplete: int = 0

    @property
    def with_failures(self) -> Floats:
        """The errors with every failed network at the worst one."""
        return np.append(self.errors, np.full(self.failed, WORST))

    @property
    def as_drawn(self) -> Floats:
        """``with_failures`` in the order of drawing, up to the first network that is missing."""
        order = np.argsort(self.indexes, kind="stable")
        whole = self.indexes[order] == np.arange(len(order))
        return np.asarray(self.with_failures[order][np.cumprod(whole).astype(bool)])


@dataclass(frozen=True, slots=True)
class SpaceSummary:
    """One space in numbers, failed networks at the worst error; ``least`` is of those that earned one.

    ``n`` earned an error, ``failed`` did not. ``q05`` is the error that the best twentieth does not
    exceed. ``band`` is the half width of the band that holds the whole true distribution, a share.
    ``learned`` says whether the space is clearly better than guessing, where that is known.
    """

    space: str
    n: int
    failed: int
    incomplete: int
    least: float
    q05: Interval
    median: Interval
    mean: Interval
    band: float
    learned: bool | None

    def to_json(self) -> dict[str, object]:
        return {
            "space": self.space,
            "n": self.n,
            "failed": self.failed,
            "incomplete": self.incomplete,
            "min": self.least,
            "q05": self.q05.to_json(),
            "median": self.median.to_json(),
            "mean": self.mean.to_json(),
            "band": self.band,
            "learned": self.learned,
        }


def space_errors(networks: pd.DataFrame) -> list[SpaceErrors]:
    """The errors of every space in these trainings, in the order of the spaces; not of derived RegNets."""
    found, stopped = judged(networks), incomplete(networks)
    return [
        _space_errors(space, found[found["space"] == space], int((stopped["space"] == space).sum()))
        for space in spaces_of(networks)
        if space != DERIVED
    ]


def summary(found: SpaceErrors, guess: Guessing | None = None) -> SpaceSummary:
    """One space's errors in numbers; raises ``InputError`` where no network has one."""
    errors = found.with_failures
    if not len(found.errors):
        raise InputError(f"no network of {found.space} has an error")
    return SpaceSummary(
        found.space,
        len(found.errors),
        found.failed,
        found.incomplete,
        float(errors.min()),
        quantile_interval(errors, 0.05),
        quantile_interval(errors),
        mean_interval(errors),
        edf(errors).margin,
        has_learned(errors, guess),
    )


def paired(
    found: Sequence[SpaceErrors], steps: Sequence[tuple[str, str]]
) -> list[tuple[SpaceErrors, SpaceErrors]]:
    """The steps between these spaces; without any stated, from every space to the next one."""
    by_name = {each.space: each for each in found}
    named = steps or list(pairwise(by_name))
    return [(by_name[a], by_name[b]) for a, b in named if a in by_name and b in by_name]


def _space_errors(space: str, networks: pd.DataFrame, stopped: int) -> SpaceErrors:
    """``networks`` of the space as they are judged, and how many more were ``stopped``."""
    earned = networks["earned"].to_numpy(bool)
    every = pd.concat([networks[earned], networks[~earned]])
    depths = every["depths"].map(lambda each: sum(each) if isinstance(each, tuple) else np.nan)
    every = every.assign(depth=depths.astype(np.float64))
    if LATENCY in every:  # which a file may have as texts
        every[LATENCY] = pd.to_numeric(every[LATENCY], errors="coerce").astype(np.float64)
    known = [name for name in COMPLEXITIES if name in every and earned.any() and every[name].notna().all()]
    return SpaceErrors(
        space,
        networks.loc[earned, "error"].to_numpy(np.float64),
        int((~earned).sum()),
        {name: every[name].to_numpy(np.float64) for name in known},
        every["index"].to_numpy(np.int64),
        stopped,
    )
