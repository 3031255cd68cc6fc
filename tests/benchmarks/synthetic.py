"""SYNTHETIC trials of any number: real samples of the spaces, errors made up by a formula, nothing trained.

    .venv/bin/python tests/benchmarks/synthetic.py 100000 -o synthetic-100000.csv

They measure how commands scale and say nothing about networks. Every row carries ``scorer`` =
``synthetic``, and files and studies are to have *synthetic* in their names.
"""

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from regnetlab.spaces.config import network_id, notation
from regnetlab.spaces.law import log_linear_fit
from regnetlab.spaces.ranges import Ranges
from regnetlab.spaces.ratio import plain_rows
from regnetlab.spaces.regime import Regime, Window
from regnetlab.spaces.sampler import Sample, sample
from regnetlab.spaces.space import space_named
from regnetlab.spaces.template import SMALL

SPACES = ("AnyNetA", "AnyNetB", "AnyNetC", "AnyNetD", "AnyNetE")
_RANGES = Ranges(depth=(1, 12), width=(8, 256))
_REGIME = Regime(flops=Window(0.4e6, 4e6))
_IMAGES = (640, 1_280, 1_920, 2_560, 3_200, 4_480, 5_760, 6_400)


def synthetic_errors(found: Sample, seed: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    """The formula: the nearer the widths' growth to 1.6 and the more flops, the lower; plus noise.

    One network in 200 has none (NaN), as if its training had diverged.
    """
    random = np.random.default_rng(seed)
    _, growth = log_linear_fit(found.population.widths)
    errors = 25 + 6 * np.abs(np.log(growth / 1.6)) - 4 * np.log10(found.complexity.flops / 1e6)
    errors += random.gamma(2, 2, len(errors))
    return np.where(random.random(len(errors)) < 1 / 200, np.nan, np.clip(errors, 0, 100))


def synthetic_rows(total: int) -> Iterator[Mapping[str, object]]:
    """Rows of a trials.csv: ``total`` networks, equally many of each space."""
    for place, name in enumerate(SPACES):
        n = total // len(SPACES) + (place < total % len(SPACES))
        found = sample(space_named(name).within(_RANGES), n, SMALL, _REGIME)
        errors = synthetic_errors(found, seed=place)
        population, counts = found.population, found.complexity
        columns = (
            population.depths.tolist(),
            population.widths.tolist(),
            population.group_widths.tolist(),
            plain_rows(population.bottleneck_ratios),
        )
        for index, config in enumerate(zip(*columns, strict=True)):
            error = float(errors[index])
            yield {
                "space": name,
                "index": index,
                "replicate": 0,
                "id": network_id(notation(*config)),
                **dict(
                    zip(
                        ("depths", "widths", "group_widths", "bottleneck_ratios"),
                        map(_spaced, config),
                        strict=True,
                    )
                ),
                **counts.row(index),
                "error": "" if np.isnan(error) else f"{error:.3f}",
                "ended": "diverged: made up" if np.isnan(error) else "complete",
                "seed": index,
                "images": _IMAGES[-1],
                "epochs": 1,
                "batch_size": 64,
                "seconds": f"{1 + counts.flops[index] / 1e6:.2f}",
                "curve": "[]" if np.isnan(error) else json.dumps(synthetic_curve(error)),
                "scorer": "synthetic",
            }


def synthetic_curve(error: float) -> list[list[float]]:
    """Points of a learning curve that falls from 90% to this error."""
    shares = [images / _IMAGES[-1] for images in _IMAGES]
    trained = [error + (90 - error) * (1 - share) ** 2 for share in shares]
    return [
        [images, round(each / 40, 4), round(each, 2)] for images, each in zip(_IMAGES, trained, strict=True)
    ]


def write_synthetic(path: Path, total: int) -> None:
    """A file of so many synthetic trials."""
    import csv

    with path.open("w", encoding="utf-8", newline="") as file:
        writer: Any = None
        for row in synthetic_rows(total):
            if writer is None:
                writer = csv.DictWriter(file, list(row), lineterminator="\n")
                writer.writeheader()
            writer.writerow(row)


def _spaced(values: Sequence[float]) -> str:
    return " ".join(f"{value:g}" for value in values)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("total", type=int)
    parser.add_argument("-o", type=Path, required=True)
    arguments = parser.parse_args()
    if "synthetic" not in arguments.o.name:
        parser.error("the file's name must say that it is synthetic")
    write_synthetic(arguments.o, arguments.total)


if __name__ == "__main__":
    main()
