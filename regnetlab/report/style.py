"""Colours, names and axes that all figures share.

Colours are those of Okabe & Ito (2008), which colour-blind readers can tell apart and which stand out
on white and on black; dashes and marker shapes say the same again. What follows the page's theme
(text, grid) is left to the page.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
import plotly.graph_objects as go

from regnetlab.spaces.blocks import BLOCKS
from regnetlab.spaces.regime import format_count
from regnetlab.trials.job import DERIVED

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
_OF_BLOCKS = ("#AA4499", *_OTHERS[:3], "#882255", "#44AA99", "#CC79A7", "#888888", "#009E73", "#E69F00")
MOST_LINES = 300
"""Thin lines, one a network, in one panel: more are one grey."""
WIDTH_TICKS = (2.0 ** np.arange(3, 15)).tolist()
_WEBGL = 1_000
"""Points of a figure from which on it is drawn by WebGL, which stays smooth."""


def style(space: str, position: int = 0) -> tuple[str, str, str]:
    """Colour, dash and marker of a space; spaces of one's own get one by position.

    Of another block or number of stages, as in AnyNetA-mbconv, dash and marker are those of AnyNetA, and the
    colour is the block's; AnyNetE is dashed there, as its own colour no longer tells it from RegNet.
    """
    base, _, variant = space.partition("-")
    if not variant or base not in _STYLES:
        return _STYLES.get(space, (_OTHERS[position % len(_OTHERS)], "solid", "circle"))
    names = [*BLOCKS, "3stages", "5stages"]
    place = names.index(variant) if variant in names else position
    _, dash, marker = _STYLES[base]
    return _OF_BLOCKS[place % len(_OF_BLOCKS)], "dash" if base == "AnyNetE" else dash, marker


def title(space: str) -> str:
    return "derived RegNets" if space == DERIVED else space


def scatter_type(points: int) -> Any:
    """The class of a trace with so many points."""
    return go.Scattergl if points > _WEBGL else go.Scatter


def log_axis(figure: go.Figure, name: str, low: float, high: float) -> None:
    """A logarithmic x axis from ``low`` to ``high`` with round numbers."""
    ticks = round_numbers(low, high)
    figure.update_xaxes(title=name, type="log", tickvals=ticks, ticktext=[format_count(t) for t in ticks])


def round_numbers(low: float, high: float) -> list[float]:
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


def joined(rows: list[Any]) -> list[Any]:
    """Several lines as one trace: their points with a gap after each."""
    return [point for row in rows for point in (*row, None)]


def at_most(rows: Sequence[Any], most: int = MOST_LINES) -> list[Any]:
    """At most so many of these rows, at equal distances."""
    places = np.linspace(0, len(rows) - 1, min(len(rows), most)).round().astype(np.int64)
    return [rows[place] for place in places]


def faint(colour: str, opacity: float = 0.16) -> str:
    """The colour, mostly transparent."""
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},{opacity})"


def as_json(figure: go.Figure) -> dict[str, Any]:
    """A figure as plain lists and numbers, without Plotly's default template."""
    figure.update_layout(
        template="none", margin={"l": 60, "r": 16, "t": 32 if figure.layout.annotations else 16, "b": 56}
    )
    plain: dict[str, Any] = figure.to_plotly_json()
    return plain
