"""A sample as ``regnetlab sample`` gives it: JSON, CSV, Parquet or a table.

All of them are made a portion at a time from the columns, so that a million networks take little more
memory than their columns do.
"""

import csv
import io
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from regnetlab.cli.output import count, print_table, stages
from regnetlab.files import open_atomically
from regnetlab.spaces.blocks import block_named
from regnetlab.spaces.config import network_id
from regnetlab.spaces.population import STAGE_COLUMNS
from regnetlab.spaces.sampler import Sample

_PORTION = 20_000
_COUNTS = ("flops", "params", "acts")

Columns = dict[str, Sequence[Any]]


def json_pieces(facts: dict[str, Any], found: Sample, one_a_line: bool = False) -> Iterator[str]:
    """The document of the JSON contract, in pieces: these facts, then ``models``."""
    head = json.dumps(facts, indent=1 if one_a_line else None).rstrip("}\n")
    lead, between, end = (
        (',\n "models": [\n  ', ",\n  ", "\n ]\n}") if one_a_line else (', "models": [', ", ", "]}")
    )
    yield head + lead
    for number, columns in enumerate(_portions(found)):
        models = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
        yield (between if number else "") + between.join(map(json.dumps, models))
    yield f"{end}\n"


def write_sample(path: Path, facts: dict[str, Any], found: Sample) -> None:
    """Write it in the format that the ending says, whole or not at all."""
    with open_atomically(path) as file:
        if path.suffix == ".json":
            for piece in json_pieces(facts, found, one_a_line=True):
                file.write(piece.encode())
        elif path.suffix == ".parquet":
            _write_parquet(file, facts["space"], found)
        else:
            _write_csv(file, facts["space"], found)


def print_sample(found: Sample) -> None:
    """A table of the networks."""
    names = _shown(found)
    heads = ({"group_widths": "g", "bottleneck_ratios": "b"}.get(name, name) for name in names)
    print_table(("#", *heads, *_COUNTS), _Rows(found), f"r{'l' * len(names)}rrr")


def _shown(found: Sample) -> list[str]:
    """The columns of stages that the block has a use for."""
    population = found.population
    uses = block_named(population.block).uses
    shape = [name for name, letter in (("group_widths", "g"), ("bottleneck_ratios", "b")) if letter in uses]
    return ["depths", "widths", *shape, *population.own]


class _Rows:
    """The table's rows, made again for every pass over them."""

    def __init__(self, found: Sample) -> None:
        self.found = found

    def __iter__(self) -> Iterator[tuple[str, ...]]:
        index, names = 0, _shown(self.found)
        for columns in _portions(self.found, ids=False):
            for row in zip(*(columns[name] for name in (*names, *_COUNTS)), strict=True):
                depths, widths, *others = row[: len(names)]
                shape = stages(depths), stages(widths), *map(_shortest, others)
                yield (str(index), *shape, *map(count, row[len(names) :]))
                index += 1


def _portions(found: Sample, ids: bool = True) -> Iterator[Columns]:
    """The columns of a few networks after the other, in the contract's order."""
    for start in range(0, len(found.population), _PORTION):
        population = found.population.slice(start, start + _PORTION)
        counts = found.complexity.slice(start, start + _PORTION)
        lists = population.lists()
        times = {} if found.latency is None else {"latency": found.latency[start : start + _PORTION].tolist()}
        known: Columns = {}
        if ids:
            texts = population.texts()
            known["id"] = list(map(network_id, texts))
            if population.block != "x" or population.se_ratio:
                known["model"] = texts
        yield {
            **known,
            **lists,
            **{name: getattr(counts, name).tolist() for name in _COUNTS},
            **{name: values.tolist() for name, values in population.law.items()},
            **times,
        }


def _tables(space: str, found: Sample) -> Iterator[Columns]:
    """Columns of files: the space, the index, and lists as numbers with spaces between."""
    index = 0
    for columns in _portions(found):
        size = len(columns["id"])
        lists = (*STAGE_COLUMNS, *found.population.own)
        texts = {name: list(map(stages, columns[name])) for name in lists}
        yield {"space": [space] * size, "index": list(range(index, index + size)), **columns, **texts}
        index += size


def _write_csv(file: BinaryIO, space: str, found: Sample) -> None:
    for number, columns in enumerate(_tables(space, found)):
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        if not number:
            writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
        file.write(text.getvalue().encode())


def _write_parquet(file: BinaryIO, space: str, found: Sample) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    writer: Any = None
    for columns in _tables(space, found):
        table = pa.table(columns)
        writer = writer or parquet.ParquetWriter(file, table.schema)
        writer.write_table(table)
    writer.close()


def _shortest(values: list[float]) -> str:
    return stages(values[:1] if len(set(values)) == 1 else values)
