"""A walk through spaces: one constraint after another, each judged at planned looks, the wrong ones left out.

A step compares the space so far with the same space and one more constraint. Both are drawn up to the next
look (a tenth of the planned networks of each), until there is a verdict, none is to be expected any more, or
the step's time is over. A constraint found *worse* is left out of what follows; any other one stays. Networks
of the space so far count again in the next step.

Each step spends its own share of the 5% over its looks (``sequential.boundaries``, Bonferroni over the
steps). Which two spaces it compares follows from the steps before, by which the networks of the space so far
were selected, so that nothing proves a rate for the verdict of one step given the steps before it. That less
than 5% of whole walks claim something false is what simulations show (docs/calibration.md).

Networks of the wider space that satisfy the new constraint by chance are not counted for the narrower one:
they would stand on both sides of the comparison, which takes the two to be independent, and there are few
(one in 24 has rising widths).
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from scipy import stats

from regnetlab.analysis.statistics.differences import SEQUENTIAL, Course, difference, interval_of
from regnetlab.analysis.statistics.intervals import Interval
from regnetlab.analysis.statistics.sequential import boundaries
from regnetlab.analysis.statistics.verdicts import UNDECIDED, WORSE, held_together, verdict
from regnetlab.spaces.arrays import Floats
from regnetlab.training.budget import WORST
from regnetlab.trials.terms import LOOKS, Terms, look_size

DECIDED, HOPELESS, OUT_OF_TIME, ALL_TRAINED = "decided", "no verdict in sight", "out of time", "all trained"
"""Why a step ended."""
HOPE = 0.1
"""A step ends where the chance that its last look has a verdict falls below this."""
_JUDGED_FROM = 0.3
"""The look before which nothing is called hopeless: of few networks a standard error says little."""

Space = TypeVar("Space")


@dataclass(frozen=True, slots=True)
class Step(Generic[Space]):
    """Space ``b`` against ``a`` at the look with this ``share`` of the planned networks, and why it ended
    there (empty while it goes on).

    ``interval`` is that of the difference of the terms' statistic, b − a in percentage points, at a level at
    which all verdicts of the walk hold together.
    """

    a: Space
    b: Space
    share: float
    verdict: str
    interval: Interval
    ended: str


@dataclass(frozen=True, slots=True)
class Asked(Generic[Space]):
    """What a walk asks for: the errors of the first ``n`` networks of ``a`` and of ``b``."""

    a: Space
    b: Space
    share: float
    n: tuple[int, int]


def walk(
    spaces: Callable[[frozenset[int]], Sequence[Space]],
    planned: Sequence[int],
    errors: Callable[[Asked[Space]], tuple[Floats, Floats] | None],
    terms: Terms,
    bound: float = WORST,
    kind: str = SEQUENTIAL,
    out_of_time: Callable[[int, float], bool] = lambda step, share: False,
    ended: Mapping[int, float] | None = None,
    on_step: Callable[[int, Step[Space]], None] = lambda number, step: None,
) -> list[Step[Space]]:
    """Walk through spaces until the last one, or until ``errors`` has none.

    Args:
        spaces: All spaces in order where the constraints that these numbers added are left out; number 0 is
            the widest space.
        planned: Networks of each space, the most that are trained.
        errors: Errors of networks in the order of drawing, failed ones at the worst; ``None`` ends the walk.
        terms: Margin and statistic of the verdicts.
        bound: The error of guessing.
        kind: What intervals hold for (``differences``).
        out_of_time: Asked after each look (number of the step's space, share) whether the step has to end.
        ended: Shares at which steps ended before, by the number of their space: they do not go on.
        on_step: Called at the end of each step.

    Returns:
        The steps that ended, and the one that was under way.
    """
    level = held_together(max(1, len(planned) - 1))
    left_out: frozenset[int] = frozenset()
    found: list[Step[Space]] = []
    here = 0
    for there in range(1, len(planned)):
        now = spaces(left_out)
        a, b = now[here], now[there]
        until = (ended or {}).get(there, 1.0)
        step: Step[Space] | None = None
        for share in LOOKS:
            n = look_size(planned[here], share), look_size(planned[there], share)
            known = errors(Asked(a, b, share, n))
            if known is None:
                return found + ([step] if step else [])
            course = Course(*known, (planned[here], planned[there]), kind, known)
            interval = interval_of(course, level, terms.statistic, bound)
            claim = verdict(interval, terms.margin)
            reason = DECIDED if claim != UNDECIDED else ALL_TRAINED if share == LOOKS[-1] else ""
            if not reason and share >= until:
                reason = OUT_OF_TIME
            if not reason and chance_of_verdict(course, share, terms, bound, level) < HOPE:
                reason = HOPELESS
            if not reason and there not in (ended or {}) and out_of_time(there, share):
                reason = OUT_OF_TIME
            step = Step(a, b, share, claim, interval, reason)
            if reason:
                break
        assert step is not None
        found.append(step)
        on_step(there, step)
        if step.verdict == WORSE:
            left_out |= {there}
        else:
            here = there
    return found


def chance_of_verdict(course: Course, share: float, terms: Terms, bound: float, level: float) -> float:
    """The chance that the last look has a verdict, given the networks so far; 1 at the first looks.

    Predictive power (Spiegelhalter, Freedman & Blackburn 1986): given an estimate d with standard error s at
    the share t of the networks, the last estimate is normal around d with variance s² (1 − t).
    """
    if share < _JUDGED_FROM or course.kind != SEQUENTIAL:
        return 1.0
    now = difference(course.a, course.b, terms.statistic, bound)
    if not (math.isfinite(now.error) and now.error > 0):
        return 1.0
    last = boundaries(1 - level)[-1] * now.error * math.sqrt(share)
    spread = now.error * math.sqrt(1 - share)
    no_worse = terms.margin - last
    below = stats.norm.cdf((no_worse - now.estimate) / spread)
    above = stats.norm.sf((max(last, no_worse) - now.estimate) / spread)
    return float(below + above)
