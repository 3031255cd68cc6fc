"""Values as JSON knows them, and as people say them."""

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


def duration(seconds: float) -> str:
    """A time as people say it: ``35 s``, ``4 min``, ``1 h 47 min``, ``12 h``."""
    if seconds < 59.5:
        return f"{seconds:.0f} s" if seconds >= 9.5 else f"{seconds:.2g} s"
    minutes = round(seconds / 60)
    hours, rest = divmod(minutes, 60)
    if not hours:
        return f"{minutes} min"
    return f"{hours:,} h {rest} min" if rest and hours < 10 else f"{round(seconds / 3600):,} h"
