"""The report's part on budgets: how each ranks networks, and where the medians of spaces go."""

from math import isnan, log10
from typing import Any

import plotly.graph_objects as go

from regnetlab.analysis.fidelity import Fidelity
from regnetlab.analysis.statistics.budgets import Correlation
from regnetlab.analysis.statistics.intervals import Interval
from regnetlab.report.style import round_numbers, style, title

_TRACES = (
    ("raw", "one training of each", "#0072B2", "circle"),
    ("corrected", "without the noise of seeds", "#D55E00", "diamond"),
    ("reliability", "two seeds at this budget", "#999933", "square"),
)
_ERROR_TICKS = [1, 2, 3, 5, 7, 10, 15, 20, 30, 40, 50, 60, 80, 100]
_NUDGE = 0.015  # decades, so that the intervals of one budget lie side by side


def fidelity_figure(found: Fidelity) -> go.Figure:
    """Rank correlation with the largest budget within spaces, against the seconds that a training takes."""
    figure = go.Figure()
    seconds = [rung.seconds.estimate for rung in found.rungs]
    for place, (name, label, colour, symbol) in enumerate(_TRACES):
        # The largest budget corrected is 1 by definition, which is no result.
        rungs = found.rungs[:-1] if name == "corrected" else found.rungs
        intervals = [_of(rung.within, name) for rung in rungs]
        figure.add_scatter(
            x=[rung.seconds.estimate * 10 ** (_NUDGE * (place - 1)) for rung in rungs],
            y=[each.estimate for each in intervals],
            error_y={
                "type": "data",
                "symmetric": False,
                "array": [each.high - each.estimate for each in intervals],
                "arrayminus": [each.estimate - each.low for each in intervals],
                "thickness": 1.2,
                "width": 3,
            },
            mode="lines+markers",
            name=label,
            line={"color": colour, "width": 1.5, "dash": "dot" if name == "reliability" else "solid"},
            marker={"color": colour, "symbol": symbol, "size": 9},
            text=[f"{rung.name} images" for rung in rungs],
            hovertemplate=f"%{{text}}, {label}: %{{y:.2f}}<extra></extra>",
        )
    for rung in found.rungs:
        figure.add_annotation(
            x=log10(rung.seconds.estimate),
            y=1.0,
            yref="paper",
            yanchor="bottom",
            text=rung.name,
            showarrow=False,
        )
    ticks = round_numbers(min(seconds), max(seconds))
    figure.update_layout(
        hovermode="closest",
        xaxis={
            "title": "seconds a training (log)",
            "type": "log",
            "tickvals": ticks,
            "ticktext": [f"{tick:g}" for tick in ticks],
        },
        yaxis={"title": f"rank correlation with {found.largest.name}", "range": [-0.3, 1.08]},
        legend={"orientation": "h", "y": -0.25, "x": 0},
        height=440,
    )
    return figure


def medians_figure(found: Fidelity) -> go.Figure:
    """Each space's median error at every budget."""
    figure = go.Figure()
    names = [rung.name for rung in found.rungs]
    for place, space in enumerate(found.spaces):
        colour, dash, symbol = style(space, place)
        medians = [rung.medians[place] for rung in found.rungs]
        figure.add_scatter(
            x=names,
            y=[each.estimate for each in medians],
            mode="lines+markers",
            name=title(space),
            line={"color": colour, "dash": dash, "width": 2.5},
            marker={"color": colour, "symbol": symbol, "size": 8},
            hovertemplate=f"{title(space)}: %{{y:.2f}}%<extra></extra>",
            meta={"space": space},
        )
    figure.update_layout(
        hovermode="x",
        xaxis={"title": "training images", "type": "category"},
        yaxis={"title": "median error (%, log)", "type": "log", "tickvals": _ERROR_TICKS},
        showlegend=False,
        height=420,
    )
    return figure


def rung_rows(found: Fidelity) -> list[dict[str, Any]]:
    """Cells of the table of budgets."""
    return [
        {
            "name": rung.name,
            "recommended": rung is found.recommended,
            "seconds": f"{rung.seconds.estimate:.1f}",
            "all": _number(rung.overall.raw.estimate),
            "within": _estimate(rung.within.raw),
            "seeds": _estimate(rung.within.reliability),
            "corrected": "–"
            if rung is found.largest
            else _estimate(rung.within.corrected) + ("†" if rung.within.capped else ""),
            "evidence": _estimate(rung.evidence, 0),
            "share": _number(rung.relative.estimate) + ("" if rung.may_be_best else " ×"),
            "margin": _number(rung.margin),
            "networks": _number(rung.needed, 0),
            "hours": _number(rung.hours),
            "p": _number(rung.p) + (" ×" if rung.differ else ""),
        }
        for rung in found.rungs
    ]


def _of(correlation: Correlation, name: str) -> Interval:
    interval: Interval = getattr(correlation, name)
    return interval


def _number(value: float, decimals: int = 2) -> str:
    return "–" if isnan(value) else f"{value:,.{decimals}f}".replace("-", "−")


def _estimate(interval: Interval, decimals: int = 2) -> str:
    low, high = _number(interval.low, decimals), _number(interval.high, decimals)
    return f"{_number(interval.estimate, decimals)} ({low} to {high})"
