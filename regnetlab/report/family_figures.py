"""The figures of a finished study: errors by class, which classes are confused, and calibration."""

import html
import math
from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

from regnetlab.report.style import faint
from regnetlab.spaces.regime import format_count
from regnetlab.study.finish_file import OfClass, Tested

MOST_CLASSES = 40
"""More of them are not told apart in a figure; a table has the others."""
_MOST_COUNTS = 12  # classes of a matrix with room for numbers
_LABEL = 18
_RIGHT, _WRONG = "#0072B2", "#D55E00"
_GREY = "#8a96a3"


def class_rows(tested: Tested) -> list[OfClass]:
    """The classes, that with the highest error first, those without test images last."""
    return sorted(tested.by_class, key=lambda each: 1 if each.error is None else -each.error)


def classes_figure(tested: Tested) -> go.Figure:
    """Error of each class with its interval, the worst on top, and the error of all."""
    rows = [(each, each.error) for each in class_rows(tested)[:MOST_CLASSES] if each.error is not None]
    names = [each.name for each, _ in rows]
    figure = go.Figure()
    figure.add_vrect(
        x0=tested.interval[0], x1=tested.interval[1], fillcolor=_GREY, opacity=0.18, line_width=0
    )
    figure.add_vline(x=tested.error, line={"color": _GREY, "width": 1.5, "dash": "dot"})
    figure.add_scatter(
        x=[error for _, error in rows],
        y=names,
        name="error of the class",
        mode="markers",
        marker={"color": _WRONG, "size": 9},
        error_x={
            "type": "data",
            "symmetric": False,
            "array": [max(0.0, each.interval[1] - error) for each, error in rows],
            "arrayminus": [max(0.0, error - each.interval[0]) for each, error in rows],
            "thickness": 1.5,
            "width": 0,
        },
        hovertext=[
            f"<b>{_label(each.name, 60)}</b> {percent(error)}%"
            f" ({percent(each.interval[0])} to {percent(each.interval[1])})<br>{each.images:,} images"
            for each, error in rows
        ],
        hovertemplate="%{hovertext}<extra></extra>",
    )
    highest = max((each.interval[1] for each, _ in rows), default=1.0)
    figure.update_layout(
        hovermode="closest",
        showlegend=False,
        xaxis={"title": "test error (%)", "range": [-0.02 * highest, 1.03 * highest], "zeroline": False},
        yaxis=_named(names) | {"range": [len(names) - 0.4, -0.6]},
        height=110 + 22 * len(names),
    )
    return figure


def confusion_figure(tested: Tested) -> go.Figure:
    """Test images by true class (rows) and predicted class: right ones in blue, mistakes in orange."""
    names = [each.name for each in tested.by_class]
    counts, every = tested.confusion, range(len(names))
    figure = go.Figure()
    # Mistakes are few: on one scale with what is right they could not be seen.
    for title, colour, is_right in (("right", _RIGHT, True), ("taken for another class", _WRONG, False)):
        shares = [
            [_share(counts, i, j) if (i == j) is is_right and counts[i][j] else None for j in every]
            for i in every
        ]
        most = max((each for row in shares for each in row if each is not None), default=1.0)
        figure.add_heatmap(
            x=names,
            y=names,
            z=shares,
            name=title,
            zmin=0,
            zmax=most,
            colorscale=[[0, faint(colour, 0.08)], [1, faint(colour, 0.62)]],
            showscale=False,
            hoverongaps=False,
            xgap=1,
            ygap=1,
            hovertext=[[_cell(names, counts, i, j) for j in every] for i in every],
            hovertemplate="%{hovertext}<extra></extra>",
        )
    if len(names) <= _MOST_COUNTS:
        cells = [(i, j) for i in every for j in every if counts[i][j]]
        figure.add_scatter(
            x=[names[j] for _, j in cells],
            y=[names[i] for i, _ in cells],
            text=[format_count(counts[i][j]) for i, j in cells],
            mode="text",
            showlegend=False,
            hoverinfo="skip",
        )
    figure.update_layout(
        hovermode="closest",
        showlegend=False,
        xaxis=_named(names)
        | {
            "title": {"text": "predicted", "standoff": 8},
            "showgrid": False,
            "side": "bottom",
            "tickangle": -90,
        },
        yaxis=_named(names)
        | {"title": {"text": "true", "standoff": 8}, "showgrid": False, "range": [len(names) - 0.5, -0.5]},
        height=max(360, 170 + 24 * len(names)),
    )
    return figure


def calibration_figure(tested: Tested) -> go.Figure:
    """The share of images that are right against the probability that the network gives its answer."""
    bins = [each for each in tested.calibration.bins if each[2]]
    most = max((n for _, _, n in bins), default=1)
    figure = go.Figure()
    figure.add_scatter(
        x=[0, 100],
        y=[0, 100],
        mode="lines",
        name="as probable as it says",
        line={"color": _GREY, "dash": "dot", "width": 1.5},
        hoverinfo="skip",
    )
    figure.add_scatter(
        x=[100 * confidence for confidence, _, _ in bins],
        y=[100 * accuracy for _, accuracy, _ in bins],
        mode="lines+markers",
        name="test images",
        line={"color": _RIGHT, "width": 1.5},
        marker={"color": _RIGHT, "size": [8 + 16 * math.sqrt(n / most) for _, _, n in bins], "opacity": 0.75},
        hovertext=[
            f"{100 * confidence:.0f}% sure: {100 * accuracy:.0f}% right<br>{n:,} images"
            for confidence, accuracy, n in bins
        ],
        hovertemplate="%{hovertext}<extra></extra>",
    )
    figure.update_layout(
        hovermode="closest",
        showlegend=False,
        xaxis={"title": "probability of its answer (%)", "range": [0, 103], "zeroline": False},
        yaxis={"title": "right (%)", "range": [0, 105], "zeroline": False},
        height=420,
    )
    return figure


def _named(names: Sequence[str]) -> dict[str, Any]:
    """An axis of classes."""
    return {
        "type": "category",
        "categoryorder": "array",
        "categoryarray": list(names),
        "tickvals": list(names),
        "ticktext": [_label(name) for name in names],
    }


def _label(name: str, most: int = _LABEL) -> str:
    """A class's name in a figure, where Plotly would read marks such as ``<b>``."""
    return html.escape(name if len(name) <= most else f"{name[: most - 1]}…", quote=False)


def _cell(names: Sequence[str], counts: Sequence[Sequence[int]], i: int, j: int) -> str:
    n = f"{counts[i][j]:,} of {sum(counts[i]):,} {_label(names[i], 40)}"
    return f"{n}<br>{'right' if i == j else f'taken for {_label(names[j], 40)}'}"


def _share(counts: Sequence[Sequence[int]], i: int, j: int) -> float:
    return 100 * counts[i][j] / sum(counts[i])


def percent(value: float) -> str:
    """With one decimal: of so few images more would be noise."""
    return f"{value:.1f}"
