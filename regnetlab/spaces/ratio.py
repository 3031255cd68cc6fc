"""The bottleneck ratio b = w / v of a block's width w and inner width v.

A whole number narrows the block inside (a bottleneck), one over a whole number widens it (an inverted
bottleneck, Sandler et al. 2018): 0.25 is four times as wide inside. It is a number everywhere, whole
ones as ``int``; widths are made to suit it in ``compatibility``.
"""

import math
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from regnetlab.errors import InputError
from regnetlab.spaces.arrays import Floats, Ints

MOST_NARROWING = 1_024
MOST_WIDENING = 16
_WHAT = f"a whole number of 1 to {MOST_NARROWING:,}, or one over 2 to {MOST_WIDENING}, as in 0.25 or 1/6"


def bottleneck_ratio(value: float) -> float:
    """The exact ratio meant by this number: 1, 2, 4, … or 1/2, 1/3, …; raises ``InputError``."""
    if 1 <= value <= MOST_NARROWING and value == math.floor(value):
        return int(value)
    if 1 / (MOST_WIDENING + 1) < value < 1:  # of the least numbers, 1 / value is infinite
        k = round(1 / value)
        if 2 <= k <= MOST_WIDENING and abs(value * k - 1) < 1e-3:
            return 1 / k
    raise InputError(f"bottleneck ratio {value:g} can't be used", f"it must be {_WHAT}")


def parse_ratio(text: str) -> float:
    """The ratio written as ``4``, ``0.25`` or ``1/4``."""
    numerator, slash, denominator = text.strip().partition("/")
    try:
        value = float(numerator) / (float(denominator) if slash else 1)
    except (ValueError, ZeroDivisionError):
        raise InputError(f"bottleneck ratio {text[:20]!r} can't be used", f"it must be {_WHAT}") from None
    return bottleneck_ratio(value)


def ratio_text(ratio: float) -> str:
    """``4`` or ``0.25``; ``parse_ratio`` reads it back."""
    return f"{ratio:.6g}"


def plain(ratios: Iterable[float]) -> tuple[float, ...]:
    """The same numbers, whole ones as ``int``."""
    return tuple(int(each) if each >= 1 else float(each) for each in ratios)


def plain_rows(column: Floats) -> Sequence[Sequence[float]]:
    """A column of shape (n, stages) as rows of numbers, whole ones as ``int``."""
    whole = column.astype(np.int64)
    if np.array_equal(whole, column):
        return [list(row) for row in whole.tolist()]
    return [list(plain(row)) for row in column.tolist()]


def widening(ratios: NDArray[np.float64]) -> Ints:
    """How many times wider a block is inside: k where b is 1/k, else 1."""
    return np.maximum(np.rint(1 / ratios), 1).astype(np.int64)


def inner_widths(widths: Ints, ratios: Floats) -> Ints:
    """v = w / b, rounded down, at least 1; the arrays broadcast."""
    return np.maximum(np.floor(widths / ratios + 1e-6), 1).astype(np.int64)
