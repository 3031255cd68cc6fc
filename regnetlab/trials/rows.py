"""One row of a file of networks, texts by column, as a network; the columns are those of ``networks``."""

import math
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from regnetlab.errors import InputError
from regnetlab.spaces.config import MAX_DEPTH, MAX_STAGES, MAX_WIDTH, Number
from regnetlab.spaces.ratio import parse_ratio
from regnetlab.training.budget import COMPLETE
from regnetlab.trials.csv_header import COUNTS
from regnetlab.trials.error_units import EMPTY, ErrorReading
from regnetlab.trials.foreign import Row

UNNAMED = "networks"
"""The space of networks whose file names none."""

_INDEX = re.compile(r"([0-9]{1,12})(\.0*)?")  # pandas writes 3.0 where a row was without one
_JOINED = re.compile(r"[1-9][0-9]*((-[1-9][0-9]*)+|(, ?[1-9][0-9]*)+|(; ?[1-9][0-9]*)+)")
"""Whole numbers as in 1,2,4 or 1-2-4; none begins with 0, as decimals, thousands and dates may."""
_WHOLE = re.compile(r"([0-9]{1,7})(\.0*)?")


def network_of(row: Row, count: int, reading: ErrorReading, powers: Mapping[str, float]) -> dict[str, Any]:
    """The network of this row, after ``count`` others; ``powers`` multiply its counts."""
    if None in row or None in row.values():
        raise InputError("this line has more or fewer values than the first line has columns")
    error = reading.error(row)
    known_config = not _is_empty(row, "depths") or not _is_empty(row, "widths")
    if not known_config and "depths" in row:  # a training may fail before its network is written
        known_config = not (math.isnan(error) and reading.column in row)
    depths = _numbers(row, "depths", MAX_DEPTH) if known_config else None
    widths = _numbers(row, "widths", MAX_WIDTH) if known_config else None
    stages = len(widths or ())
    if depths is not None and len(depths) != stages:
        raise InputError(f"depths has {len(depths)} numbers and widths {stages}", "one per stage each")
    groups = next((each for each in ("group_widths", "group_width") if not _is_empty(row, each)), None)
    known: dict[str, Any] = {
        "name": _text(row, "name") or _text(row, "id") or f"network {count + 1}",
        "space": _text(row, "space") or UNNAMED,
        "index": _index(row) if "index" in row else count,
        "depths": depths,
        "widths": widths,
        "group_widths": _per_stage(groups, _numbers(row, groups, MAX_WIDTH), stages)
        if groups and stages
        else None,
        "bottleneck_ratios": (
            _per_stage("bottleneck_ratios", _ratios(row["bottleneck_ratios"]), stages)
            if stages and not _is_empty(row, "bottleneck_ratios")
            else None
        ),
        "error": error,
        **{name: _real(row, name, 0, 1e18) * powers.get(name, 1) for name in COUNTS},
    }
    known["ended"] = row.get("ended") or (COMPLETE if not math.isnan(error) else "unknown")
    others = {name: value for name, value in row.items() if name not in known}
    return {**others, **known}


def _is_empty(row: Row, column: str) -> bool:
    return _text(row, column).lower() in EMPTY


def _text(row: Row, column: str) -> str:
    return (row.get(column) or "").strip()


def _index(row: Row) -> int:
    match = _INDEX.fullmatch(text := _text(row, "index"))
    if match is None:
        raise InputError(
            f"index is {text[:40]!r}",
            (
                "it must be a whole number from 0 on, the same in all trainings of one"
                " network (labels belong in the column name)"
            ),
        )
    return int(match[1])


def _numbers(row: Row, column: str, most: int) -> tuple[int, ...]:
    text = row.get(column) or ""
    numbers = _whole_numbers(text)
    if numbers is None or not 1 <= min(numbers) <= max(numbers) <= most:
        raise InputError(
            f"{column} is {text[:40]!r}",
            (
                f"it must be 1 to {MAX_STAGES} whole numbers of 1 to {most:,}"
                " with spaces between, as in '1 2 4'"
            ),
        )
    return numbers


# Columns repeat few texts; remembered, a hundred thousand networks are read in a third of the time.
@lru_cache(maxsize=2**16)
def _whole_numbers(text: str) -> tuple[int, ...] | None:
    matches = [_WHOLE.fullmatch(word) for word in _words(text)]
    if not 1 <= len(matches) <= MAX_STAGES or not all(matches):
        return None
    return tuple(int(match[1]) for match in matches if match)


@lru_cache(maxsize=2**12)
def _ratios(text: str) -> tuple[float, ...]:
    words = _words(text)
    if not 1 <= len(words) <= MAX_STAGES:
        raise InputError(f"bottleneck_ratios is {text[:40]!r}", f"it must be 1 to {MAX_STAGES} numbers")
    return tuple(map(parse_ratio, words))


def _words(text: str) -> list[str]:
    """The numbers of a list: with spaces, commas or dashes between, or in brackets as Python prints one."""
    text = text.strip()
    if _JOINED.fullmatch(text):
        return re.split("[-,;] ?", text)
    if text[:1] + text[-1:] in ("[]", "()"):
        text = text[1:-1].replace(",", " ")
    return text.split()


def _per_stage(column: str, values: tuple[Number, ...], stages: int) -> tuple[Number, ...]:
    if len(values) not in (1, stages):
        raise InputError(f"{column} has {len(values)} numbers for {stages} stages", f"give one, or {stages}")
    return values * stages if len(values) == 1 else values


def _real(row: Row, column: str, low: float, high: float) -> float:
    text = _text(row, column)
    if text.lower() in EMPTY:
        return math.nan
    try:
        value = float(text)
    except ValueError:
        value = math.inf
    if not low <= value <= high:
        raise InputError(
            f"{column} is {text[:40]!r}", f"it must be a number of {low:g} to {high:g}, or empty"
        )
    return value
