"""The report's part on baselines: hand-designed networks beside drawn networks and derived RegNets."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from regnetlab.analysis.baselines import BaselineComparison
from regnetlab.analysis.statistics.pareto import pareto_front
from regnetlab.analysis.statistics.verdicts import UNDECIDED
from regnetlab.analysis.tuned_networks import Spread, TunedNetwork
from regnetlab.models.families import without_forms
from regnetlab.report.findings import Finding
from regnetlab.report.style import log_axis, scatter_type, style, title
from regnetlab.spaces.regime import format_count
from regnetlab.trials.job import DERIVED

BASELINE_COLUMNS = (
    ("network", False),
    ("test error %", True),
    ("validation %", True),
    ("tuning %", True),
    ("learning rate", True),
    ("flops", True),
    ("params", True),
    ("acts", True),
    ("train s", True),
    ("ms, 1", True),
    ("ms, 256", True),
    ("family", False),
)
"""Columns of the table and whether each holds numbers."""

_ERROR_TICKS = [1, 2, 3, 4, 5, 7, 10, 15, 20, 25, 30, 40, 50, 60, 80, 100]
_CLOUD = "#9aa6b2"
_BASELINE = "#0072B2"
_FRONT = "#AA4499"


def baseline_findings(found: BaselineComparison) -> list[Finding]:
    """Who wins at which compute, with the interval, or why nothing is compared."""
    notes = [Finding("measured", note) for note in found.notes]
    if found.reason:
        return [Finding(UNDECIDED, found.reason), *notes]
    return [
        *(Finding(each.verdict, each.text, tuple(each.remarks())) for each in found.matches),
        *(Finding(UNDECIDED, sentence) for sentence in found.withheld),
        *notes,
    ]


def baselines_figure(
    scored: pd.DataFrame, found: BaselineComparison, single: pd.DataFrame | None = None
) -> go.Figure:
    """Validation error against flops: drawn networks, the derived RegNets, the tuned networks, the front.

    ``single`` are the networks drawn as points, all of them where not said otherwise.
    """
    figure = go.Figure()
    points = scored if single is None else single
    drawn = points[points["space"] != DERIVED]
    figure.add_trace(
        scatter_type(len(drawn))(
            x=drawn["flops"].tolist(),
            y=drawn["error"].tolist(),
            name="drawn networks",
            mode="markers",
            marker={"color": _CLOUD, "size": 6, "opacity": 0.5},
            customdata=drawn.index.tolist(),
            hovertemplate="%{y:.2f}%<extra></extra>",
            meta={"columns": {"x": "flops", "y": "error"}},
        )
    )
    derived = scored[scored["space"] == DERIVED].sort_values("flops")
    if len(derived):
        colour, _, symbol = style(DERIVED)
        figure.add_scatter(
            x=derived["flops"].tolist(),
            y=derived["error"].tolist(),
            name=title(DERIVED),
            mode="lines+markers",
            line={"color": colour, "width": 1.5},
            marker={"color": colour, "symbol": symbol, "size": 10},
            customdata=derived.index.tolist(),
            hovertemplate=f"<b>{title(DERIVED)}</b> %{{y:.2f}}%<extra></extra>",
        )
    shown = [each for each in found.networks if each.validation is not None]
    for regnet, name, colour, symbol in (
        (False, "hand-designed, tuned", _BASELINE, "diamond"),
        (True, "RegNets, tuned", style("RegNet")[0], "x"),
    ):
        side = [each for each in shown if each.is_regnet is regnet]
        if side:
            _add_networks(figure, side, name, colour, symbol)
    _add_front(figure, scored, shown)
    flops = [*scored["flops"], *(each.flops for each in shown)]
    figure.update_layout(
        hovermode="closest",
        yaxis={"title": "validation error (%, log)", "type": "log", "tickvals": _ERROR_TICKS},
        legend={"orientation": "h", "y": -0.2, "x": 0},
        height=520,
        meta={"link": {"kind": "point", "x": "flops", "y": "error"}},
    )
    log_axis(figure, "flops (multiply-adds, log)", min(flops), max(flops))
    return figure


def baseline_rows(networks: Iterable[TunedNetwork]) -> list[dict[str, Any]]:
    """Cells of a table, each a text and the number that it is sorted by (``None``: last)."""
    return [
        {
            "name": each.short_name,
            "model": each.model if each.model != each.short_name else "",
            "family": each.family,
            "cells": [
                _spread(each.test),
                _spread(each.validation),
                _number(math.nan if each.tuning_error is None else each.tuning_error),
                {
                    "text": "–" if (rate := each.best_rate) is None else f"{rate:g}{'*' * each.at_edge}",
                    "value": rate,
                },
                *({"text": _count(value), "value": value} for value in (each.flops, each.params, each.acts)),
                _number(each.seconds),
                *(_number(each.latencies.get(batch, math.nan)) for batch in (1, 256)),
            ],
        }
        for each in networks
    ]


def baseline_tables(found: BaselineComparison) -> list[tuple[str, list[dict[str, Any]]]]:
    """Captions and rows of what went on, of what tuning left behind, and of what did not learn."""
    tested = [each for each in found.networks if each.learned is not False and each.test is not None]
    left = [each for each in found.networks if each.learned is not False and each.test is None]
    apart = [each for each in found.networks if each.learned is False]
    tables = (
        ("", tested),
        ("Left behind by tuning: not judged on the test split" if tested else "", left),
        ("Not clearly better than guessing, and so in no comparison", apart),
    )
    return [(caption, baseline_rows(networks)) for caption, networks in tables if networks]


def _add_networks(
    figure: go.Figure, side: Sequence[TunedNetwork], name: str, colour: str, symbol: str
) -> None:
    spreads = [each.validation for each in side]
    means = [spread.mean for spread in spreads if spread is not None]
    sds = [spread.sd for spread in spreads if spread is not None]
    figure.add_scatter(
        x=[each.flops for each in side],
        y=means,
        error_y={"type": "data", "array": sds, "thickness": 1.5, "width": 4},
        name=name,
        mode="markers+text",
        text=[_label(each) for each in side],
        textposition="bottom center" if side[0].is_regnet else "top center",
        textfont={"size": 11},
        meta={"labels": True},
        marker={"color": colour, "symbol": symbol, "size": 11},
        hovertext=[
            f"<b>{each.name}</b> {spread.text}%<br>{_count(each.flops)} flops"
            for each in side
            if (spread := each.validation) is not None
        ],
        hovertemplate="%{hovertext}<extra></extra>",
    )


def _add_front(figure: go.Figure, scored: pd.DataFrame, shown: Sequence[TunedNetwork]) -> None:
    own = [(float(each.flops), each.validation.mean) for each in shown if each.validation is not None]
    drawn = scored[["flops", "error"]].to_numpy(np.float64)
    flops, errors = np.concatenate([drawn, np.array(own).reshape(-1, 2)]).T
    front = pareto_front(flops, errors)
    figure.add_scatter(
        x=flops[front].tolist(),
        y=errors[front].tolist(),
        name="Pareto front",
        mode="lines",
        line={"color": _FRONT, "width": 1.5, "dash": "dash", "shape": "hv"},
        hoverinfo="skip",
    )


def _label(network: TunedNetwork) -> str:
    name = without_forms(network.name)
    short = name.removeprefix("RegNet ")
    return name if short.isdigit() else short


def _spread(spread: Spread | None) -> dict[str, Any]:
    if spread is None:
        return {"text": "–", "value": None}
    return {"text": spread.text, "value": spread.mean}


def _number(value: float) -> dict[str, Any]:
    if not math.isfinite(value):
        return {"text": "–", "value": None}
    return {"text": f"{value:.1f}" if value >= 10 else f"{value:.2f}", "value": value}


def _count(value: int) -> str:
    return format_count(float(f"{value:.3g}"))
