"""The report's part on the contest: hand-designed networks beside the populations and derived RegNets."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from regnetlab.analysis.standings import TRIED_ONCE, Match, Spread, Standing
from regnetlab.analysis.statistics.pareto import pareto_front
from regnetlab.analysis.statistics.verdicts import UNDECIDED
from regnetlab.report.findings import Finding
from regnetlab.report.style import log_axis, scatter_type, style, title
from regnetlab.spaces.regime import format_count
from regnetlab.trials.job import DERIVED

CONTEST_COLUMNS = (
    ("contender", False),
    ("family", False),
    ("test error %", True),
    ("validation %", True),
    ("learning rate", True),
    ("flops", True),
    ("params", True),
    ("acts", True),
    ("train s", True),
    ("ms, 1", True),
    ("ms, 256", True),
)
"""Columns of the table and whether each holds numbers."""

_ERROR_TICKS = [1, 2, 3, 4, 5, 7, 10, 15, 20, 25, 30, 40, 50, 60, 80, 100]
_CLOUD = "#9aa6b2"
_BASELINE = "#0072B2"
_FRONT = "#AA4499"


def contest_findings(found: Sequence[Match], standings: Sequence[Standing]) -> list[Finding]:
    """Who wins at which compute, with the interval; that nobody can be compared where that is so."""
    if not standings:
        return []
    if not found:
        tested = any(each.test is not None for each in standings)
        reason = (
            "no RegNet and hand-designed network have about the same flops"
            if tested
            else "the final trainings are still to come"
        )
        return [Finding(UNDECIDED, f"RegNets against hand-designed networks: not compared; {reason}.")]
    return [_finding(each) for each in found]


def contest_figure(
    scored: pd.DataFrame, standings: Sequence[Standing], single: pd.DataFrame | None = None
) -> go.Figure:
    """Validation error against flops: drawn networks, the derived RegNets, the contenders, the front.

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
            hovertemplate="%{y:.2f} %<extra></extra>",
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
            hovertemplate=f"<b>{title(DERIVED)}</b> %{{y:.2f}} %<extra></extra>",
        )
    shown = [each for each in standings if each.validation is not None]
    for regnet, name, colour, symbol in (
        (False, "hand-designed, tuned", _BASELINE, "diamond"),
        (True, "RegNets, tuned", style("RegNet")[0], "x"),
    ):
        side = [each for each in shown if each.is_regnet is regnet]
        if side:
            _add_contenders(figure, side, name, colour, symbol)
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


def contest_rows(standings: Sequence[Standing]) -> list[dict[str, Any]]:
    """Cells of the table, each a text and the number that it is sorted by (``None``: last)."""
    return [
        {
            "name": each.name,
            "model": each.model if each.model != each.name else "",
            "family": each.family,
            "cells": [
                _spread(each.test),
                _spread(each.validation),
                {
                    "text": "–" if each.lr is None else f"{each.lr:g}{'*' if each.at_edge else ''}",
                    "value": each.lr,
                },
                *({"text": _count(value), "value": value} for value in (each.flops, each.params, each.acts)),
                _number(each.seconds),
                *(_number(each.latencies.get(batch, math.nan)) for batch in (1, 256)),
            ],
        }
        for each in sorted(standings, key=lambda s: (s.test is None, s.test.mean if s.test else 0.0))
    ]


def _add_contenders(figure: go.Figure, side: Sequence[Standing], name: str, colour: str, symbol: str) -> None:
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
        marker={"color": colour, "symbol": symbol, "size": 11},
        hovertext=[
            f"<b>{each.name}</b> {mean:.2f} ± {sd:.2f} %<br>{_count(each.flops)} flops"
            for each, mean, sd in zip(side, means, sds, strict=True)
        ],
        hovertemplate="%{hovertext}<extra></extra>",
    )


def _add_front(figure: go.Figure, scored: pd.DataFrame, shown: Sequence[Standing]) -> None:
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


def _finding(match: Match) -> Finding:
    low, high = match.flops
    where = f"At {_count(low)} flops" if low == high else f"At {_count(low)} to {_count(high)} flops"
    what = {
        "better": f"{match.b.name} beats {match.a.name}",
        "worse": f"{match.a.name} beats {match.b.name}",
        "undecided": f"{match.b.name} against {match.a.name} is undecided",
    }[match.verdict]
    named = (match.a, match.b) if match.verdict == "worse" else (match.b, match.a)  # as the words have them
    numbers = (
        match.difference.points if math.isfinite(match.difference.low) else "too few seeds for an interval"
    )
    errors = " against ".join(f"{side.test.mean:.1f} %" for side in named if side.test is not None)
    return Finding(
        match.verdict,
        f"{where}, the best RegNet and the best hand-designed network by validation: {what} on the test"
        f" split, {errors}, {numbers} over training seeds.",
        (TRIED_ONCE,) if match.tried_once else (),
    )


def _label(standing: Standing) -> str:
    name = standing.name.partition("@")[0]
    short = name.removeprefix("RegNet ")
    return name if short.isdigit() else short


def _spread(spread: Spread | None) -> dict[str, Any]:
    if spread is None:
        return {"text": "–", "value": None}
    return {"text": f"{spread.mean:.2f} ± {spread.sd:.2f}", "value": spread.mean}


def _number(value: float) -> dict[str, Any]:
    if not math.isfinite(value):
        return {"text": "–", "value": None}
    return {"text": f"{value:.1f}" if value >= 10 else f"{value:.2f}", "value": value}


def _count(value: int) -> str:
    return format_count(float(f"{value:.3g}"))
