"""Latency against flops, params and acts, and the line that predicts it (docs/latency.md)."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import optimize

from regnetlab.analysis.result import Result
from regnetlab.analysis.statistics.intervals import Interval
from regnetlab.analysis.trends import rank_correlation
from regnetlab.errors import InputError
from regnetlab.spaces.arrays import Floats
from regnetlab.spaces.complexity import Complexity
from regnetlab.spaces.latency import LatencyModel
from regnetlab.spaces.regime import Regime

COUNTS = ("flops", "params", "acts")
FEWEST_TO_FIT = 10
"""Networks without which no line is fitted: three coefficients, and enough left to see how wrong it is."""
_FEWEST_TO_CORRELATE = 6
_REWEIGHTED = 8


@dataclass(frozen=True, slots=True)
class Machine:
    """Where latencies are comparable: ``cpu`` or ``cuda``, the CPU's or GPU's name, threads on a CPU."""

    device: str
    processor: str
    threads: int

    def __str__(self) -> str:
        threads = f", {self.threads} thread{'s' * (self.threads != 1)}" if self.device == "cpu" else ""
        return f"{self.processor}{threads}"


@dataclass(frozen=True, eq=False)
class Group:
    """Latencies that can be compared: one machine, one batch size, one row a network.

    ``correlations`` are Spearman's of the median latency with each of ``COUNTS``; left out where all
    networks are alike or there are fewer than six.
    """

    machine: Machine
    batch: int
    rows: pd.DataFrame
    correlations: Mapping[str, Interval]

    @property
    def milliseconds(self) -> Floats:
        return self.rows["median_ms"].to_numpy(np.float64)

    @property
    def counts(self) -> Complexity:
        return Complexity(*(self.rows[name].to_numpy(np.int64) for name in COUNTS))


@dataclass(frozen=True, slots=True)
class Fit:
    """A line fitted to a group. ``residuals`` are measured / predicted − 1 of every network, each predicted
    by the line through all others.
    """

    model: LatencyModel
    residuals: Floats

    def to_json(self) -> dict[str, Any]:
        return {
            "batch": self.model.batch,
            "n": len(self.residuals),
            "base": self.model.base,
            "flop": self.model.flop,
            "act": self.model.act,
            "residuals": described_residuals(self.residuals),
        }


@dataclass(frozen=True, slots=True)
class Confirmation:
    """Measured latencies beside those that the study file's [latency] predicts: measured / predicted − 1,
    and how many lie inside the regime's window, if it has one. ``same_processor`` as the section names.
    """

    group: Group
    model: LatencyModel
    residuals: Floats
    window: str | None
    inside: int | None
    same_processor: bool

    def to_json(self) -> dict[str, Any]:
        return {
            "batch": self.group.batch,
            "n": len(self.group.rows),
            "residuals": described_residuals(self.residuals),
            "window": self.window,
            "inside": self.inside,
            "same_processor": self.same_processor,
            "fitted_on": self.model.processor,
        }


@dataclass(frozen=True, repr=False)
class Latency(Result):
    """How latency follows flops, params and acts.

    ``groups`` by machine, in the order of their first rows, then by batch size; ``fits`` of those on the
    machine ``here`` and with the batch sizes that were asked for; ``confirmation`` of the study's prediction,
    where it makes one.
    """

    groups: tuple[Group, ...]
    here: Machine | None = None
    batches: tuple[int, ...] = ()
    fits: tuple[Fit, ...] = ()
    confirmation: Confirmation | None = None

    def __repr__(self) -> str:
        found = (f"{len(each.rows)} networks, batch {each.batch}, {each.machine}" for each in self.groups)
        return f"Latency({'; '.join(found)})"

    @property
    def asked(self) -> list[Group]:
        """The groups of the machine and the batch sizes that were asked for."""
        return [each for each in self.groups if each.machine == self.here and each.batch in self.batches]

    @property
    def most_measured(self) -> list[Group]:
        """The groups of the machine with the most measurements."""
        sizes: dict[Machine, int] = {}
        for each in self.groups:
            sizes[each.machine] = sizes.get(each.machine, 0) + len(each.rows)
        most = max(sizes, key=lambda machine: sizes[machine], default=None)
        return [each for each in self.groups if each.machine == most]

    def remarks(self) -> list[str]:
        """How well the study's prediction holds, and how well fits predict networks that they left out."""
        remarks = []
        if (found := self.confirmation) is not None:
            middle, low, high = _quantiles(found.residuals)
            n = len(found.residuals)
            remarks.append(
                f"The study's [latency] at a batch of {found.group.batch}: measured is {middle} of predicted"
                f" in the median, {low} to {high} for 90% of {n} networks."
            )
            if found.inside is not None:
                remarks.append(f"{found.inside} of {n} measured latencies lie in the window {found.window}.")
            if not found.same_processor:
                fitted = found.model.processor or "a machine that it does not name"
                remarks.append(f"It was fitted on {fitted}, not here.")
        for each in self.fits:
            _, low, high = _quantiles(each.residuals)
            remarks.append(
                f"Fitted at a batch of {each.model.batch}: a network that the line has not seen takes {low}"
                f" to {high} of what it predicts (90% of {len(each.residuals)} networks, each left out once)."
            )
        return remarks

    def to_pandas(self) -> pd.DataFrame:
        """All rows, group by group."""
        return pd.concat([each.rows for each in self.groups], ignore_index=True)

    def to_json(self) -> dict[str, Any]:
        """The document of ``latency STUDY``, but for the study's name and the fits' text for its file."""
        machine = (
            dict.fromkeys(("device", "processor", "threads")) if self.here is None else asdict(self.here)
        )
        return {
            **machine,
            "groups": [_described(each) | {"here": each in self.asked} for each in self.groups],
            "confirmation": None if self.confirmation is None else self.confirmation.to_json(),
            "fits": [each.to_json() for each in self.fits],
        }


