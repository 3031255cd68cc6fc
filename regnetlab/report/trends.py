"""The report's part on good networks: error against a property, and widths and depths over stages.

``meta`` and ``customdata`` are explained in ``distributions``.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from regnetlab.analysis.trends import Trend, Trends
from regnetlab.report.style import WIDTH_TICKS, at_most, joined, log_axis, scatter_type, style, title
from regnetlab.spaces.regime import format_count

LOGARITHMIC = ("flops", "params", "acts", "w0", "growth", "width_ratio", "group_width")
_ZERO = 1e-9
"""Below it a value is 0 but for rounding."""


def property_figure(networks: pd.DataFrame, name: str, label: str, found: Trend | None = None) -> go.Figure:
    """Error of every network against one of its properties, and where the best ones lie.

    Args:
        networks: As in ``Trends.networks``, with their numbers on the page as index.
        name: One of ``Trends.properties``.
        label: Its title there.
        found: Its trend.
    """
    figure = go.Figure()
    add = scatter_type(len(networks))
    for i, space in enumerate(dict.fromkeys(networks["space"])):
        rows = networks[networks["space"] == space]
        colour, _, symbol = style(space, i)
        figure.add_trace(
            add(
                x=rows[name].tolist(),
                y=rows["error"].tolist(),
                name=title(space),
                mode="markers",
                marker={"color": colour, "symbol": symbol, "size": 8, "opacity": 0.8},
                customdata=rows.index.tolist(),
                hovertemplate=f"<b>{title(space)}</b> %{{y:.2f}}%<br>%{{x:.4s}}<extra></extra>",
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
        xaxis_title=label,
        yaxis_title="validation error (%)",
        showlegend=False,
        height=440,
        meta={"link": {"kind": "point", "x": name, "y": "error"}},
    )
    known = networks[name][networks[name] > 0]
    if name in LOGARITHMIC and len(known):
        log_axis(figure, label, float(known.min()), float(known.max()))
    return figure


def stages_figure(found: Trends) -> go.Figure:
    """Widths and depths over stages of the best and the worst tenth of the drawn networks."""
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
        zip((found.best, found.worst), ("#0072B2", "#D55E00"), strict=True), 1
    ):
        for row, name in enumerate(("widths", "depths"), 1):
            every = rows[name].tolist()
            values = at_most(every)
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
    drawn = pd.concat([found.best, found.worst])
    stages = max(map(len, drawn["widths"]), default=1)
    widest, narrowest = max(map(max, drawn["widths"])), min(map(min, drawn["widths"]))
    deepest = max(map(max, drawn["depths"]))
    figure.update_xaxes(tickvals=list(range(1, stages + 1)), range=[0.8, stages + 0.2])
    figure.update_xaxes(title="stage", row=2)
    reach = [float(np.log10(narrowest / 1.2)), float(np.log10(widest * 1.2))]
    figure.update_yaxes(type="log", tickvals=WIDTH_TICKS, range=reach, row=1)
    figure.update_yaxes(range=[0, deepest + 0.5], row=2)
    figure.update_yaxes(title="width w (log)", row=1, col=1)
    figure.update_yaxes(title="depth d", row=2, col=1)
    figure.update_layout(hovermode="closest", showlegend=False, height=540)
    return figure


def trend_row(found: Trend, label: str) -> Mapping[str, str]:
    """One row of the table of trends."""
    rho, best = found.correlation, found.best
    return {
        "name": found.name,
        "title": label,
        "correlation": "–" if rho is None else f"{rho.estimate:+.2f}".replace("-", "−"),
        "interval": "–" if rho is None else rho.text("+.2f"),
        "best": f"{_number(best.estimate)} ({_number(best.low)} to {_number(best.high)})",
    }


def _number(value: float) -> str:
    if abs(value) >= 1_000:
        return format_count(float(f"{value:.3g}"))
    return f"{0.0 if abs(value) < _ZERO else value:.3g}"
