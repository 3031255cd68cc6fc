"""How spaces compare: each step from a space to another with its verdict and everything that it rests on."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from regnetlab.analysis.guessing import NEITHER, majority_error, not_learned
from regnetlab.analysis.result import Result
from regnetlab.analysis.space_errors import (
    COMPLEXITIES,
    SpaceErrors,
    SpaceSummary,
    paired,
    space_errors,
    summary,
)
from regnetlab.analysis.statistics.intervals import (
    FEWEST,
    LEVEL,
    Interval,
    median_difference,
    median_scale,
)
from regnetlab.analysis.statistics.matching import Matched, matched
from regnetlab.analysis.statistics.rank_tests import RankTests, holm, rank_tests
from regnetlab.analysis.statistics.seed_noise import SeedNoise, seed_noise
from regnetlab.analysis.statistics.verdicts import (
    MARGIN,
    POWER,
    UNDECIDED,
    check_margin,
    networks_to_decide,
    verdict,
)
from regnetlab.errors import InputError, unknown
from regnetlab.training.guessing import Guessing
from regnetlab.trials.table import Trials


@dataclass(frozen=True, slots=True)
class StepComparison:
    """Space ``b`` against space ``a``; errors in percent, differences b − a in percentage points.

    ``corrected`` is the interval of the same difference at a level that lets all steps hold together
    (Bonferroni). ``failures`` is the difference with failed networks at the worst error, where there are
    any. ``matched`` has the differences at equal flops, params, acts and depth. ``to_decide`` says, for an
    undecided step, how many networks in each space every verdict would need that is true if the difference is
    what it is here. ``neither_learned``: neither space is clearly better than guessing.
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
    neither_learned: bool = False

    @property
    def name(self) -> str:
        return f"{self.a.space} → {self.b.space}"

    @property
    def verdict(self) -> str:
        return verdict(self.difference, self.margin)

    @property
    def verdict_corrected(self) -> str:
        return verdict(self.corrected, self.margin)

    @property
    def verdict_with_failures(self) -> str:
        return verdict(self.failures, self.margin) if self.failures is not None else self.verdict

    @property
    def ranks(self) -> str:
        """How often a network of one space beats one of the other, in words."""
        shares = (
            f"{100 * share:.0f}%" if math.isfinite(share) else "–"
            for share in (self.tests.superiority.estimate, *self.tests.superiority.ends)
        )
        return (
            "a network of {} beats one of {} in {} ({} to {}) of pairs; corrected for the number of steps,"
            " Mann–Whitney p {:.3f}, Kolmogorov–Smirnov p {:.3f}"
        ).format(self.b.space, self.a.space, *shares, self.mann_whitney_holm, self.ks_holm)

    def remarks(self) -> list[str]:
        """What qualifies the verdict."""
        found = []
        if self.verdict_corrected != self.verdict:
            found.append(f"{self.verdict_corrected} if all steps are to hold together")
        if self.failures is not None:
            changes = "still" if self.verdict_with_failures == self.verdict else "instead"
            found.append(
                f"{self.a.failed} and {self.b.failed} failed; counted as the worst error: {changes}"
                f" {self.verdict_with_failures}"
            )
        for name, each in self.matched.items():
            claim = verdict(each.difference, self.margin)
            if claim != self.verdict:
                found.append(f"{claim} at equal {name}, {each.difference.points}")
        if self.to_decide:
            numbers = (
                f"about {math.ceil(n):,} for “{claim}”" if math.isfinite(n) else f"no number for “{claim}”"
                for claim, n in self.to_decide.items()
            )
            found.append(
                "networks in each space that would decide it, if the difference is as here: "
                + " or ".join(numbers)
            )
        elif self.verdict == UNDECIDED:
            found.append(f"too few networks for an interval; {FEWEST} on each side is the least")
        return found

    def to_json(self) -> dict[str, Any]:
        tests = self.tests
        return {
            "a": self.a.space,
            "b": self.b.space,
            "n_a": len(self.a.errors),
            "n_b": len(self.b.errors),
            "failed_a": self.a.failed,
            "failed_b": self.b.failed,
            "verdict": self.verdict,
            "margin": self.margin,
            "median_difference": self.difference.estimate,
            "interval": self.difference.ends,
            "interval_method": "percentile bootstrap of the medians' difference",
            "corrected": {"interval": self.corrected.ends, "verdict": self.verdict_corrected},
            "superiority": tests.superiority.to_json(),
            "kolmogorov_smirnov": {"distance": tests.ks, "p": tests.ks_p, "p_holm": self.ks_holm},
            "mann_whitney": {"p": tests.mann_whitney_p, "p_holm": self.mann_whitney_holm},
            "permuted": tests.permuted,
            "failures_as_worst": None
            if self.failures is None
            else {
                "median_difference": self.failures.estimate,
                "interval": self.failures.ends,
                "verdict": self.verdict_with_failures,
            },
            "matched": {
                name: {
                    "bins": found.bins,
                    "n_a": found.used[0],
                    "n_b": found.used[1],
                    "median_difference": found.difference.estimate,
                    "interval": found.difference.ends,
                    "verdict": verdict(found.difference, self.margin),
                }
                for name, found in self.matched.items()
            },
            "networks_to_decide": {
                claim: math.ceil(n) if math.isfinite(n) else None for claim, n in self.to_decide.items()
            },
            "power": POWER,
        }


