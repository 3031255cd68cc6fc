"""The report's part on searches: the best so far against random search at equal cost."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np
import plotly.graph_objects as go

from regnetlab.analysis.search import SearchResult, Trajectory
from regnetlab.analysis.statistics.random_search import random_search
from regnetlab.analysis.statistics.verdicts import UNDECIDED
from regnetlab.report.findings import Finding
from regnetlab.report.style import faint, log_axis, style, title

_STYLES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {"random": ("#888888", "dot"), "tpe": ("#0072B2", "solid"), "nsga2": ("#AA4499", "dash")}
)
"""Colour and dash by sampler."""


def search_findings(found: Sequence[SearchResult]) -> list[Finding]:
    """A sentence for every search: its best, and what random search has at the same cost."""
    return [_finding(each) for each in found]


def searches_figure(found: Sequence[SearchResult], order: Sequence[str] = ()) -> go.Figure:
    """The best so far of every search after k trainings, and the expected best of k drawn at random.

    ``order`` is that of the spaces in other figures, whose colours follow from it.
    """
    figure = go.Figure()
    places = {space: i for i, space in enumerate(order)}
    for space, population in {each.search.space: each.population for each in found}.items():
        colour, _, _ = style(space, places.get(space, 0))
        if len(population):
            drawn = random_search(population)
            figure.add_scatter(
                x=[*drawn.k.tolist(), *drawn.k[::-1].tolist()],
                y=[*drawn.high.tolist(), *drawn.low[::-1].tolist()],
                fill="toself",
                fillcolor=faint(colour, 0.14),
                line={"width": 0},
                mode="lines",
                hoverinfo="skip",
                showlegend=False,
                meta={"space": space, "band": True},
            )
            figure.add_scatter(
                x=drawn.k.tolist(),
                y=drawn.expected.tolist(),
                mode="lines",
                name=f"{title(space)}, drawn at random",
                line={"color": colour, "width": 2.5},
                hovertemplate=f"{title(space)}, drawn at random: %{{y:.2f}}%<extra></extra>",
                meta={"space": space},
            )
    for each in found:
        if each.search.best is not None:
            _add_search(figure, each.search)
    figure.update_layout(
        hovermode="x",
        yaxis_title="error of the best so far (%)",
        legend={"orientation": "h", "y": -0.25, "x": 0},
        height=460,
    )
    log_axis(figure, "networks trained k (log)", 1, max(len(each.search) for each in found))
    return figure


def _add_search(figure: go.Figure, search: Trajectory) -> None:
    colour, dash = _STYLES[search.sampler]
    name = f"{title(search.space)}, {search.label}"
    best = search.best_so_far
    known = np.flatnonzero(~np.isnan(best))
    figure.add_scatter(
        x=(known + 1).tolist(),
        y=best[known].tolist(),
        mode="lines",
        name=name,
        line={"color": colour, "dash": dash, "width": 2, "shape": "hv"},
        hovertemplate=f"{name}: %{{y:.2f}}%<extra></extra>",
        meta={"space": search.space},
    )


def _finding(found: SearchResult) -> Finding:
    sentence, *more = found.remarks()
    if found.search.best is None:
        return Finding(UNDECIDED, sentence)
    return Finding("measured" if found.at_random is None else found.at_random.verdict, sentence, tuple(more))
