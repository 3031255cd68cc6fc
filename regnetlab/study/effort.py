"""What time allows: how many networks are tried, and for how long the chosen ones are trained.

Seconds are estimated from trainings that this machine made before: they grow with the images that a network
is trained and judged on.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from regnetlab.errors import InputError
from regnetlab.training.budget import Augment, Budget, Recipe

SIZES = {"small": 0.5, "medium": 1.0, "large": 2.0}
"""The family's networks by the share of the study's flops or latency."""
_FORWARD = 1 / 3
"""The share of a training image's time that an image takes which is only judged."""
_IN_USE = 0.9
"""The share of the time left that trainings are planned to fill; the last ones leave cores idle."""
_WRITING = 20.0
"""Seconds for writing the family and the report."""
LEAST_EPOCHS, MOST_EPOCHS = 2, 150
LEAST_STEPS, MOST_STEPS = 200, 8_000
"""Epochs of the last trainings, or those that have so many steps: the larger number counts."""
MOST_SEEDS = 5
LEAST_DRAWN, MOST_DRAWN = 4, 24
"""Networks that are drawn for another size than the study's."""
_DRAWING = 0.15
"""The share of the time left that they get."""
AUGMENTS: tuple[Augment, ...] = ("none", "crop", "flip", "crop-flip")
"""What the short comparison of augmentations tries."""
_TRIED = (
    (3, (0.5, 1.0, 2.0), 3),
    (2, (0.5, 1.0, 2.0), 3),
    (2, (0.5, 1.0), 2),
    (1, (0.5, 1.0), 2),
    (1, (1.0,), 2),
)
"""Candidates of each size, learning rates as shares of the study's, and seeds of the last trainings: the most
that time allows. Each of them gets a longer training first."""
_ENOUGH_EPOCHS, _ENOUGH_STEPS = 12, 2_000
"""Epochs, or steps, that are worth more than another candidate."""


@dataclass(frozen=True, slots=True)
class Effort:
    """``candidates`` of each size and as many hand-designed networks, each trained at every learning rate of
    ``rates``; the best of each with ``seeds`` more trainings. All for so many ``epochs``."""

    candidates: int
    rates: tuple[float, ...]
    seeds: int
    epochs: int


def images_of(budget: Budget, recipe: Recipe) -> float:
    """What a training sees, in training images."""
    judged = budget.validation + recipe.precise_bn * budget.images_per_step
    return budget.epochs * (budget.images + _FORWARD * judged)


def effort(
    seconds: Mapping[str, float],
    left: float,
    workers: int,
    lr: float,
    steps: int,
    epochs: int | None = None,
) -> Effort:
    """The most that the time left allows.

    Args:
        seconds: Of one epoch of a network of each size, at the last budget; the sizes are small, medium and
            large, or those that there are.
        left: Seconds for everything.
        workers: Trainings at once.
        lr: The study's learning rate.
        steps: Optimiser steps of an epoch.
        epochs: Those that the user asks for, if any: then fewer networks are tried.

    Raises:
        InputError: The time is not enough for the least, with the minutes that are.
    """
    there = workers * (_IN_USE * left - _WRITING)
    least = epochs or epochs_of(LEAST_EPOCHS, LEAST_STEPS, steps)
    enough = epochs or epochs_of(_ENOUGH_EPOCHS, _ENOUGH_STEPS, steps)
    most = epochs_of(MOST_EPOCHS, MOST_STEPS, steps)
    for candidates, rates, seeds in _TRIED:
        each = _epochs_trained(seconds, candidates, len(rates), seeds)
        possible = int(min(there / each, most)) if there > 0 else 0
        if possible >= enough or (candidates, rates, seeds) == _TRIED[-1]:
            if possible < least:
                minutes = math.ceil(least_seconds(seconds, workers, least) / 60)
                raise InputError(
                    f"{max(left, 0) / 60:.1f} minutes are too few to train a family",
                    f"{least} epochs of each network take about {minutes} minutes here",
                )
            return Effort(candidates, tuple(lr * each for each in rates), seeds, epochs or possible)
    raise AssertionError("the last one returns or raises")


def epochs_of(epochs: int, steps: int, steps_an_epoch: int) -> int:
    """So many epochs, or as many as have so many steps, whichever are more."""
    return max(epochs, math.ceil(steps / steps_an_epoch))


def least_seconds(seconds: Mapping[str, float], workers: int, epochs: int) -> float:
    """What the least family takes; ``seconds`` as for ``effort``."""
    candidates, rates, seeds = _TRIED[-1]
    each = _epochs_trained(seconds, candidates, len(rates), seeds)
    return (epochs * each / workers + _WRITING) / _IN_USE


def networks_to_draw(seconds: float, left: float, workers: int) -> int:
    """How many candidates there are of another size; a training of a medium one takes so many seconds."""
    if left == float("inf"):
        return MOST_DRAWN
    return int(max(LEAST_DRAWN, min(MOST_DRAWN, _DRAWING * left * workers / (2.5 * seconds))))


def seeds_for(seconds: Mapping[str, float], chosen: Effort, left: float, workers: int) -> int:
    """As ``chosen.seeds``, more where time is left and fewer where it has run out: 2 to ``MOST_SEEDS``."""
    there = workers * (_IN_USE * left - _WRITING)
    each = chosen.epochs * (sum(seconds.values()) + _medium(seconds))
    return int(max(2, min(MOST_SEEDS, there // each))) if left < float("inf") else chosen.seeds


def _epochs_trained(seconds: Mapping[str, float], candidates: int, rates: int, seeds: int) -> float:
    """Seconds of one epoch of everything: augmentations, tuning (hand-designed ones too), last trainings."""
    ours, medium = sum(seconds.values()), _medium(seconds)
    return len(AUGMENTS) * medium + candidates * rates * (ours + medium) + seeds * (ours + medium)


def _medium(seconds: Mapping[str, float]) -> float:
    return seconds.get("medium", max(seconds.values()))
