"""The CSV tables that a study writes: trials.csv, baselines.csv, fidelity.csv, searches.csv, retrained.csv
and latency.csv.

A table is its columns, and a column how its cells are written and read. In memory each is a data frame with
the same columns: within one process no table is written and read again.
"""

import csv
import io
import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from regnetlab.errors import InputError
from regnetlab.files import read_foreign_text, write_atomically
from regnetlab.spaces.ratio import parse_ratio, ratio_text
from regnetlab.training.budget import CurvePoint
from regnetlab.training.correctness import unpack

LATENCY_BATCHES = (1, 256)
"""Batch sizes at which the inference of baselines is timed."""
_MOST_BYTES = 2**30
_TIMES = frozenset(("seconds", "curve", *(f"latency_{batch}_ms" for batch in LATENCY_BATCHES)))
"""Columns that say how a training went, not what it earned."""


@dataclass(frozen=True, slots=True)
class Column:
    """How a cell is written and read, and the type of the column in a data frame.

    An ``optional`` column is left out of a file in which all of its cells would be empty.
    """

    dtype: str
    write: Callable[[Any], str] = str
    read: Callable[[str], Any] = str
    optional: bool = False


def _or_empty(write: Callable[[float], str]) -> Callable[[Any], str]:
    return lambda value: "" if value is None or np.isnan(value) else write(value)


def _real(text: str) -> float:
    if "_" in text:  # which float() takes for nothing
        raise ValueError(text)
    return float(text) if text else np.nan


def _whole(text: str) -> int:
    number = int(text)
    if abs(number) >= 2**63:
        raise ValueError(f"{text[:30]} is too large")
    return number


def _positive(text: str) -> int:
    if (number := _whole(text)) < 1:
        raise ValueError(f"{text} is not above 0")
    return number


def _bits(text: str) -> str:
    if text:
        unpack(text)
    return text


def _spaced(values: Iterable[Any]) -> str:
    return " ".join(map(str, values))


def _curve(curve: Any) -> str:
    if isinstance(curve, str):
        return curve
    return json.dumps(
        [[p.images, _short(p.train_loss), _short(p.train_error), p.error] for p in curve],
        separators=(",", ":"),
    )


def _short(value: float) -> float:
    return float(f"{value:.5g}")


