"""How hand-designed networks and RegNets compare, tuned alike: their errors, and who wins at which compute.

The best of a side is named by validation errors; only what is said of the two then comes from the test split.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from regnetlab.analysis.guessing import has_learned, majority_error, not_learned
from regnetlab.analysis.result import Result
from regnetlab.analysis.statistics.intervals import LEVEL, Interval
from regnetlab.analysis.statistics.verdicts import BETTER, UNDECIDED, WORSE
from regnetlab.spaces.regime import format_count
from regnetlab.training.budget import COMPLETE, mean_error
from regnetlab.training.guessing import Guessing
from regnetlab.trials.csv_tables import LATENCY_BATCHES
from regnetlab.trials.job import FINAL, TUNING

EQUAL_COMPUTE = 1.25
"""Networks have equal compute where flops rise from each to the next by at most this factor."""

TRIED_ONCE = (
    "each learning rate was tried once: the interval does not hold what another choice of rates would change"
    " (tuning_seeds in [baselines] makes it surer)"
)
"""What is said of a match between networks that were tuned with one training a rate."""


@dataclass(frozen=True, slots=True)
class Spread:
    """Mean and standard deviation (n − 1) of a network's errors over its training seeds, in percent."""

    mean: float
    sd: float
    errors: tuple[float, ...]

    def to_json(self) -> dict[str, Any]:
        return {"mean": self.mean, "sd": self.sd, "errors": self.errors}


