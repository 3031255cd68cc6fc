"""fidelity.csv as arrays: the errors of some networks at every budget of a ladder, with several seeds."""

import csv
import io
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from regnetlab.errors import InputError
from regnetlab.spaces.arrays import Floats, Ints
from regnetlab.study.fidelity import COLUMNS
from regnetlab.training.budget import COMPLETE, WORST, Budget

_FEWEST = 3
_MOST_BYTES = 2**30


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
        """Each network's mean error over its seeds, shape (n, R); NaN where all of them failed."""
        earned = ~np.isnan(self.errors)
        count = earned.sum(-1)
        sums = np.where(earned, self.errors, 0.0).sum(-1)
        return np.where(count > 0, sums / np.maximum(count, 1), np.nan)


def read_ladder(path: Path) -> Measured:
    """The trainings in a fidelity.csv; an ``InputError`` says what is wrong with it."""
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise InputError(f"{path} is over 1 GiB", "it is no fidelity.csv")
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} can't be read: {error}") from error
    return parse_ladder_csv(text, str(path))


def parse_ladder_csv(text: str, source: str) -> Measured:
    """The trainings in the text of a fidelity.csv; ``source`` names it in errors.

    Raises ``UnfinishedError`` where there are too few of them.
    """
    try:
        rows = list(csv.DictReader(io.StringIO(text)))
        cells = [_cell(row) for row in rows]
    except (KeyError, TypeError, ValueError, csv.Error) as error:
        raise InputError(
            f"{source} is not what `regnetlab fidelity` writes ({error})",
            f"its columns are {', '.join(COLUMNS)}",
        ) from None
    errors = {(budget, network, replicate): values for budget, network, replicate, values in cells}
    # Smallest first, as written: by images seen, then steps, then validation images.
    budgets = sorted({key[0] for key in errors}, key=lambda b: (b.images * b.epochs, b.steps, b.validation))
    replicates = sorted({key[2] for key in errors})
    networks = list(dict.fromkeys(key[1] for key in errors))
    whole = [
        network
        for network in networks
        if all((budget, network, seed) in errors for budget in budgets for seed in replicates)
    ]
    if len(budgets) < 2 or len(replicates) < 2 or len(whole) < _FEWEST:
        raise UnfinishedError(
            f"{source} has {len(whole)} networks with all trainings at {len(budgets)} budgets with"
            f" {len(replicates)} seeds; {_FEWEST} networks, two budgets and two seeds are the least"
        )
    spaces = tuple(dict.fromkeys(space for space, _ in whole))
    values = np.array(
        [[[errors[budget, network, seed] for seed in replicates] for budget in budgets] for network in whole]
    )
    strata = np.array([spaces.index(space) for space, _ in whole], np.int64)
    return Measured(
        tuple(budgets), spaces, strata, values[..., 0], values[..., 1], len(networks) - len(whole)
    )


def _cell(
    row: Mapping[str, str | None],
) -> tuple[Budget, tuple[str, int], int, tuple[float, float]]:
    images, epochs, batch, judging = (
        _whole(row, name) for name in ("images", "epochs", "batch_size", "validation")
    )
    error = float(row["error"] or "nan") if row["ended"] == COMPLETE else math.nan
    seconds = float(row["seconds"] or "nan")
    if not (math.isnan(error) or 0 <= error <= 100) or not 0 <= seconds < math.inf:
        raise ValueError(f"error {row['error']}, seconds {row['seconds']}")
    return (
        Budget(images, epochs, batch, judging),
        (row["space"] or "", _whole(row, "index")),
        _whole(row, "replicate"),
        (error, seconds),
    )


def _whole(row: Mapping[str, str | None], name: str) -> int:
    return int(row[name] or "")
