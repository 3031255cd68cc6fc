"""The report's part on latency: measured against flops and against acts, as in Radosavovic et al. 2020."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from regnetlab.analysis.latencies import Group
from regnetlab.report.style import round_numbers, scatter_type, style, title
from regnetlab.spaces.regime import format_count

_COUNTS = ("flops", "acts")


def shown_groups(found: Sequence[Group]) -> list[Group]:
    """Those of the machine with the most measurements; others are in latency.csv."""
    sizes: dict[Any, int] = {}
    for group in found:
        sizes[group.place] = sizes.get(group.place, 0) + len(group.rows)
    most = max(sizes, key=lambda place: sizes[place], default=None)
    return [group for group in found if group.place == most]


def latency_figure(found: Sequence[Group], networks: pd.DataFrame) -> go.Figure:
    """Median latency against flops and acts, one row a batch size; ``networks`` gives each its number."""
    shown = shown_groups(found)
    numbers = {
        (space, model): int(number)
        for number, space, model in zip(networks.index, networks["space"], networks["model"], strict=True)
    }
    spaces = list(dict.fromkeys(row.space for group in shown for row in group.rows))
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
                rows = [each for each in group.rows if each.space == space]
                if not rows:
                    continue
                colour, _, symbol = style(space, place)
                figure.add_trace(
                    scatter_type(len(group.rows))(
                        x=[getattr(each, name) for each in rows],
                        y=[each.median_ms for each in rows],
                        name=title(space),
                        mode="markers",
                        marker={"color": colour, "symbol": symbol, "size": 7, "opacity": 0.8},
                        customdata=[numbers.get((space, each.model)) for each in rows],
                        hovertemplate=f"{title(space)}: %{{y:.3g}} ms, %{{x:.3s}} {name}<extra></extra>",
                        showlegend=False,
                        meta={"space": space},
                    ),
                    row=row,
                    col=column,
                )
            values = [getattr(each, name) for each in group.rows]
            ticks = _few(round_numbers(min(values), max(values)))
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


def latency_rows(found: Sequence[Group]) -> list[dict[str, str]]:
    """Cells of the table of correlations, every machine's."""
    return [
        {
            "where": f"{group.place.processor}{_threads(group)}",
            "batch": str(group.batch),
            "n": str(len(group.rows)),
            "median": f"{np.median(group.milliseconds):.3g}",
            **{name: _correlation(group, name) for name in ("flops", "params", "acts")},
        }
        for group in found
    ]


def _heading(group: Group, name: str) -> str:
    known = group.correlations.get(name)
    return f"{name}: ρ = {known.estimate:.2f}".replace("-", "−") if known is not None else name


def _correlation(group: Group, name: str) -> str:
    known = group.correlations.get(name)
    if known is None:
        return "–"
    return f"{known.estimate:.2f} ({known.low:.2f} to {known.high:.2f})".replace("-", "−")


def _threads(group: Group) -> str:
    if group.place.device != "cpu":
        return ""
    return f", {group.place.threads} thread{'' if group.place.threads == 1 else 's'}"


def _few(ticks: list[float]) -> list[float]:
    """At most four of them: two panels share the width of a phone."""
    return ticks[:: -(-len(ticks) // 4)]
