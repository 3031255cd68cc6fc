"""Networks as a data frame, from studies and files of many kinds.

Columns of the frame: ``name``, ``space``, ``index``, ``depths``, ``widths`` (tuples), ``group_widths``
and ``bottleneck_ratios`` (tuples; each ``None`` where the file has none), ``error``, ``flops``, ``params``
and ``acts`` (floats, NaN where unknown), ``ended`` and whatever else the file has.
"""

import csv
import io
import math
import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from regnetlab.analysis.imports import (
    INCOMPLETE,
    NO_SAMPLE,
    Row,
    config_row,
    imported_rows,
    is_optuna,
    optuna_rows,
)
from regnetlab.errors import InputError
from regnetlab.models.pycls_config import is_config_file
from regnetlab.spaces.arrays import Floats, Ints
from regnetlab.spaces.config import MAX_DEPTH, MAX_STAGES, MAX_WIDTH, Number
from regnetlab.spaces.ratio import parse_ratio
from regnetlab.spaces.space import REGNET
from regnetlab.study.outcome import outcome
from regnetlab.study.plan import DERIVED, Plan
from regnetlab.study.search_table import SIGNS
from regnetlab.study.store import open_store
from regnetlab.study.trials import trials_csv
from regnetlab.training.budget import COMPLETE

_MOST_BYTES = 2**31
_INDEX = re.compile("[0-9]{1,12}")
_UNNAMED = "networks"
_NETWORK = ["space", "index"]
"""The columns that say which network a training is of."""


def read_networks(files: Sequence[Path]) -> pd.DataFrame:
    """The networks in these files; an ``InputError`` names the file and place of a mistake.

    A file is a CSV of networks, the JSON of a pycls sweep or of nds, or an SQLite file with an Optuna
    study (``imports``; ``FILE#STUDY`` where it has several). Where it names no spaces, it is one itself if
    there are several files.
    """
    frames: list[pd.DataFrame] = []
    configs = [path for path in files if is_config_file(str(path))]
    if configs:  # one network a file: they are of one space
        rows = [(i, config_row(path)) for i, path in enumerate(configs, start=1)]
        frames.append(_frame(rows, "configs", "file"))
    others = [path for path in files if path not in configs]
    for path, name in zip(others, _names(others), strict=True):
        frame = _read(path, name)
        if len(files) > 1 and set(frame["space"]) == {_UNNAMED}:
            frame = frame.assign(space=name)
        known = {space for other in frames for space in other["space"]}
        if twice := sorted(known & set(frame["space"])):
            raise InputError(f"space {twice[0]!r} is in {path} and in a file before it; name them apart")
        frames.append(frame)
    return pd.concat(frames, ignore_index=True)


def _names(files: Sequence[Path]) -> list[str]:
    """A name for each file: its own without the ending, that of its folder for one called sweep.json, as
    pycls names them all; with as many folders before it as it takes to tell them apart."""
    parts = [
        whole.parts[:-1]
        if path.name == "sweep.json" and len(whole.parts) > 2
        else (*whole.parts[:-1], path.stem)
        for path in files
        for whole in [path.parent.resolve() / path.name]
    ]
    for depth in range(1, max(map(len, parts), default=1)):
        names = ["/".join(each[-depth:]) for each in parts]
        if len(set(names)) == len(names):
            return names
    return ["/".join(each[-1:]) for each in parts]


def _read(path: Path, name: str) -> pd.DataFrame:
    whole, _, study = str(path).partition("#")
    file = Path(whole)
    try:
        if file.stat().st_size > _MOST_BYTES:
            raise InputError(f"{file} is over 2 GiB; split it")
        if is_optuna(file):
            return _frame(list(enumerate(optuna_rows(file, study), start=1)), str(path), "trial")
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} can't be read: {error}") from error
    if file.suffix.lower() == ".json" or text.lstrip()[:1] in ("[", "{"):
        return _frame(list(enumerate(imported_rows(file, text, name), start=1)), str(file), "network")
    return parse_networks(text, str(file))


