"""A network that competes: what its tuning and its final trainings earned.

A row of ``csv_tables.BASELINES`` is a training; the rows of one model are one tuned network.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from regnetlab.analysis.guessing import LEARNED, learning, not_learned
from regnetlab.spaces.arrays import Mask
from regnetlab.training.budget import COMPLETE, WORST, mean_error
from regnetlab.training.correctness import unpack
from regnetlab.training.guessing import Guessing
from regnetlab.trials.csv_tables import LATENCY_BATCHES
from regnetlab.trials.job import FINAL, TUNING

HAND_DESIGNED, REGNETS = "hand-designed", "RegNet"
"""The two sides."""


@dataclass(frozen=True, slots=True)
class Spread:
    """Mean and standard deviation (n − 1) of a network's errors over its training seeds, in percent."""

    mean: float
    sd: float
    errors: tuple[float, ...]

    @property
    def text(self) -> str:
        return f"{self.mean:.2f} ± {self.sd:.2f}" if math.isfinite(self.sd) else f"{self.mean:.2f} ± –"

    def to_json(self) -> dict[str, Any]:
        return {"mean": self.mean, "sd": self.sd, "errors": self.errors}


@dataclass(frozen=True, slots=True)
class TunedNetwork:
    """A network at the learning rate that suits it.

    ``group`` is the family that it competes in first; empty where it stands for itself. ``tries`` are
    learning rates with their mean validation errors (``None``: failed), ``lr`` that of its final trainings,
    ``tuning_seeds`` with how many trainings each was tried. ``validation`` and ``test`` are of the final
    trainings, ``failed`` of which earned no error and count as 100%, ``None`` where all failed; ``correct``
    says which test images each classifies correctly, of shape (trainings, images), where that is known.
    ``seconds`` is the median of the final trainings, ``latencies`` are milliseconds by batch size;
    ``tuning_trainings``, ``final_trainings``, ``hours`` and ``tuning_hours`` are what it cost. ``guess``
    and ``guess_test`` are what guessing earns on either split.
    """

    name: str
    model: str
    family: str
    flops: int
    params: int
    acts: int
    tries: tuple[tuple[float, float | None], ...]
    tuning_seeds: int
    lr: float | None
    validation: Spread | None
    test: Spread | None
    failed: int
    seconds: float
    latencies: Mapping[int, float]
    guess: Guessing | None = None
    guess_test: Guessing | None = None
    group: str = ""
    tuning_trainings: int = 0
    final_trainings: int = 0
    hours: float = 0.0
    tuning_hours: float = 0.0
    correct: Mask | None = field(default=None, repr=False, compare=False)

    @property
    def at_edge(self) -> bool:
        """Whether the rate chosen is the least or largest that was tried."""
        rates = [rate for rate, _ in self.tries]
        return len(rates) > 1 and self.lr in (min(rates), max(rates))

    @property
    def is_regnet(self) -> bool:
        return self.family.startswith("RegNet")

    @property
    def side(self) -> str:
        return REGNETS if self.is_regnet else HAND_DESIGNED

    @property
    def short_name(self) -> str:
        """Its name without its group's."""
        return self.name.removeprefix(f"{self.group}: ")

    @property
    def tuning_error(self) -> float | None:
        """The least mean validation error of a learning rate; ``None`` where every training failed."""
        return min((error for _, error in self.tries if error is not None), default=None)

    @property
    def best_rate(self) -> float | None:
        """The rate of the final trainings; before these, the one that tuning says."""
        found = [(error, rate) for rate, error in self.tries if error is not None]
        return self.lr if self.lr is not None or not found else min(found)[1]

    @property
    def learned_in_tuning(self) -> bool | None:
        """Whether the best of its rates is clearly better than guessing; ``None`` where that is not known."""
        if self.guess is None or self.tuning_error is None:
            return None
        return learning([self.tuning_error], self.guess, len(self.tries)) == LEARNED

    @property
    def learned(self) -> bool | None:
        """The same on the test split, once it was judged there."""
        if self.test is None:
            return self.learned_in_tuning
        return None if self.guess_test is None else learning([self.test.mean], self.guess_test) == LEARNED

    @property
    def not_learned(self) -> str:
        """A sentence where it is not clearly better than guessing; else empty."""
        if self.test is not None:
            return not_learned(self.name, [self.test.mean], self.guess_test)
        errors = [] if self.tuning_error is None else [self.tuning_error]
        return not_learned(self.name, errors, self.guess, len(self.tries))

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "model": self.model,
            "family": self.family,
            "group": self.group,
            "side": self.side,
            "flops": self.flops,
            "params": self.params,
            "acts": self.acts,
            "lr": self.lr,
            "lr_at_edge": self.at_edge,
            "tries": [{"lr": lr, "validation_error": error} for lr, error in self.tries],
            "tuning_error": self.tuning_error,
            "test": self.test and self.test.to_json(),
            "validation": self.validation and self.validation.to_json(),
            "failed": self.failed,
            "seconds": self.seconds,
            "latency_ms": {str(batch): value for batch, value in self.latencies.items()},
            "learned": self.learned,
        }


