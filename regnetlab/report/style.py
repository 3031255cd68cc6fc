"""Colours, names and axes that all figures share.

The paper's spaces have colours of Okabe & Ito (2008). Those of blocks, numbers of stages and a study's own
spaces were found by a search for colours that lie far apart in CIELAB with full colour vision, deuteranopia
and protanopia (19 and more; Machado et al. 2009) and stand out on white and on black. Dashes and marker
shapes say the same again. What follows the page's theme (text, grid) is left to the page.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
import plotly.graph_objects as go
from markupsafe import Markup

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
        DERIVED: ("#6E6E6E", "solid", "star"),
    }
)
_OTHERS = (
    *("#BB0099", "#55BBDD", "#008844", "#BBAA55", "#6633FF"),
    *("#BB2222", "#22BBAA", "#6677FF", "#88BB88"),
)
_VARIANTS = (*BLOCKS, "3stages", "5stages")
_TURNS = ("solid", "dash", "dot", "dashdot")
MOST_LINES = 300
"""Thin lines, one a network, in one panel: more are one grey."""
DASHES: Mapping[str, str] = MappingProxyType(
    {"dot": "2 2", "dash": "6 3", "longdash": "10 4", "dashdot": "7 2.5 2 2.5"}
)
"""The lengths of Plotly's dashes in a small picture; a solid line has none."""
_MARKERS: Mapping[str, str] = MappingProxyType(
    {
        "circle": "M11 6a4 4 0 1 0 8 0a4 4 0 1 0 -8 0z",
        "square": "M11 2h8v8h-8z",
        "diamond": "M15 1l5 5l-5 5l-5 -5z",
        "triangle-up": "M15 1l5 9h-10z",
        "triangle-down": "M15 11l5 -9h-10z",
        "x": "M11 2l8 8M19 2l-8 8",
        "cross": "M13.5 1h3v3.5h3.5v3h-3.5v3.5h-3v-3.5h-3.5v-3h3.5z",
        "hourglass": "M11 1h8l-8 10h8z",
        "star": "M15 .5l1.6 3.6l3.9 .4l-2.9 2.6l.8 3.9l-3.4 -2l-3.4 2l.8 -3.9l-2.9 -2.6l3.9 -.4z",
    }
)
WIDTH_TICKS = (2.0 ** np.arange(3, 15)).tolist()
_MARKED = 8  # places of a curve
_WEBGL = 1_000
"""Points of a figure from which on it is drawn by WebGL, which stays smooth."""


def style(space: str, position: int = 0) -> tuple[str, str, str]:
    """Colour, dash and marker of a space; spaces of one's own get one by position.

    Of another block or number of stages, as in AnyNetA-mbconv, the dash is that of AnyNetA, colour and marker
    are the block's; AnyNetE is dashed there, as its own colour no longer tells it from RegNet.
    """
    base, _, variant = space.partition("-")
    if not variant or base not in _STYLES:
        again, place = divmod(position, len(_OTHERS))
        return _STYLES.get(space, (_OTHERS[place], _TURNS[again % len(_TURNS)], "circle"))
    place = _VARIANTS.index(variant) if variant in _VARIANTS else position
    markers = tuple(_MARKERS)
    dash = "dash" if base == "AnyNetE" else _STYLES[base][1]
    return _OTHERS[place % len(_OTHERS)], dash, markers[(place + 1) % len(markers)]


def curve_of(space: str, position: int = 0) -> dict[str, Any]:
    """How a space's curve is drawn: its line, with its marker here and there."""
    colour, dash, symbol = style(space, position)
    return {
        "mode": "lines+markers",
        "line": {"color": colour, "dash": dash, "width": 2.5},
        "marker": {"color": colour, "symbol": symbol, "size": 8, "maxdisplayed": _MARKED},
    }


def swatch(space: str, position: int = 0) -> Markup:
    """A space's line and marker as a small picture, for chips, keys and tables."""
    colour, dash, marker = style(space, position)
    lengths = f' stroke-dasharray="{DASHES[dash]}"' if dash in DASHES else ""
    return Markup(  # of our own constants
        f'<svg class="swatch" viewBox="0 0 30 12" width="30" height="12" aria-hidden="true" fill="{colour}"'
        f' stroke="{colour}" stroke-width="2"><path d="M0 6H30"{lengths}/>'
        f'<path d="{_MARKERS[marker]}" stroke-width="{2.2 if marker == "x" else 0}"/></svg>'
    )


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
    top = 62 if figure.layout.annotations else 38  # the tool bar stands there, and the titles of panels
    figure.update_layout(template="none", margin={"l": 60, "r": 16, "t": top, "b": 56})
    plain: dict[str, Any] = figure.to_plotly_json()
    return plain
