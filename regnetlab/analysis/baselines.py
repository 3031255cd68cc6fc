"""How hand-designed networks and RegNets compare, tuned alike: their errors, and who wins at which compute.

The best of a side is named by its tuning, with other seeds than those that judge it; what is said of the two
then comes from the test split alone. A network that has not learned stands for no one.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from regnetlab.analysis.guessing import majority_error
from regnetlab.analysis.result import Result
from regnetlab.analysis.statistics.error_difference import over_seeds, over_seeds_and_images
from regnetlab.analysis.statistics.intervals import Interval
from regnetlab.analysis.statistics.verdicts import BETTER, UNDECIDED, WORSE
from regnetlab.analysis.tuned_networks import HAND_DESIGNED, REGNETS, TunedNetwork, finalists, tuned_networks
from regnetlab.errors import InputError
from regnetlab.plain import duration, plural
from regnetlab.spaces.arrays import Ints
from regnetlab.spaces.regime import format_count
from regnetlab.training.guessing import Guessing

T = TypeVar("T")

EQUAL_COMPUTE = 1.25
"""Networks have equal compute where flops rise from each to the next by at most this factor, and in all by at
most its square."""
EQUAL_TRIES = 1.1
"""Sides had equal chances where one has at most this factor of the other's tuning trainings."""

TRIED_ONCE = (
    "each learning rate was tried once, and the interval leaves out how uncertain that choice is"
    " (tuning_seeds in [baselines] makes it more certain)"
)
"""What is said of a match between networks that were tuned with one training a rate."""


@dataclass(frozen=True, slots=True)
class Tries:
    """What a side tried at one compute: architectures, learning rates of each, trainings for both choices."""

    side: str
    architectures: int
    rates: int
    trainings: int

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Cost:
    """What a side cost in all.

    ``hours`` are of tuning and final trainings, ``tuning_hours`` of the former. The population is what
    the study drew and derived before: the law and the choice of RegNets follow from it.
    """

    side: str
    architectures: int
    tuning_trainings: int
    final_trainings: int
    hours: float
    tuning_hours: float
    population_trainings: int = 0
    population_hours: float = 0.0

    @property
    def text(self) -> str:
        """The whole cost, in words."""
        before = ""
        if self.population_trainings:
            before = (
                f"; the study's population before that: {plural(self.population_trainings, 'training')}"
                f" in {duration(3600 * self.population_hours)}"
            )
        return (
            f"{self.side}: {plural(self.architectures, 'architecture')},"
            f" {plural(self.tuning_trainings, 'tuning training')} in {duration(3600 * self.tuning_hours)} and"
            f" {plural(self.final_trainings, 'final one')} in"
            f" {duration(3600 * (self.hours - self.tuning_hours))}{before}."
        )

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Match:
    """The hand-designed network ``a`` and the RegNet ``b`` that are their sides' best by tuning.

    ``difference`` is b − a in test error, 95%: over training seeds and test images, or ``groups`` of them
    where images belong together, or (not ``over_images``) over training seeds only, where it is not known
    which images were classified correctly. It takes networks and learning rates as they were chosen;
    ``tried_once`` where one training a rate chose among several. ``tries`` are those of the two sides at
    this compute, ``cheaper`` the networks below it with less test error than both.
    """

    flops: tuple[int, int]
    a: TunedNetwork
    b: TunedNetwork
    difference: Interval
    over_images: bool
    tries: tuple[Tries, ...]
    cheaper: tuple[TunedNetwork, ...] = ()
    groups: int | None = None

    @property
    def tried_once(self) -> bool:
        return any(len(side.tries) > 1 and side.tuning_seeds == 1 for side in (self.a, self.b))

    @property
    def verdict(self) -> str:
        if self.difference.high < 0:
            return BETTER
        return WORSE if self.difference.low > 0 else UNDECIDED

    @property
    def tried_more(self) -> str | None:
        """The side that had clearly more trainings to choose by, if one had."""
        fewer, more = sorted(self.tries, key=lambda side: side.trainings)
        return more.side if more.trainings > EQUAL_TRIES * fewer.trainings else None

    @property
    def over(self) -> str:
        """What the interval is over."""
        if not self.over_images:
            return "over training seeds only"
        groups = "" if self.groups is None else f"{self.groups:,} groups of "
        return f"over training seeds and {groups}test images"

    @property
    def text(self) -> str:
        """Who wins, with the interval, and what either side tried."""
        regnet = f"{'' if self.b.short_name.startswith('RegNet') else 'the RegNet '}{self.b.short_name}"
        sides = [(regnet, self.b), (f"the hand-designed {self.a.short_name}", self.a)]
        if self.verdict == WORSE:
            sides.reverse()
        (first, _), (second, _) = sides
        undecided = self.verdict == UNDECIDED
        what = f"{first} against {second} is undecided" if undecided else f"{first} beats {second}"
        errors = " against ".join(f"{side.test.mean:.1f}%" for _, side in sides if side.test)
        errors += f" with {_flops(sides[0][1].flops)} and {_flops(sides[1][1].flops)} flops"
        known = math.isfinite(self.difference.low)
        by_hand, regnets = (f"{side.architectures} × {side.rates}" for side in self.tries)
        return (
            f"At {_range(self.flops)} flops, the best of each side by tuning: {what} on the test split,"
            f" {errors}; RegNet − hand-designed"
            f" {f'{self.difference.points} {self.over}' if known else 'has too few seeds for an interval'}."
            f" Networks × learning rates tried near that compute, all of them: {by_hand} by hand, {regnets}"
            " RegNets."
        )

    def remarks(self) -> list[str]:
        """What limits the claim."""
        found = [TRIED_ONCE] if self.tried_once else []
        if self.tried_more:
            numbers = {side.side: side.trainings for side in self.tries}
            found.append(
                f"near {_range(self.flops)} flops the {self.tried_more} side chose from more trainings,"
                f" {max(numbers.values())} against {min(numbers.values())}, which favours it"
            )
        found += [
            f"{each.short_name}, with only {_flops(each.flops)} flops, has less test error than both:"
            f" {each.test.text}%"
            for each in self.cheaper
            if each.test is not None
        ]
        for each in (self.a, self.b):
            if each.failed:
                found.append(
                    f"{each.name}: {each.failed} of {each.final_trainings} final trainings failed and"
                    f" count{'s' * (each.failed == 1)} as 100%"
                )
        return found

    def to_json(self) -> dict[str, Any]:
        return {
            "flops": self.flops,
            "a": self.a.name,
            "b": self.b.name,
            "verdict": self.verdict,
            "difference": self.difference.estimate,
            "interval": self.difference.ends,
            "interval_over": self.over,
            "tried_once": self.tried_once,
            "tried": [each.to_json() for each in self.tries],
            "tried_more": self.tried_more,
        }


