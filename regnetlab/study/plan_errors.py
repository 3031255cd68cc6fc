"""Mistakes in a study file, each with its place, the key and what that accepts."""

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pydantic import ValidationError

from regnetlab.errors import InputError, unknown
from regnetlab.study.tomlfile import line_of

KnownKeys = Callable[[tuple[str | int, ...]], Sequence[str]]
"""The keys that the table at a place of the file accepts."""


def explained(path: Path, text: str, error: ValidationError, known_keys: KnownKeys) -> InputError:
    """The first mistake that pydantic found."""
    found = error.errors()[0]
    location = tuple(each for each in found["loc"] if each not in _UNIONS)
    line = line_of(text, location)
    where = f"{path}" + (f", line {line}" if line else "")
    key = _key(location)
    if found["type"] == "missing" and isinstance(location[-1], int):
        return InputError(f"{where}: {_key(location[:-1])} must be a list of two: [low, high]")
    if found["type"] == "missing":
        example = ' [[spaces]] with space = "AnyNetA" and n = 20' if key == "spaces" else ""
        return InputError(f"{where}: {key} is missing", f"add{example or f' {location[-1]} = …'}")
    if found["type"] == "extra_forbidden":
        inside = f" of [{_key(location[:-1])}]" if len(location) > 1 else ""
        hint = unknown("key", str(location[-1]), known_keys(location[:-1])).hint
        return InputError(f"{where}: key {str(location[-1])!r}{inside} is not known", hint)
    if found["type"] == "tuple_type" and key == "spaces":
        return InputError(f"{where}: [spaces] is one table", "write [[spaces]], once for each space")
    message = _ACCEPTS.get(found["type"]) or found["msg"].replace("Input should be", "it must be")
    return InputError(f"{where}: {key} is {_shown(found['input'])}", f"{message}")


_UNIONS = ("str", "_Template", "dict[str,str]", "tuple[str, ...]")
"""What pydantic adds to a place where a key may be of several types."""

_ACCEPTS: Mapping[str, str] = MappingProxyType(
    {
        "tuple_type": "it must be a list",
        "dict_type": "it must be a table of names and texts, or a list of texts",
        "model_type": "it must be a table of keys",
        "too_long": "it must be a list of two: [low, high]",
        "too_short": "it must have at least one entry",
    }
)
"""What a key accepts, where pydantic says it in Python's words."""


def _key(location: Sequence[str | int]) -> str:
    """A place as a reader of TOML counts: the second of ``[[spaces]]`` is spaces[2]."""
    text = ""
    for each in location:
        text += f"[{each + 1}]" if isinstance(each, int) else f".{each}" if text else each
    return text


def _shown(value: object) -> str:
    text = repr(list(value) if isinstance(value, tuple) else value)
    return text if len(text) <= 60 else f"{text[:57]}…"


def _parts(value: Any) -> list[Any]:
    """The value, or the texts in a table or list of constraints."""
    if isinstance(value, dict):
        return list(value.values())
    return list(value) if isinstance(value, list) else [value]


def line_of_message(text: str, values: Mapping[str, Any], message: str) -> str:
    """Where the key that a message of ``Budget``, ``Recipe``, … speaks of stands in the file."""
    places: list[tuple[str | int, ...]] = []
    for section, inner in values.items():
        if not isinstance(inner, dict | list) and re.match(rf"{re.escape(section)}\b", message):
            return f", line {line_of(text, (section,))}"
        if isinstance(inner, dict):
            places += [(section, key) for key in inner if re.search(rf"\b{re.escape(key)}\b", message)]
        elif isinstance(inner, list):
            places += [
                (section, i, key)
                for i, each in enumerate(inner)
                if isinstance(each, dict)
                for key, value in each.items()
                if any(isinstance(part, str) and repr(part) in message for part in _parts(value))
            ]
        elif isinstance(inner, str) and repr(inner) in message:
            places.append((section,))
    lines = [line for place in places if (line := line_of(text, place))]
    return f", line {lines[-1]}" if lines else ""
