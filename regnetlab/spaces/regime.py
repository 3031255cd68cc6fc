"""Regimes: the windows of flops, params, acts and predicted latency in which a population is drawn."""

import re
from dataclasses import dataclass
from decimal import Decimal

import numpy as np

from regnetlab.errors import InputError
from regnetlab.spaces.arrays import Floats, Ints, Mask
from regnetlab.spaces.complexity import Complexity
from regnetlab.spaces.latency import LatencyModel

LATENCY = "latency"
"""The name of the one window that is not of a count."""

_POWERS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9}
_NUMBER = re.compile(r"\s*(\d{1,15}(?:\.\d{1,12})?)\s*([KMG]?)\s*", re.IGNORECASE)
_SECONDS = {"us": Decimal("0.001"), "µs": Decimal("0.001"), "ms": Decimal(1), "s": Decimal(1000)}
_TIME = re.compile(r"\s*(\d{1,15}(?:\.\d{1,12})?)\s*(us|µs|ms|s)\s*")


@dataclass(frozen=True, slots=True)
class Window:
    """A closed interval of counts, or with ``unit`` of milliseconds; an open end is 0 or infinity."""

    low: float = 0.0
    high: float = float("inf")
    unit: str = ""

    @property
    def text(self) -> str:
        low = "" if self.low == 0 else self.shown(self.low)
        high = "" if self.high == float("inf") else self.shown(self.high)
        return f"{low}:{high}"

    def shown(self, value: float) -> str:
        """A value in this window's notation."""
        return f"{value:.12g}{self.unit}" if self.unit else format_count(value)


@dataclass(frozen=True, slots=True)
class Regime:
    """A window for each count, or ``None`` where any will do.

    ``latency`` is a window of the milliseconds that ``model`` predicts, and needs it.
    """

    flops: Window | None = None
    params: Window | None = None
    acts: Window | None = None
    latency: Window | None = None
    model: LatencyModel | None = None

    def __post_init__(self) -> None:
        if self.latency is not None and self.model is None:
            raise InputError(
                "latency window: nothing says how latency follows from flops and acts",
                "a study file says it in a [latency] section (regnetlab latency STUDY --fit prints one)",
            )

    @property
    def windows(self) -> dict[str, Window]:
        """The windows that are set, by the name of the count."""
        named = {"flops": self.flops, "params": self.params, "acts": self.acts, LATENCY: self.latency}
        return {name: window for name, window in named.items() if window is not None}

    @property
    def text(self) -> str:
        return ", ".join(f"{name} {window.text}" for name, window in self.windows.items())

    def holds(self, counts: Complexity) -> Mask:
        """Which networks lie inside every window; shape (n,)."""
        inside = np.ones(len(counts.flops), np.bool_)
        for name, window in self.windows.items():
            values = self.values(name, counts)
            inside &= (values >= window.low) & (values <= window.high)
        return inside

    def values(self, name: str, counts: Complexity) -> Ints | Floats:
        """What the window of that name judges, shape (n,)."""
        if name == LATENCY and self.model is not None:
            return self.model.predicted(counts)
        found: Ints = getattr(counts, name)
        return found


def parse_window(name: str, text: str) -> Window:
    """The window written ``300M:400M``, ``300M:`` or ``:400M``; K, M and G are powers of 1,000.

    That of ``latency`` is in milliseconds and written ``0.5ms:2ms``, with us, ms or s at each number.
    """
    low, colon, high = text.partition(":")
    timed = name == LATENCY
    if not colon or not (low.strip() or high.strip()):
        example = "0.5ms:2ms" if timed else "300M:400M"
        raise InputError(f"{name} window {text!r} is not LOW:HIGH", f"write it as in {example}")
    parse = _parse_time if timed else _parse_count
    window = Window(
        parse(name, low) if low.strip() else 0.0,
        parse(name, high) if high.strip() else float("inf"),
        "ms" if timed else "",
    )
    units = [end.strip()[-1:].upper() in ("K", "M", "G") for end in (low, high)]
    if units == [False, True] and 0 < window.low < window.high / 1000:
        raise InputError(
            f"{name} window {text!r} begins at {format_count(window.low)}",
            f"write the unit at both ends: {low.strip()}{high.strip()[-1]}:{high.strip()}",
        )
    if window.low > window.high:
        raise InputError(f"{name} window {text!r} is empty: its low end is above its high end", "swap them")
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
        raise InputError(f"{name} window: {text!r} is not a count", "write it as in 300M or 1.5G")
    number, suffix = match.groups()
    return float(Decimal(number) * _POWERS[suffix.upper()])  # in binary 1.1 × 10⁶ is no whole number


def _parse_time(name: str, text: str) -> float:
    match = _TIME.fullmatch(text)
    if match is None:
        raise InputError(f"{name} window: {text!r} is not a time", "write it as in 2ms or 350us")
    number, unit = match.groups()
    return float(Decimal(number) * _SECONDS[unit])
