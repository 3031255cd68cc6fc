"""The rows of a file of networks, texts by column, as networks; and which of them train one network."""

import math
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import pandas as pd

from regnetlab.errors import InputError
from regnetlab.spaces.config import MAX_DEPTH, MAX_STAGES, MAX_WIDTH, Config, Number
from regnetlab.spaces.population import STAGE_COLUMNS
from regnetlab.spaces.ratio import parse_ratio, ratio_text
from regnetlab.training.budget import COMPLETE
from regnetlab.trials.csv_header import COUNTS, column_of
from regnetlab.trials.error_units import EMPTY, ErrorReading

Row = Mapping[str, Any]
"""Texts by column, but for ``template``: a ``Template``, or the ``InputError`` that says why it is none."""
_SEEDS = ("seed", "rng_seed", "random_seed", "replicate", "fold")
_STAGES = ["depths", "widths", "group_widths", "bottleneck_ratios", "se_ratio", "se"]
UNNAMED = "networks"
"""The space of networks whose file names none."""

_INDEX = re.compile(r"([0-9]{1,12})(\.0*)?")  # pandas writes 3.0 where a row was without one
_JOINED = re.compile(r"[1-9][0-9]*((-[1-9][0-9]*)+|(, ?[1-9][0-9]*)+|(; ?[1-9][0-9]*)+)")
"""Whole numbers as in 1,2,4 or 1-2-4; none begins with 0, as decimals, thousands and dates may."""
_WHOLE = re.compile(r"([0-9]{1,7})(\.0*)?")


def network_of(row: Row, count: int, reading: ErrorReading, powers: Mapping[str, float]) -> dict[str, Any]:
    """The network of this row, after ``count`` others; ``powers`` multiply its counts."""
    if None in row or None in row.values():
        raise InputError(
            "this line has more or fewer values than the first line has columns",
            "write one for each column, in quotes where it has a comma",
        )
    error = reading.error(row)
    known_config = not _is_empty(row, "depths") or not _is_empty(row, "widths")
    if not known_config and "depths" in row:  # a training may fail before its network is written
        known_config = not (math.isnan(error) and reading.column in row)
    depths = _numbers(row, "depths", MAX_DEPTH) if known_config else None
    widths = _numbers(row, "widths", MAX_WIDTH) if known_config else None
    stages = len(widths or ())
    if depths is not None and len(depths) != stages:
        raise InputError(f"depths has {len(depths)} numbers and widths {stages}", "give one per stage each")
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
            "it must be a whole number from 0 on, the same in all trainings of one"
            " network (labels belong in the column name)",
        )
    return int(match[1])


def _numbers(row: Row, column: str, most: int) -> tuple[int, ...]:
    text = row.get(column) or ""
    numbers = _whole_numbers(text)
    if numbers is None or not 1 <= min(numbers) <= max(numbers) <= most:
        raise InputError(
            f"{column} is {text[:40]!r}",
            f"it must be 1 to {MAX_STAGES} whole numbers of 1 to {most:,} with spaces between, as in '1 2 4'",
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
        value = math.inf if "_" in text else float(text)  # float() takes 3_0 for 30
    except ValueError:
        value = math.inf
    if not low <= value <= high:
        raise InputError(
            f"{column} is {text[:40]!r}", f"it must be a number of {low:g} to {high:g}, or empty"
        )
    return value


def spaced(values: Sequence[Any]) -> str:
    """Numbers with spaces between, as in a cell of a CSV of networks."""
    return " ".join(ratio_text(float(each)) for each in values)


def config_columns(config: Config) -> dict[str, str]:
    """The columns of a CSV of networks that say what the stages are."""
    return {name: spaced(getattr(config, name)) for name in STAGE_COLUMNS}


def with_repeats(networks: pd.DataFrame, names: Sequence[str], source: str) -> tuple[pd.DataFrame, list[str]]:
    """These rows of a file with columns ``names``, trainings of one network under one index; and notes."""
    seeds = next((name for name in names if column_of(name) in _SEEDS), None)
    if seeds is None or "index" in map(column_of, names):
        return networks, counted_twice(networks, source)
    first: dict[tuple[object, ...], int] = {}
    indexes = [first.setdefault(key, i) for i, key in enumerate(_keys(networks))]
    if len(first) < len(networks):
        note = (
            f"{source}: {len(networks)} rows are trainings of {len(first)} networks, as there is a column"
            f" {seeds!r}; as many of each are counted as all have"
        )
    elif networks["widths"].isna().all() and not {"name", "id"} & set(map(column_of, names)):
        note = (
            f"{source} has a column {seeds!r}, but nothing says which rows are of one network, so each counts"
            " as one; add a column name, equal in all rows of a network"
        )
    else:
        return networks, []
    return networks.assign(index=indexes), [note]


def counted_twice(networks: pd.DataFrame, source: str) -> list[str]:
    """A note where rows of equal networks count as several."""
    known = networks[networks["widths"].notna()]
    count = len(known.drop_duplicates(["space", "index"]))
    different = len(set(_keys(known)))
    if different == count:
        return []
    return [
        f"{source}: {count} networks are counted, of which {different} differ; trainings of one network are"
        " told by a column seed, or by one index for all of them"
    ]


def _keys(networks: pd.DataFrame) -> list[tuple[object, ...]]:
    """What is the same in all trainings of a network: its stages, or its name where these are not known."""
    columns = [networks[name].tolist() for name in ("space", *(each for each in _STAGES if each in networks))]
    return [
        tuple(key) if isinstance(widths, tuple) else (key[0], name)
        for *key, widths, name in zip(*columns, networks["widths"], networks["name"], strict=True)
    ]
