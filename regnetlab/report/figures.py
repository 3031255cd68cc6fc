"""The figures of a report: each function draws what ``analysis`` computed, and computes nothing.

A trace says in ``meta`` what the page may do with it: ``space`` (switched on and off with the others of
that space), ``variant`` (one of several views of the figure), ``band`` (shown where few spaces are).
``customdata`` holds the numbers of networks in the page's table, one a point, and links the
point to that network in every other figure; ``layout.meta`` says where a network lies in this one.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from regnetlab.analysis.compare import COMPLEXITIES
from regnetlab.analysis.edf import edf, weighted_edf
from regnetlab.analysis.efficiency import random_search
from regnetlab.analysis.matched import matched_weights
from regnetlab.analysis.trends import PROPERTIES, Trend, best_and_worst
from regnetlab.analysis.width_law import PopulationLaw
from regnetlab.report.content import Content
from regnetlab.report.style import faint, joined, scatter_type, style, title
from regnetlab.spaces.arrays import Floats
from regnetlab.spaces.law import log_linear_widths
from regnetlab.study.plan import DERIVED

LOGARITHMIC = ("flops", "params", "acts", "w0", "growth", "width_ratio", "group_width")
_MOST_STEPS = 2_000
"""Steps of a distribution that are drawn: more than a screen has points across."""
MOST_LINES = 300
"""Thin lines, one a network, in one panel: more are one grey."""
_MOST_BOXED = 2_000
"""Errors of a box; those of more are drawn from their quartiles."""
_WIDTH_TICKS = (2.0 ** np.arange(3, 15)).tolist()


def edf_figure(content: Content) -> go.Figure:
    """Error distributions of all spaces, as drawn and at equal flops, params and acts."""
    figure = go.Figure()
    most = float(content.networks["error"].max())
    for i, space in enumerate(content.spaces):
        errors = np.array(content.errors(space))
        curve = edf(errors).thinned(_MOST_STEPS)
        _add_steps(figure, space, i, curve.errors, curve.shares, most, "plain")
        colour = style(space, i)[0]
        low, high = (np.clip(curve.shares + sign * curve.margin, 0, 1) for sign in (-1, 1))
        figure.add_scatter(
            x=[*curve.errors, *curve.errors[::-1]],
            y=[*high, *low[::-1]],
            fill="toself",
            fillcolor=faint(colour),
            line={"width": 0},
            mode="lines",
            hoverinfo="skip",
            showlegend=False,
            visible=False,
            meta={"space": space, "variant": "plain", "band": True},
        )
    for name in COMPLEXITIES:
        drawn = [each for each in content.populations if name in each.complexity]
        weights = matched_weights([each.complexity[name] for each in drawn]) if len(drawn) > 1 else None
        for i, (population, weight) in enumerate(zip(drawn, weights or (), strict=False)):
            errors, shares = _thinned(*weighted_edf(population.errors, weight))
            _add_steps(figure, population.space, i, errors, shares, most, name)
    figure.update_layout(
        hovermode="x",
        xaxis={"title": "validation error (%)", "hoverformat": ".2f"},
        yaxis={"title": "share of networks with at most this error", "tickformat": ".0%", "range": [0, 1.02]},
        legend={"orientation": "h", "y": -0.2, "x": 0},
        height=520,
        meta={"link": {"kind": "point", "x": "error", "y": "share"}},
    )
    return figure


def property_figure(content: Content, name: str, found: Trend | None) -> go.Figure:
    """Error of every network against one of its properties, and where the best ones lie."""
    figure = go.Figure()
    add = scatter_type(len(content.shown))
    for i, space in enumerate(content.spaces):
        rows = content.shown[content.shown["space"] == space]
        colour, _, symbol = style(space, i)
        figure.add_trace(
            add(
                x=rows[name].tolist(),
                y=rows["error"].tolist(),
                name=title(space),
                mode="markers",
                marker={"color": colour, "symbol": symbol, "size": 8, "opacity": 0.8},
                customdata=rows.index.tolist(),
                hovertemplate=f"<b>{title(space)}</b> %{{y:.2f}} %<br>%{{x:.4s}}<extra></extra>",
                meta={"space": space, "columns": {"x": name, "y": "error"}},
            )
        )
    if found is not None:
        figure.add_vrect(
            x0=found.best.low, x1=found.best.high, fillcolor="#56B4E9", opacity=0.18, line_width=0
        )
        figure.add_vline(x=found.best.estimate, line={"color": "#3B8BD4", "width": 2, "dash": "dot"})
    figure.update_layout(
        hovermode="closest",
        xaxis={"title": PROPERTIES[name], "type": "log" if name in LOGARITHMIC else "linear"},
        yaxis_title="validation error (%)",
        showlegend=False,
        height=440,
        meta={"link": {"kind": "point", "x": name, "y": "error"}},
    )
    return figure


def stages_figure(content: Content) -> go.Figure:
    """Widths and depths over stages of the best and the worst tenth of the drawn networks."""
    drawn = content.networks[content.networks["space"] != DERIVED]
    drawn = drawn[drawn["widths"].map(lambda widths: isinstance(widths, tuple))]
    figure = make_subplots(
        rows=2,
        cols=2,
        shared_yaxes="rows",
        shared_xaxes="columns",
        horizontal_spacing=0.05,
        vertical_spacing=0.08,
        column_titles=["best tenth", "worst tenth"],
    )
    for column, (rows, colour) in enumerate(
        zip(best_and_worst(drawn), ("#0072B2", "#D55E00"), strict=True), 1
    ):
        for row, name in enumerate(("widths", "depths"), 1):
            every = rows[name].tolist()
            values = _some(every)
            figure.add_scatter(
                x=joined([range(1, len(each) + 1) for each in values]),
                y=joined(values),
                mode="lines+markers",
                line={"color": colour, "width": 1},
                marker={"size": 4},
                opacity=0.45,
                hovertemplate=f"stage %{{x}}: {name.removesuffix('s')} %{{y}}<extra></extra>",
                row=row,
                col=column,
            )
            if len({len(each) for each in every}) == 1:
                middle = np.median(np.array(every, np.float64), axis=0)
                figure.add_scatter(
                    x=np.arange(1, len(middle) + 1).tolist(),
                    y=middle.tolist(),
                    mode="lines",
                    line={"color": colour, "width": 4},
                    hovertemplate=f"median {name.removesuffix('s')}, stage %{{x}}: %{{y}}<extra></extra>",
                    row=row,
                    col=column,
                )
    stages = max(map(len, drawn["widths"]), default=1)
    widest, narrowest = max(map(max, drawn["widths"])), min(map(min, drawn["widths"]))
    deepest = max(map(max, drawn["depths"]))
    figure.update_xaxes(tickvals=list(range(1, stages + 1)), range=[0.8, stages + 0.2])
    figure.update_xaxes(title="stage", row=2)
    reach = [float(np.log10(narrowest / 1.2)), float(np.log10(widest * 1.2))]
    figure.update_yaxes(type="log", tickvals=_WIDTH_TICKS, range=reach, row=1)
    figure.update_yaxes(range=[0, deepest + 0.5], row=2)
    figure.update_yaxes(title="width w (log)", row=1, col=1)
    figure.update_yaxes(title="depth d", row=2, col=1)
    figure.update_layout(hovermode="closest", showlegend=False, height=540)
    return figure


def law_figure(content: Content, law: PopulationLaw) -> go.Figure:
    """Widths over stages of the best networks, with the line that they share."""
    figure = go.Figure()
    stages = np.arange(len(law.best["widths"].iloc[0]))
    single = law.best[law.best.index < len(content.shown)]  # those that the page can point at
    lines = single.iloc[_some(range(len(single)))]
    for i, (space, rows) in enumerate(lines.groupby("space", sort=False)):
        colour, _, symbol = style(str(space), i)
        figure.add_scatter(
            x=joined([(stages + 1).tolist()] * len(rows)),
            y=joined(rows["widths"].tolist()),
            customdata=joined([[index] * len(stages) for index in rows.index]),
            mode="lines+markers",
            name=title(str(space)),
            line={"color": colour, "width": 1.5},
            marker={"symbol": symbol, "size": 7},
            opacity=0.7,
            hovertemplate=f"<b>{title(str(space))}</b><br>stage %{{x}}: width %{{y}}<extra></extra>",
            meta={"space": str(space)},
        )
    line = log_linear_widths(law.w0.estimate, law.growth.estimate, len(stages))
    figure.add_scatter(
        x=(stages + 1).tolist(),
        y=line.tolist(),
        mode="lines",
        name=f"{law.w0.estimate:.1f} · {law.growth.estimate:.2f}^i",
        line={"width": 4, "dash": "dash", "color": "#888888"},
        hovertemplate="law, stage %{x}: %{y:.0f}<extra></extra>",
    )
    figure.update_layout(
        hovermode="closest",
        xaxis={"title": "stage", "tickvals": (stages + 1).tolist()},
        yaxis={"title": "width w (log)", "type": "log", "tickvals": _WIDTH_TICKS},
        showlegend=False,
        height=440,
        meta={"link": {"kind": "stages"}},
    )
    return figure


def curves_figure(content: Content) -> go.Figure:
    """Training error over the images seen: each space's median, and its middle four fifths."""
    figure = go.Figure()
    for i, space in enumerate(content.spaces):
        curves = [row for row in content.shown.loc[content.shown["space"] == space, "points"] if row]
        if not curves:
            continue
        images, low, middle, high = _quantiles(curves)
        colour, dash, _ = style(space, i)
        figure.add_scatter(
            x=[*images, *images[::-1]],
            y=[*high, *low[::-1]],
            fill="toself",
            fillcolor=faint(colour, 0.12),
            line={"width": 0},
            mode="lines",
            hoverinfo="skip",
            showlegend=False,
            meta={"space": space},
        )
        figure.add_scatter(
            x=images,
            y=middle,
            mode="lines",
            name=title(space),
            line={"color": colour, "dash": dash, "width": 2.5},
            hovertemplate=f"{title(space)}: %{{y:.1f}} %<extra></extra>",
            meta={"space": space},
        )
    figure.update_layout(
        hovermode="x",
        xaxis_title="training images seen",
        yaxis_title="training error (%)",
        showlegend=False,
        height=420,
        meta={"link": {"kind": "curve"}},
    )
    return figure