def parse_networks(text: str, source: str) -> pd.DataFrame:
    """The networks in this CSV text; ``source`` names it in errors."""
    reader = csv.DictReader(io.StringIO(text))
    rows: list[tuple[int, Row]] = []
    try:
        columns = set(reader.fieldnames or [])
        if columns >= SIGNS:
            raise InputError(NO_SAMPLE.format(source=source))
        missing = {"depths", "widths"} - columns
        if missing and not (len(missing) == 2 and columns & {"error", "top1_err"}):
            names = ", ".join(reader.fieldnames or []) or "none"
            raise InputError(
                f"{source}: column {' and '.join(sorted(missing))} missing; a CSV of networks has"
                f" depths and widths (numbers with spaces between), this has {names}"
            )
        for row in reader:
            rows.append((reader.line_num, row))
    except csv.Error as error:
        raise InputError(f"{source}, line {reader.line_num}: no CSV: {error}") from error
    if not rows:
        raise InputError(f"{source} has no networks; it ends after its first line")
    return _frame(rows, source, "line")


def _frame(rows: Sequence[tuple[int, Row]], source: str, place: str) -> pd.DataFrame:
    networks: list[dict[str, Any]] = []
    for number, row in rows:
        try:
            networks.append(_network(row, len(networks)))
        except InputError as error:
            raise InputError(f"{source}, {place} {number}: {error}") from None
    if not networks or any(each.keys() != networks[0].keys() for each in networks):
        return pd.DataFrame(networks)
    # From columns: half the time, and half the memory.
    return pd.DataFrame({name: [each[name] for each in networks] for name in networks[0]})


def with_widths(networks: pd.DataFrame) -> pd.DataFrame:
    """These networks; raises ``InputError`` where one has no depths and widths."""
    if networks["widths"].map(lambda widths: not isinstance(widths, tuple)).any():
        raise InputError("a width law needs the depths and widths of every network; these have errors only")
    return networks


def counted(networks: pd.DataFrame) -> pd.DataFrame:
    """The trainings that a population is judged by: as many of every network as the one with the fewest
    has, its first. So errors of networks with one seed and with several are never mixed."""
    if not networks.duplicated(_NETWORK).any():
        return networks
    seeds = networks.groupby(_NETWORK, sort=False)["error"]
    return networks[seeds.cumcount() < seeds.size().min()]


def incomplete(networks: pd.DataFrame) -> pd.DataFrame:
    """The networks that earned no error yet, because a training was stopped before its end."""
    stopped = networks[networks["ended"].astype(str).str.startswith(INCOMPLETE)].drop_duplicates(_NETWORK)
    keys = [pd.MultiIndex.from_frame(each[_NETWORK]) for each in (stopped, complete(networks))]
    return stopped[~keys[0].isin(keys[1])]


def complete(networks: pd.DataFrame) -> pd.DataFrame:
    """The networks that earned an error, several seeds of one network averaged into one row."""
    trainings = counted(networks)
    scored = trainings[trainings["error"].notna()]
    if not scored.duplicated(_NETWORK).any():
        return scored.reset_index(drop=True)
    means = scored.groupby(_NETWORK, sort=False)["error"].mean()
    firsts = scored.drop_duplicates(_NETWORK).set_index(_NETWORK)
    return firsts.assign(error=means).reset_index()


def _network(row: Row, count: int) -> dict[str, Any]:
    if None in row or None in row.values():
        raise InputError("this line has more or fewer values than the first line has columns")
    known_config = "depths" in row or "widths" in row
    depths = _numbers(row, "depths", MAX_DEPTH) if known_config else None
    widths = _numbers(row, "widths", MAX_WIDTH) if known_config else None
    stages = len(widths or ())
    if depths is not None and len(depths) != stages:
        raise InputError(f"depths has {len(depths)} numbers and widths {stages}; one per stage each")
    groups = next((each for each in ("group_widths", "group_width") if row.get(each)), None)
    error = _real(row, "error" if "error" in row else "top1_err", 0, 100)
    known: dict[str, Any] = {
        "name": row.get("name") or row.get("id") or f"network {count + 1}",
        "space": row.get("space") or _UNNAMED,
        "index": int(index) if _INDEX.fullmatch(index := row.get("index", "")) else count,
        "depths": depths,
        "widths": widths,
        "group_widths": _per_stage(groups, _numbers(row, groups, MAX_WIDTH), stages)
        if groups and stages
        else None,
        "bottleneck_ratios": (
            _per_stage("bottleneck_ratios", _ratios(row["bottleneck_ratios"]), stages)
            if row.get("bottleneck_ratios") and stages
            else None
        ),
        "error": error,
        **{name: _real(row, name, 0, 1e18) for name in ("flops", "params", "acts")},
    }
    known["ended"] = row.get("ended") or (COMPLETE if not math.isnan(error) else "unknown")
    others = {name: value for name, value in row.items() if name not in known}
    return {**others, **known}


