"""What good networks look like: error against each property, and the best tenth beside the worst."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
import pandas as pd
from scipy import stats

from regnetlab.analysis.log_linear_fit import fits_of_all
from regnetlab.analysis.statistics.best_of_samples import band
from regnetlab.analysis.statistics.intervals import LEVEL, Interval
from regnetlab.analysis.statistics.partial_rank import partial_rank_correlation
from regnetlab.spaces.arrays import Floats, Ints
from regnetlab.trials.job import DERIVED
from regnetlab.trials.table import Trials, by_stages, complete, has_letter, own_parameters

PROPERTIES: Mapping[str, str] = MappingProxyType(
    {
        "flops": "flops (multiply-adds)",
        "params": "params",
        "acts": "acts",
        "depth": "depth (blocks)",
        "w0": "w₀ of the log-linear fit",
        "growth": "width growth a stage",
        "e_fit": "e_fit (distance from the law)",
        "width_ratio": "last width / first width",
        "group_width": "mean group width g",
        "bottleneck_ratio": "mean bottleneck ratio b",
    }
)
"""The properties of a network that errors are set against, and their titles."""

TENTH = 0.1


@dataclass(frozen=True, slots=True)
class Trend:
    """Error against one property over n networks.

    ``correlation`` is the rank correlation within spaces (``statistics.partial_rank``); ``None`` with too few
    networks, or where those of a space don't differ. It is taken at equal depth (``equal_depth``) unless the
    property is depth or depths are not known. ``best`` is where the best network lies: the 2.5, 50 and 97.5%
    points of the property of the best of a quarter of the networks drawn with replacement, many times (the
    empirical bootstrap of Radosavovic et al. 2020, section 3.1; their blue band).
    """

    name: str
    n: int
    correlation: Interval | None
    best: Interval
    equal_depth: bool


@dataclass(frozen=True, repr=False)
class Trends:
    """What goes with a low error.

    ``networks`` are those with an error, a space after the other, with a column for each of ``PROPERTIES``.
    ``properties`` are these with their titles, and of other blocks than X their own parameters.
    ``trends`` are of the drawn ones, a derived RegNet not among them, and of what differs between them;
    ``best`` and ``worst`` are their tenths with the least and the largest errors, as far as their widths are
    known.
    """

    networks: pd.DataFrame
    trends: tuple[Trend, ...]
    best: pd.DataFrame
    worst: pd.DataFrame
    properties: Mapping[str, str] = field(default_factory=lambda: PROPERTIES)

    def __repr__(self) -> str:
        return f"Trends({len(self.networks)} networks: {', '.join(each.name for each in self.trends)})"

    def remarks(self) -> list[str]:
        """Which properties go with a low error, of those whose interval excludes zero."""
        clear = sorted(
            (
                (each, each.correlation.estimate)
                for each in self.trends
                if each.correlation is not None and each.correlation.excludes_zero
            ),
            key=lambda pair: -abs(pair[1]),
        )
        if not clear:
            return ["No property clearly correlates with the error: every interval contains zero."]
        first, *others = [
            f"{self.properties[each.name]} ({f'{rho:+.2f}'.replace('-', '−')})" for each, rho in clear[:4]
        ]
        depth = any(each.equal_depth for each, _ in clear)
        equal = ", at equal depth except for depth itself" if depth else ""
        rest = f", then with {', '.join(others)}" if others else ""
        return [
            f"Error correlates most with {first}{rest}: rank correlations within spaces{equal}. Below zero,"
            " more goes with a lower error. Correlation is not cause: properties depend on each other, above"
            " all within a regime."
        ]

    def to_pandas(self) -> pd.DataFrame:
        """A row for each property: its rank correlation with the error, and where the best network lies."""
        return pd.DataFrame(
            [
                {"property": each.name, "n": each.n, "equal_depth": each.equal_depth}
                | {
                    f"{name}_{end}": np.nan if interval is None else getattr(interval, end)
                    for name, interval in (("correlation", each.correlation), ("best", each.best))
                    for end in ("estimate", "low", "high")
                }
                for each in self.trends
            ]
        )


def trends(trials: Trials) -> Trends:
    """Every property's trend over the networks of these trials."""
    scored = complete(trials.frame)
    names = [space for space in trials.spaces if space != DERIVED]
    ranks = {space: place for place, space in enumerate([*names, DERIVED])}
    scored = scored.sort_values("space", key=lambda spaces: spaces.map(ranks), kind="stable")
    networks = with_properties(scored.reset_index(drop=True))
    drawn = networks[networks["space"] != DERIVED]
    errors = drawn["error"].to_numpy(np.float64)
    strata = np.array([ranks[space] for space in drawn["space"]], np.int64)
    depths = drawn["depth"].to_numpy(np.float64)
    names_of = {**PROPERTIES, **{name: name for name in map(_mean_of, own_parameters(networks))}}
    found = [trend(drawn[name].to_numpy(np.float64), errors, name, strata, depths) for name in names_of]
    known = drawn[drawn["widths"].map(lambda widths: isinstance(widths, tuple)).astype(bool)]
    kept = tuple(each for each in found if each is not None)
    return Trends(networks, kept, *best_and_worst(known), names_of)


