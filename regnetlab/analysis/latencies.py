"""Latency against flops, params and acts, and the line that predicts it (docs/latency.md)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import optimize

from regnetlab.analysis.statistics.intervals import Interval
from regnetlab.analysis.trends import rank_correlation
from regnetlab.errors import InputError
from regnetlab.spaces.arrays import Floats
from regnetlab.spaces.complexity import Complexity
from regnetlab.spaces.latency import LatencyModel
from regnetlab.spaces.regime import Regime
from regnetlab.study.latencies import Place, Timed

COUNTS = ("flops", "params", "acts")
FEWEST_TO_FIT = 10
"""Networks without which no line is fitted: three coefficients, and enough left to see how wrong it is."""
_FEWEST_TO_CORRELATE = 6
_REWEIGHTED = 8


@dataclass(frozen=True, slots=True)
class Group:
    """Latencies that can be compared: one place, one batch size, one row a network.

    ``correlations`` are Spearman's of the median latency with each of ``COUNTS``; left out where all
    networks are alike or there are fewer than six.
    """

    place: Place
    batch: int
    rows: tuple[Timed, ...]
    correlations: dict[str, Interval]

    @property
    def milliseconds(self) -> Floats:
        return np.array([row.median_ms for row in self.rows], np.float64)

    @property
    def counts(self) -> Complexity:
        return Complexity(*(np.array([getattr(row, name) for row in self.rows], np.int64) for name in COUNTS))


@dataclass(frozen=True, slots=True)
class Fit:
    """A line fitted to a group. ``residuals`` are measured / predicted − 1 of every network, each predicted
    by the line through all others.
    """

    model: LatencyModel
    residuals: Floats


@dataclass(frozen=True, slots=True)
class Confirmation:
    """Measured latencies beside those that the study file's [latency] predicts: measured / predicted − 1,
    and how many lie inside the regime's window, if it has one. ``same_processor`` as the section names.
    """

    group: Group
    residuals: Floats
    inside: int | None
    same_processor: bool


def groups(rows: Sequence[Timed]) -> list[Group]:
    """The rows by place and batch size, places in order of first appearance, then by batch size."""
    places = list(dict.fromkeys(row.place for row in rows))
    return [
        _group(place, batch, [row for row in rows if row.place == place and row.batch == batch])
        for place in places
        for batch in sorted({row.batch for row in rows if row.place == place})
    ]


def fit(group: Group) -> Fit:
    """Base, flop and act ≥ 0 with the least squared relative error, for a window is missed by a share of it.

    Non-negative least squares (Lawson & Hanson 1974, chapter 23), weighted by the predicted times again and
    again: errors that grow with the mean (McCullagh & Nelder 1989, chapter 8). Weights of the measured
    times would draw the line below the slow networks.
    """
    check_enough(len(group.rows))
    counts, times = group.counts, group.milliseconds
    columns = np.column_stack([np.ones(len(times)), counts.flops, counts.acts])
    base, flop, act = (float(f"{each:.6g}") for each in _line(columns, times))
    if flop == act == 0:
        raise InputError(
            f"--fit: latencies of a batch of {group.batch} grow with neither flops nor acts here",
            "try a larger batch, or networks of more different sizes",
        )
    everyone = np.arange(len(times))
    predicted = [columns[i] @ _line(columns[everyone != i], times[everyone != i]) for i in everyone]
    model = LatencyModel(base, flop, act, group.batch, group.place.device, group.place.processor)
    return Fit(model, times / np.array(predicted) - 1)


def check_enough(networks: int) -> None:
    """Raise ``InputError`` where so many networks are too few for ``fit``."""
    if networks < FEWEST_TO_FIT:
        raise InputError(
            f"--fit needs {FEWEST_TO_FIT} networks, these are {networks}", "raise --n, or n in the study file"
        )


def confirmation(found: Sequence[Group], regime: Regime) -> Confirmation | None:
    """The measured group that the regime's model speaks of; ``None`` where there is none.

    Of several places the one with the processor that the model names.
    """
    model = regime.model
    if model is None:
        return None
    fitting = [each for each in found if (each.place.device, each.batch) == (model.device, model.batch)]
    if not fitting:
        return None
    group = max(fitting, key=lambda each: each.place.processor == model.processor)
    window = regime.latency
    times = group.milliseconds
    inside = None if window is None else int(((times >= window.low) & (times <= window.high)).sum())
    residuals = times / model.predicted(group.counts) - 1
    return Confirmation(group, residuals, inside, group.place.processor == model.processor)


def described(found: Sequence[Group]) -> list[dict[str, Any]]:
    """The groups, ready for JSON."""
    return [
        {
            "device": group.place.device,
            "processor": group.place.processor,
            "threads": group.place.threads,
            "batch": group.batch,
            "n": len(group.rows),
            "median_ms": float(np.median(group.milliseconds)),
            "correlations": {
                name: {"estimate": each.estimate, "low": each.low, "high": each.high}
                for name, each in group.correlations.items()
            },
        }
        for group in found
    ]


def described_residuals(residuals: Floats) -> dict[str, float]:
    """Quantiles of relative residuals, and the median of their absolute values."""
    low, middle, high = np.quantile(residuals, [0.05, 0.5, 0.95])
    absolute = float(np.median(np.abs(residuals)))
    return {"q05": float(low), "median": float(middle), "q95": float(high), "median_absolute": absolute}


def _group(place: Place, batch: int, rows: Sequence[Timed]) -> Group:
    different = list({row.model: row for row in rows}.values())
    times = np.array([row.median_ms for row in different])
    correlations = {}
    for name in COUNTS:
        values = np.array([getattr(row, name) for row in different], np.float64)
        if len(times) >= _FEWEST_TO_CORRELATE and np.ptp(values) > 0 and np.ptp(times) > 0:
            correlations[name] = rank_correlation(values, times)
    return Group(place, batch, tuple(rows), correlations)


def _line(columns: Floats, times: Floats) -> Floats:
    scale = np.abs(columns).max(axis=0)  # flops are a million times the constant column
    predicted = times
    for _ in range(_REWEIGHTED):
        found, _ = optimize.nnls(columns / scale / predicted[:, None], times / predicted)
        predicted = columns @ (found / scale)
    return np.asarray(found / scale)
