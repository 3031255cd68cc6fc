"""Networks that a verdict needs, with what a pilot leaves open, against populations of known truth."""

import math

import numpy as np
import pytest
from scipy import stats

from regnetlab.analysis.statistics.intervals import median_scale, median_scale_draws
from regnetlab.analysis.statistics.planning import (
    Range,
    added,
    networks_range,
    networks_to_decide_ranges,
    resolution,
)
from regnetlab.analysis.statistics.sequential import anytime_factor
from regnetlab.analysis.statistics.verdicts import BETTER, NO_WORSE, WORSE, networks_needed

SCALE = 4 * math.sqrt(math.pi / 2)
"""Of the median of normal errors with standard deviation 4."""


@pytest.mark.parametrize("pilot", [30, 150])
def test_the_range_holds_the_number_truly_needed(pilot: int) -> None:
    random = np.random.default_rng(1)
    truth = networks_needed((SCALE, SCALE), 1.0)
    found = [networks_range(*random.normal(25, 4, (2, pilot)), 1.0) for _ in range(300)]
    assert np.mean([each.low <= truth <= each.high for each in found]) > 0.72
    assert np.mean([each.high >= truth for each in found]) > 0.86
    assert np.median([each.estimate for each in found]) == pytest.approx(truth, rel=0.1)


def test_a_larger_pilot_leaves_less_open() -> None:
    random = np.random.default_rng(2)
    small, large = (networks_range(*random.normal(25, 4, (2, n)), 1.0) for n in (20, 500))
    assert large.high / large.estimate - 1 < 0.5 * (small.high / small.estimate - 1)


def test_networks_that_fail_to_learn_do_not_rule_the_number() -> None:
    """A third of them lie far above; what the median varies by is the others' spread where the median is."""
    random = np.random.default_rng(3)
    errors = [
        np.where(random.random(300) < 0.7, random.normal(20, 2, 300), random.normal(60, 8, 300))
        for _ in range(2)
    ]
    density = 0.7 * 0.3400 / 2  # of N(20, 2) at its 71% point
    truth = networks_needed((0.5 / density, 0.5 / density), 1.0)
    found = networks_range(errors[0], errors[1], 1.0)
    assert found.low <= truth <= found.high < 2 * truth


def test_errors_in_steps_need_half_a_step_more() -> None:
    random = np.random.default_rng(4)
    errors = random.normal(25, 4, (2, 400))
    steps = np.round(2 * errors) / 2
    fine, coarse = networks_range(*errors, 1.0), networks_range(*steps, 1.0)
    assert coarse.estimate == pytest.approx(fine.estimate / 0.75**2, rel=0.3)
    assert networks_range(*steps, 0.25) == Range(math.inf, math.inf, math.inf)


def test_errors_come_in_steps_only_where_some_are_equal() -> None:
    assert resolution(np.array([1.0, 1.5, 1.5, 4.0])) == 0.5
    assert resolution(np.array([1.0, 1.5, 1.7])) == 0
    assert resolution(np.array([0.1 + 0.2, 0.3, 0.5])) == pytest.approx(0.2)
    assert resolution(np.full(5, 3.0)) == 0


def test_what_would_decide_a_step_holds_the_doubt_of_its_difference() -> None:
    random = np.random.default_rng(5)
    truth = networks_needed((SCALE, SCALE), 1.0)
    found = [networks_to_decide_ranges(*random.normal(25, 4, (2, 150)), 1.0) for _ in range(300)]
    ranges = [each["no worse"] for each in found if "no worse" in each]
    assert np.mean([each.low <= truth <= each.high for each in ranges]) > 0.72
    known = networks_range(*random.normal(25, 4, (2, 150)), 1.0)
    assert np.median([each.high / each.low for each in ranges]) > known.high / known.low


