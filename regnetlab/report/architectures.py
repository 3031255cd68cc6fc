"""Figures of what networks are: error against a property, widths and depths over stages, the width law.

As in ``distributions``, functions draw what ``analysis`` computed; ``meta`` and ``customdata`` are explained
there.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from regnetlab.analysis.trends import PROPERTIES, Trend, best_and_worst
from regnetlab.analysis.width_law import PopulationLaw
from regnetlab.report.content import Content
from regnetlab.report.style import joined, log_axis, scatter_type, style, title
from regnetlab.spaces.law import log_linear_widths
from regnetlab.trials.job import DERIVED

LOGARITHMIC = ("flops", "params", "acts", "w0", "growth", "width_ratio", "group_width")
MOST_LINES = 300
"""Thin lines, one a network, in one panel: more are one grey."""
_LAW = "#d6006c"
"""Of the law and of the means that it goes through: no space has this colour."""
_WIDTH_TICKS = (2.0 ** np.arange(3, 15)).tolist()


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
        xaxis_title=PROPERTIES[name],
        yaxis_title="validation error (%)",
        showlegend=False,
        height=440,
        meta={"link": {"kind": "point", "x": name, "y": "error"}},
    )
    known = content.shown[name][content.shown[name] > 0]
    if name in LOGARITHMIC and len(known):
        log_axis(figure, PROPERTIES[name], float(known.min()), float(known.max()))
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
            opacity=min(0.7, max(0.15, 12 / len(lines))),
            hovertemplate=f"<b>{title(str(space))}</b><br>stage %{{x}}: width %{{y}}<extra></extra>",
            meta={"space": str(space)},
        )
    line = log_linear_widths(law.w0.estimate, law.growth.estimate, len(stages))
    means = np.exp(np.log(np.array(law.best["widths"].tolist(), np.float64)).mean(axis=0))
    figure.add_scatter(
        x=(stages + 1).tolist(),
        y=line.tolist(),
        mode="lines",
        name=f"{law.w0.estimate:.1f} · {law.growth.estimate:.2f}^i",
        line={"width": 4, "color": _LAW},
        hovertemplate="law, stage %{x}: %{y:.0f}<extra></extra>",
    )
    figure.add_scatter(
        x=(stages + 1).tolist(),
        y=means.tolist(),
        mode="markers",
        name="geometric mean of the best",
        marker={"size": 12, "symbol": "diamond", "color": _LAW, "line": {"width": 2, "color": "white"}},
        hovertemplate="mean of the best, stage %{x}: %{y:.0f}<extra></extra>",
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


def _some(rows: Sequence[Any]) -> list[Any]:
    """At most so many of these rows as lines can be told apart, at equal distances."""
    places = np.linspace(0, len(rows) - 1, min(len(rows), MOST_LINES)).round().astype(np.int64)
    return [rows[place] for place in places]
