"""Comparison of spaces by their populations: everything that a verdict on one step rests on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd

from regnetlab.analysis.statistics.intervals import (
    FEWEST,
    LEVEL,
    Interval,
    mean_interval,
    median_difference,
    median_scale,
    quantile_interval,
)
from regnetlab.analysis.statistics.matching import Matched, matched
from regnetlab.analysis.statistics.rank_tests import RankTests, holm, rank_tests
from regnetlab.analysis.statistics.verdicts import UNDECIDED, networks_to_decide, verdict
from regnetlab.errors import InputError, unknown
from regnetlab.spaces.arrays import Floats
from regnetlab.training.budget import WORST
from regnetlab.trials.job import DERIVED
from regnetlab.trials.table import complete, incomplete, spaces_of

COMPLEXITIES = ("flops", "params", "acts", "depth")
"""What populations are compared at equal values of. Depth is the number of blocks, on which errors depend
most where budgets are short."""


@dataclass(frozen=True, slots=True)
class SpaceErrors:
    """The errors of one space's networks (several seeds of one averaged), and how many earned none.

    ``incomplete`` are those of others' files that were stopped before their end; they have not failed.
    ``complexity`` has a column (n,) for each of ``COMPLEXITIES`` that every network's is known of.
    """

    space: str
    errors: Floats
    failed: int
    complexity: Mapping[str, Floats]
    incomplete: int = 0

    @property
    def with_failures(self) -> Floats:
        """The errors with every failed network at the worst one."""
        return np.append(self.errors, np.full(self.failed, WORST))


@dataclass(frozen=True, slots=True)
class SpaceSummary:
    """What is known of one space: ``q05`` is the error that the best twentieth does not exceed."""

    space: str
    n: int
    failed: int
    least: float
    q05: Interval
    median: Interval
    mean: Interval


@dataclass(frozen=True, slots=True)
class Comparison:
    """Space ``b`` against space ``a``; errors in percent, differences b − a in percentage points.

    ``corrected`` is the interval of the same difference at a level that lets all comparisons of the
    document hold together (Bonferroni). ``failures`` is the difference with failed networks at the worst
    error, where there are any. ``matched`` has what the difference is at equal flops, params and acts.
    ``to_decide`` says, for an undecided step, how many networks in each space every verdict would need
    that is true if the difference is what it is here.
    """

    a: SpaceErrors
    b: SpaceErrors
    margin: float
    difference: Interval
    corrected: Interval
    tests: RankTests
    ks_holm: float
    mann_whitney_holm: float
    failures: Interval | None
    matched: Mapping[str, Matched]
    to_decide: Mapping[str, float]

    @property
    def verdict(self) -> str:
        return verdict(self.difference, self.margin)

    @property
    def verdict_corrected(self) -> str:
        return verdict(self.corrected, self.margin)

    @property
    def verdict_with_failures(self) -> str:
        return verdict(self.failures, self.margin) if self.failures is not None else self.verdict


def space_errors(networks: pd.DataFrame, order: Sequence[str] = ()) -> list[SpaceErrors]:
    """The populations in these networks, spaces of ``order`` first; RegNets derived from them are none."""
    present = [space for space in spaces_of(networks) if space != DERIVED]
    names = [space for space in order if space in present]
    names += [space for space in present if space not in names]
    scored, stopped = complete(networks), incomplete(networks)["space"]
    return [
        _population(space, networks[networks["space"] == space], scored, int((stopped == space).sum()))
        for space in names
    ]


def summary(population: SpaceErrors) -> SpaceSummary:
    """One space's errors in numbers; raises ``InputError`` where no network has one."""
    errors = population.errors
    if not len(errors):
        raise InputError(f"no network of {population.space} has an error")
    return SpaceSummary(
        population.space,
        len(errors),
        population.failed,
        float(errors.min()),
        quantile_interval(errors, 0.05),
        quantile_interval(errors),
        mean_interval(errors),
    )


def steps(
    found: Sequence[SpaceErrors], pairs: Sequence[tuple[str, str]] = ()
) -> list[tuple[SpaceErrors, SpaceErrors]]:
    """The pairs of these names, or every population and the one before it."""
    if not pairs:
        return list(pairwise(found))
    by_name = {each.space: each for each in found}
    for name in (name for pair in pairs for name in pair):
        if name not in by_name:
            raise unknown("space", name, by_name)
    return [(by_name[a], by_name[b]) for a, b in pairs]


def compare(pairs: Sequence[tuple[SpaceErrors, SpaceErrors]], margin: float) -> list[Comparison]:
    """Every pair's comparison, with corrections for their number."""
    for population in (each for pair in pairs for each in pair):
        if not len(population.errors):
            raise InputError(f"no network of {population.space} has an error", "there is nothing to compare")
    level = 1 - (1 - LEVEL) / max(len(pairs), 1)
    tests = [rank_tests(a.errors, b.errors) for a, b in pairs]
    ks = holm([each.ks_p for each in tests])
    ranks = holm([each.mann_whitney_p for each in tests])
    return [
        _comparison(a, b, margin, level, test, ks[i], ranks[i])
        for i, ((a, b), test) in enumerate(zip(pairs, tests, strict=True))
    ]


def _comparison(
    a: SpaceErrors, b: SpaceErrors, margin: float, level: float, tests: RankTests, ks: float, ranks: float
) -> Comparison:
    difference = median_difference(a.errors, b.errors)
    undecided = verdict(difference, margin) == UNDECIDED and min(len(a.errors), len(b.errors)) >= FEWEST
    scales = (median_scale(a.errors), median_scale(b.errors))
    at_equal = {name: _matched(a, b, name) for name in COMPLEXITIES}
    return Comparison(
        a=a,
        b=b,
        margin=margin,
        difference=difference,
        corrected=median_difference(a.errors, b.errors, level),
        tests=tests,
        ks_holm=ks,
        mann_whitney_holm=ranks,
        failures=median_difference(a.with_failures, b.with_failures) if a.failed or b.failed else None,
        matched={name: found for name, found in at_equal.items() if found is not None},
        to_decide=networks_to_decide(difference.estimate, margin, scales) if undecided else {},
    )


def _matched(a: SpaceErrors, b: SpaceErrors, name: str) -> Matched | None:
    if name not in a.complexity or name not in b.complexity:
        return None
    return matched((a.errors, b.errors), (a.complexity[name], b.complexity[name]))


def _population(space: str, rows: pd.DataFrame, scored: pd.DataFrame, stopped: int) -> SpaceErrors:
    own = scored[scored["space"] == space]
    depths = own["depths"].map(lambda each: sum(each) if isinstance(each, tuple) else np.nan)
    own = own.assign(depth=depths.astype(np.float64))
    known = [name for name in COMPLEXITIES if len(own) and own[name].notna().all()]
    return SpaceErrors(
        space,
        own["error"].to_numpy(np.float64),
        rows["index"].nunique() - own["index"].nunique() - stopped,
        {name: own[name].to_numpy(np.float64) for name in known},
        stopped,
    )
