"""The figures of a report: each function draws what ``analysis`` computed, and computes nothing.

Colours are those of Okabe & Ito (2008), which colour-blind readers can tell apart and which stand out
on white and on black; dashes and marker shapes say the same again. What follows the page's theme
(text, grid) is left to the page.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from regnetlab.analysis.edf import edf
from regnetlab.analysis.networks import records
from regnetlab.analysis.width_law import PopulationLaw
from regnetlab.spaces.law import log_linear_widths
from regnetlab.spaces.regime import format_count
from regnetlab.study.plan import DERIVED

_STYLES: Mapping[str, tuple[str, str, str]] = MappingProxyType(
    {
        "AnyNetA": ("#E69F00", "dot", "circle"),
        "AnyNetB": ("#56B4E9", "dash", "square"),
        "AnyNetC": ("#009E73", "dashdot", "diamond"),
        "AnyNetD": ("#CC79A7", "longdash", "triangle-up"),
        "AnyNetE": ("#3B8BD4", "solid", "triangle-down"),
        "RegNet": ("#D55E00", "solid", "x"),
        DERIVED: ("#888888", "solid", "star"),
    }
)
_OTHERS = ("#0072B2", "#F0E442", "#999933", "#AA4499", "#44AA99")


def style(space: str, position: int = 0) -> tuple[str, str, str]:
    """Colour, dash and marker of a space; spaces of one's own get one by position."""
    return _STYLES.get(space, (_OTHERS[position % len(_OTHERS)], "solid", "circle"))


def title(space: str) -> str:
    return "derived RegNets" if space == DERIVED else space


def edf_figure(errors: Mapping[str, Sequence[float]]) -> go.Figure:
    """Error distributions of all spaces on one axis."""
    figure = go.Figure()
    most = max(max(each) for each in errors.values())
    for i, (space, values) in enumerate(errors.items()):
        curve = edf(np.asarray(values))
        colour, dash, _ = style(space, i)
        figure.add_scatter(
            x=[curve.errors[0], *curve.errors, most],
            y=[0, *curve.shares, 1],
            name=f"{title(space)} (n {len(values)}, min {curve.errors[0]:.1f}, "
            f"median {np.median(curve.errors):.1f})",
            mode="lines",
            line={"color": colour, "dash": dash, "width": 2.5, "shape": "hv"},
            hovertemplate=f"{title(space)}: %{{y:.0%}} have ≤ %{{x:.1f}} %<extra></extra>",
        )
    figure.update_layout(
        hovermode="x",
        xaxis_title="validation error (%)",
        yaxis_title="share of networks with at most this error",
        yaxis_tickformat=".0%",
        yaxis_range=[0, 1.02],
        legend={"orientation": "h", "y": -0.22, "x": 0},
        height=520,
    )
    return figure


def scatter_figure(networks: pd.DataFrame, column: str, name: str, log: bool) -> go.Figure:
    """Error of every network against one of its properties."""
    figure = go.Figure()
    for i, (space, rows) in enumerate(networks.groupby("space", sort=False)):
        colour, _, symbol = style(str(space), i)
        figure.add_scatter(
            x=rows[column],
            y=rows["error"],
            name=title(str(space)),
            mode="markers",
            marker={"color": colour, "symbol": symbol, "size": 8, "opacity": 0.85},
            customdata=rows[["label"]],
            hovertemplate=f"<b>{title(str(space))}</b> %{{y:.2f}} %<br>{name} %{{x:.4s}}"
            "<br>%{customdata[0]}<extra></extra>",
        )
    figure.update_layout(
        hovermode="closest",
        xaxis_title=name,
        yaxis_title="validation error (%)",
        showlegend=False,
        height=340,
    )
    if log:
        log_axis(figure, name, float(networks[column].min()), float(networks[column].max()))
    return figure


def log_axis(figure: go.Figure, name: str, low: float, high: float) -> None:
    """A logarithmic x axis from ``low`` to ``high`` with round numbers."""
    ticks = _round_numbers(low, high)
    figure.update_xaxes(title=name, type="log", tickvals=ticks, ticktext=[format_count(t) for t in ticks])