def strip_figure(content: Content) -> go.Figure:
    """Every network's error, one strip a space, with the median."""
    figure = go.Figure()
    for i, space in enumerate(content.spaces):
        colour, _, symbol = style(space, i)
        rows = content.networks[content.networks["space"] == space]
        many = len(rows) > _MOST_BOXED
        figure.add_box(
            **(_quartiles(rows["error"].to_numpy()) if many else {"y": rows["error"].tolist()}),
            x=[title(space)] * (1 if many else len(rows)),
            name=title(space),
            boxpoints="all" if len(rows) <= 400 else False,
            jitter=0.5,
            pointpos=0,
            customdata=None if many else rows.index.tolist(),
            marker={"color": colour, "symbol": symbol, "size": 6},
            line={"color": colour, "width": 1.5},
            fillcolor="rgba(0,0,0,0)",
            hoveron="points",
            hovertemplate="%{y:.2f} %<extra>" + title(space) + "</extra>",
            meta={"space": space},
        )
    figure.update_layout(
        yaxis_title="validation error (%)",
        showlegend=False,
        height=420,
        meta={"link": {"kind": "point", "x": "title", "y": "error"}},
    )
    return figure


def efficiency_figure(content: Content) -> go.Figure:
    """The best of k networks drawn at random from each space: its mean, and 95 % of all searches."""
    figure = go.Figure()
    for i, population in enumerate(content.populations):
        rows = content.networks[content.networks["space"] == population.space]
        seconds = (
            pd.to_numeric(rows["seconds"], errors="coerce").mean() if "seconds" in rows else float("nan")
        )
        found = random_search(population.errors, float(seconds))
        colour, dash, _ = style(population.space, i)
        figure.add_scatter(
            x=[*found.k.tolist(), *found.k[::-1].tolist()],
            y=[*found.high.tolist(), *found.low[::-1].tolist()],
            fill="toself",
            fillcolor=faint(colour, 0.1),
            line={"width": 0},
            mode="lines",
            hoverinfo="skip",
            showlegend=False,
            visible=False,
            meta={"space": population.space, "band": True},
        )
        hours = [f", {hour:.2g} h of training" if np.isfinite(hour) else "" for hour in found.hours]
        figure.add_scatter(
            x=found.k.tolist(),
            y=found.expected.tolist(),
            text=hours,
            mode="lines",
            name=title(population.space),
            line={"color": colour, "dash": dash, "width": 2.5},
            hovertemplate=f"{title(population.space)}: %{{y:.2f}} %%{{text}}<extra></extra>",
            meta={"space": population.space},
        )
    figure.update_layout(
        hovermode="x",
        xaxis={"title": "networks trained k (log)", "type": "log", "dtick": "D2"},
        yaxis_title="expected error of the best (%)",
        showlegend=False,
        height=420,
    )
    return figure