TEXT = Column("str")
OPTIONAL_TEXT = Column("str", optional=True)
BITS = Column("str", read=_bits, optional=True)
"""Which images are classified correctly (``training.correctness``)."""
WHOLE = Column("int64", lambda value: str(int(value)), _whole)
POSITIVE = Column("int64", lambda value: str(int(value)), _positive)
COUNT = Column("float64", lambda value: str(int(value)), _real)
EXACT = Column("float64", _or_empty(lambda value: repr(float(value))), _real)
GENERAL = Column("float64", _or_empty("{:g}".format), _real)
TWO_DECIMALS = Column("float64", _or_empty("{:.2f}".format), _real)
THREE_DECIMALS = Column("float64", _or_empty("{:.3f}".format), _real)
STAGES = Column("object", _spaced, lambda text: tuple(map(int, text.split())))
RATIOS = Column(
    "object",
    lambda ratios: _spaced(map(ratio_text, ratios)),
    lambda text: tuple(map(parse_ratio, text.split())),
)
CURVE = Column("object", _curve)
"""A learning curve; in files a JSON list of [images, train loss, train error %, validation error %]."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table by the name of its file, the command that writes it, and its columns."""

    name: str
    command: str
    columns: Mapping[str, Column]

    def frame(self, rows: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
        """The table with these rows."""
        listed = list(rows)
        return pd.DataFrame(
            {
                name: pd.Series(
                    [row.get(name, "") if column.optional else row[name] for row in listed],
                    dtype=column.dtype,
                )
                for name, column in self.columns.items()
            }
        )

    def csv(self, frame: pd.DataFrame) -> str:
        """The rows of a data frame as the text of the file."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        cells = {name: [*map(column.write, frame[name])] for name, column in self.columns.items()}
        kept = [name for name, column in self.columns.items() if not column.optional or any(cells[name])]
        writer.writerow(kept)
        writer.writerows(zip(*(cells[name] for name in kept), strict=True))
        return text.getvalue()

    def parse(self, text: str, source: object) -> pd.DataFrame:
        """The table in this text; an ``InputError`` names ``source`` and the line of a mistake."""
        return self.frame(row for _, row in self._rows(text, source))

    def _rows(self, text: str, source: object) -> Iterator[tuple[int, dict[str, Any]]]:
        reader = csv.DictReader(io.StringIO(text))
        try:
            for row in reader:
                if any(row[name] is None for name, column in self.columns.items() if not column.optional):
                    raise ValueError("the row ends too soon")
                values = {
                    name: column.read(row.get(name) or "" if column.optional else row[name])
                    for name, column in self.columns.items()
                }
                yield reader.line_num, values
        except (KeyError, TypeError, ValueError, AttributeError, csv.Error) as error:
            names = [name for name, column in self.columns.items() if not column.optional]
            raise InputError(
                f"{source}, line {reader.line_num}: not what `regnetlab {self.command}` writes ({error})",
                f"its columns are {', '.join(names)}",
            ) from None

    def read(self, path: Path) -> pd.DataFrame:
        """The table in this file; errors as above."""
        return self.parse(self._text(path), path)

    def rows(self, path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
        """The rows of this file with their line numbers, by column; errors as above."""
        return self._rows(self._text(path), path)

    def write(self, path: Path, text: str) -> str:
        """Write the table; where it lacks rows of the one that is there, that one is kept beside it.

        Rows are the same where everything but times is. What was kept is the answer, in words; else "".
        """
        lost = self._lost(path, text)
        backup = _put_beside(path) if lost else None
        write_atomically(path, text)
        if backup is None:
            return ""
        return f"{path.name} had {lost} row{'s' * (lost != 1)} that the new one lacks: kept as {backup.name}"

    def _lost(self, path: Path, text: str) -> int:
        """How many rows of the file would be gone; one that can't be read counts as one row."""
        if not path.exists():
            return 0
        try:
            there = self._text(path)
            return 0 if there == text else (self._facts(there) - self._facts(text)).total()
        except (InputError, csv.Error):
            return 1

    def _facts(self, text: str) -> Counter[tuple[str | None, ...]]:
        names = [name for name in self.columns if name not in _TIMES]
        return Counter(tuple(map(row.get, names)) for row in csv.DictReader(io.StringIO(text)))

    def _text(self, path: Path) -> str:
        try:
            return read_foreign_text(path, _MOST_BYTES, "utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{path} can't be read: {error}") from error


def put_aside(path: Path) -> str:
    """Give a table that is not up to date any more the name of a backup; what was done, in words."""
    try:
        backup = path.rename(_backup_name(path))
    except OSError as error:
        raise InputError(f"{path} can't be put aside: {error.strerror or error}") from error
    return f"{path.name} was written before this change: kept as {backup.name}"


def _backup_name(path: Path) -> Path:
    stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S-%f")
    return path.with_name(f"{path.stem}.backup-{stamp}{path.suffix}")


def _put_beside(path: Path) -> Path:
    """A second name of the file, which keeps what it holds when another file takes the first."""
    backup = _backup_name(path)
    try:
        os.link(path, backup)
    except OSError:  # a file system without links
        write_atomically(backup, path.read_bytes())
    return backup


_COUNTS = {"flops": COUNT, "params": COUNT, "acts": COUNT}
_NETWORK = {
    "depths": STAGES,
    "widths": STAGES,
    "group_widths": STAGES,
    "bottleneck_ratios": RATIOS,
    **_COUNTS,
    "w0": GENERAL,
    "wa": GENERAL,
    "wm": GENERAL,
    "error": EXACT,
    "ended": TEXT,
}
_BUDGET = {"images": COUNT, "epochs": COUNT, "batch_size": COUNT}

TRIALS = Table(
    "trials.csv",
    "run",
    {
        "space": TEXT,
        "index": WHOLE,
        "replicate": WHOLE,
        "id": TEXT,
        **_NETWORK,
        "seed": WHOLE,
        **_BUDGET,
        "seconds": TWO_DECIMALS,
        "curve": CURVE,
        "model": OPTIONAL_TEXT,
    },
)
"""One row a training of a population. ``error`` is on the validation split, in all these tables. ``model`` is
there where a network's blocks are not the paper's X."""

BASELINES = Table(
    "baselines.csv",
    "run",
    {
        "stage": TEXT,
        "contender": TEXT,
        "model": TEXT,
        "family": TEXT,
        **_COUNTS,
        "lr": GENERAL,
        "seed": WHOLE,
        "error": EXACT,
        "test_error": EXACT,
        "ended": TEXT,
        "images": COUNT,
        "seconds": TWO_DECIMALS,
        **{f"latency_{batch}_ms": THREE_DECIMALS for batch in LATENCY_BATCHES},
        "group": OPTIONAL_TEXT,
        "correct": BITS,
    },
)
"""One row a training of the comparison with the baselines, stage ``tuning`` or ``final``. ``test_error`` is
on the test split; latencies are medians of one batch. ``group`` is the family of which one network goes on,
``correct`` says which test images a final training classifies correctly."""

FIDELITY = Table(
    "fidelity.csv",
    "fidelity",
    {
        **_BUDGET,
        "validation": COUNT,
        "space": TEXT,
        "index": WHOLE,
        "replicate": WHOLE,
        "model": TEXT,
        **_COUNTS,
        "error": EXACT,
        "ended": TEXT,
        "seed": WHOLE,
        "seconds": THREE_DECIMALS,
        "curve": CURVE,
    },
)
"""One row a training; the first four columns are its budget."""

SEARCHES = Table(
    "searches.csv",
    "search",
    {
        "space": TEXT,
        "sampler": TEXT,
        "search_seed": WHOLE,
        "batch": WHOLE,
        "number": WHOLE,
        "id": TEXT,
        **_NETWORK,
        **_BUDGET,
        "data": TEXT,
        "seconds": TWO_DECIMALS,
        "protocol": TEXT,
    },
)
"""One row a training, searches by name, each in the order of its proposals. ``protocol`` is equal where
trainings cost and earn the same (``study.search``)."""

SEARCH_COLUMNS = frozenset(("sampler", "search_seed", "number", "protocol"))
"""Columns that only networks of a search have: they are no sample of a space."""

RETRAINED = Table(
    "retrained.csv",
    "retrain",
    {
        "space": TEXT,
        "index": WHOLE,
        "rank": WHOLE,
        "of": WHOLE,
        "model": TEXT,
        "first": EXACT,
        "seed": WHOLE,
        "error": EXACT,
        "ended": TEXT,
        "images": COUNT,
        "seconds": TWO_DECIMALS,
    },
)
"""One row a training of a network that was chosen for its low error, with a seed that it was not chosen by.

``space`` is a space, ``derived``, or a search such as *RegNet, TPE (seed 0)*; ``index`` the network's number
there, ``rank`` its place (1: the best) among the ``of`` networks that were trained, ``first`` the error that
it was chosen by: of one training, or its mean."""

RETRAINED_COLUMNS = frozenset(("rank", "of", "first", "seed"))
"""Columns that say that networks were chosen: they are no sample of a space either."""

LATENCY = Table(
    "latency.csv",
    "latency",
    {
        "space": TEXT,
        "index": WHOLE,
        "model": TEXT,
        **dict.fromkeys(("flops", "params", "acts"), POSITIVE),
        "device": TEXT,
        "processor": TEXT,
        "threads": WHOLE,
        "batch": POSITIVE,
        **dict.fromkeys(("median_ms", "low_ms", "high_ms"), EXACT),
        "runs": WHOLE,
        "host": TEXT,
    },
)
"""One row a network, machine and batch size: median, lower and upper quartile over ``runs`` batches."""


def points_of(curve: Any) -> list[list[float]]:
    """The points of a learning curve as [images, train loss, train error %]; none if it is unknown."""
    if isinstance(curve, tuple):
        points: Iterable[CurvePoint] = curve
        return [[float(p.images), _short(p.train_loss), _short(p.train_error)] for p in points]
    try:
        found = json.loads(curve) if isinstance(curve, str) and curve else []
        return [[float(point[0]), float(point[1]), float(point[2])] for point in found]
    except (ValueError, TypeError, IndexError, RecursionError):
        return []