def latency(
    rows: pd.DataFrame,
    regime: Regime | None = None,
    here: Machine | None = None,
    batches: Sequence[int] = (),
    with_fit: bool = False,
) -> Latency:
    """Set measured latencies beside the counts of the networks, and beside what was predicted.

    Args:
        rows: A row for each network, machine and batch size (``trials.csv_tables.LATENCY``).
        regime: Where the networks lie, with the study's prediction if it makes one.
        here: The machine that is asked about; by default all.
        batches: The batch sizes that are asked about.
        with_fit: Fit lines for these.

    Raises:
        InputError: A latency can't be, or the networks can't carry a fit.
    """
    wrong = rows.loc[~((rows["median_ms"] > 0) & (rows["median_ms"] < 1e9)), "median_ms"]
    if len(wrong):
        raise InputError(f"median_ms is {wrong.iloc[0]:g}", "it must be above 0; measure again")
    found = groups(rows)
    own = [each for each in found if each.machine == here]
    return Latency(
        groups=tuple(found),
        here=here,
        batches=tuple(batches),
        fits=tuple(fit(each) for each in own if each.batch in batches) if with_fit else (),
        confirmation=None if regime is None else confirmation(own or found, regime),
    )


def groups(rows: pd.DataFrame) -> list[Group]:
    """The rows by machine, in order of first appearance, then by batch size."""
    return [
        _group(same)
        for _, own in rows.groupby(["device", "processor", "threads"], sort=False)
        for _, same in own.groupby("batch")
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
    model = LatencyModel(base, flop, act, group.batch, group.machine.device, group.machine.processor)
    return Fit(model, times / np.array(predicted) - 1)


def check_enough(networks: int) -> None:
    """Raise ``InputError`` where so many networks are too few for ``fit``."""
    if networks < FEWEST_TO_FIT:
        raise InputError(
            f"--fit needs {FEWEST_TO_FIT} networks, and there are {networks}",
            "raise --n, or n in the study file",
        )


def confirmation(found: Sequence[Group], regime: Regime) -> Confirmation | None:
    """The measured group that the regime's model speaks of; ``None`` where there is none.

    Of several machines the one with the processor that the model names.
    """
    model = regime.model
    if model is None:
        return None
    fitting = [each for each in found if (each.machine.device, each.batch) == (model.device, model.batch)]
    if not fitting:
        return None
    group = max(fitting, key=lambda each: each.machine.processor == model.processor)
    window = regime.latency
    times = group.milliseconds
    inside = None if window is None else int(((times >= window.low) & (times <= window.high)).sum())
    residuals = times / model.predicted(group.counts) - 1
    same = group.machine.processor == model.processor
    return Confirmation(group, model, residuals, None if window is None else window.text, inside, same)


def described_residuals(residuals: Floats) -> dict[str, float]:
    """Quantiles of relative residuals, and the median of their absolute values."""
    low, middle, high = np.quantile(residuals, [0.05, 0.5, 0.95])
    absolute = float(np.median(np.abs(residuals)))
    return {"q05": float(low), "median": float(middle), "q95": float(high), "median_absolute": absolute}


def _described(group: Group) -> dict[str, Any]:
    return {
        **asdict(group.machine),
        "batch": group.batch,
        "n": len(group.rows),
        "median_ms": float(np.median(group.milliseconds)),
        "correlations": {name: asdict(each) for name, each in group.correlations.items()},
    }


def _quantiles(residuals: Floats) -> tuple[str, str, str]:
    """Median, 5% and 95% points of measured / predicted."""
    found = described_residuals(residuals)
    middle, low, high = (f"{100 * (1 + found[name]):.0f}%" for name in ("median", "q05", "q95"))
    return middle, low, high


def _group(rows: pd.DataFrame) -> Group:
    first = rows.iloc[0]
    machine = Machine(first["device"], first["processor"], int(first["threads"]))
    different = rows.drop_duplicates("model", keep="last")
    times = different["median_ms"].to_numpy(np.float64)
    correlations = {}
    for name in COUNTS:
        values = different[name].to_numpy(np.float64)
        if len(times) >= _FEWEST_TO_CORRELATE and np.ptp(values) > 0 and np.ptp(times) > 0:
            correlations[name] = rank_correlation(values, times)
    return Group(machine, int(first["batch"]), rows, correlations)


def _line(columns: Floats, times: Floats) -> Floats:
    scale = np.abs(columns).max(axis=0)  # flops are a million times the constant column
    predicted = times
    for _ in range(_REWEIGHTED):
        found, _ = optimize.nnls(columns / scale / predicted[:, None], times / predicted)
        predicted = columns @ (found / scale)
    return np.asarray(found / scale)
