"""The report's part on latency: measured against flops and against acts, as in Radosavovic et al. 2020."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from regnetlab.analysis.latency import Group, Latency
from regnetlab.report.style import round_numbers, scatter_type, style, title
from regnetlab.spaces.regime import format_count

_COUNTS = ("flops", "acts")


def latency_figure(found: Latency, networks: pd.DataFrame | None = None) -> go.Figure:
    """Median latency against flops and acts, one row a batch size, on the machine with the most of them.

    ``networks`` gives each its number on the page, by its columns ``space`` and ``model``.
    """
    shown = found.most_measured
    numbers: dict[tuple[str, str], int] = {}
    if networks is not None:
        keys = zip(networks["space"], networks["model"], strict=True)
        numbers = {key: int(number) for number, key in zip(networks.index, keys, strict=True)}
    spaces = list(dict.fromkeys(space for group in shown for space in group.rows["space"]))
    figure = make_subplots(
        rows=len(shown),
        cols=2,
        shared_yaxes="rows",
        horizontal_spacing=0.05,
        vertical_spacing=0.22 / len(shown),
        subplot_titles=[_heading(group, name) for group in shown for name in _COUNTS],
    )
    figure.update_annotations(font_size=12)
    for row, group in enumerate(shown, start=1):
        for column, name in enumerate(_COUNTS, start=1):
            for place, space in enumerate(spaces):
                rows = group.rows[group.rows["space"] == space]
                if rows.empty:
                    continue
                colour, _, symbol = style(space, place)
                figure.add_trace(
                    scatter_type(len(group.rows))(
                        x=rows[name].tolist(),
                        y=rows["median_ms"].tolist(),
                        name=title(space),
                        mode="markers",
                        marker={"color": colour, "symbol": symbol, "size": 7, "opacity": 0.8},
                        customdata=[numbers.get((space, model)) for model in rows["model"]],
                        hovertemplate=f"{title(space)}: %{{y:.3g}} ms, %{{x:.3s}} {name}<extra></extra>",
                        showlegend=False,
                        meta={"space": space},
                    ),
                    row=row,
                    col=column,
                )
            values = group.rows[name]
            ticks = _few(round_numbers(float(values.min()), float(values.max())))
            figure.update_xaxes(
                type="log", tickvals=ticks, ticktext=[format_count(t) for t in ticks], row=row, col=column
            )
        times = group.milliseconds
        ticks = round_numbers(float(times.min()), float(times.max()))
        texts = [f"{tick:g}" for tick in ticks]
        figure.update_yaxes(type="log", tickvals=ticks, ticktext=texts, row=row)
        figure.update_yaxes(title=f"ms, batch of {group.batch} (log)", row=row, col=1)
    for column, name in enumerate(_COUNTS, start=1):
        figure.update_xaxes(title=f"{name} (log)", row=len(shown), col=column)
    figure.update_layout(hovermode="closest", showlegend=False, height=80 + 300 * len(shown))
    return figure


def latency_rows(found: Latency) -> list[dict[str, str]]:
    """Cells of the table of correlations, every machine's."""
    return [
        {
            "where": str(group.machine),
            "batch": str(group.batch),
            "n": str(len(group.rows)),
            "median": f"{np.median(group.milliseconds):.3g}",
            **{name: _correlation(group, name) for name in ("flops", "params", "acts")},
        }
        for group in found.groups
    ]


def _heading(group: Group, name: str) -> str:
    known = group.correlations.get(name)
    return f"{name}: ρ = {known.estimate:.2f}".replace("-", "−") if known is not None else name


def _correlation(group: Group, name: str) -> str:
    known = group.correlations.get(name)
    if known is None:
        return "–"
    return f"{known.estimate:.2f} ({known.low:.2f} to {known.high:.2f})".replace("-", "−")


def _few(ticks: list[float]) -> list[float]:
    """At most four of them: two panels share the width of a phone."""
    return ticks[:: max(1, -(-len(ticks) // 4))]
