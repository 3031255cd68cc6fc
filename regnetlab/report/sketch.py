"""The error distributions as a small picture for the first screen: SVG, drawn before any script runs."""

from collections.abc import Iterable

import numpy as np
import plotly.graph_objects as go
from markupsafe import Markup, escape

from regnetlab.report.style import DASHES, style

WIDTH, HEIGHT = 360, 214
_LEFT, _TOP, _RIGHT, _BOTTOM = 40, 8, 352, 178


def edf_sketch(figure: go.Figure, spaces: Iterable[str]) -> Markup:
    """The curves of ``distributions.edf_figure`` without bands; styles follow the order of ``spaces``."""
    places = {space: i for i, space in enumerate(spaces)}
    curves = {
        trace.meta["space"]: (np.array(trace.x, np.float64), np.array(trace.y, np.float64))
        for trace in figure.data
        if trace.meta["variant"] == "plain" and "band" not in trace.meta
    }
    errors = np.concatenate([x for x, _ in curves.values()])
    low, high = map(float, figure.layout.xaxis.range or (errors.min(), errors.max()))
    reach = (high - low) or 1.0

    def across(error: float) -> float:
        return float(_LEFT + (_RIGHT - _LEFT) * (error - low) / reach)

    def up(share: float) -> float:
        return _BOTTOM - (_BOTTOM - _TOP) * share

    marks = []
    for share in (0.0, 0.5, 1.0):
        marks.append(f'<path class="grid" d="M{_LEFT} {up(share):g}H{_RIGHT}"/>')
        marks.append(f'<text x="{_LEFT - 5}" y="{up(share) + 4:g}" text-anchor="end">{share:.0%}</text>')
    for tick in _ticks(low, high):
        marks.append(f'<path class="grid" d="M{across(tick):.1f} {_TOP}V{_BOTTOM}"/>')
        marks.append(f'<text x="{across(tick):.1f}" y="{_BOTTOM + 14}" text-anchor="middle">{tick:g}</text>')
    middle = (_LEFT + _RIGHT) / 2
    marks.append(f'<text x="{middle:g}" y="{HEIGHT - 5}" text-anchor="middle">validation error (%)</text>')
    for space, (x, y) in curves.items():
        colour, dash, _ = style(space, places[space])
        lengths = f' stroke-dasharray="{DASHES[dash]}"' if dash in DASHES else ""
        steps = _steps([round(across(each), 1) for each in x], [round(up(each), 1) for each in y])
        marks.append(f'<path stroke="{colour}"{lengths} d="{steps}"/>')
    title = f"Error distributions of {len(curves)} space{'s' * (len(curves) != 1)}: {', '.join(curves)}"
    return Markup(  # numbers and constants of our own; names are escaped
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">{"".join(marks)}</svg>'
    )


def _steps(x: list[float], y: list[float]) -> str:
    """A line that goes right, then up, as far as the picture reaches; steps of less than a pixel are one."""
    path, right, height = f"M{x[0]:g} {y[0]:g}", x[0], y[0]
    for i, (at, top) in enumerate(zip(x, y, strict=True)):
        if at > _RIGHT:
            return f"{path}H{_RIGHT}"
        last = i == len(x) - 1
        if at - right >= 1 or height - top >= 1 or last:
            path += f"H{at:g}V{top:g}"
            right, height = at, top
    return path


def _ticks(low: float, high: float) -> list[float]:
    """Three to seven round numbers."""
    third = (high - low) / 3 or 1.0
    power = 10.0 ** np.floor(np.log10(third))
    step = power * max(each for each in (1, 2, 5) if each * power <= third)
    return [float(f"{each:.6g}") for each in step * np.arange(np.ceil(low / step), np.floor(high / step) + 1)]
