"""TOML with line numbers: where in a file a key stands, and values written back as TOML."""

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from regnetlab.errors import InputError
from regnetlab.files import read_foreign_text

_TABLE = re.compile(r"(\[\[?)([\w.\-\"' \t]++)\]\]?[ \t]*+(#.*)?")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_MOST_BYTES = 1_000_000
_MOST_LEVELS = 20
_PART = r"""(?:(?<![\w-])[\w-]++|"(?:[^"\\\n]|\\.)*+"|'[^'\n]*+')"""
_LONG_KEY = re.compile(rf"(?:{_PART}[ \t]*+\.[ \t]*+){{50}}")
"""A key of so many parts: the parser takes memory by the square of their number."""


def read_text(path: Path) -> str:
    """The text of this file; raises ``InputError`` where it is none, or none of a study file's size."""
    try:
        return read_foreign_text(path, _MOST_BYTES)
    except (OSError, UnicodeDecodeError) as error:
        hint = "save it as UTF-8" if isinstance(error, UnicodeDecodeError) else ""
        raise InputError(f"{path} can't be read: {error}", hint) from error


def parse_toml(text: str, path: Path, example: str = "see the example in the README") -> dict[str, Any]:
    """What this text of the file at ``path`` says; raises ``InputError`` that names the line of a mistake,
    with a hint at an ``example``.
    """
    if _LONG_KEY.search(text):
        raise InputError(f"{path} has a key of 50 parts or more", "write it with three parts at most")
    try:
        values = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        single = re.search(r"^[ \t]*\[[ \t]*spaces[ \t]*\]", text, re.MULTILINE)
        hint = "write [[spaces]], with two brackets, once for each space" if single else example
        raise InputError(f"{path} is no TOML: {error}", hint) from error
    except ValueError as error:  # a number of thousands of digits, a date that is none
        raise InputError(f"{path} has a value that can't be: {str(error).splitlines()[0]}") from error
    if _deep(values):
        raise InputError(
            f"{path} has tables within tables more than {_MOST_LEVELS} deep",
            "three are the most that a study file needs",
        )
    return values


def _deep(values: object) -> bool:
    """Whether tables and lists are nested deeper than any study file's, found without recursion."""
    level = [values]
    for _ in range(_MOST_LEVELS):
        level = [
            inner
            for each in level
            if isinstance(each, dict | list)
            for inner in (each.values() if isinstance(each, dict) else each)
        ]
    return bool(level)


def line_of(text: str, location: tuple[str | int, ...]) -> int | None:
    """The line of the key at ``location``, such as ``("spaces", 1, "n")``; the nearest above it."""
    best: int | None = None
    table: tuple[str | int, ...] = ()
    counts: dict[str, int] = {}
    depth = 0
    for number, line in enumerate(text.splitlines(), start=1):
        header = _TABLE.fullmatch(line.strip())
        if header is not None:
            name = header[2].strip("\"' \t")
            table = tuple(part.strip("\"' ") for part in name.split("."))
            if header[1] == "[[":
                counts[name] = counts.get(name, -1) + 1
                table = (name, counts[name])
            here: tuple[str | int, ...] = table
        else:
            key = line.partition("=")[0].strip().strip("\"'")
            here = (*table, key)
        if "=" in line or header is not None:
            matched = len(here) if location[: len(here)] == here else 0
            if matched > depth:
                best, depth = number, matched
    return best


def write_value(value: object) -> str:
    """A TOML value on one line: string, number, truth value, array or table of such."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, tuple | list):
        return f"[{', '.join(map(write_value, value))}]"
    if isinstance(value, Mapping):
        return f"{{ {', '.join(write_pairs(value))} }}"
    escaped = "".join(_escape(each) for each in str(value))
    return f'"{escaped}"'


def write_pairs(table: Mapping[str, object]) -> list[str]:
    """``key = value`` for each entry; keys that need it are quoted."""
    return [
        f"{key if _BARE_KEY.fullmatch(key) else write_value(key)} = {write_value(value)}"
        for key, value in table.items()
    ]


def _escape(character: str) -> str:
    if character in '"\\':
        return f"\\{character}"
    return character if character.isprintable() else f"\\U{ord(character):08X}"
