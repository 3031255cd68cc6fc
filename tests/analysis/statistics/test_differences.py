"""Differences of two spaces in a statistic, with intervals for one look, planned looks and any time."""

import math

import numpy as np
import pytest

from regnetlab.analysis.statistics.differences import (
    ANYTIME,
    SEQUENTIAL,
    Course,
    difference,
    interval_of,
    median_difference,
)
from regnetlab.analysis.statistics.sequential import anytime_factor, boundaries


def test_each_statistic_is_what_it_is_called() -> None:
    random = np.random.default_rng(0)
    a, b = random.normal(25, 4, 200), random.normal(23, 2, 160)
    assert difference(a, b).estimate == pytest.approx(np.median(b) - np.median(a))
    assert difference(a, b, "mean").estimate == pytest.approx(b.mean() - a.mean())
    low_a, low_b = np.sort(a)[9], np.sort(b)[7]  # a twentieth is 10 and 8 networks
    assert difference(a, b, "q05").estimate == pytest.approx(low_b - low_a)


def test_the_area_is_that_between_the_distribution_functions() -> None:
    random = np.random.default_rng(1)
    a, b = random.normal(25, 4, 50), random.normal(23, 9, 70)
    grid = np.linspace(-20, 26, 200_001)
    shares = [np.searchsorted(np.sort(each), grid, "right") / len(each) for each in (a, b)]
    area = np.trapezoid(shares[0] - shares[1], grid)
    assert difference(a, b, "area", bound=26.0).estimate == pytest.approx(area, abs=1e-3)


@pytest.mark.parametrize(("statistic", "n"), [("q05", 150), ("mean", 40), ("area", 40)])
def test_intervals_cover_a_known_difference(statistic: str, n: int) -> None:
    random = np.random.default_rng(4)
    covered = 0
    for _ in range(300):
        found = difference(random.gamma(4, 2, n), random.gamma(4, 2, n) + 1, statistic).interval(0.95)
        covered += found.low <= 1 <= found.high
    assert covered / 300 >= 0.92


@pytest.mark.parametrize(("level", "fewest"), [(0.95, 6), (0.99, 8)])
def test_too_few_networks_have_no_interval_of_that_level(level: float, fewest: int) -> None:
    a = np.arange(20.0)
    assert median_difference(a[: fewest - 1], a, level).high == math.inf
    assert math.isfinite(median_difference(a[:fewest], a, level).high)


def test_a_best_twentieth_needs_many_networks() -> None:
    random = np.random.default_rng(2)
    assert difference(random.normal(size=70), random.normal(size=70), "q05").interval(0.95).high == math.inf
    found = difference(random.normal(size=80), random.normal(size=80), "q05").interval(0.95)
    assert math.isfinite(found.high)


@pytest.mark.simulation
@pytest.mark.parametrize("kind", [SEQUENTIAL, ANYTIME])
def test_who_looks_ten_times_at_equal_spaces_is_seldom_wrong(kind: str) -> None:
    random = np.random.default_rng(6)
    wrong = 0
    looks = [200] if kind == SEQUENTIAL else range(20, 201, 20)  # planned looks are final: the last has all
    for _ in range(150):
        a, b = 15 + random.lognormal(2, 0.7, (2, 200))
        found = [interval_of(Course(a[:n], b[:n], (200, 200), kind), 0.95) for n in looks]
        wrong += any(each.low > 0 or each.high < 0 for each in found)
    assert wrong / 150 <= 0.09  # 5%, and twice the standard error


def test_looks_are_at_every_tenth_of_what_is_planned() -> None:
    errors = np.arange(100.0)
    assert Course(errors[:34], errors[:70], (100, 200), SEQUENTIAL).looks == [(10, 20), (20, 40), (30, 60)]


def test_a_verdict_at_a_look_is_final() -> None:
    """Later looks narrow the interval or, where they contradict it, leave it as it is."""
    a, b = np.linspace(20, 22, 100), np.r_[np.linspace(26, 28, 30), np.linspace(10, 12, 70)]
    early, late = (interval_of(Course(a[:n], b[:n], (100, 100), SEQUENTIAL), 0.95) for n in (30, 100))
    assert 0 < early.low <= late.low < late.high <= early.high
    assert late.estimate < 0


def test_a_course_takes_the_factor_of_what_it_has_to_hold_for() -> None:
    a, b = np.arange(10.0), np.arange(30.0)
    assert Course(a, b, (10, 30)).factor(0.95) is None
    assert Course(a, b, (10, 30), ANYTIME).factor(0.99) == anytime_factor(15, 1 - 0.99)
    for n, looks in ((9, 0), (10, 1), (34, 3), (100, 10)):
        course = Course(np.arange(float(n)), np.arange(float(n)), (100, 100), SEQUENTIAL)
        assert course.factor(0.95) == (boundaries(1 - 0.95)[looks - 1] if looks else math.inf)


def test_a_course_of_too_few_networks_leaves_the_whole_line() -> None:
    for n, known in ((9, False), (10, True)):
        course = Course(np.arange(float(n)), np.arange(40.0), (40, 40), ANYTIME)
        interval = course.interval(difference(course.a, course.b), 0.95)
        assert math.isfinite(interval.low) is known
        assert ((interval.low, interval.high) == (-math.inf, math.inf)) is not known
        assert interval.estimate == np.median(course.b) - np.median(course.a)


def test_the_bound_of_an_area_counts_at_planned_looks_too() -> None:
    a, b = np.tile(20 + np.arange(4.0), 10), np.tile([20.0, 21, 22, 100], 10)
    course = Course(a, b, (40, 40), SEQUENTIAL)
    low, high = (interval_of(course, 0.95, "area", bound) for bound in (70.0, 100.0))
    assert (low.low, low.high) < (high.low, high.high)
    assert low.estimate == pytest.approx((70 - 23) / 4) and high.estimate == pytest.approx((100 - 23) / 4)
