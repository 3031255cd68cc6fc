"""Values as JSON knows them."""

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
