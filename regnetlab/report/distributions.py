"""Figures of errors: distributions, strips, learning curves, the best of k.

Each function draws what ``analysis`` computed, and computes nothing.
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

from regnetlab.analysis.space_errors import COMPLEXITIES, SpaceErrors
from regnetlab.analysis.statistics.edf import edf, weighted_edf
from regnetlab.analysis.statistics.matching import matched_weights
from regnetlab.analysis.statistics.random_search import random_search
from regnetlab.plain import duration
from regnetlab.report.style import curve_of, faint, log_axis, style, title
from regnetlab.spaces.arrays import Floats
from regnetlab.training.guessing import Guessing
from regnetlab.trials.table import errors_of, spaces_of

_MOST_STEPS = 2_000
"""Steps of a distribution that are drawn: more than a screen has points across."""
_GUESSING = "#808080"
_MOST_BOXED = 2_000
"""Errors of a box; those of more are drawn from their quartiles."""


def edf_figure(
    networks: pd.DataFrame, populations: Sequence[SpaceErrors], guess: Guessing | None = None
) -> go.Figure:
    """Error distributions of all spaces, as drawn and at equal flops, params, acts and depth.

    Failed networks count: the curve of a space with some ends below 1 within the figure.

    Args:
        networks: A row a network with ``space`` and ``error`` (``trials.table.complete``).
        populations: The errors and complexities of the drawn spaces (``analysis.space_errors``).
        guess: What guessing earns, drawn as a line.
    """
    figure = go.Figure()
    most = float(networks["error"].max())
    failed = {each.space: each.with_failures for each in populations if each.failed}
    for i, space in enumerate(spaces_of(networks)):
        curve = edf(failed.get(space, errors_of(networks, space))).thinned(_MOST_STEPS)
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
        drawn = [each for each in populations if name in each.complexity]
        weights = matched_weights([each.complexity[name] for each in drawn]) if len(drawn) > 1 else None
        for i, (population, weight) in enumerate(zip(drawn, weights or (), strict=False)):
            errors, shares = _thinned(*weighted_edf(population.with_failures, weight))
            _add_steps(figure, population.space, i, errors, shares, most, name)
    figure.update_layout(
        hovermode="x",
        xaxis={
            "title": "validation error (%)",
            "hoverformat": ".2f",
            "range": core(networks["error"]) or (_reach(networks["error"]) if failed else None),
        },
        yaxis={"title": "share of networks with at most this error", "tickformat": ".0%", "range": [0, 1.02]},
        legend={"orientation": "h", "y": -0.2, "x": 0},
        height=520,
        meta={"link": {"kind": "point", "x": "error", "y": "share"}},
    )
    _add_guessing(figure, networks["error"], guess)
    return figure


def core(errors: "pd.Series[float]") -> tuple[float, float] | None:
    """Where the axis of errors begins and ends, if a few bad networks would take most of it."""
    least, high, most = errors.min(), errors.quantile(0.975), errors.max()
    room = 0.05 * (high - least)
    return (float(least - room), float(high + room)) if most - least > 1.5 * (high - least) else None


def _reach(errors: "pd.Series[float]") -> tuple[float, float]:
    """From the least to the largest error, with some room: failed networks at 100% would take most of it."""
    room = 0.05 * (errors.max() - errors.min()) or 1.0
    return float(errors.min() - room), float(errors.max() + room)


def beyond(errors: "pd.Series[float]") -> str:
    """A sentence on the networks that lie outside of the figure; empty where there are none."""
    shown = core(errors)
    if shown is None:
        return ""
    far = int((errors > shown[1]).sum())
    lie = "lies" if far == 1 else "lie"
    return f"{far} of {len(errors):,} networks {lie} further right; a double click with a mouse shows all."


def strip_figure(networks: pd.DataFrame) -> go.Figure:
    """Every network's error, one strip a space, with the median."""
    figure = go.Figure()
    for i, space in enumerate(spaces_of(networks)):
        colour, _, symbol = style(space, i)
        rows = networks[networks["space"] == space]
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
            hovertemplate="%{y:.2f}%<extra>" + title(space) + "</extra>",
            meta={"space": space},
        )
    figure.update_layout(
        yaxis_title="validation error (%)",
        showlegend=False,
        height=420,
        meta={"link": {"kind": "point", "x": "title", "y": "error"}},
    )
    return figure


