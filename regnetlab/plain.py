"""Values as JSON knows them, and counts and durations as people say them."""

import math
from typing import Any


def plain(value: Any, digits: int = 17) -> Any:
    """The value with arrays as lists, numbers as Python's with so many significant ``digits``, and ``None``
    for those that are not finite.
    """
    if isinstance(value, float):
        number = float(value) if digits >= 17 else float(f"{value:.{digits}g}")
        return number if math.isfinite(number) else None
    if isinstance(value, dict):
        return {key: plain(each, digits) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each, digits) for each in value]
    return plain(value.tolist(), digits) if hasattr(value, "tolist") else value


def plural(n: int, one: str, more: str = "") -> str:
    """How many there are of something: 1 training, 1,200 trainings."""
    return f"{n:,} {one if n == 1 else more or one + 's'}"


def duration(seconds: float) -> str:
    """How long something takes, in the unit that suits: 0.4 s, 45 s, 11 min, 2.5 h, 3 days."""
    if seconds < 99.5:
        return f"{seconds:.1f} s" if seconds < 9.95 and round(seconds, 1) % 1 else f"{seconds:.0f} s"
    if seconds < 99.5 * 60:
        return f"{seconds / 60:.0f} min"
    hours = seconds / 3600
    if hours < 47.5:
        return f"{hours:.1f} h" if hours < 9.95 and round(hours, 1) % 1 else f"{hours:.0f} h"
    return f"{hours / 24:,.0f} days"
