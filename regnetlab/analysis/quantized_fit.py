"""The quantized-linear fit of one network: w_0, w_a, w_m from its stage depths and widths.

Exact where the network lies on the law, after its widths were made compatible with the group width;
otherwise the best of a refined grid, as the paper's own search (Radosavovic et al. 2020, section
3.3).
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regnetlab.spaces.arrays import Floats, Ints
from regnetlab.spaces.compatibility import make_compatible
from regnetlab.spaces.law import quantized_widths
from regnetlab.spaces.ranges import WIDTH_STEP
from regnetlab.spaces.ratio import inner_widths


@dataclass(frozen=True, slots=True)
class QuantizedFit:
    """The law's parameters, the stage depths and widths that it gives, and e_fit over blocks."""

    w0: float
    wa: float
    wm: float
    depths: tuple[int, ...]
    widths: tuple[int, ...]
    e_fit: float


def fit_quantized(
    depths: Sequence[int],
    widths: Sequence[int],
    group_widths: Sequence[int] | None = None,
    bottleneck_ratios: Sequence[float] | None = None,
) -> QuantizedFit:
    """The law nearest to these stages; e_fit is 0 where it gives them back exactly.

    Where no group width is given, every one that divides all widths is tried.
    """
    ratios = np.array(bottleneck_ratios or [1] * len(depths), np.float64)
    if group_widths is not None:
        choices = [np.array(group_widths, np.int64)]
    else:
        divisor = math.gcd(*inner_widths(np.array(widths, np.int64), ratios).tolist())
        choices = [np.full(len(depths), g) for g in range(1, divisor + 1) if divisor % g == 0]
    for groups in choices:
        exact = fit_exactly(depths, widths, groups, ratios)
        if exact is not None:
            return exact
    return _nearest(depths, widths, choices[0], ratios)


def fit_exactly(
    depths: Sequence[int], widths: Sequence[int], groups: Ints, ratios: Floats
) -> QuantizedFit | None:
    """A law that gives exactly these stages, or ``None``; groups and ratios have the shape (stages,).

    For each w_0 the widths bound w_m from both sides; for each w_m in between, the block at which
    each stage begins bounds w_a. Of all that fit, the line nearest to the widths is taken, and its
    parameters are rounded as far as they still fit.
    """
    slack = np.maximum(groups * np.maximum(ratios, 1), WIDTH_STEP) / 2 + WIDTH_STEP / 2
    blocks = np.repeat(widths, depths).astype(np.float64)
    found: list[tuple[float, float, float, float]] = []
    for w0 in _starts(widths[0], float(slack[0])):
        for wm in _multipliers(w0, widths, slack):
            law = np.rint(w0 * wm ** np.arange(len(widths)) / WIDTH_STEP).astype(np.int64) * WIDTH_STEP
            fitted = make_compatible(law, groups, ratios)[0]
            if (fitted != widths).any() or (np.diff(law) <= 0).any():
                continue
            bounds = _slopes(w0, wm, depths)
            if bounds is not None:
                wa = _roundest(*bounds)
                line = w0 + wa * np.arange(len(blocks))
                found.append((float(np.abs(np.log(line / blocks)).mean()), w0, wa, wm))
    for _, w0, wa, wm in sorted(found):
        fit = _given(w0, wa, wm, depths, widths, groups, ratios)
        if fit.e_fit == 0 and fit.depths == tuple(depths):
            return fit
    return None


def _starts(width: int, slack: float) -> Iterator[float]:
    low = max(WIDTH_STEP, math.ceil((width - slack) / WIDTH_STEP) * WIDTH_STEP)
    yield from (float(w0) for w0 in range(low, int(width + slack) + 1, WIDTH_STEP))


