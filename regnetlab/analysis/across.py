"""What several studies say together: each step, the growth of widths, the contest, and a longer budget.

Errors of different data can't be compared in points, so effects here are ratios of errors: the logarithm of a
median over another, shown as a change in percent.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from regnetlab.analysis.baselines import BaselineComparison, Match
from regnetlab.analysis.compare import SpaceComparison, StepComparison
from regnetlab.analysis.statistics.differences import quantile
from regnetlab.analysis.statistics.intervals import LEVEL, Interval, fewest_for, quantile_draws
from regnetlab.analysis.statistics.meta_analysis import (
    Effect,
    Pooled,
    averaged,
    random_effects,
    standard_error,
)
from regnetlab.analysis.statistics.verdicts import BETTER, NO_WORSE, held_together, verdict
from regnetlab.analysis.width_law import WidthLaw
from regnetlab.errors import InputError
from regnetlab.spaces.arrays import Floats
from regnetlab.trials.table import Trials, judged

MARGIN = 0.06
"""The change of the median error that still counts as no worse: a point of the 16% that Fashion-MNIST has."""

CLAIMS: Mapping[tuple[str, str], str] = MappingProxyType(
    {
        ("AnyNetA", "AnyNetB"): NO_WORSE,
        ("AnyNetB", "AnyNetC"): NO_WORSE,
        ("AnyNetC", "AnyNetD"): BETTER,
        ("AnyNetD", "AnyNetE"): BETTER,
        ("AnyNetE", "RegNet"): BETTER,
    }
)
"""What Radosavovic et al. (2020) say of each step (sections 3.2 to 3.4)."""

_IDENTITY = ("index", "depths", "widths")
"""What two studies with one draw know a network of a space by."""
_SEED = 20200330
_DRAWS = 20_000


def in_percent(effect: Interval) -> Interval:
    """Logarithms of ratios as changes in percent."""
    return Interval(*(100 * math.expm1(each) for each in (effect.estimate, effect.low, effect.high)))


def as_factor(effect: Interval) -> Interval:
    """Logarithms of ratios as the ratios."""
    return Interval(*(math.exp(each) for each in (effect.estimate, effect.low, effect.high)))


@dataclass(frozen=True, slots=True)
class StudyResult:
    """What one study says, on which ``data``; ``contest`` where hand-designed networks competed."""

    name: str
    data: str
    trials: Trials
    comparison: SpaceComparison
    law: WidthLaw
    contest: BaselineComparison | None = None


@dataclass(frozen=True, slots=True)
class StudyEffect:
    """A study's effect, as the logarithm of a ratio."""

    study: str
    data: str
    effect: Effect


@dataclass(frozen=True, slots=True)
class PooledStep:
    """A step in every study that has it; ``steps`` are the studies' own comparisons, in points.

    ``pooled`` is over data sets, ``None`` with fewer than two; its mean's interval holds together with
    those of all other steps. ``margin`` is a logarithm of a ratio. ``left_out`` are studies in which a median
    may be 0, of which there is no ratio.
    """

    a: str
    b: str
    effects: tuple[StudyEffect, ...]
    steps: tuple[StepComparison, ...]
    pooled: Pooled | None
    margin: float
    left_out: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return f"{self.a} → {self.b}"

    @property
    def claim(self) -> str:
        """The paper's claim; empty where it makes none."""
        return CLAIMS.get((self.a, self.b), "")

    @property
    def verdict(self) -> str:
        """What holds over data sets; empty where nothing is pooled."""
        return "" if self.pooled is None else verdict(self.pooled.mean, self.margin)

    def to_json(self) -> dict[str, Any]:
        return {
            "a": self.a,
            "b": self.b,
            "claim": self.claim,
            "verdict": self.verdict,
            "studies": [
                {
                    "study": each.study,
                    "data": each.data,
                    "verdict": step.verdict,
                    "difference": step.single.to_json(),
                    "change_percent": in_percent(each.effect.interval()).to_json(),
                }
                for each, step in zip(self.effects, self.steps, strict=True)
            ],
            "left_out": list(self.left_out),
            "pooled": _pooled_json(self.pooled),
        }


@dataclass(frozen=True, slots=True)
class PooledGrowth:
    """The growth of least error in every study, and over data sets those whose interval is known."""

    laws: tuple[tuple[StudyResult, Interval | None], ...]
    pooled: Pooled | None

    def to_json(self) -> dict[str, Any]:
        return {
            "studies": [
                {
                    "study": each.name,
                    "claim": each.law.claim,
                    "growth": None if growth is None else growth.to_json(),
                }
                for each, growth in self.laws
            ],
            "pooled": _pooled_json(self.pooled, "growth", as_factor),
        }