def _numbers(row: Row, column: str, most: int) -> tuple[int, ...]:
    text = row.get(column) or ""
    numbers = _whole_numbers(text)
    if numbers is None or not 1 <= min(numbers) <= max(numbers) <= most:
        raise InputError(
            f"{column} is {text[:40]!r}; it must be 1 to {MAX_STAGES} whole numbers of 1 to {most:,}"
            " with spaces between"
        )
    return numbers


# Columns repeat few texts; remembered, a hundred thousand networks are read in a third of the time.
@lru_cache(maxsize=2**16)
def _whole_numbers(text: str) -> tuple[int, ...] | None:
    words = text.split()
    if not 1 <= len(words) <= MAX_STAGES or not all(
        word.isascii() and word.isdigit() and len(word) < 8 for word in words
    ):
        return None
    return tuple(map(int, words))


@lru_cache(maxsize=2**12)
def _ratios(text: str) -> tuple[float, ...]:
    words = text.split()
    if not 1 <= len(words) <= MAX_STAGES:
        raise InputError(f"bottleneck_ratios is {text[:40]!r}; it must be 1 to {MAX_STAGES} numbers")
    return tuple(map(parse_ratio, words))


def _per_stage(column: str, values: tuple[Number, ...], stages: int) -> tuple[Number, ...]:
    if len(values) not in (1, stages):
        raise InputError(f"{column} has {len(values)} numbers for {stages} stages; give one, or {stages}")
    return values * stages if len(values) == 1 else values


def _real(row: Row, column: str, low: float, high: float) -> float:
    text = (row.get(column) or "").strip()
    if text.lower() in ("", "nan"):
        return math.nan
    try:
        value = float(text)
    except ValueError:
        value = math.inf
    if not low <= value <= high:
        raise InputError(f"{column} is {text[:40]!r}; it must be a number of {low:g} to {high:g}, or empty")
    return value


def spaces_of(networks: pd.DataFrame) -> Sequence[str]:
    """The spaces, in the order in which they first appear."""
    return list(dict.fromkeys(networks["space"].tolist()))


def study_networks(plan: Plan) -> pd.DataFrame:
    """The trainings that a study has finished: from its store, or from trials.csv without one."""
    if plan.store.exists():
        text = trials_csv(plan, outcome(plan, open_store(plan.store)))
        if text.count("\n") > 1:  # more than its columns
            return parse_networks(text, f"study {plan.name}")
    elif plan.trials.exists():
        return read_networks([plan.trials])
    raise InputError(f"study {plan.name} has no trainings yet; begin with: regnetlab run {plan.name}")


def by_stages(networks: pd.DataFrame, columns: Sequence[str]) -> Iterator[tuple[Ints, list[Floats]]]:
    """For every number of stages: the places of its networks, and each column as an array (n, stages).

    Networks of which one of the columns is not known are left out.
    """
    lists = [networks[column].tolist() for column in columns]
    stages = np.array([len(row[0]) if all(row) else 0 for row in zip(*lists, strict=True)], np.int64)
    for count in np.unique(stages[stages > 0]):
        places = np.flatnonzero(stages == count)
        yield places, [np.array([values[i] for i in places], np.float64) for values in lists]


def records(networks: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows as dictionaries by column."""
    return [{str(key): value for key, value in row.items()} for row in networks.to_dict("records")]


def without_law(networks: pd.DataFrame) -> pd.DataFrame:
    """The networks whose widths were free: those of RegNet spaces already follow the law."""
    follow = networks["space"].isin([REGNET.name, DERIVED])
    if "wm" in networks:  # drawn from the law's parameters, in a space of a user's too
        follow |= networks["wm"].fillna("").astype(str) != ""
    free = networks[~follow]
    return free if len(free) else networks
