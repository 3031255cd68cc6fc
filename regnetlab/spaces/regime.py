"""Regimes: the windows of flops, params and acts in which a population is drawn."""

import re
from dataclasses import dataclass
from decimal import Decimal

import numpy as np

from regnetlab.errors import InputError
from regnetlab.spaces.arrays import Mask
from regnetlab.spaces.complexity import Complexity

_POWERS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9}
_NUMBER = re.compile(r"\s*(\d{1,15}(?:\.\d{1,12})?)\s*([KMG]?)\s*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Window:
    """A closed interval of counts; an open end is 0 or infinity."""

    low: float = 0.0
    high: float = float("inf")

    @property
    def text(self) -> str:
        low = "" if self.low == 0 else format_count(self.low)
        high = "" if self.high == float("inf") else format_count(self.high)
        return f"{low}:{high}"


@dataclass(frozen=True, slots=True)
class Regime:
    """A window for each count, or ``None`` where any will do."""

    flops: Window | None = None
    params: Window | None = None
    acts: Window | None = None

    @property
    def windows(self) -> dict[str, Window]:
        """The windows that are set, by the name of the count."""
        named = {"flops": self.flops, "params": self.params, "acts": self.acts}
        return {name: window for name, window in named.items() if window is not None}

    @property
    def text(self) -> str:
        return ", ".join(f"{name} {window.text}" for name, window in self.windows.items())

    def holds(self, counts: Complexity) -> Mask:
        """Which networks lie inside every window; shape (n,)."""
        inside = np.ones(len(counts.flops), np.bool_)
        for name, window in self.windows.items():
            values = getattr(counts, name)
            inside &= (values >= window.low) & (values <= window.high)
        return inside


def parse_window(name: str, text: str) -> Window:
    """The window written ``300M:400M``, ``300M:`` or ``:400M``; K, M and G are powers of 1,000."""
    low, colon, high = text.partition(":")
    if not colon or not (low.strip() or high.strip()):
        raise InputError(f"{name} window {text!r} is not LOW:HIGH; write it as in 300M:400M")
    window = Window(
        _parse_count(name, low) if low.strip() else 0.0,
        _parse_count(name, high) if high.strip() else float("inf"),
    )
    if window.low > window.high:
        raise InputError(f"{name} window {text!r} is empty: its low end is above its high end")
    return window


def format_count(value: float) -> str:
    """A count with K, M or G, exact where the window's text was: 399600000 is 399.6M."""
    for suffix, power in (("G", 10**9), ("M", 10**6), ("K", 10**3)):
        if value >= power:
            return f"{value / power:.12g}{suffix}"
    return f"{value:.12g}"


def _parse_count(name: str, text: str) -> float:
    match = _NUMBER.fullmatch(text)
    if match is None:
        raise InputError(f"{name} window: {text!r} is not a count; write it as in 300M or 1.5G")
    number, suffix = match.groups()
    return float(Decimal(number) * _POWERS[suffix.upper()])  # in binary 1.1 × 10⁶ is no whole number
