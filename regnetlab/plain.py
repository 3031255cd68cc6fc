"""Values as JSON knows them."""

import math
from typing import Any


def plain(value: Any) -> Any:
    """The value with arrays as lists, their numbers as Python's, and ``None`` for what is not finite."""
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    return plain(value.tolist()) if hasattr(value, "tolist") else value