@dataclass(frozen=True, slots=True)
class PooledContest:
    """The match between RegNets and hand-designed networks in every study that held one."""

    matches: tuple[tuple[StudyEffect, Match], ...]
    withheld: tuple[tuple[str, str], ...]
    pooled: Pooled | None

    @property
    def verdict(self) -> str:
        """Of RegNets, over data sets; empty where nothing is pooled."""
        return "" if self.pooled is None else verdict(self.pooled.mean, 0.0)

    def to_json(self) -> dict[str, Any]:
        return {
            "studies": [
                {
                    "study": each.study,
                    "hand_designed": match.a.name,
                    "regnet": match.b.name,
                    "verdict": match.verdict,
                    "difference": match.difference.to_json(),
                    "change_percent": in_percent(each.effect.interval()).to_json(),
                }
                for each, match in self.matches
            ],
            "verdict": self.verdict,
            "withheld": [{"study": study, "reason": reason} for study, reason in self.withheld],
            "pooled": _pooled_json(self.pooled),
        }


@dataclass(frozen=True, slots=True)
class LongerStep:
    """A step's change in percent at a study's budget and at a longer one, on the same networks, ``n`` of both
    spaces.

    ``change`` is the factor from the short to the long effect as a change in percent, paired by network.
    """

    study: str
    longer: str
    a: str
    b: str
    n: tuple[int, int]
    short: Interval
    long: Interval
    change: Interval

    @property
    def name(self) -> str:
        return f"{self.a} → {self.b}"

    def to_json(self) -> dict[str, Any]:
        return {
            "study": self.study,
            "longer": self.longer,
            "a": self.a,
            "b": self.b,
            "n": list(self.n),
            "short_percent": self.short.to_json(),
            "long_percent": self.long.to_json(),
            "change_percent": self.change.to_json(),
        }


@dataclass(frozen=True, slots=True)
class Across:
    """What ``studies`` say together. ``left_out`` are studies that were named and not finished, and why."""

    studies: tuple[StudyResult, ...]
    steps: tuple[PooledStep, ...]
    growth: PooledGrowth
    contest: PooledContest
    longer: tuple[LongerStep, ...]
    left_out: tuple[tuple[str, str], ...] = ()

    @property
    def data_sets(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(each.data for each in self.studies))

    def to_json(self) -> dict[str, Any]:
        return {
            "studies": [each.name for each in self.studies],
            "left_out": [{"study": name, "reason": reason} for name, reason in self.left_out],
            "margin_percent": 100 * MARGIN,
            "steps": [each.to_json() for each in self.steps],
            "growth": self.growth.to_json(),
            "contest": self.contest.to_json(),
            "longer": [each.to_json() for each in self.longer],
        }


def across(
    studies: Sequence[StudyResult],
    contests: Sequence[StudyResult] = (),
    longer: Sequence[tuple[StudyResult, StudyResult]] = (),
    left_out: Sequence[tuple[str, str]] = (),
) -> Across:
    """Pool studies over their data sets.

    Studies of the same data are averaged first, weighted by precision: they are no independent evidence of
    how data sets differ.

    Args:
        studies: What each says; of one or more data sets.
        contests: Those whose contests count; by default the studies that have one.
        longer: Pairs of a study and one of the same networks at a longer budget.
        left_out: Studies that are missing, and why.

    Raises:
        InputError: There is no study.
    """
    if not studies:
        raise InputError("no study is finished", "begin with: regnetlab run STUDY")
    pairs = dict.fromkeys((s.a.space, s.b.space) for each in studies for s in each.comparison.steps)
    level = held_together(len(pairs), LEVEL)
    margin = math.log1p(MARGIN)
    return Across(
        tuple(studies),
        tuple(_pooled_step(pair, studies, level, margin) for pair in pairs),
        _pooled_growth(studies),
        _pooled_contest(contests or [each for each in studies if each.contest is not None]),
        tuple(step for short, long in longer for step in _longer(short, long)),
        tuple(left_out),
    )


def log_ratio(a: Floats, b: Floats) -> Effect | None:
    """ln(median of b / median of a) with its bootstrap standard error; ``None`` where a median may be 0.

    Args:
        a: Errors of the first space's networks, failed ones at the worst.
        b: Of the second's.
    """
    random = np.random.default_rng(_SEED)
    first, second = np.sort(a), np.sort(b)
    medians = [quantile_draws(each, 0.5, random) for each in (second, first)]
    if min(float(each.min()) for each in medians) <= 0:
        return None
    draws = np.log(medians[0]) - np.log(medians[1])
    return Effect(math.log(quantile(second, 0.5) / quantile(first, 0.5)), float(np.std(draws)))


def _pooled_step(
    pair: tuple[str, str], studies: Sequence[StudyResult], level: float, margin: float
) -> PooledStep:
    effects, steps, left_out = [], [], []
    for each in studies:
        for step in each.comparison.steps:
            errors = step.a.with_failures, step.b.with_failures
            if (step.a.space, step.b.space) != pair or min(map(len, errors)) < fewest_for(LEVEL):
                continue
            effect = log_ratio(*errors)
            if effect is None:
                left_out.append(each.name)
            else:
                effects.append(StudyEffect(each.name, each.data, effect))
                steps.append(step)
    pooled = _over_data(effects, level)
    return PooledStep(*pair, tuple(effects), tuple(steps), pooled, margin, tuple(left_out))