@dataclass(frozen=True)
class BaselineComparison(Result):
    """Hand-designed networks and RegNets under one protocol, the least mean test error first.

    ``final`` says whether every network that goes on has all of its final trainings; ``guess`` and
    ``guess_test`` are what guessing earns on either split. ``withheld`` says why nothing is claimed at a
    compute at which both sides have networks; ``costs`` are the sides', ``notes`` what to know of names.
    """

    networks: tuple[TunedNetwork, ...]
    matches: tuple[Match, ...]
    tuning_seeds: int
    final: bool
    guess: Guessing | None = None
    guess_test: Guessing | None = None
    withheld: tuple[str, ...] = ()
    costs: tuple[Cost, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def grouped(self) -> bool:
        """Whether families competed, of which the best network went on."""
        return any(each.group for each in self.networks)

    @property
    def not_learned(self) -> list[str]:
        """A sentence on every network that is not clearly better than guessing.

        Those that their family left behind in tuning are not among them.
        """
        ahead = (each for each in self.networks if each.test is not None or not each.group)
        return [sentence for each in ahead if (sentence := each.not_learned)]

    @property
    def reason(self) -> str:
        """Why nothing is compared; empty where something is."""
        if self.matches or not self.networks:
            return ""
        if self.withheld:
            return " ".join(self.withheld)
        tested = any(each.test is not None for each in self.networks)
        return "RegNets against hand-designed networks: not compared; " + (
            "no RegNet and hand-designed network have about the same flops."
            if tested and self.final
            else "the final trainings are still to come."
        )

    def remarks(self) -> list[str]:
        """Who wins at which compute and what limits that, or why it is not known."""
        found = [each.text for each in self.matches] or [self.reason]
        if self.matches:
            found += dict.fromkeys(remark for each in self.matches for remark in each.remarks())
            found += self.withheld
        found += self.notes
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
            "notes": list(self.notes),
            "sides": [each.to_json() for each in self.costs],
        }

    def to_pandas(self) -> pd.DataFrame:
        """A row a network; errors are means over seeds, in percent."""
        counts = [(n.name, n.family, n.flops, n.params, n.acts, n.lr) for n in self.networks]
        frame = pd.DataFrame(counts, columns=["name", "family", "flops", "params", "acts", "lr"])
        frame["tuning_error"] = pd.Series([n.tuning_error for n in self.networks], dtype="float64")
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
    population: tuple[int, float] = (0, 0.0),
    notes: Sequence[str] = (),
    groups: Ints | None = None,
) -> BaselineComparison:
    """Compare tuned networks.

    Args:
        rows: A row a training (``trials.csv_tables.BASELINES``).
        seeds: Final trainings that every network gets; by default as many as one has at most.
        tuning_seeds: Trainings a learning rate; likewise.
        guess: What guessing earns on the validation images.
        guess_test: What it earns on the test images.
        population: Trainings and hours of the population that the RegNets come from.
        notes: What to know of the networks' names.
        groups: The group of each test image, (images,), where images belong together.
    """
    found = tuned_networks(rows, guess, guess_test)
    ahead = finalists((each.model, each.group, each.name, each.tuning_error) for each in found)
    wanted = max((each.final_trainings for each in found), default=0) if seeds is None else seeds
    matches, withheld = _matches(found, ahead, groups)
    return BaselineComparison(
        networks=tuple(sorted(found, key=_rank)),
        matches=tuple(matches),
        tuning_seeds=max((each.tuning_seeds for each in found), default=0)
        if tuning_seeds is None
        else tuning_seeds,
        final=all(each.final_trainings == wanted for each in found if each.model in ahead),
        guess=guess,
        guess_test=guess_test,
        withheld=tuple(withheld),
        costs=tuple(_costs(found, population)),
        notes=tuple(notes),
    )