def test_only_claims_that_are_true_of_the_difference_found_have_a_number() -> None:
    a = np.random.default_rng(6).normal(25, 4, 40)
    found = {shift: networks_to_decide_ranges(a, a + shift, 1.0) for shift in (-0.5, 0.5, 2.0)}
    assert [list(each) for each in found.values()] == [["better", "no worse"], ["no worse"], ["worse"]]


def test_a_difference_that_may_be_none_promises_no_number() -> None:
    a = np.random.default_rng(7).normal(25, 4, 40)
    better = networks_to_decide_ranges(a, a - 0.3, 1.0)["better"]
    assert math.isfinite(better.estimate)
    assert better.high == math.inf
    assert "or more)" in better.words


def test_a_range_in_words() -> None:
    assert Range(400.2, 250.0, 1900.5).words == "about 401 networks in each space (250 to 1,901)"
    assert Range(400.0, 250.0, math.inf).words == "about 400 networks in each space (250 or more)"
    assert Range(math.inf, 250.0, math.inf).words == "no number of networks that can be promised"


def test_networks_added_later_bring_a_verdict_as_far_from_its_border_as_planned_ones() -> None:
    level, power = 0.99, 0.8
    usual, beyond = stats.norm.isf((1 - level) / 2), stats.norm.ppf(power)
    for planned in (20.0, 150.0, 4_000.0):
        n = added(planned, level, power)
        reach = (anytime_factor(n, 1 - level) + beyond) / math.sqrt(n)
        assert reach == pytest.approx((usual + beyond) / math.sqrt(planned), rel=0.01)
        assert 1.3 * planned < n < 3 * planned
    assert added(math.inf, level) == math.inf


def test_the_same_pilot_gives_the_same_range_each_time() -> None:
    a, b = np.random.default_rng(6).normal(20, 3, (2, 40))
    assert networks_range(a, b, 1.0) == networks_range(a, b, 1.0)


@pytest.mark.parametrize(("shift", "claims"), [(-1, [BETTER, NO_WORSE]), (0, [NO_WORSE]), (1, [WORSE])])
def test_claims_change_where_the_difference_is_none_or_the_margin(shift: float, claims: list[str]) -> None:
    errors = np.arange(61.0)
    assert list(networks_to_decide_ranges(errors, errors + shift, 1.0)) == claims


def test_a_range_is_of_the_verdict_that_is_asked_for() -> None:
    random = np.random.default_rng(6)
    a, b = random.normal(25, 4, (2, 80))
    scales = median_scale(a), median_scale(b)
    for power, level in ((0.8, 0.95), (0.9, 0.99)):
        found = networks_range(a, b, 1.5, power, level)
        assert found.estimate == pytest.approx(networks_needed(scales, 1.5, power, level))
    decide = networks_to_decide_ranges(a, b - 3, 1.0, level=0.99)
    gap = np.median(a) - np.median(b - 3)
    assert decide[BETTER].estimate == pytest.approx(networks_needed(scales, gap, level=0.99))
    assert decide[NO_WORSE].estimate == pytest.approx(networks_needed(scales, 1 + gap, level=0.99))
    assert decide[NO_WORSE].high < decide[BETTER].high < math.inf
    worse = networks_to_decide_ranges(a, b + 3, 1.0)
    gap = np.median(b + 3) - np.median(a)
    assert list(worse) == [WORSE]
    assert worse[WORSE].estimate == pytest.approx(networks_needed(scales, gap))
    assert worse[WORSE].low < worse[WORSE].estimate < worse[WORSE].high


def test_a_range_leaves_a_tenth_on_either_side() -> None:
    a, b = np.random.default_rng(7).normal(25, 4, (2, 80))
    draws = np.random.default_rng(0)
    squared = np.add(*(median_scale_draws(each, draws) ** 2 for each in (a, b)))
    squared = squared / (median_scale(a) ** 2 + median_scale(b) ** 2)
    found = networks_range(a, b, 1.0)
    ends = found.estimate * np.quantile(squared, [0.1, 0.9])
    assert (found.low, found.high) == pytest.approx(tuple(ends), rel=0.02)