def _multipliers(w0: float, widths: Sequence[int], slack: Floats) -> list[float]:
    """Values of w_m for which w_0 · w_m^k is near every width, the roundest first."""
    low, high = 1.0 + 1e-6, 64.0
    for k, width in enumerate(widths[1:], start=1):
        low = max(low, (max(width - slack[k], 1e-9) / w0) ** (1 / k))
        high = min(high, ((width + slack[k]) / w0) ** (1 / k))
    if low > high:
        return []
    if len(widths) == 1:
        return [2.0]
    for decimals in (2, 3, 4, 6):
        grid = np.arange(math.ceil(low * 10**decimals), math.floor(high * 10**decimals) + 1)
        if len(grid) >= 8:
            step = max(1, len(grid) // 400)
            return [float(each) for each in (grid / 10**decimals)[::step]]
    return [float(each) for each in np.linspace(low, high, 64)]


def _slopes(w0: float, wm: float, depths: Sequence[int]) -> tuple[float, float] | None:
    """The open interval of w_a with which the stages have exactly these depths."""
    low, high = 0.0, math.inf
    ends = np.cumsum(depths)
    for k, end in enumerate(ends, start=1):
        # Block j is in step k or later where w_a j > w_0 (w_m^(k − 1/2) − 1).
        reach = w0 * (wm ** (k - 0.5) - 1)
        if k < len(ends):
            low = max(low, reach / end)
        if end > 1:
            high = min(high, reach / (end - 1))
    if high == math.inf:  # one block in the only stage: any slope will do
        return (0.0, 1.0) if low == 0 else (low, 2 * low + 1)
    return (low, high) if low < high else None


def _roundest(low: float, high: float) -> float:
    """The number with the fewest decimals strictly inside, near the middle."""
    middle = (low + high) / 2
    for decimals in range(1, 9):
        rounded = round(middle, decimals)
        if low + (high - low) / 8 <= rounded <= high - (high - low) / 8:
            return rounded
    return middle


def _nearest(depths: Sequence[int], widths: Sequence[int], groups: Ints, ratios: Floats) -> QuantizedFit:
    """The law with the least e_fit on a grid that is refined around its best point."""
    blocks = np.repeat(widths, depths).astype(np.float64)
    shared = len(set(groups.tolist())) == 1 and len(set(ratios.tolist())) == 1
    g, b = (int(groups[0]), float(ratios[0])) if shared else (1, 1)
    count = len(blocks)
    steepest = 2 * max(float(blocks.max() - blocks[0]), WIDTH_STEP) / max(1, count - 1)
    ratio = max(2.0, 1.5 * float(blocks.max() / blocks.min()))
    spread = np.geomspace(blocks.min() / 1.5, blocks.max() * 1.5, 12).astype(np.float64)
    w0s = np.unique(_snapped(spread))
    slopes = np.concatenate([[0.0], np.geomspace(steepest / 100, steepest, 20)])
    multipliers = np.geomspace(1.1, ratio, 24)
    best = (math.inf, 0.0, 0.0, 0.0)
    for zoom in (1.0, 4.0, 16.0):
        error, w0, wa, wm = _best_of(w0s, slopes, multipliers, blocks, g, b)
        best = min(best, (error, w0, wa, wm))
        _, w0, wa, wm = best
        w0s = np.unique(_snapped(w0 + WIDTH_STEP * np.arange(-2, 3)))
        slopes = np.unique(np.maximum(0, wa + steepest / 10 / zoom * np.linspace(-1, 1, 13)))
        multipliers = np.maximum(1.01, wm * (1 + np.linspace(-0.15, 0.15, 13) / zoom))
    _, w0, wa, wm = best
    return _given(w0, wa, wm, depths, widths, np.full(1, g), np.full(1, b))


def _best_of(
    w0s: Floats, slopes: Floats, multipliers: Floats, blocks: Floats, g: int, b: float
) -> tuple[float, float, float, float]:
    """The grid point with the least e_fit, as (e_fit, w_0, w_a, w_m)."""
    w0, wa, wm = (each[..., None] for each in np.meshgrid(w0s, slopes, multipliers, indexing="ij"))
    steps = np.rint(np.log1p(wa * np.arange(len(blocks)) / w0) / np.log(wm))
    law = _snapped(w0 * wm**steps).astype(np.int64)
    predicted = make_compatible(law, np.full_like(law, g), np.full_like(law, b))[0]
    errors = np.abs(np.log(predicted / blocks)).mean(-1)
    at = np.unravel_index(int(errors.argmin()), errors.shape)
    return float(errors[at]), float(w0s[at[0]]), float(slopes[at[1]]), float(multipliers[at[2]])


def _snapped(widths: NDArray[np.floating[Any]]) -> Floats:
    return np.asarray(np.maximum(np.rint(widths / WIDTH_STEP), 1) * WIDTH_STEP, np.float64)


def _given(
    w0: float,
    wa: float,
    wm: float,
    depths: Sequence[int],
    widths: Sequence[int],
    groups: Ints,
    ratios: Floats,
) -> QuantizedFit:
    """What this law gives, and its e_fit on these stages."""
    blocks = np.repeat(widths, depths)
    law = np.maximum(quantized_widths(w0, wa, wm, len(blocks)), WIDTH_STEP)
    starts = [0, *(np.flatnonzero(np.diff(law)) + 1).tolist(), len(law)]
    stage_widths = law[starts[:-1]]
    stages = len(stage_widths)
    if stages != len(groups):
        groups, ratios = np.full(stages, groups[0]), np.full(stages, ratios[0])
    fitted = make_compatible(stage_widths, groups, ratios)[0]
    lengths = [end - start for start, end in pairwise(starts)]
    predicted = np.repeat(fitted, lengths)
    return QuantizedFit(
        w0=w0,
        wa=wa,
        wm=wm,
        depths=tuple(lengths),
        widths=tuple(int(each) for each in fitted),
        e_fit=float(np.abs(np.log(predicted / blocks)).mean()),
    )