def efficiency_figure(networks: pd.DataFrame, populations: Sequence[SpaceErrors]) -> go.Figure:
    """The best of k networks drawn at random from each space: its mean, and 95% of all searches."""
    figure = go.Figure()
    for i, population in enumerate(populations):
        rows = networks[networks["space"] == population.space]
        seconds = (
            pd.to_numeric(rows["seconds"], errors="coerce").mean() if "seconds" in rows else float("nan")
        )
        found = random_search(population.with_failures, float(seconds))
        colour = style(population.space, i)[0]
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
        hours = [
            f", {duration(3600 * each)} of training" if np.isfinite(each) else "" for each in found.hours
        ]
        figure.add_scatter(
            x=found.k.tolist(),
            y=found.expected.tolist(),
            text=hours,
            name=title(population.space),
            **curve_of(population.space, i),
            hovertemplate=f"{title(population.space)}: %{{y:.2f}}%%{{text}}<extra></extra>",
            meta={"space": population.space},
        )
    figure.update_layout(
        hovermode="x",
        yaxis_title="expected error of the best (%)",
        showlegend=False,
        height=420,
    )
    log_axis(figure, "networks trained k (log)", 1, max(len(each.with_failures) for each in populations))
    return figure


def curves_figure(networks: pd.DataFrame) -> go.Figure:
    """Training error over the images seen: each space's median, and its middle four fifths (a band).

    The column ``points`` of ``networks`` holds learning curves (``trials.csv_tables.points_of``).
    """
    figure = go.Figure()
    for i, space in enumerate(spaces_of(networks)):
        curves = [row for row in networks.loc[networks["space"] == space, "points"] if row]
        if not curves:
            continue
        images, low, middle, high = _quantiles(curves)
        colour = style(space, i)[0]
        figure.add_scatter(
            x=[*images, *images[::-1]],
            y=[*high, *low[::-1]],
            fill="toself",
            fillcolor=faint(colour, 0.12),
            line={"width": 0},
            mode="lines",
            hoverinfo="skip",
            showlegend=False,
            visible=False,
            meta={"space": space, "band": True},
        )
        figure.add_scatter(
            x=images,
            y=middle,
            name=title(space),
            **curve_of(space, i),
            hovertemplate=f"{title(space)}: %{{y:.1f}}%<extra></extra>",
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


def _add_guessing(figure: go.Figure, errors: "pd.Series[float]", guess: Guessing | None) -> None:
    """A line at the error of guessing, unless it lies so far away that the curves would be squeezed."""
    low, high = core(errors) or (errors.min(), errors.max())
    if guess is None or not low <= guess.majority_error <= high + 0.1 * (high - low):
        return
    figure.add_vline(
        x=guess.majority_error,
        line={"color": _GUESSING, "width": 1.5, "dash": "dot"},
        annotation={"text": f"guessing {guess.majority_error:.1f}%", "textangle": -90, "yanchor": "bottom"},
        annotation_position="bottom left",
    )


def variants(figure: go.Figure) -> list[str]:
    """The complexities at which two spaces or more are drawn in the figure of ``edf_figure``."""
    drawn = [trace.meta["variant"] for trace in figure.data if trace.meta and "variant" in trace.meta]
    return [name for name in COMPLEXITIES if drawn.count(name) > 1]


def _add_steps(
    figure: go.Figure, space: str, place: int, errors: Any, shares: Any, most: float, variant: str
) -> None:
    figure.add_scatter(
        x=[errors[0], *errors, max(most, errors[-1])],
        y=[0, *shares, 1],
        name=title(space),
        **curve_of(space, place),
        line_shape="hv",
        hovertemplate=f"{title(space)}: %{{y:.0%}} have ≤ %{{x:.1f}}%<extra></extra>",
        visible=variant == "plain",
        showlegend=variant == "plain",
        meta={"space": space, "variant": variant},
    )


def _quantiles(curves: Sequence[Sequence[Sequence[float]]]) -> tuple[list[float], ...]:
    """Images seen, and the 10, 50 and 90% points of the training errors of curves with as many points."""
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


def _thinned(errors: Floats, shares: Floats) -> tuple[Floats, Floats]:
    """A weighted distribution in at most so many steps, each on the curve."""
    if len(errors) <= _MOST_STEPS:
        return errors, shares
    kept = np.unique(np.searchsorted(shares, np.linspace(shares[0], shares[-1], _MOST_STEPS)))
    kept = kept[kept < len(errors)]
    return errors[kept], shares[kept]
