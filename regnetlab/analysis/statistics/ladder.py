"""A ladder of budgets as arrays: the errors of some networks at every budget, with several seeds."""

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from regnetlab.errors import InputError
from regnetlab.plain import plural
from regnetlab.spaces.arrays import Floats, Ints
from regnetlab.training.budget import COMPLETE, WORST, Budget

_FEWEST_NETWORKS = 3
_SHORTEST = 0.0005
"""Seconds of a training that a table has as 0.000."""
_BUDGET = ("images", "epochs", "batch_size", "validation")


class UnfinishedError(InputError):
    """A ladder that has too few trainings yet to say anything."""


@dataclass(frozen=True, slots=True)
class Measured:
    """n networks that were trained with the same S seeds at each of R budgets, smallest budget first.

    ``errors`` and ``seconds`` have shape (n, R, S), an error of a failed training is NaN; ``strata``
    (n,) holds the place of each network's space in ``spaces``. ``incomplete`` networks of the file, which
    have not all trainings yet, are left out.
    """

    budgets: tuple[Budget, ...]
    spaces: tuple[str, ...]
    strata: Ints
    errors: Floats
    seconds: Floats
    incomplete: int

    @property
    def names(self) -> list[str]:
        """What each budget is called: its images, and whatever else it does not share with all others."""
        shared = {
            name: len({getattr(budget, name) for budget in self.budgets}) == 1
            for name in ("epochs", "batch_size", "validation")
        }
        return [
            f"{budget.images:,}"
            + ("" if shared["epochs"] else f" × {budget.epochs}")
            + ("" if shared["batch_size"] else f" @{budget.batch_size}")
            + ("" if shared["validation"] else f" /{budget.validation:,}")
            for budget in self.budgets
        ]

    @property
    def with_failures(self) -> Floats:
        """The errors with every failed training at the worst one: by rank, it is last."""
        return np.where(np.isnan(self.errors), WORST, self.errors)

    @property
    def means(self) -> Floats:
        """Each network's mean error over its seeds, failed ones at the worst, shape (n, R)."""
        return np.asarray(self.with_failures.mean(-1))


def measured(trainings: pd.DataFrame) -> Measured:
    """The arrays of a table of trainings (``trials.csv_tables.FIDELITY``).

    Raises:
        InputError: A value can't be.
        UnfinishedError: There are too few networks, budgets or seeds.
    """
    numbers = trainings[[*_BUDGET]].to_numpy(np.float64)
    errors = trainings["error"].where(trainings["ended"] == COMPLETE).to_numpy(np.float64)
    seconds = trainings["seconds"].to_numpy(np.float64)
    for place in np.flatnonzero(~np.isfinite(numbers).all(1) | (numbers % 1 != 0).any(1)):
        raise InputError(f"a training has the budget {numbers[place].tolist()}", "write whole numbers")
    for place in np.flatnonzero((trainings["ended"] == COMPLETE) & np.isnan(errors)):
        raise InputError(
            f"training {place + 1} is complete and has no error", "a failed training must say how it ended"
        )
    for place in np.flatnonzero((errors < 0) | (errors > WORST) | ~((seconds >= 0) & (seconds < math.inf))):
        raise InputError(
            f"a training has error {errors[place]:g} and seconds {seconds[place]:g}",
            "errors are 0 to 100 percent, seconds 0 or more",
        )
    keys = [
        Budget(int(images), int(epochs), int(batch), int(judging))
        for images, epochs, batch, judging in numbers
    ]
    # Smallest first, as written: by images seen, then steps, then validation images.
    budgets = sorted(set(keys), key=lambda b: (b.images * b.epochs, b.steps, b.validation))
    pairs = list(zip(trainings["space"], trainings["index"], strict=True))
    networks, replicates = list(dict.fromkeys(pairs)), sorted(set(trainings["replicate"]))
    where = (
        _places(pairs, networks),
        _places(keys, budgets),
        _places(trainings["replicate"].tolist(), replicates),
    )
    shape = len(networks), len(budgets), len(replicates)
    by_network, times = np.full(shape, np.nan), np.full(shape, np.nan)
    by_network[where], times[where] = errors, np.maximum(seconds, _SHORTEST)
    whole = ~np.isnan(times).any((1, 2))
    if len(budgets) < 2 or len(replicates) < 2 or whole.sum() < _FEWEST_NETWORKS:
        raise UnfinishedError(
            f"too little is trained: {plural(int(whole.sum()), 'network')} at all of"
            f" {plural(len(budgets), 'budget')} with {plural(len(replicates), 'seed')}",
            f"{_FEWEST_NETWORKS} networks, two budgets and two seeds are the least",
        )
    named = [space for (space, _), kept in zip(networks, whole, strict=True) if kept]
    spaces = tuple(dict.fromkeys(named))
    strata = np.array([spaces.index(space) for space in named], np.int64)
    return Measured(tuple(budgets), spaces, strata, by_network[whole], times[whole], int((~whole).sum()))


def _places(values: Sequence[Hashable], known: Sequence[Hashable]) -> Ints:
    """Where each of these values stands among the known ones."""
    places = {value: place for place, value in enumerate(known)}
    return np.array([places[value] for value in values], np.int64)
