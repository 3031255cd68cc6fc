"""The best networks trained again: how much of a least error was luck.

The least errors of many are lucky: networks are chosen by error and noise together, and the noise does not
come again (regression to the mean; Galton 1886). Fresh seeds say what the networks are worth.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from regnetlab.analysis.statistics.intervals import Interval, mean_interval
from regnetlab.spaces.arrays import Floats
from regnetlab.training.budget import WORST
from regnetlab.trials.job import DERIVED

_ORDINALS = ("best", "second best", "third best")


@dataclass(frozen=True, slots=True)
class RetrainedNetwork:
    """A network that was chosen, and its errors with fresh seeds, of which a failed one is ``None``.

    ``first`` is the error, in percent, that it had number ``rank`` by among the ``of`` networks of ``space``,
    which is a space, ``derived`` or a search.
    """

    space: str
    index: int
    rank: int
    of: int
    model: str
    first: float
    errors: tuple[float | None, ...]

    @property
    def values(self) -> Floats:
        """Its errors again; failed trainings count as the worst."""
        return np.array([WORST if error is None else error for error in self.errors])

    @property
    def again(self) -> Interval:
        """The mean error again, with Student's t interval over training seeds."""
        return mean_interval(self.values)

    @property
    def sd(self) -> float | None:
        """The standard deviation over training seeds; ``None`` of a single one."""
        return float(self.values.std(ddof=1)) if len(self.errors) > 1 else None

    @property
    def spread(self) -> str:
        """Mean and standard deviation, as in ``13.36 ± 0.43``."""
        mean = f"{self.again.estimate:.2f}"
        return mean if self.sd is None else f"{mean} ± {self.sd:.2f}"

    @property
    def sentence(self) -> str:
        """What it was chosen for, and what it has again."""
        place = _ORDINALS[self.rank - 1] if self.rank <= len(_ORDINALS) else f"number {self.rank}"
        kind = "derived RegNets" if self.space == DERIVED else f"networks of {self.space}"
        return f"{place} of {self.of:,} {kind}: {self.first:.2f}% in its study, {self.spread}% again"

    def to_json(self) -> dict[str, Any]:
        names = ("space", "index", "rank", "of", "model", "first")
        again = {"mean": self.again.estimate, "sd": self.sd, "errors": list(self.errors)}
        return {**{name: getattr(self, name) for name in names}, "again": again, "interval": self.again.ends}


@dataclass(frozen=True, slots=True)
class Retraining:
    """Networks that were chosen for their low errors and trained again, the best of each space first."""

    networks: Sequence[RetrainedNetwork] = ()

    @property
    def more(self) -> Interval | None:
        """How much more error the networks have again, in points: the mean over them, each once, with
        Student's t interval; ``None`` of fewer than two."""
        again = {each.model: each.again.estimate for each in self.networks}
        more = []
        for model, mean in again.items():  # a network may be chosen more than once
            more.append(mean - float(np.mean([each.first for each in self.networks if each.model == model])))
        return mean_interval(np.array(more)) if len(more) > 1 else None

    def remarks(self) -> list[str]:
        """What the trainings say together; empty without any."""
        if not self.networks:
            return []
        remarks = []
        count = len({each.model for each in self.networks})
        if (more := self.more) is not None:
            ends = f"95% interval {more.text('+.2f')}"
            changed = "worse" if more.estimate >= 0 else "better"
            why = "these can't tell how much of their low errors was luck"
            if more.low > 0:
                why = "part of their low errors was luck, which does not repeat (regression to the mean)"
            elif more.high < 0:
                why = "their low errors were no luck"
            remarks.append(
                f"On average the {count} best were {abs(more.estimate):.2f} points {changed} again than in"
                f" their study ({ends}): {why}."
            )
        least = min(self.networks, key=lambda each: each.again.estimate)
        if count > 1:
            remarks.append(
                f"Lowest again: {least.space} {least.index} ({least.model}), {least.spread}; as the lowest of"
                f" {count} it may still be a little lucky."
            )
        failed = sum(error is None for each in self.networks for error in each.errors)
        if failed:
            remarks.append(
                f"{failed} training{'s' * (failed != 1)} failed and count{'s' * (failed == 1)} as"
                f" {WORST:.0f}%."
            )
        return remarks

    def to_json(self) -> dict[str, Any]:
        """The document of ``retrain``, but for the study's name."""
        return {"retrained": [each.to_json() for each in self.networks]}


def retraining(trainings: pd.DataFrame) -> Retraining:
    """The networks in a table (``trials.csv_tables.RETRAINED``), in the order in which they come."""
    found = []
    for _, rows in trainings.groupby(["space", "rank"], sort=False):
        row = rows.iloc[0]
        errors = tuple(None if np.isnan(error) else float(error) for error in rows["error"])
        index, rank, of = (int(row[name]) for name in ("index", "rank", "of"))
        found.append(
            RetrainedNetwork(
                str(row["space"]), index, rank, of, str(row["model"]), float(row["first"]), errors
            )
        )
    return Retraining(tuple(found))
