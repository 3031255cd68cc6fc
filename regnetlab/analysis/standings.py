"""The contest's result: how each contender stands, and who wins at which compute.

Champions are named by validation errors; only what is said of them then comes from the test split.
"""

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy import stats

from regnetlab.analysis.statistics.intervals import LEVEL, Interval
from regnetlab.errors import InputError
from regnetlab.study.contest import mean_error
from regnetlab.study.contest_table import COLUMNS, LATENCY_BATCHES, contest_csv
from regnetlab.study.outcome import outcome
from regnetlab.study.plan import Plan
from regnetlab.study.store import open_store
from regnetlab.training.budget import COMPLETE
from regnetlab.trials.job import FINAL, TUNING

EQUAL_COMPUTE = 1.25
"""Contenders compete at equal compute where flops rise from each to the next by at most this factor."""

TRIED_ONCE = (
    "each learning rate was tried once: the interval does not hold what another choice of rates would change"
    " (tuning_seeds in [baselines] makes it surer)"
)
"""What is said of a match between contenders that were tuned with one training a rate."""

Row = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Spread:
    """Mean and standard deviation (n − 1) of a contender's errors over its training seeds, in percent."""

    mean: float
    sd: float
    errors: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Standing:
    """How a contender stands.

    ``tries`` are learning rates with their mean validation errors (``None``: failed), ``lr`` the one chosen,
    ``at_edge`` whether it is the least or largest that was tried, ``tuning_seeds`` with how many trainings
    each was. ``validation`` and ``test`` are of the final trainings, ``failed`` of which earned no error;
    ``seconds`` their median, ``latencies`` milliseconds by batch size.
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

    @property
    def at_edge(self) -> bool:
        rates = [rate for rate, _ in self.tries]
        return len(rates) > 1 and self.lr in (min(rates), max(rates))

    @property
    def is_regnet(self) -> bool:
        return self.family.startswith("RegNet")


@dataclass(frozen=True, slots=True)
class Match:
    """The best hand-designed network ``a`` and the best RegNet ``b`` at equal compute, best by validation.

    ``difference`` is b − a in test error over training seeds (Welch's t interval, 95 %). It takes the
    learning rates as they were chosen; ``tried_once`` where one training a rate chose among several.
    """

    flops: tuple[int, int]
    a: Standing
    b: Standing
    difference: Interval

    @property
    def tried_once(self) -> bool:
        return any(len(side.tries) > 1 and side.tuning_seeds == 1 for side in (self.a, self.b))

    @property
    def verdict(self) -> str:
        if self.difference.high < 0:
            return "better"
        return "worse" if self.difference.low > 0 else "undecided"


def study_standings(plan: Plan) -> list[Standing]:
    """The standings of a study, from its store, or from baselines.csv without one; empty before tuning."""
    if plan.store.exists():
        store = open_store(plan.store)
        text = contest_csv(plan, outcome(plan, store), store.latencies)
    elif plan.contest.exists():
        try:
            text = plan.contest.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{plan.contest} can't be read: {error}") from error
    else:
        return []
    try:
        return standings(list(csv.DictReader(io.StringIO(text))))
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{plan.contest} is not what a run writes ({error})", f"its columns are {', '.join(COLUMNS)}"
        ) from None


def standings(rows: Sequence[Row]) -> list[Standing]:
    """The standings in these rows of a baselines.csv, in the order of the contenders."""
    return [
        _standing([row for row in rows if row["model"] == model])
        for model in dict.fromkeys(row["model"] for row in rows)
    ]


def matches(standings: Sequence[Standing]) -> list[Match]:
    """A match at every compute where a RegNet and a hand-designed network have test errors."""
    tested = sorted((s for s in standings if s.test is not None), key=lambda s: s.flops)
    classes: list[list[Standing]] = [tested[:1]]
    for before, standing in pairwise(tested):
        if standing.flops > EQUAL_COMPUTE * before.flops:
            classes.append([])
        classes[-1].append(standing)
    found = []
    for equal in classes:
        sides = [[s for s in equal if s.is_regnet is regnet] for regnet in (False, True)]
        if all(sides):
            a, b = (min(side, key=_validation) for side in sides)
            found.append(Match((equal[0].flops, equal[-1].flops), a, b, _difference(a, b)))
    return found


def _standing(rows: Sequence[Row]) -> Standing:
    first = rows[0]
    finals = [row for row in rows if row["stage"] == FINAL]
    done = [row for row in finals if row["ended"] == COMPLETE]
    tuning = [row for row in rows if row["stage"] == TUNING]
    latencies = {batch: first[f"latency_{batch}_ms"] for batch in LATENCY_BATCHES}
    return Standing(
        name=first["contender"],
        model=first["model"],
        family=first["family"],
        flops=int(first["flops"]),
        params=int(first["params"]),
        acts=int(first["acts"]),
        tries=_tries(tuning),
        tuning_seeds=len({row["seed"] for row in tuning}),
        lr=float(finals[0]["lr"]) if finals else None,
        validation=_spread([float(row["error"]) for row in done]),
        test=_spread([float(row["test_error"]) for row in done]),
        failed=len(finals) - len(done),
        seconds=float(np.median([float(row["seconds"]) for row in finals])) if finals else math.nan,
        latencies={batch: float(text) for batch, text in latencies.items() if text},
    )


def _tries(rows: Sequence[Row]) -> tuple[tuple[float, float | None], ...]:
    errors: dict[float, list[float | None]] = {}
    for row in rows:
        errors.setdefault(float(row["lr"]), []).append(float(row["error"]) if row["error"] else None)
    return tuple((lr, mean_error(found)) for lr, found in errors.items())


def _spread(errors: Sequence[float]) -> Spread | None:
    if not errors:
        return None
    sd = float(np.std(errors, ddof=1)) if len(errors) > 1 else math.nan
    return Spread(float(np.mean(errors)), sd, tuple(errors))


def _validation(standing: Standing) -> float:
    return standing.validation.mean if standing.validation is not None else math.inf


def _difference(a: Standing, b: Standing) -> Interval:
    """b − a in mean test error; without an interval (an infinite one) below two seeds a side."""
    errors_a, errors_b = (each.test.errors if each.test is not None else () for each in (a, b))
    estimate = float(np.mean(errors_b) - np.mean(errors_a))
    if min(len(errors_a), len(errors_b)) < 2:
        return Interval(estimate, -math.inf, math.inf)
    if np.std(errors_a) == np.std(errors_b) == 0:
        return Interval(estimate, estimate, estimate)
    interval = stats.ttest_ind(errors_b, errors_a, equal_var=False).confidence_interval(LEVEL)
    return Interval(estimate, float(interval.low), float(interval.high))