def tuned_networks(
    rows: pd.DataFrame, guess: Guessing | None = None, guess_test: Guessing | None = None
) -> list[TunedNetwork]:
    """The networks of these trainings (``csv_tables.BASELINES``), in the order of their first rows."""
    return [_network(group, guess, guess_test) for _, group in rows.groupby("model", sort=False)]


def finalists(tuned: Iterable[tuple[str, str, str, float | None]]) -> set[str]:
    """The models that go on to final trainings: of each group the one with the least error in tuning.

    Args:
        tuned: Model, group, name and tuning error of every network. One without a group goes on by itself,
            one of which every training failed (``None``) never. The name decides between equal errors.
    """
    best: dict[str, tuple[float, str, str]] = {}
    for model, group, name, error in tuned:
        key = group or f"{model} alone"
        if error is not None and (key not in best or (error, name, model) < best[key]):
            best[key] = (error, name, model)
    return {model for _, _, model in best.values()}


def _network(rows: pd.DataFrame, guess: Guessing | None, guess_test: Guessing | None) -> TunedNetwork:
    first = rows.iloc[0]
    finals, tuning = rows[rows["stage"] == FINAL], rows[rows["stage"] == TUNING]
    done = finals[finals["ended"] == COMPLETE]
    failed = len(finals) - len(done)
    tries = {
        float(lr): [
            None if math.isnan(error) else error for error in tuning["error"][tuning["lr"] == lr].tolist()
        ]
        for lr in tuning["lr"].unique()
    }
    latencies = {batch: float(first[f"latency_{batch}_ms"]) for batch in LATENCY_BATCHES}
    return TunedNetwork(
        name=first["contender"],
        model=first["model"],
        family=first["family"],
        flops=int(first["flops"]),
        params=int(first["params"]),
        acts=int(first["acts"]),
        tries=tuple((lr, mean_error(errors)) for lr, errors in tries.items()),
        tuning_seeds=tuning["seed"].nunique(),
        lr=float(finals["lr"].iloc[0]) if len(finals) else None,
        validation=_spread(done["error"].tolist(), failed),
        test=_spread(done["test_error"].tolist(), failed),
        failed=failed,
        seconds=float(finals["seconds"].median()) if len(finals) else math.nan,
        latencies={batch: value for batch, value in latencies.items() if not math.isnan(value)},
        guess=guess,
        guess_test=guess_test,
        group=first["group"],
        tuning_trainings=len(tuning),
        final_trainings=len(finals),
        hours=float(rows["seconds"].sum()) / 3600,
        tuning_hours=float(tuning["seconds"].sum()) / 3600,
        correct=_correct(done["correct"].tolist(), failed),
    )


def _correct(texts: Sequence[str], failed: int) -> Mask | None:
    """The bits of all trainings, those of failed ones all 0; ``None`` where one has none, or their numbers
    differ.
    """
    bits = [unpack(text) for text in texts if text]
    if len(bits) < len(texts) or len({len(each) for each in bits}) != 1:
        return None
    return np.vstack([*bits, *[np.zeros_like(bits[0])] * failed])


def _spread(earned: Sequence[float], failed: int) -> Spread | None:
    if not earned:
        return None
    errors = (*earned, *[WORST] * failed)
    sd = float(np.std(errors, ddof=1)) if len(errors) > 1 else math.nan
    return Spread(float(np.mean(errors)), sd, errors)
