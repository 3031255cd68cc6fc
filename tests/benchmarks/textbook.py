"""Seconds for an epoch of each network of the textbook chapter, by its recipe, on one core of this machine.

    python tests/benchmarks/textbook.py [STEPS]

An epoch is 469 steps of 128 images and judging 10,000: each network makes STEPS steps (4 by default) and
judges 256 images; the fastest step and the judging are scaled up. On a CPU it is the time that one thread
computes, which other work on the machine does not change much. Printed as the table in docs/recipe.md.
"""

import sys
import time
from functools import partial

import torch

from regnetlab.cli.train_options import OneTraining, one_training
from regnetlab.models.summary import summarise
from regnetlab.training.batches import on_device
from regnetlab.training.devices import find_device, set_up
from regnetlab.training.folders.listener import Listener
from regnetlab.training.trainer import train
from regnetlab.training.watching import Epoch, Watching

NETWORKS = (
    *("bn_lenet", "bn_lenet_scratch", "alexnet", "vgg11_slim", "nin", "googlenet"),
    *("resnet18", "resnext50_32x4d", "densenet_small"),
)
STEPS, TESTED, JUDGED = 469, 10_000, 256


def _now() -> float:
    return time.perf_counter() if torch.cuda.is_available() else time.process_time()


class Clock(Watching):
    """The moments at which steps and the epoch ended."""

    def __init__(self) -> None:
        self.steps: list[float] = []
        self.judged = 0.0

    def on_step(self, epoch: int, step: int, steps: int) -> None:
        self.steps.append(_now())

    def on_epoch(self, epoch: Epoch) -> None:
        self.judged = _now()


def seconds(asked: OneTraining) -> float:
    """Of an epoch, from the few steps that this training makes."""
    clock, device = Clock(), find_device("auto")
    set_up(device)
    build = partial(asked.model.build, asked.template)
    data = on_device(asked.pictures, device)
    score = train(build, data, asked.budget, asked.recipe, 0, watching=clock)
    assert score.network_is_usable, score.ended
    step = min(b - a for a, b in zip(clock.steps, clock.steps[1:], strict=False))
    return STEPS * step + TESTED / JUDGED * (clock.judged - clock.steps[-1])


def main(steps: int) -> None:
    device = find_device("auto")
    where = torch.cuda.get_device_name(device) if device.type == "cuda" else "one core"
    print(f"| network | input | rate | params | multiply-adds | seconds an epoch, {where} |")
    print("|---|---|---|---|---|---|")
    few = {"recipe": "textbook", "epochs": 1, "images": steps * 128, "validation": JUDGED}
    for name in NETWORKS:
        asked = one_training(name, few, Listener())
        found = summarise(asked.model, asked.template)
        size = asked.model.text.partition("@")[2].removesuffix("px") or "28"
        counts = f"{found.params / 1e6:,.2f}M | {asked.flops / 1e6:,.1f}M"
        row = f"| `{name}` | {size}×{size} | {asked.recipe.lr} | {counts} |"
        print(f"{row} {seconds(asked):,.0f} |", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 4)