@dataclass(frozen=True, eq=False)
class SpaceComparison(Result):
    """Spaces compared step by step.

    ``spaces`` are those with errors, ``summaries`` the same in numbers;
    ``missing`` those of the steps, or of the trials, that have none yet.
    ``margin_stated`` is the margin that a study states, ``noise`` how far seeds of one network differ.
    """

    margin: float
    spaces: tuple[SpaceErrors, ...]
    summaries: tuple[SpaceSummary, ...]
    steps: tuple[StepComparison, ...]
    missing: tuple[str, ...]
    noise: SeedNoise | None
    guess: Guessing | None = None
    margin_stated: float | None = None
    notes: tuple[str, ...] = ()

    @property
    def not_learned(self) -> list[str]:
        """A sentence on every space that is not clearly better than guessing."""
        return [s for e in self.spaces if (s := not_learned(e.space, e.errors, self.guess))]

    def remarks(self) -> list[str]:
        """What qualifies the verdicts, each with the step that it is of."""
        return [
            f"{step.name}: {remark}"
            for step in self.steps
            for remark in ([NEITHER] if step.neither_learned else []) + step.remarks()
        ]

    def to_json(self) -> dict[str, Any]:
        """The document of ``regnetlab compare --json``."""
        return {
            "margin": self.margin,
            "margin_stated": self.margin_stated,
            "level": LEVEL,
            "majority_error": majority_error(self.guess),
            "not_learned": self.not_learned,
            "spaces": [each.to_json() for each in self.summaries],
            "comparisons": [each.to_json() for each in self.steps],
            "seed_noise": None if self.noise is None else self.noise.to_json(),
            "notes": list(self.notes),
        }

    def to_pandas(self) -> pd.DataFrame:
        """A row a step: verdict, difference of the medians in points and its interval."""
        return pd.DataFrame(
            {
                "a": [each.a.space for each in self.steps],
                "b": [each.b.space for each in self.steps],
                "verdict": [each.verdict for each in self.steps],
                "median_difference": [each.difference.estimate for each in self.steps],
                "low": [each.difference.low for each in self.steps],
                "high": [each.difference.high for each in self.steps],
            }
        )

    def __repr__(self) -> str:
        steps = "; ".join(f"{each.name} {each.verdict}" for each in self.steps)
        return f"SpaceComparison(margin {self.margin:g}: {steps or 'no steps'})"

    def _repr_html_(self) -> str:
        return str(self.to_pandas().to_html(index=False, float_format="{:.2f}".format))


def compare(
    trials: Trials,
    margin: float = MARGIN,
    pairs: Sequence[tuple[str, str]] = (),
    margin_stated: float | None = None,
) -> SpaceComparison:
    """Compare the errors of spaces.

    Args:
        trials: Trainings of at least two spaces; derived RegNets among them are left out.
        margin: Percentage points of error by which a median may be worse and still count as no worse.
        pairs: Names (a, b) of spaces to compare. By default the study's steps as far as they have errors; for
            trials of no study, each space and the one before it.
        margin_stated: What the study states, for the record.

    Raises:
        InputError: The margin is none, or one of ``pairs`` has no errors or is not there.
    """
    check_margin(margin)
    every = space_errors(trials.frame)
    found = [each for each in every if len(each.errors)]
    earned = {each.space for each in found}
    for a, b in pairs:
        if a == b:
            raise InputError(f"space {a} is compared with itself", "name two different ones")
    for name in (name for pair in pairs for name in pair):
        if name not in earned and name in {each.space for each in every}:
            raise InputError(f"no network of {name} has an error", "there is nothing to compare")
        if name not in earned:
            raise unknown("space", name, earned)
    expected = dict.fromkeys(
        [*(each.space for each in every), *(name for pair in trials.steps for name in pair)]
    )
    chosen = paired(found, pairs or trials.steps)
    summaries = tuple(summary(each, trials.guess) for each in found)
    learned = {each.space: each.learned for each in summaries}
    level = 1 - (1 - LEVEL) / max(len(chosen), 1)
    tests = [rank_tests(a.errors, b.errors) for a, b in chosen]
    ks = holm([each.ks_p for each in tests])
    ranks = holm([each.mann_whitney_p for each in tests])
    return SpaceComparison(
        margin=margin,
        spaces=tuple(found),
        summaries=summaries,
        steps=tuple(
            _step(a, b, margin, level, test, ks[i], ranks[i], learned[a.space] is learned[b.space] is False)
            for i, ((a, b), test) in enumerate(zip(chosen, tests, strict=True))
        ),
        missing=() if pairs else tuple(name for name in expected if name not in earned),
        noise=seed_noise(trials.frame),
        guess=trials.guess,
        margin_stated=margin_stated,
        notes=trials.notes,
    )


def _step(
    a: SpaceErrors,
    b: SpaceErrors,
    margin: float,
    level: float,
    tests: RankTests,
    ks: float,
    ranks: float,
    neither_learned: bool,
) -> StepComparison:
    difference = median_difference(a.errors, b.errors)
    undecided = verdict(difference, margin) == UNDECIDED and min(len(a.errors), len(b.errors)) >= FEWEST
    scales = (median_scale(a.errors), median_scale(b.errors))
    at_equal = {
        name: matched((a.errors, b.errors), (a.complexity[name], b.complexity[name]))
        for name in COMPLEXITIES
        if name in a.complexity and name in b.complexity
    }
    return StepComparison(
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
        neither_learned=neither_learned,
    )