def _mean_of(name: str) -> str:
    """What the mean of a block's own parameter over the stages is called."""
    return f"mean {name}"


def with_properties(networks: pd.DataFrame) -> pd.DataFrame:
    """These networks with a column for each of ``PROPERTIES`` and of their blocks' own parameters.

    NaN where a network has none.
    """
    found = {name: np.full(len(networks), np.nan) for name in PROPERTIES}
    for name in ("flops", "params", "acts"):
        if name in networks:
            found[name] = pd.to_numeric(networks[name], errors="coerce").to_numpy(np.float64)
    for places, (widths, depths) in by_stages(networks, ("widths", "depths")):
        found["depth"][places] = depths.sum(axis=1)
        found["width_ratio"][places] = widths[:, -1] / widths[:, 0]
    for name, column in (("group_width", "group_widths"), ("bottleneck_ratio", "bottleneck_ratios")):
        if column in networks:
            for places, (_, values) in by_stages(networks, ("widths", column)):
                found[name][places] = values.mean(axis=1)
            found[name][~has_letter(networks, column[0])] = np.nan
    for name, own in own_parameters(networks).items():
        found[_mean_of(name)] = np.array([np.nan if each is None else np.mean(each) for each in own])
    fits = fits_of_all(networks)
    return networks.assign(**found | {"w0": fits.w0, "growth": fits.growth, "e_fit": fits.e_fit})


def trend(values: Floats, errors: Floats, name: str, strata: Ints, depths: Floats) -> Trend | None:
    """The trend over networks whose value is known; ``None`` with fewer than six, or all equal.

    ``strata`` has the place of each network's space, ``depths`` its blocks (NaN: not known).
    """
    known = np.isfinite(values)
    x, y = np.asarray(values, np.float64)[known], np.asarray(errors, np.float64)[known]
    if len(x) < 6 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return None
    equal_depth = name != "depth" and bool(np.isfinite(depths[known]).all())
    correlation = partial_rank_correlation(x, y, strata[known], depths[known] if equal_depth else None)
    return Trend(name, len(x), correlation, band(x, y), equal_depth)


def rank_correlation(x: Floats, y: Floats) -> Interval:
    """Spearman's correlation with an interval by Fisher's z and Bonett and Wright's variance (2000)."""
    rho = float(stats.spearmanr(x, y).statistic)
    if abs(rho) > 1 - 1e-12:
        return Interval(rho, rho, rho)
    width = stats.norm.ppf((1 + LEVEL) / 2) * np.sqrt((1 + rho**2 / 2) / (len(x) - 3))
    return Interval(rho, float(np.tanh(np.arctanh(rho) - width)), float(np.tanh(np.arctanh(rho) + width)))


def best_and_worst(networks: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The tenth with the least errors and the tenth with the largest, three networks each at least."""
    ordered = networks.sort_values("error", kind="stable")
    count = min(max(3, round(TENTH * len(ordered))), len(ordered) // 2)
    return ordered.head(count), ordered.tail(count)