def equal_compute(networks: Sequence[T], flops: Callable[[T], int]) -> list[list[T]]:
    """The networks by classes of equal compute, the smallest first.

    A class ends where flops rise by more than a factor of ``EQUAL_COMPUTE`` from one network to the next, or
    by more than its square from the first.
    """
    classes: list[list[T]] = []
    for network in sorted(networks, key=flops):
        here = flops(network)
        if (
            not classes
            or here > EQUAL_COMPUTE * flops(classes[-1][-1])
            or here > EQUAL_COMPUTE**2 * flops(classes[-1][0])
        ):
            classes.append([])
        classes[-1].append(network)
    return classes


def _matches(
    networks: Sequence[TunedNetwork], ahead: set[str], groups: Ints | None
) -> tuple[list[Match], list[str]]:
    """A match at every compute where both sides have a network that learned and was tested; else why not."""
    able = [each for each in networks if each.model in ahead and each.learned_in_tuning is not False]
    found, withheld = [], []
    for equal in equal_compute(able, lambda each: each.flops):
        sides = [[each for each in equal if each.is_regnet is regnet] for regnet in (False, True)]
        if not all(sides):
            continue
        a, b = (min(side, key=lambda each: (each.tuning_error, each.name)) for side in sides)
        flops = equal[0].flops, equal[-1].flops
        if any(each.learned is False for each in (a, b)):
            named = " and ".join(each.name for each in (a, b) if each.learned is False)
            withheld.append(
                f"Nothing is claimed at {_range(flops)} flops: {named}, the best of a side by tuning, has not"
                " clearly learned."
            )
        elif any(each.failed and each.test is None for each in (a, b)):
            named = " and ".join(each.name for each in (a, b) if each.failed and each.test is None)
            withheld.append(
                f"Nothing is claimed at {_range(flops)} flops: {named}, the best of a side by tuning, failed"
                " in all its final trainings."
            )
        elif a.test is not None and b.test is not None:
            tries = tuple(_tries(each, networks, flops) for each in (HAND_DESIGNED, REGNETS))
            least = min(a.test.mean, b.test.mean)
            cheaper = (n for n in networks if n.flops < flops[0] and n.test is not None)
            better = tuple(n for n in cheaper if n.test is not None and n.test.mean < least)
            count = None if groups is None else len(np.unique(groups))
            found.append(Match(flops, a, b, *_difference(a, b, groups), tries, better, count))
    return found, withheld


def _tries(side: str, networks: Sequence[TunedNetwork], flops: tuple[int, int]) -> Tries:
    """What this side tried at equal compute, failures too, and all of a family that has a network there."""
    own = [each for each in networks if each.side == side]
    near = [each for each in own if flops[0] / EQUAL_COMPUTE <= each.flops <= flops[1] * EQUAL_COMPUTE]
    groups = {each.group for each in near if each.group}
    tried = [each for each in own if each in near or each.group in groups]
    trainings = sum(each.tuning_trainings for each in tried)
    return Tries(side, len(tried), max(len(each.tries) for each in tried), trainings)


def _difference(a: TunedNetwork, b: TunedNetwork, groups: Ints | None) -> tuple[Interval, bool]:
    """b − a in mean test error, and whether its interval is over test images, too."""
    if a.correct is not None and b.correct is not None and a.correct.shape[1] == b.correct.shape[1]:
        if groups is not None and len(groups) != a.correct.shape[1]:
            judged = a.correct.shape[1]
            raise InputError(f"{judged:,} test images were judged, and {len(groups):,} have a group")
        return over_seeds_and_images(a.correct, b.correct, groups), True
    errors = (each.test.errors if each.test is not None else () for each in (a, b))
    return over_seeds(*errors), False


def _costs(networks: Sequence[TunedNetwork], population: tuple[int, float]) -> list[Cost]:
    return [
        Cost(
            side,
            len(there),
            sum(each.tuning_trainings for each in there),
            sum(each.final_trainings for each in there),
            sum(each.hours for each in there),
            sum(each.tuning_hours for each in there),
            *(population if side == REGNETS else ()),
        )
        for side in (HAND_DESIGNED, REGNETS)
        if (there := [each for each in networks if each.side == side])
    ]


def _rank(network: TunedNetwork) -> tuple[bool, float]:
    """The tested ones first, the least test error first; then the others, the least error in tuning first."""
    if network.test is not None:
        return False, network.test.mean
    return True, math.inf if network.tuning_error is None else network.tuning_error


def _range(flops: tuple[int, int]) -> str:
    low, high = map(_flops, flops)
    return low if low == high else f"{low} to {high}"


def _flops(flops: int) -> str:
    return format_count(float(f"{flops:.3g}"))