def _pooled_growth(studies: Sequence[StudyResult]) -> PooledGrowth:
    laws: list[tuple[StudyResult, Interval | None]] = []
    effects = []
    for each in studies:
        law = each.law.population
        known = law is not None and law.inside and math.isfinite(law.growth.high) and law.growth.low > 0
        growth = law.growth if law is not None and known else None
        laws.append((each, growth))
        if growth is not None:
            effect = Effect(
                math.log(growth.estimate), standard_error(math.log(growth.low), math.log(growth.high))
            )
            effects.append(StudyEffect(each.name, each.data, effect))
    return PooledGrowth(tuple(laws), _over_data(effects, LEVEL))


def _pooled_contest(contests: Iterable[StudyResult]) -> PooledContest:
    found, withheld = [], []
    for each in contests:
        if each.contest is None:
            continue
        if not each.contest.matches:
            withheld.append((each.name, each.contest.reason))
        for match in each.contest.matches:
            by_hand, regnet = (side.test for side in (match.a, match.b))
            if by_hand is not None and regnet is not None and math.isfinite(match.difference.low):
                error = standard_error(*match.difference.ends) / by_hand.mean
                effect = Effect(math.log(regnet.mean / by_hand.mean), error)
                found.append((StudyEffect(each.name, each.data, effect), match))
    pooled = _over_data([effect for effect, _ in found], LEVEL)
    return PooledContest(tuple(found), tuple(withheld), pooled)


def _over_data(effects: Sequence[StudyEffect], level: float) -> Pooled | None:
    """The effects pooled over data sets, those of the same data averaged; ``None`` with fewer than two."""
    known = [each for each in effects if each.effect.error > 0]
    by_data = [
        averaged([each.effect for each in known if each.data == data])
        for data in dict.fromkeys(each.data for each in known)
    ]
    return random_effects(by_data, level) if len(by_data) > 1 else None


def _longer(short: StudyResult, long: StudyResult) -> list[LongerStep]:
    """Every step of the longer study, on the networks that both studies trained."""
    found = []
    for step in long.comparison.steps:
        sides = [
            _same_networks(_errors(short, space), _errors(long, space))
            for space in (step.a.space, step.b.space)
        ]
        errors = [error for side in sides for pair in side for error in pair]
        if min(len(each) for each in sides) >= fewest_for(LEVEL) and min(errors) > 0:
            found.append(_longer_step(short.name, long.name, step, *(np.array(each) for each in sides)))
    return found


def _longer_step(short: str, long: str, step: StepComparison, a: Floats, b: Floats) -> LongerStep:
    """``a`` and ``b`` are errors of both spaces' networks, (n, 2): at the short budget and the long one."""
    random = np.random.default_rng(_SEED)

    def medians(errors: Floats) -> Floats:
        """Logarithms of the medians: of the networks, then of bootstrap samples of them, (1 + draws, 2)."""
        drawn = random.integers(len(errors), size=(_DRAWS, len(errors)))
        return np.log([np.median(errors, axis=0), *np.median(errors[drawn], axis=1)])

    effects = medians(b) - medians(a)
    change = effects[:, 1] - effects[:, 0]
    low, high = (1 - LEVEL) / 2, (1 + LEVEL) / 2
    intervals = (
        in_percent(Interval(float(each[0]), *map(float, np.quantile(each[1:], [low, high]))))
        for each in (effects[:, 0], effects[:, 1], change)
    )
    return LongerStep(short, long, step.a.space, step.b.space, (len(a), len(b)), *intervals)


def _errors(study: StudyResult, space: str) -> dict[tuple[Any, ...], float]:
    """The error of every network of the space that is judged, by what it is."""
    rows = judged(study.trials.frame)
    rows = rows[rows["space"] == space]
    return dict(zip(zip(*(rows[name] for name in _IDENTITY), strict=True), rows["error"], strict=True))


def _same_networks(short: Mapping[Any, float], long: Mapping[Any, float]) -> list[tuple[float, float]]:
    """The errors at both budgets of every network that is in both."""
    return [(short[network], error) for network, error in long.items() if network in short]


def _pooled_json(
    pooled: Pooled | None, name: str = "change_percent", shown: Callable[[Interval], Interval] = in_percent
) -> dict[str, Any] | None:
    if pooled is None:
        return None
    return {
        "data_sets": pooled.studies,
        name: shown(pooled.mean).to_json(),
        "further": shown(pooled.further).to_json() if math.isfinite(pooled.further.low) else None,
        "between": pooled.between,
    }
