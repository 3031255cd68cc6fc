"""The experiment behind the recipe's defaults: one setting changed at a time, same networks.

    .venv/bin/python tests/benchmarks/recipe.py [IMAGES] [SEEDS]  > table.md

16 networks (4 each of AnyNetA, C, E and RegNet near 1 MF at 28 px) train under each recipe on
Fashion-MNIST; printed is the median validation error and the mean paired difference to the default
with its standard error. The result is in docs/recipe.md. About 15 minutes on two cores.
"""

import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import fields, replace
from functools import partial
from multiprocessing import get_context

import numpy as np

from regnetlab.models.anynet import AnyNet
from regnetlab.spaces.config import Config
from regnetlab.spaces.ranges import Ranges
from regnetlab.spaces.regime import Regime, Window
from regnetlab.spaces.sampler import sample
from regnetlab.spaces.space import space_named
from regnetlab.spaces.template import SMALL
from regnetlab.training.batches import DeviceData, on_device
from regnetlab.training.budget import Budget, Recipe
from regnetlab.training.datasets import load_data
from regnetlab.training.devices import find_device, set_up
from regnetlab.training.trainer import train

CHANGES: list[dict[str, object]] = [
    {},
    *({"lr": lr} for lr in (0.05, 0.2, 0.4)),
    {"schedule": "cosine"},
    *({"warmup": share} for share in (0.1, 0.2, 0.6)),
    *({"weight_decay": decay} for decay in (0.0, 5e-4, 5e-3)),
    {"momentum": 0.95},
    {"nesterov": False},
    {"label_smoothing": 0.1},
    {"augment": "flip"},
    {"augment": "crop-flip"},
    *({"precise_bn": batches} for batches in (0, 4, 64)),
]
_data: list[DeviceData] = []


def networks() -> list[Config]:
    ranges = Ranges(depth=(1, 12), width=(8, 256))
    regime = Regime(flops=Window(0.8e6, 1.2e6))
    return [
        config
        for name in ("AnyNetA", "AnyNetC", "AnyNetE", "RegNet")
        for config in sample(space_named(name).within(ranges), 4, SMALL, regime, seed=1).population.configs()
    ]


def start() -> None:
    device = find_device("cpu")
    set_up(device)
    _data.append(on_device(load_data("fashion-mnist", SMALL), device))


def error(job: tuple[Config, Recipe, int, int]) -> float:
    config, recipe, images, seed = job
    score = train(partial(AnyNet, config, SMALL), _data[0], Budget(images), recipe, seed)
    return score.error if score.error is not None else float("nan")


def main() -> None:
    images = int(sys.argv[1]) if len(sys.argv) > 1 else 6_400
    seeds = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    recipes = [replace(Recipe(), **change) for change in CHANGES]  # type: ignore[arg-type]
    jobs = [(c, r, images, s) for r in recipes for c in networks() for s in range(seeds)]
    with ProcessPoolExecutor(2, mp_context=get_context("spawn"), initializer=start) as pool:
        errors = np.array(list(pool.map(error, jobs))).reshape(len(recipes), -1)
    base = errors[0]
    print(f"default: {', '.join(f'{f.name} {getattr(recipes[0], f.name)}' for f in fields(Recipe))}")
    print(f"\n{len(base)} trainings a row, {images:,} images each\n")
    print("| changed | median error | mean difference ± standard error | failed |\n|---|---|---|---|")
    for change, row in zip(CHANGES, errors, strict=True):
        difference = (row - base)[np.isfinite(row - base)]
        spread = difference.std(ddof=1) / np.sqrt(len(difference)) if change else 0.0
        name = ", ".join(f"{key} {value}" for key, value in change.items()) or "nothing"
        print(
            f"| {name} | {np.nanmedian(row):.1f} | {difference.mean():+.2f} ± {spread:.2f} |"
            f" {np.isnan(row).sum()} |"
        )


if __name__ == "__main__":
    main()