def law_figure(law: PopulationLaw) -> go.Figure:
    """Widths over stages of the best networks, with the line that they share."""
    figure = go.Figure()
    stages = np.arange(len(law.best["widths"].iloc[0]))
    shown: set[str] = set()
    for i, row in enumerate(records(law.best)):
        space = str(row["space"])
        colour, _, symbol = style(space, i)
        figure.add_scatter(
            x=stages + 1,
            y=row["widths"],
            mode="lines+markers",
            name=title(space),
            legendgroup=space,
            showlegend=space not in shown,
            line={"color": colour, "width": 1.5},
            marker={"symbol": symbol, "size": 7},
            opacity=0.7,
            hovertemplate=f"<b>{title(space)}</b> {row['error']:.2f} %<br>stage %{{x}}: width %{{y}}"
            "<extra></extra>",
        )
        shown.add(space)
    line = log_linear_widths(law.w0.estimate, law.growth.estimate, len(stages))
    figure.add_scatter(
        x=stages + 1,
        y=line,
        mode="lines",
        name=f"{law.w0.estimate:.1f} · {law.growth.estimate:.2f}^i",
        line={"width": 4, "dash": "dash", "color": "#888888"},
        hovertemplate="law, stage %{x}: %{y:.0f}<extra></extra>",
    )
    figure.update_layout(
        hovermode="closest",
        xaxis={"title": "stage", "tickvals": (stages + 1).tolist()},
        yaxis={"title": "width w (log)", "type": "log", "tickvals": (2.0 ** np.arange(3, 15)).tolist()},
        legend={"orientation": "h", "y": -0.25, "x": 0},
        height=440,
    )
    return figure


def curves_figure(networks: pd.DataFrame) -> go.Figure:
    """Training error over the images seen, one line a training."""
    figure = go.Figure()
    shown: set[str] = set()
    for i, row in enumerate(records(networks)):
        space = str(row["space"])
        colour, _, _ = style(space, i)
        figure.add_scatter(
            x=[point[0] for point in row["points"]],
            y=[point[2] for point in row["points"]],
            mode="lines",
            name=title(space),
            legendgroup=space,
            showlegend=space not in shown,
            opacity=0.55,
            line={"color": colour, "width": 1.3},
            hovertemplate=f"<b>{title(space)}</b> %{{x:,}} images: %{{y:.1f}} %<br>{row['label']}"
            "<extra></extra>",
        )
        shown.add(space)
    figure.update_layout(
        hovermode="closest",
        xaxis_title="training images seen",
        yaxis_title="training error (%)",
        legend={"orientation": "h", "y": -0.25, "x": 0},
        height=440,
    )
    return figure


def strip_figure(errors: Mapping[str, Sequence[float]]) -> go.Figure:
    """Every network's error, one strip a space, with the median."""
    figure = go.Figure()
    for i, (space, values) in enumerate(errors.items()):
        colour, _, symbol = style(space, i)
        figure.add_box(
            y=list(values),
            name=title(space),
            boxpoints="all",
            jitter=0.5,
            pointpos=0,
            marker={"color": colour, "symbol": symbol, "size": 6},
            line={"color": colour, "width": 1.5},
            fillcolor="rgba(0,0,0,0)",
            hoveron="points",
            hovertemplate="%{y:.2f} %<extra>" + title(space) + "</extra>",
        )
    figure.update_layout(yaxis_title="validation error (%)", showlegend=False, height=420)
    return figure


def _round_numbers(low: float, high: float) -> list[float]:
    """Ticks of a logarithmic axis: in equal steps over a narrow range, else 1, 2, 5, 10, …"""
    if high < 4 * low:
        rough = max(high - low, 0.02 * low) / 4
        power = 10.0 ** np.floor(np.log10(rough))
        step = power * min((each for each in (1, 2, 5, 10) if each * power >= rough), default=10)
        ticks = step * np.arange(np.ceil(low / step), np.floor(high / step) + 1)
    else:
        powers = 10.0 ** np.arange(np.floor(np.log10(low)) - 1, np.ceil(np.log10(high)) + 1)
        ticks = np.outer(powers, [1, 2, 5]).ravel()
    return [float(f"{tick:.6g}") for tick in ticks if low / 1.2 <= tick <= high * 1.2]


def as_json(figure: go.Figure) -> dict[str, Any]:
    """A figure as plain lists and numbers, without Plotly's default template."""
    figure.update_layout(template="none", margin={"l": 60, "r": 16, "t": 16, "b": 56})
    plain: dict[str, Any] = figure.to_plotly_json()
    return plain
