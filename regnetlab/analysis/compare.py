"""How spaces compare: each step from a space to another with its verdict and everything that it rests on."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from types import MappingProxyType
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
from regnetlab.analysis.statistics.differences import (
    ANYTIME,
    FIXED,
    SEQUENTIAL,
    SHARES,
    Course,
    interval_of,
    median_difference,
)
from regnetlab.analysis.statistics.dominance import Dominance, dominance
from regnetlab.analysis.statistics.intervals import LEVEL, Interval, median_scale
from regnetlab.analysis.statistics.matching import Matched, matched
from regnetlab.analysis.statistics.planning import Range, added, networks_to_decide_ranges
from regnetlab.analysis.statistics.rank_tests import RankTests, holm, rank_tests
from regnetlab.analysis.statistics.seed_noise import SeedNoise, seed_noise
from regnetlab.analysis.statistics.verdicts import POWER, UNDECIDED, held_together, is_alike, verdict
from regnetlab.errors import InputError, unknown
from regnetlab.training.budget import WORST
from regnetlab.training.guessing import Guessing
from regnetlab.trials.job import DERIVED
from regnetlab.trials.table import Trials
from regnetlab.trials.terms import AREA, LOOKS, MEAN, MEDIAN, NO_MATCHING, Q05, Terms, verdicts_on

EQUAL_DEPTH = (
    "Networks of equal depth show whether a space is better for another reason than its depths. Where a"
    " constraint acts through depth, that part of its effect is left out."
)
"""What a comparison at equal depth means, and what it does not."""

STATISTICS = MappingProxyType({MEDIAN: "median", Q05: "5% quantile", MEAN: "mean", AREA: "signed area"})
"""What verdicts may be on, in words."""
_UNRECORDED = "nothing records the terms on which the study began: provenance.json does not say its margin"


@dataclass(frozen=True, slots=True)
class StepComparison:
    """Space ``b`` against space ``a``; errors in percent, differences b − a in percentage points.

    Failed networks count as the worst error. ``median`` is the difference of the medians and its 95%
    interval, ``single`` the same of the statistic that the terms name, ``corrected`` its interval at a
    level that lets all verdicts of a study hold together (Bonferroni). ``without_failures`` is the
    difference of the medians of the networks that earned an error, where some failed. ``matched`` has the
    differences at equal flops, params, acts and depth; the ``primary`` one, if any, has a verdict.
    ``course`` says how many networks were planned and what the intervals hold for. ``to_decide`` says,
    for an undecided step, how many networks in each space every verdict would need that is true if the
    difference is what it is here, with a range. ``fewest`` networks of each space have an interval at all.
    ``neither_learned``: neither space is clearly better than guessing.
    """

    a: SpaceErrors
    b: SpaceErrors
    terms: Terms
    median: Interval
    single: Interval
    corrected: Interval
    tests: RankTests
    ks_holm: float
    mann_whitney_holm: float
    without_failures: Interval | None
    matched: Mapping[str, Matched]
    primary: Interval | None
    dominance: Dominance
    course: Course
    planned: tuple[int, int] | None
    to_decide: Mapping[str, Range]
    fewest: int
    neither_learned: bool = False

    @property
    def name(self) -> str:
        return f"{self.a.space} → {self.b.space}"

    @property
    def verdict(self) -> str:
        """What holds together with the verdicts on all other steps."""
        return verdict(self.corrected, self.terms.margin)

    @property
    def verdict_single(self) -> str:
        """What would hold if this were the only step."""
        return verdict(self.single, self.terms.margin)

    @property
    def alike(self) -> bool:
        """Whether the two are equal within the margin: neither is worse, nor better, by more."""
        return is_alike(self.corrected, self.terms.margin)

    @property
    def claim(self) -> str:
        """The verdict in words: *within margin*, on both sides, is more than *no worse*."""
        return f"{self.verdict}, within margin" if self.alike else self.verdict

    @property
    def points(self) -> str:
        """The difference in words, with the interval that holds together with those of all other steps."""
        if not math.isfinite(self.corrected.low):
            return self.corrected.points
        ends = self.corrected.text("+.2f")
        return f"{self.single.estimate:+.2f} points ({ends}, for all steps together)".replace("-", "−")

    @property
    def trained(self) -> tuple[int, int]:
        """Networks of both spaces, failed ones among them."""
        return len(self.a.with_failures), len(self.b.with_failures)

    @property
    def missing(self) -> bool:
        """Whether planned networks are not trained yet."""
        return self.planned is not None and any(
            n < planned for n, planned in zip(self.trained, self.planned, strict=True)
        )

    @property
    def provisional(self) -> bool:
        """Whether the verdict may change with the networks still to come, by chance alone."""
        return self.missing and (self.course.kind == FIXED or self.verdict == UNDECIDED)

    @property
    def ranks(self) -> str:
        """How often a network of one space beats one of the other, in words."""
        shares = (
            f"{100 * share:.0f}%" if math.isfinite(share) else "–"
            for share in (self.tests.superiority.estimate, *self.tests.superiority.ends)
        )
        chances = (f"{p:.3f}" if p >= 0.001 else "< 0.001" for p in (self.mann_whitney_holm, self.ks_holm))
        return (
            "a network of {} beats one of {} in {} ({} to {}) of pairs; corrected for the number of steps,"
            " Mann–Whitney p {}, Kolmogorov–Smirnov p {}"
        ).format(self.b.space, self.a.space, *shares, *chances)

    def remarks(self) -> list[str]:
        """What qualifies the verdict."""
        return [*self._on_the_claim(), *self._on_looking(), *self._on_failures(), *self._on_numbers()]

    @property
    def claim_matched(self) -> str:
        """The verdict at the complexity that the terms name; empty without one."""
        return "" if self.primary is None else verdict(self.primary, self.terms.margin)

    def to_json(self) -> dict[str, Any]:
        tests, margin = self.tests, self.terms.margin
        return {
            "a": self.a.space,
            "b": self.b.space,
            "n_a": len(self.a.errors),
            "n_b": len(self.b.errors),
            "failed_a": self.a.failed,
            "failed_b": self.b.failed,
            "planned_a": None if self.planned is None else self.planned[0],
            "planned_b": None if self.planned is None else self.planned[1],
            "verdict": self.verdict,
            "verdict_single": self.verdict_single,
            "alike": self.alike,
            "provisional": self.provisional,
            "valid": self.course.kind,
            "margin": margin,
            "statistic": self.terms.statistic,
            "difference": self.single.estimate,
            "difference_interval": self.single.ends,
            "median_difference": self.median.estimate,
            "interval": self.median.ends,
            "interval_method": "percentile bootstrap of the medians' difference, failed networks at 100%",
            "corrected": {"interval": self.corrected.ends, "verdict": self.verdict},
            "superiority": tests.superiority.to_json(),
            "kolmogorov_smirnov": {"distance": tests.ks, "p": tests.ks_p, "p_holm": self.ks_holm},
            "mann_whitney": {"p": tests.mann_whitney_p, "p_holm": self.mann_whitney_holm},
            "permuted": tests.permuted,
            "dominance": self.dominance.to_json(),
            "failures_as_worst": None if self.without_failures is None else _document(self.median, margin),
            "without_failures": None
            if self.without_failures is None
            else _document(self.without_failures, margin),
            "matched": {
                name: {
                    "bins": found.bins,
                    "n_a": found.used[0],
                    "n_b": found.used[1],
                    "little_overlap": found.little_overlap,
                    "median_difference": found.difference.estimate,
                    "interval": found.difference.ends,
                    "verdict": (self.claim_matched or None) if name == self.terms.matched else None,
                    "corrected": None
                    if self.primary is None or name != self.terms.matched
                    else self.primary.ends,
                }
                for name, found in self.matched.items()
            },
            "networks_to_decide": {claim: each.planned for claim, each in self.to_decide.items()},
            "networks_to_decide_estimate": {claim: each.whole for claim, each in self.to_decide.items()},
            "networks_to_decide_range": {claim: each.ends for claim, each in self.to_decide.items()},
            "power": POWER,
        }

    def _on_the_claim(self) -> list[str]:
        found = []
        if self.verdict_single != self.verdict:
            found.append(
                f"{self.verdict_single} if it were the only step, 95% interval {self.single.text('+.2f')}"
            )
        if self.dominance.space:
            found.append(
                f"{self.dominance.space} has the larger share of networks below every error from"
                f" {self.dominance.low:.1f} to {self.dominance.high:.1f}% (95%, for all steps together)"
            )
        return found

    def _on_looking(self) -> list[str]:
        found = []
        if self.missing and self.planned is not None:
            text = "{} and {} of {} and {} planned networks are trained".format(*self.trained, *self.planned)
            found.append(f"provisional: {text}" if self.provisional else text)
        if self.course.kind == SEQUENTIAL:
            found.append(f"planned looks so far: {len(self.course.looks)} of {len(LOOKS)}")
        if self.course.kind == ANYTIME:
            found.append(
                "the number of networks was changed after errors were known, so the interval is one that"
                " holds at any number"
            )
        return found

    def _on_failures(self) -> list[str]:
        if self.without_failures is None:
            return []
        claim = verdict(self.without_failures, self.terms.margin)
        return [
            f"{self.a.failed} and {self.b.failed} failed and count as 100%; without them"
            f" {self.without_failures.points}, by itself {claim}"
        ]

    def _on_numbers(self) -> list[str]:
        if self.to_decide:
            numbers = (f"“{claim}” with {each.words}" for claim, each in self.to_decide.items())
            return [f"would be {' or '.join(numbers)}"]
        if self.verdict == UNDECIDED and not math.isfinite(self.corrected.low):
            if self.course.kind == SEQUENTIAL and not self.course.looks:
                return ["no planned look has been reached yet, so there is no verdict"]
            return [f"too few networks for an interval: it takes {self.fewest} of each space"]
        return []


@dataclass(frozen=True, eq=False)
class SpaceComparison(Result):
    """Spaces compared step by step.

    ``spaces`` are those with errors, ``summaries`` the same in numbers;
    ``missing`` those of the steps, or of the trials, that have none yet.
    ``level`` is that of the corrected intervals, of ``verdicts`` verdicts in all.
    ``stated`` are the terms that a study states, ``chosen_now`` says in which these are others; ``noise`` is
    how far seeds of one network differ.
    """

    terms: Terms
    spaces: tuple[SpaceErrors, ...]
    summaries: tuple[SpaceSummary, ...]
    steps: tuple[StepComparison, ...]
    missing: tuple[str, ...]
    noise: SeedNoise | None
    level: float
    verdicts: int
    guess: Guessing | None = None
    stated: Terms | None = None
    notes: tuple[str, ...] = ()

    @property
    def not_learned(self) -> list[str]:
        """A sentence on every space that is not clearly better than guessing."""
        return [s for e in self.spaces if (s := not_learned(e.space, e.with_failures, self.guess))]

    @property
    def chosen_now(self) -> str:
        """A sentence where the terms are not those that the study states; else empty."""
        if self.stated is None:
            return ""
        pairs = [(name, now, getattr(self.stated, name)) for name, now in asdict(self.terms).items()]
        changed = [f"{name} {now} (the study states {then})" for name, now, then in pairs if now != then]
        return f"chosen after the errors were known: {', '.join(changed)}" if changed else ""

    @property
    def compared(self) -> str:
        """What the verdicts are on, in words."""
        return STATISTICS[self.terms.statistic]

    def remarks(self) -> list[str]:
        """What qualifies the verdicts, each with the step that it is of, and what numbers to decide mean."""
        found = [
            f"{step.name}: {remark}"
            for step in self.steps
            for remark in ([NEITHER] if step.neither_learned else []) + step.remarks()
        ]
        return [*found, self.on_deciding] if self.on_deciding else found

    @property
    def on_deciding(self) -> str:
        """What the numbers that would decide a step are of, and what it costs to add networks instead; empty
        where no step has one.
        """
        undecided = [step for step in self.steps if step.to_decide]
        if not undecided:
            return ""
        found = (
            f"So many networks would give a verdict in {POWER:.0%} of studies if the true difference were the"
            " one found here, which is itself uncertain: 80% ranges are in brackets."
        )
        fresh = [step for step in undecided if step.course.kind != ANYTIME]
        numbers = [each.estimate for step in fresh for each in step.to_decide.values()]
        prices = [added(n, self.level) / n for n in numbers if math.isfinite(n)]
        if prices:
            times = " to ".join(dict.fromkeys(f"{end:.1f}" for end in (min(prices), max(prices))))
            found += (
                " They are for a new study that plans them. Added to this one, whose errors are known, it"
                f" takes about {times} times as many: intervals must then hold at any number, and are wider."
            )
        return found

    def to_json(self) -> dict[str, Any]:
        """The document of ``regnetlab compare --json``."""
        return {
            "margin": self.terms.margin,
            "margin_stated": None if self.stated is None else self.stated.margin,
            "stated": None if self.stated is None else asdict(self.stated),
            "statistic": self.terms.statistic,
            "matched": self.terms.matched,
            "sequential": self.terms.sequential,
            "level": LEVEL,
            "level_corrected": self.level,
            "verdicts": self.verdicts,
            "majority_error": majority_error(self.guess),
            "not_learned": self.not_learned,
            "spaces": [each.to_json() for each in self.summaries],
            "comparisons": [each.to_json() for each in self.steps],
            "seed_noise": None if self.noise is None else self.noise.to_json(),
            "notes": list(self.notes),
        }

    def to_pandas(self) -> pd.DataFrame:
        """A row a step: verdict, difference of the statistic in points, its interval for all steps
        together.
        """
        return pd.DataFrame(
            {
                "a": [each.a.space for each in self.steps],
                "b": [each.b.space for each in self.steps],
                "verdict": [each.verdict for each in self.steps],
                f"{self.terms.statistic}_difference": [each.single.estimate for each in self.steps],
                "low": [each.corrected.low for each in self.steps],
                "high": [each.corrected.high for each in self.steps],
            }
        )

    def __repr__(self) -> str:
        steps = "; ".join(f"{each.name} {each.verdict}" for each in self.steps)
        return f"SpaceComparison(margin {self.terms.margin:g}: {steps or 'no steps'})"

    def _repr_html_(self) -> str:
        return str(self.to_pandas().to_html(index=False, float_format="{:.2f}".format))


def compare(
    trials: Trials,
    terms: Terms | None = None,
    pairs: Sequence[tuple[str, str]] = (),
    stated: Terms | None = None,
) -> SpaceComparison:
    """Compare the errors of spaces.

    Args:
        trials: Trainings of at least two spaces; derived RegNets among them are left out.
        terms: On what terms; medians with a margin of 1 point by default.
        pairs: Names (a, b) of spaces to compare. By default the study's steps as far as they have errors; for
            trials of no study, each space and the one before it.
        stated: What the study states, for the record.

    Raises:
        InputError: The margin is none, one of ``pairs`` has no errors or is not there, or the networks don't
            have what they are to be matched by.
    """
    terms = terms or Terms()
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
    _check_matching(terms, chosen)
    summaries = tuple(summary(each, trials.guess) for each in found)
    learned = {each.space: each.learned for each in summaries}
    verdicts = verdicts_on(max(len(chosen), len(trials.steps or paired(found, ()))), terms)
    level = held_together(verdicts)
    tests = [rank_tests(a.with_failures, b.with_failures) for a, b in chosen]
    ks = holm([each.ks_p for each in tests])
    ranks = holm([each.mann_whitney_p for each in tests])
    return SpaceComparison(
        terms=terms,
        spaces=tuple(found),
        summaries=summaries,
        steps=tuple(
            _step(
                a,
                b,
                trials,
                terms,
                level,
                (test, ks[i], ranks[i]),
                learned[a.space] is learned[b.space] is False,
            )
            for i, ((a, b), test) in enumerate(zip(chosen, tests, strict=True))
        ),
        missing=() if pairs else tuple(name for name in expected if name not in earned),
        noise=seed_noise(trials.frame[trials.frame["space"] != DERIVED]),
        level=level,
        verdicts=verdicts,
        guess=trials.guess,
        stated=stated,
        notes=trials.notes if trials.terms is None or trials.began else (*trials.notes, _UNRECORDED),
    )


def at_equal(found: SpaceComparison) -> list[str]:
    """The verdicts on the matching that the terms name, a sentence for each step."""
    name = found.terms.matched
    if name == NO_MATCHING:
        return []
    return [f"{step.name} at equal {name}: {_matched(step)}" for step in found.steps]


def _matched(step: StepComparison) -> str:
    if step.primary is None:
        return f"no verdict, since the two have too few networks of about the same {step.terms.matched}"
    used = "{} and {}".format(*step.matched[step.terms.matched].used)
    if not math.isfinite(step.primary.low):
        return f"no verdict, too few networks for an interval ({used})"
    return f"{step.claim_matched} ({step.primary.text('+.2f')}, for all verdicts together; {used} networks)"


def _check_matching(terms: Terms, chosen: Sequence[tuple[SpaceErrors, SpaceErrors]]) -> None:
    """Raise ``InputError`` where a space of a step does not have what the terms match by."""
    if terms.matched == NO_MATCHING:
        return
    for space in (space for pair in chosen for space in pair):
        if terms.matched not in space.complexity:
            known = ", ".join(space.complexity) or "none of them"
            raise InputError(
                f"matched is {terms.matched!r}, which not every network of {space.space} has",
                f"its networks have {known}",
            )


def _step(
    a: SpaceErrors,
    b: SpaceErrors,
    trials: Trials,
    terms: Terms,
    level: float,
    tests: tuple[RankTests, float, float],
    neither_learned: bool,
) -> StepComparison:
    bound = WORST if trials.guess is None else trials.guess.majority_error
    course, planned = _course(a, b, trials, terms)
    single = interval_of(course, LEVEL, terms.statistic, bound)
    corrected = interval_of(course, level, terms.statistic, bound)
    errors = a.with_failures, b.with_failures
    at_equal = {
        name: matched(errors, (a.complexity[name], b.complexity[name]))
        for name in COMPLEXITIES
        if name in a.complexity and name in b.complexity
    }
    kept = {name: found for name, found in at_equal.items() if found is not None}
    primary = kept.get(terms.matched)
    to_decide: Mapping[str, Range] = {}
    if (
        verdict(corrected, terms.margin) == UNDECIDED
        and not neither_learned
        and terms.statistic == MEDIAN
        and math.isfinite(corrected.low)
        and all(median_scale(each) > 0 for each in errors)
    ):
        to_decide = networks_to_decide_ranges(*errors, terms.margin, level=level)
        if course.kind == ANYTIME:
            to_decide = {claim: each.added(level) for claim, each in to_decide.items()}
    return StepComparison(
        a=a,
        b=b,
        terms=terms,
        median=median_difference(*errors),
        single=single,
        corrected=corrected,
        tests=tests[0],
        ks_holm=tests[1],
        mann_whitney_holm=tests[2],
        without_failures=median_difference(a.errors, b.errors) if a.failed or b.failed else None,
        matched=kept,
        primary=None if primary is None else course.interval(primary.of_medians, level),
        dominance=dominance(*errors, (a.space, b.space), level),
        course=course,
        planned=planned,
        to_decide=to_decide,
        fewest=course.fewest(level, SHARES[terms.statistic]),
        neither_learned=neither_learned,
    )


def _course(
    a: SpaceErrors, b: SpaceErrors, trials: Trials, terms: Terms
) -> tuple[Course, tuple[int, int] | None]:
    """In what order the networks came, how many are planned, and what that asks of an interval."""
    known = a.space in trials.planned and b.space in trials.planned
    planned = (trials.planned[a.space], trials.planned[b.space]) if known else None
    if {a.space, b.space} & trials.extended:
        kind = ANYTIME
    else:
        kind = SEQUENTIAL if terms.sequential and planned is not None else FIXED
    errors = a.with_failures, b.with_failures
    in_order = (a.as_drawn, b.as_drawn) if kind == SEQUENTIAL else None
    return Course(*errors, planned or (len(errors[0]), len(errors[1])), kind, in_order), planned


def _document(difference: Interval, margin: float) -> dict[str, Any]:
    return {
        "median_difference": difference.estimate,
        "interval": difference.ends,
        "verdict": verdict(difference, margin),
    }
