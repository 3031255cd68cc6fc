"""Walks through spaces, with errors that are drawn around a known truth."""

from collections.abc import Sequence

import numpy as np
import pytest

from regnetlab.analysis.statistics.differences import SEQUENTIAL, Course, difference
from regnetlab.analysis.statistics.intervals import Interval
from regnetlab.analysis.statistics.sequential import boundaries
from regnetlab.analysis.statistics.verdicts import BETTER, UNDECIDED, WORSE, verdict
from regnetlab.analysis.walk import (
    ALL_TRAINED,
    DECIDED,
    HOPELESS,
    OUT_OF_TIME,
    Asked,
    Step,
    chance_of_verdict,
    walk,
)
from regnetlab.spaces.arrays import Floats
from regnetlab.training.budget import WORST
from regnetlab.trials.terms import Terms

TERMS = Terms(margin=1.0, walk=True)


class Truth:
    """Spaces as the numbers of their constraints, each of which shifts all errors; skewed as errors are."""

    def __init__(self, shifts: Sequence[float], planned: int, seed: int = 0) -> None:
        self.shifts, self.planned = shifts, planned
        self.random = np.random.default_rng(seed)
        self.drawn: dict[tuple[int, ...], Floats] = {}

    def spaces(self, left_out: frozenset[int]) -> list[tuple[int, ...]]:
        numbers = range(1, len(self.shifts) + 1)
        return [tuple(sorted({*numbers[:k]} - left_out)) for k in range(len(self.shifts) + 1)]

    def errors(self, asked: Asked[tuple[int, ...]]) -> tuple[Floats, Floats]:
        return self._first(asked.a, asked.n[0]), self._first(asked.b, asked.n[1])

    def _first(self, space: tuple[int, ...], n: int) -> Floats:
        known = self.drawn.setdefault(space, np.empty(0))
        more = self.random.gamma(3, 2, max(0, n - len(known))) + 15 + sum(self.shifts[k - 1] for k in space)
        self.drawn[space] = np.append(known, more)
        return self.drawn[space][:n]

    @property
    def trained(self) -> int:
        return sum(map(len, self.drawn.values()))

    def walked(self, **more: object) -> list[Step[tuple[int, ...]]]:
        planned = [self.planned] * (len(self.shifts) + 1)
        return walk(self.spaces, planned, self.errors, TERMS, **more)  # type: ignore[arg-type]


def test_a_constraint_that_is_worse_is_left_out_of_all_later_spaces() -> None:
    first, second, third = Truth([0.0, 8.0, -8.0], 60).walked()
    assert second.verdict == WORSE
    assert (third.a, third.b) == ((1,), (1, 3))  # without the second constraint
    assert third.verdict == BETTER
    assert (first.a, first.b) == ((), (1,))


def test_all_that_were_worse_stay_left_out_and_every_step_is_told_at_its_end() -> None:
    told: list[tuple[int, Step[tuple[int, ...]]]] = []
    steps = Truth([8.0, 8.0, 0.0], 60).walked(on_step=lambda number, step: told.append((number, step)))
    assert [(step.a, step.b) for step in steps] == [((), (1,)), ((), (2,)), ((), (3,))]
    assert told == list(enumerate(steps, start=1))


@pytest.mark.parametrize(("shift", "n"), [(0.4, 60), (0.0, 30), (0.9, 60)])
def test_the_chance_of_a_verdict_is_that_of_drawing_the_rest(shift: float, n: int) -> None:
    """Last estimates drawn around today's, each judged by the last look's interval."""
    random = np.random.default_rng(3)
    a, b = random.normal(20, 2, n), random.normal(20 + shift, 2, n)
    course, share, level = Course(a, b, (2 * n, 2 * n), SEQUENTIAL), 0.5, 0.95
    found = chance_of_verdict(course, share, TERMS, WORST, level)
    now = difference(a, b)
    half = boundaries(1 - level)[-1] * now.error * np.sqrt(share)
    last = random.normal(now.estimate, now.error * np.sqrt(1 - share), 20_000)
    decided = [verdict(Interval(x, x - half, x + half), TERMS.margin) != UNDECIDED for x in last]
    assert found == pytest.approx(np.mean(decided), abs=0.015)
    assert 0.02 < found < 0.98


def test_before_a_part_is_trained_and_where_nothing_varies_no_step_is_hopeless() -> None:
    random = np.random.default_rng(4)
    a, b = random.normal(20, 2, (2, 40))
    course = Course(a, b, (400, 400), SEQUENTIAL)
    assert chance_of_verdict(course, 0.1, TERMS, WORST, 0.95) == 1
    assert chance_of_verdict(Course(a, b, (40, 40)), 0.5, TERMS, WORST, 0.95) == 1
    same = np.full(40, 20.0)
    assert chance_of_verdict(Course(same, same, (80, 80), SEQUENTIAL), 0.5, TERMS, WORST, 0.95) == 1


def test_clear_differences_end_their_steps_early() -> None:
    truth = Truth([-6.0, -6.0, -6.0], 100)
    steps = truth.walked()
    assert [step.verdict for step in steps] == [BETTER] * 3
    assert all(step.ended == DECIDED for step in steps)
    assert truth.trained < 4 * 100 / 2


def test_a_step_that_can_hardly_be_decided_gives_its_networks_to_the_others() -> None:
    steps = [step for seed in range(10) for step in Truth([0.5], 30, seed).walked()]
    hopeless = [step for step in steps if step.ended == HOPELESS]
    assert len(hopeless) > len(steps) / 3
    assert all(step.verdict == UNDECIDED and 0.3 <= step.share < 1 for step in hopeless)


def test_a_step_ends_when_its_time_is_over_and_stays_so() -> None:
    truth = Truth([0.0, -8.0], 40)
    first, second = truth.walked(out_of_time=lambda number, share: number == 1 and share >= 0.2)
    assert (first.share, first.ended, first.verdict) == (0.2, OUT_OF_TIME, UNDECIDED)
    again = truth.walked(ended={1: first.share, 2: second.share})
    assert [(s.share, s.verdict) for s in again] == [(s.share, s.verdict) for s in (first, second)]


def test_a_walk_that_is_interrupted_goes_the_same_way_again() -> None:
    whole = Truth([0.0, 8.0, 0.0], 40)
    steps = whole.walked()

    def some(asked: Asked[tuple[int, ...]]) -> tuple[Floats, Floats] | None:
        return whole.errors(asked) if 3 not in asked.b else None

    planned = [whole.planned] * 4
    assert walk(whole.spaces, planned, some, TERMS)[:2] == steps[:2]
    assert whole.walked() == steps


def test_the_last_look_ends_a_step_in_any_case() -> None:
    steps = [step for seed in range(6) for step in Truth([0.3], 100, seed).walked()]
    assert any(step.ended == ALL_TRAINED for step in steps if step.share == 1)
    assert all(step.ended for step in steps)


@pytest.mark.simulation
@pytest.mark.parametrize("shifts", [[0.0] * 4, [6.0, 0.0, 6.0, 0.0]])
def test_better_is_seldom_claimed_of_a_constraint_that_changes_nothing(shifts: list[float]) -> None:
    """At most 5% of walks; the benchmark of the same name has thousands (docs/calibration.md)."""
    false = 0
    for seed in range(25):
        steps = Truth(shifts, 30, seed).walked()
        false += any(step.verdict == BETTER for step in steps)
    assert false <= 3  # of 25 at a rate of 5%: more in 4% of the cases
