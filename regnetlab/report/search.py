"""The report's part on searches: the best so far against random search at equal cost."""

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
import plotly.graph_objects as go

from regnetlab.analysis.searches import Trajectory, at_random
from regnetlab.analysis.statistics.random_search import random_search
from regnetlab.analysis.statistics.verdicts import UNDECIDED
from regnetlab.report.content import Content
from regnetlab.report.findings import Finding
from regnetlab.report.style import faint, log_axis, style, title
from regnetlab.spaces.regime import format_count

_STYLES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {"random": ("#888888", "dot"), "tpe": ("#0072B2", "solid"), "nsga2": ("#AA4499", "dash")}
)
"""Colour and dash by sampler."""

_NAMES: Mapping[str, str] = MappingProxyType({"random": "random sampler", "tpe": "TPE", "nsga2": "NSGA-II"})


def search_findings(content: Content) -> list[Finding]:
    """A sentence for every search: its best, and what random search has at the same cost."""
    return [_finding(content, each) for each in content.searches]


def searches_figure(content: Content) -> go.Figure:
    """The best so far of every search after k trainings, and the expected best of k drawn at random."""
    figure = go.Figure()
    places = {population.space: i for i, population in enumerate(content.comparison.spaces)}
    for space in dict.fromkeys(each.space for each in content.searches):
        colour, _, _ = style(space, places.get(space, 0))
        population = content.rivals.get(space)
        if population is not None and len(population.with_failures):
            found = random_search(population.with_failures)
            figure.add_scatter(
                x=[*found.k.tolist(), *found.k[::-1].tolist()],
                y=[*found.high.tolist(), *found.low[::-1].tolist()],
                fill="toself",
                fillcolor=faint(colour, 0.14),
                line={"width": 0},
                mode="lines",
                hoverinfo="skip",
                showlegend=False,
                meta={"space": space, "band": True},
            )
            figure.add_scatter(
                x=found.k.tolist(),
                y=found.expected.tolist(),
                mode="lines",
                name=f"{title(space)}, drawn at random",
                line={"color": colour, "width": 2.5},
                hovertemplate=f"{title(space)}, drawn at random: %{{y:.2f}} %<extra></extra>",
                meta={"space": space},
            )
    for search in content.searches:
        if search.best is not None:
            _add_search(figure, search)
    figure.update_layout(
        hovermode="x",
        yaxis_title="error of the best so far (%)",
        legend={"orientation": "h", "y": -0.25, "x": 0},
        height=460,
    )
    log_axis(figure, "networks trained k (log)", 1, max(map(len, content.searches)))
    return figure


def _add_search(figure: go.Figure, search: Trajectory) -> None:
    colour, dash = _STYLES[search.sampler]
    name = f"{title(search.space)}, {_label(search)}"
    best = search.best_so_far
    known = np.flatnonzero(~np.isnan(best))
    figure.add_scatter(
        x=(known + 1).tolist(),
        y=best[known].tolist(),
        mode="lines",
        name=name,
        line={"color": colour, "dash": dash, "width": 2, "shape": "hv"},
        hovertemplate=f"{name}: %{{y:.2f}} %<extra></extra>",
        meta={"space": search.space},
    )


def _finding(content: Content, search: Trajectory) -> Finding:
    where = f"{_label(search)} in {title(search.space)}"
    if search.best is None:
        return Finding(UNDECIDED, f"{where}: all {len(search)} trainings failed.")
    remarks = _remarks(search)
    population = content.rivals.get(search.space)
    if population is None or not len(population.with_failures):
        text = (
            f"{where}: the best of {len(search)} trainings has {search.errors[search.best]:.2f} %; this study"
        )
        return Finding("measured", f"{text} has no population of that space to compare it with.", remarks)
    found = at_random(search, population)
    best = search.best_so_far[found.k - 1]
    has = "all failed" if np.isnan(best) else f"the best of {found.k} trainings has {best:.2f} %"
    return Finding(
        found.verdict,
        f"{where}: {has}; of {found.k} drawn at random, {found.text}",
        remarks,
    )


def _remarks(search: Trajectory) -> tuple[str, ...]:
    place = search.best
    assert place is not None
    remarks = [
        f"best of all {len(search)}, and so a little lucky: {search.models[place]},"
        f" {search.errors[place]:.2f} %, {_count(search.flops[place])} flops, found by training {place + 1}"
    ]
    if search.failed:
        remarks.append(f"{search.failed} of the {len(search)} trainings failed; they count as trained")
    if search.sampler == "nsga2":
        front = ", ".join(f"{search.errors[i]:.2f} % at {_count(search.flops[i])}" for i in search.front)
        remarks.append(f"least error by flops: {front}")
    return tuple(remarks)


def _label(search: Trajectory) -> str:
    return f"{_NAMES[search.sampler]} (seed {search.seed})"


def _count(value: float) -> str:
    return format_count(float(f"{value:.4g}"))