@dataclass(frozen=True, slots=True)
class TunedNetwork:
    """A network at the learning rate that suits it.

    ``tries`` are learning rates with their mean validation errors (``None``: failed), ``lr`` the one chosen,
    ``tuning_seeds`` with how many trainings each was tried. ``validation`` and ``test`` are of the final
    trainings, ``failed`` of which earned no error; ``seconds`` is their median, ``latencies`` are
    milliseconds by batch size. ``guess`` is what guessing earns on the split that the network was judged on.
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

    @property
    def at_edge(self) -> bool:
        """Whether the rate chosen is the least or largest that was tried."""
        rates = [rate for rate, _ in self.tries]
        return len(rates) > 1 and self.lr in (min(rates), max(rates))

    @property
    def is_regnet(self) -> bool:
        return self.family.startswith("RegNet")

    @property
    def not_learned(self) -> str:
        """A sentence where it is not clearly better than guessing; else empty."""
        return not_learned(self.name, self._judged, self.guess)

    @property
    def _judged(self) -> list[float]:
        """Its mean error on the test split, or on the validation split before it comes to that."""
        spread = self.test or self.validation
        return [] if spread is None else [spread.mean]

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "model": self.model,
            "family": self.family,
            "flops": self.flops,
            "params": self.params,
            "acts": self.acts,
            "lr": self.lr,
            "lr_at_edge": self.at_edge,
            "tries": [{"lr": lr, "validation_error": error} for lr, error in self.tries],
            "test": self.test and self.test.to_json(),
            "validation": self.validation and self.validation.to_json(),
            "failed": self.failed,
            "seconds": self.seconds,
            "latency_ms": {str(batch): value for batch, value in self.latencies.items()},
            "learned": has_learned(self._judged, self.guess),
        }


@dataclass(frozen=True, slots=True)
class Match:
    """The best hand-designed network ``a`` and the best RegNet ``b`` at equal compute, best by validation.

    ``difference`` is b − a in test error over training seeds (Welch's t interval, 95%). It takes the
    learning rates as they were chosen; ``tried_once`` where one training a rate chose among several.
    """

    flops: tuple[int, int]
    a: TunedNetwork
    b: TunedNetwork
    difference: Interval

    @property
    def tried_once(self) -> bool:
        return any(len(side.tries) > 1 and side.tuning_seeds == 1 for side in (self.a, self.b))

    @property
    def verdict(self) -> str:
        if self.difference.high < 0:
            return BETTER
        return WORSE if self.difference.low > 0 else UNDECIDED

    @property
    def text(self) -> str:
        """Who wins, with the interval."""
        low, high = (format_count(float(f"{end:.3g}")) for end in self.flops)
        first, second = (self.a, self.b) if self.verdict == WORSE else (self.b, self.a)
        if self.verdict == UNDECIDED:
            what = f"{first.name} against {second.name} is undecided"
        else:
            what = f"{first.name} beats {second.name}"
        errors = " against ".join(f"{side.test.mean:.1f}%" for side in (first, second) if side.test)
        where = low if low == high else f"{low} to {high}"
        known = math.isfinite(self.difference.low)
        return (
            f"At {where} flops, the best RegNet and the best hand-designed"
            f" network by validation: {what} on the test split, {errors},"
            f" {self.difference.points if known else 'too few seeds for an interval'} over training seeds."
        )

    def to_json(self) -> dict[str, Any]:
        return {
            "flops": self.flops,
            "a": self.a.name,
            "b": self.b.name,
            "verdict": self.verdict,
            "difference": self.difference.estimate,
            "interval": self.difference.ends,
            "tried_once": self.tried_once,
        }


@dataclass(frozen=True)
class BaselineComparison(Result):
    """Hand-designed networks and RegNets under one protocol, the least mean test error first.

    ``final`` says whether every network has all of its final trainings; ``guess`` and ``guess_test`` are what
    guessing earns on either split.
    """

    networks: tuple[TunedNetwork, ...]
    matches: tuple[Match, ...]
    tuning_seeds: int
    final: bool
    guess: Guessing | None = None
    guess_test: Guessing | None = None

    @property
    def not_learned(self) -> list[str]:
        """A sentence on every network that is not clearly better than guessing."""
        return [sentence for each in self.networks if (sentence := each.not_learned)]

    @property
    def reason(self) -> str:
        """Why nothing is compared; empty where something is."""
        if self.matches or not self.networks:
            return ""
        tested = any(each.test is not None for each in self.networks)
        return "RegNets against hand-designed networks: not compared; " + (
            "no RegNet and hand-designed network have about the same flops."
            if tested
            else "the final trainings are still to come."
        )

    def remarks(self) -> list[str]:
        """Who wins at which compute, or why that is not known."""
        found = [each.text for each in self.matches] or [self.reason]
        if any(each.tried_once for each in self.matches):
            found.append(TRIED_ONCE)
        return [each for each in found if each]

    def to_json(self) -> dict[str, Any]:
        """The document of ``regnetlab compare-baselines --json``, but for the name of the study."""
        return {
            "final": self.final,
            "majority_error": majority_error(self.guess),
            "majority_error_test": majority_error(self.guess_test),
            "not_learned": self.not_learned,
            "contenders": [each.to_json() for each in self.networks],
            "tuning_seeds": self.tuning_seeds,
            "comparisons": [each.to_json() for each in self.matches],
        }

    def to_pandas(self) -> pd.DataFrame:
        """A row a network; errors are means over seeds, in percent."""
        counts = [(n.name, n.family, n.flops, n.params, n.acts, n.lr) for n in self.networks]
        frame = pd.DataFrame(counts, columns=["name", "family", "flops", "params", "acts", "lr"])
        for split in ("validation", "test"):
            spreads = [getattr(each, split) for each in self.networks]
            frame[f"{split}_error"] = [math.nan if spread is None else spread.mean for spread in spreads]
            frame[f"{split}_sd"] = [math.nan if spread is None else spread.sd for spread in spreads]
        return frame

    def __repr__(self) -> str:
        wins = "; ".join(f"{each.b.name} against {each.a.name} {each.verdict}" for each in self.matches)
        return f"BaselineComparison({len(self.networks)} networks: {wins or 'not compared'})"

    def _repr_html_(self) -> str:
        return str(self.to_pandas().to_html(index=False, float_format="{:.2f}".format))


def baselines(
    rows: pd.DataFrame,
    seeds: int | None = None,
    tuning_seeds: int | None = None,
    guess: Guessing | None = None,
    guess_test: Guessing | None = None,
) -> BaselineComparison:
    """Compare tuned networks.

    Args:
        rows: A row a training (``trials.csv_tables.BASELINES``).
        seeds: Final trainings that every network gets; by default as many as one has at most.
        tuning_seeds: Trainings a learning rate; likewise.
        guess: What guessing earns on the validation images.
        guess_test: What it earns on the test images.
    """
    found = [_network(group, guess, guess_test) for _, group in rows.groupby("model", sort=False)]
    finals = [each.failed + (len(each.test.errors) if each.test else 0) for each in found]
    wanted = max(finals, default=0) if seeds is None else seeds
    return BaselineComparison(
        networks=tuple(sorted(found, key=lambda n: (n.test is None, n.test.mean if n.test else 0.0))),
        matches=tuple(_matches(found)),
        tuning_seeds=max((each.tuning_seeds for each in found), default=0)
        if tuning_seeds is None
        else tuning_seeds,
        final=all(
            n == wanted or (each.lr is None and all(error is None for _, error in each.tries))
            for each, n in zip(found, finals, strict=True)
        ),
        guess=guess,
        guess_test=guess_test,
    )


def _matches(networks: Sequence[TunedNetwork]) -> list[Match]:
    """A match at every compute where a RegNet and a hand-designed network have test errors."""
    tested = sorted((each for each in networks if each.test is not None), key=lambda n: n.flops)
    classes: list[list[TunedNetwork]] = [tested[:1]]
    for before, network in pairwise(tested):
        if network.flops > EQUAL_COMPUTE * before.flops:
            classes.append([])
        classes[-1].append(network)
    found = []
    for equal in classes:
        sides = [[each for each in equal if each.is_regnet is regnet] for regnet in (False, True)]
        if all(sides):
            a, b = (min(side, key=_validation) for side in sides)
            found.append(Match((equal[0].flops, equal[-1].flops), a, b, _difference(a, b)))
    return found


def _network(rows: pd.DataFrame, guess: Guessing | None, guess_test: Guessing | None) -> TunedNetwork:
    first = rows.iloc[0]
    finals, tuning = rows[rows["stage"] == FINAL], rows[rows["stage"] == TUNING]
    done = finals[finals["ended"] == COMPLETE]
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
        validation=_spread(done["error"].tolist()),
        test=_spread(done["test_error"].tolist()),
        failed=len(finals) - len(done),
        seconds=float(finals["seconds"].median()) if len(finals) else math.nan,
        latencies={batch: value for batch, value in latencies.items() if not math.isnan(value)},
        guess=guess_test if len(done) else guess,
    )


def _spread(errors: Sequence[float]) -> Spread | None:
    if not errors:
        return None
    sd = float(np.std(errors, ddof=1)) if len(errors) > 1 else math.nan
    return Spread(float(np.mean(errors)), sd, tuple(errors))


def _validation(network: TunedNetwork) -> float:
    return network.validation.mean if network.validation is not None else math.inf


def _difference(a: TunedNetwork, b: TunedNetwork) -> Interval:
    """b − a in mean test error; without an interval (an infinite one) below two seeds a side."""
    errors_a, errors_b = (each.test.errors if each.test is not None else () for each in (a, b))
    estimate = float(np.mean(errors_b) - np.mean(errors_a))
    if min(len(errors_a), len(errors_b)) < 2:
        return Interval(estimate, -math.inf, math.inf)
    if np.std(errors_a) == np.std(errors_b) == 0:
        return Interval(estimate, estimate, estimate)
    interval = stats.ttest_ind(errors_b, errors_a, equal_var=False).confidence_interval(LEVEL)
    return Interval(estimate, float(interval.low), float(interval.high))
