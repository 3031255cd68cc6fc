"""Images a second of a trained network in use: logits of arrays, and predictions of PNG files.

    .venv/bin/python tests/benchmarks/predicting.py [--images 10000] [--files 4000] [--rounds 5] [MODEL]

A network of about 1 MF at 28 px by default, with fresh weights, which take as long as trained ones. "within
batches" is torch's own use of threads, one batch after another, for comparison. Results are in docs/using.md.
"""

import argparse
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from regnetlab.models.registry import find_model
from regnetlab.spaces.template import SMALL
from regnetlab.training.cores import usable_cores
from regnetlab.training.folders.decode import Reading
from regnetlab.training.predicting import TrainedNetwork

MODEL = "anynet:d=1,1,2,1;w=16,32,64,128;g=16;b=1"


def rate(do: Callable[[], object], images: int, rounds: int) -> str:
    """Median and range of images a second, after one round to warm up."""
    do()
    rates = []
    for _ in range(rounds):
        started = time.perf_counter()
        do()
        rates.append(images / (time.perf_counter() - started))
    return f"{statistics.median(rates):,.0f} images/s ({min(rates):,.0f} to {max(rates):,.0f})"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("model", nargs="?", default=MODEL)
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--files", type=int, default=4_000)
    parser.add_argument("--rounds", type=int, default=5)
    chosen = parser.parse_args()
    network = find_model(chosen.model).build(SMALL)
    mean, std = (np.array([value], np.float32) for value in (0.3, 0.35))
    classes = tuple(map(str, range(SMALL.classes)))
    trained = TrainedNetwork(network, SMALL, classes, mean, std, Reading(), {})
    images = np.random.default_rng(0).integers(0, 256, (chosen.images, 1, 28, 28)).astype(np.uint8)

    def within_batches() -> None:
        for start in range(0, len(images), 128):
            trained.logits(images[start : start + 128])

    print(f"{platform.system()} {platform.machine()}, {usable_cores()} cores, torch {torch.__version__}")
    print(f"{chosen.model}")
    print(f"logits: {rate(lambda: trained.logits(images), len(images), chosen.rounds)}")
    print(f"within batches: {rate(within_batches, len(images), chosen.rounds)}")
    with tempfile.TemporaryDirectory() as folder:
        for i in range(chosen.files):
            Image.fromarray(images[i % len(images), 0]).save(Path(folder) / f"{i:06}.png")
        print(f"PNG files: {rate(lambda: trained.predict(folder), chosen.files, chosen.rounds)}")


if __name__ == "__main__":
    main()
