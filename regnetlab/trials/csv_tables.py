"""The CSV tables that a study writes: trials.csv, baselines.csv, fidelity.csv, searches.csv and latency.csv.

A table is its columns, and a column how its cells are written and read. In memory each is a data frame with
the same columns: within one process no table is written and read again.
"""

import csv
import io
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from regnetlab.errors import InputError
from regnetlab.spaces.ratio import parse_ratio, ratio_text
from regnetlab.training.budget import CurvePoint
from regnetlab.training.correctness import unpack

LATENCY_BATCHES = (1, 256)
"""Batch sizes at which the inference of baselines is timed."""
_MOST_BYTES = 2**30


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
    return float(text) if text else np.nan


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
WHOLE = Column("int64", lambda value: str(int(value)), int)
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
        reader = csv.DictReader(io.StringIO(text))
        rows = []
        try:
            for row in reader:
                rows.append(
                    {
                        name: column.read(row.get(name) or "" if column.optional else row[name])
                        for name, column in self.columns.items()
                    }
                )
        except (KeyError, TypeError, ValueError, AttributeError, csv.Error) as error:
            names = [name for name, column in self.columns.items() if not column.optional]
            raise InputError(
                f"{source}, line {reader.line_num}: not what `regnetlab {self.command}` writes ({error})",
                f"its columns are {', '.join(names)}",
            ) from None
        return self.frame(rows)

    def read(self, path: Path) -> pd.DataFrame:
        """The table in this file; errors as above."""
        try:
            if path.stat().st_size > _MOST_BYTES:
                raise InputError(f"{path} is over 1 GiB", f"it is no {self.name}: move it away")
            return self.parse(path.read_text(encoding="utf-8"), path)
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{path} can't be read: {error}") from error


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
    },
)
"""One row a training of a population. ``error`` is on the validation split, in all these tables."""

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

LATENCY = Table(
    "latency.csv",
    "latency",
    {
        "space": TEXT,
        "index": WHOLE,
        "model": TEXT,
        **dict.fromkeys(("flops", "params", "acts"), WHOLE),
        "device": TEXT,
        "processor": TEXT,
        "threads": WHOLE,
        "batch": WHOLE,
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