def _add_steps(
    figure: go.Figure, space: str, place: int, errors: Any, shares: Any, most: float, variant: str
) -> None:
    colour, dash, _ = style(space, place)
    figure.add_scatter(
        x=[errors[0], *errors, most],
        y=[0, *shares, 1],
        name=title(space),
        mode="lines",
        line={"color": colour, "dash": dash, "width": 2.5, "shape": "hv"},
        hovertemplate=f"{title(space)}: %{{y:.0%}} have ≤ %{{x:.1f}} %<extra></extra>",
        visible=variant == "plain",
        showlegend=variant == "plain",
        meta={"space": space, "variant": variant},
    )


def _quantiles(curves: Sequence[Sequence[Sequence[float]]]) -> tuple[list[float], ...]:
    """Images seen, and the 10, 50 and 90 % points of the training errors of curves with as many points."""
    length = max(len(curve) for curve in curves)
    whole = [curve for curve in curves if len(curve) == length]
    errors = np.array([[point[2] for point in curve] for curve in whole])
    images = [point[0] for point in whole[0]]
    return (images, *(np.quantile(errors, share, axis=0).tolist() for share in (0.1, 0.5, 0.9)))


def _quartiles(errors: Floats) -> dict[str, list[float]]:
    """A box of these errors, its whiskers at most 1.5 times as long as the box (Tukey 1977)."""
    q1, median, q3 = np.quantile(errors, [0.25, 0.5, 0.75])
    reach = 1.5 * (q3 - q1)
    low = errors[errors >= q1 - reach].min()
    high = errors[errors <= q3 + reach].max()
    named = {"q1": q1, "median": median, "q3": q3, "lowerfence": low, "upperfence": high}
    return {name: [float(value)] for name, value in named.items()}


def _some(rows: Sequence[Any]) -> list[Any]:
    """At most so many of these rows as lines can be told apart, at equal distances."""
    places = np.linspace(0, len(rows) - 1, min(len(rows), MOST_LINES)).round().astype(np.int64)
    return [rows[place] for place in places]


def _thinned(errors: Floats, shares: Floats) -> tuple[Floats, Floats]:
    """A weighted distribution in at most so many steps, each on the curve."""
    if len(errors) <= _MOST_STEPS:
        return errors, shares
    kept = np.unique(np.searchsorted(shares, np.linspace(shares[0], shares[-1], _MOST_STEPS)))
    kept = kept[kept < len(errors)]
    return errors[kept], shares[kept]
