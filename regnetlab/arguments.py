"""What the functions of the Python interface take: a wrong type is bad input, said in a line with a hint."""

import inspect
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from regnetlab.errors import InputError

P = ParamSpec("P")
T = TypeVar("T")
Kind = tuple[str, Callable[[Any], bool]]
"""What a value must be, in words, and whether one is."""


def _whole(value: Any) -> bool:
    return hasattr(value, "__index__") and not isinstance(value, bool)


TEXT: Kind = ("a text", lambda value: isinstance(value, str))
WHOLE: Kind = ("a whole number", _whole)
COUNT: Kind = ("a whole number of at least 1", lambda value: _whole(value) and value >= 1)
NUMBER: Kind = ("a number", lambda value: isinstance(value, int | float) and not isinstance(value, bool))
PATH: Kind = ("a text or a Path", lambda value: isinstance(value, str | Path) and str(value) not in ("", "."))
TEXT_OR_PATH: Kind = ("a text or a Path", lambda value: isinstance(value, str | Path) and bool(str(value)))
FLAG: Kind = ("True or False", lambda value: isinstance(value, bool))
WINDOW: Kind = ('a text with two ends, as in "0.8M:1.2M"', lambda value: isinstance(value, str))
RANGE: Kind = (
    "two whole numbers, as in (1, 12)",
    lambda value: isinstance(value, tuple | list) and len(value) == 2 and all(map(_whole, value)),
)
VALUES: Kind = (
    "a list of numbers, as in [1, 2, 4]",
    lambda value: isinstance(value, tuple | list) and len(value) > 0 and all(map(NUMBER[1], value)),
)
WHOLES: Kind = (
    "a list of whole numbers, as in [3, 4]",
    lambda value: isinstance(value, tuple | list) and all(map(_whole, value)),
)
PAIRS: Kind = (
    'a list of pairs, as in [("AnyNetA", "AnyNetE")]',
    lambda value: (
        isinstance(value, tuple | list)
        and all(isinstance(p, tuple | list) and len(p) == 2 and all(map(TEXT[1], p)) for p in value)
    ),
)
TABLE: Kind = (
    'a dictionary, as in {"lr": 0.2}',
    lambda value: hasattr(value, "items") and all(isinstance(key, str) for key in value),
)


def takes(**kinds: Kind) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Check these arguments before a function is called; ``None`` is let through where it is the default."""

    def decorate(function: Callable[P, T]) -> Callable[P, T]:
        signature = inspect.signature(function)

        @wraps(function)
        def checked(*args: P.args, **kwargs: P.kwargs) -> T:
            for name, value in signature.bind(*args, **kwargs).arguments.items():
                words, holds = kinds.get(name, ("", lambda value: True))
                usual = signature.parameters[name].default
                several = signature.parameters[name].kind is inspect.Parameter.VAR_POSITIONAL
                for each in value if several else [value]:
                    if not (each is None and usual is None) and not holds(each):
                        raise InputError(f"{name} is {repr(each)[:60]}", f"it must be {words}")
            return function(*args, **kwargs)

        return checked

    return decorate
