"""Distributions and intervals, on populations whose truth is known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regnetlab.analysis.edf import edf, median_difference, median_interval
from regnetlab.errors import InputError

errors = st.lists(st.floats(0, 100), min_size=1, max_size=60).map(np.array)


@given(errors, st.floats(0, 100))
def test_the_edf_is_the_share_of_networks_at_most_that_bad(values: np.ndarray, at: float) -> None:
    curve = edf(values)
    step = curve.shares[curve.errors <= at]
    assert (step[-1] if len(step) else 0) == pytest.approx((values <= at).mean())


def test_the_band_holds_the_whole_truth_in_at_least_95_percent() -> None:
    random = np.random.default_rng(0)
    n, missed = 40, 0
    for _ in range(1_000):
        curve = edf(random.random(n))
        above = np.abs(curve.shares - curve.errors).max()
        below = np.abs(curve.errors - (curve.shares - 1 / n)).max()
        missed += max(above, below) > curve.margin
    assert missed / 1_000 < 0.05 + 3 * np.sqrt(0.05 * 0.95 / 1_000)


@pytest.mark.parametrize("n", [6, 14, 51])
def test_the_medians_interval_covers_it_for_a_skewed_population(n: int) -> None:
    random = np.random.default_rng(n)
    truth = np.log(2)
    intervals = [median_interval(random.exponential(size=n)) for _ in range(2_000)]
    covered = np.mean([each.low <= truth <= each.high for each in intervals])
    assert covered > 0.95 - 3 * np.sqrt(0.05 * 0.95 / 2_000)


def test_too_few_networks_have_no_interval() -> None:
    interval = median_interval(np.array([3.0, 1.0, 2.0, 5.0, 4.0]))
    assert interval.estimate == 3
    assert (interval.low, interval.high) == (-np.inf, np.inf)


def test_six_networks_have_the_widest() -> None:
    interval = median_interval(np.arange(6.0))
    assert (interval.low, interval.high) == (0, 5)


@pytest.mark.parametrize(("shift", "least", "most"), [(0.0, 0.91, 0.995), (3.0, 0.91, 0.995)])
def test_the_interval_of_a_median_difference_covers_the_truth(
    shift: float, least: float, most: float
) -> None:
    random = np.random.default_rng(7)
    covered = 0
    for _ in range(200):
        a, b = random.gamma(4, 2, 40), random.gamma(4, 2, 40) + shift
        interval = median_difference(a, b)
        covered += interval.low <= shift <= interval.high
    assert least <= covered / 200 <= most


def test_a_difference_of_too_few_is_refused() -> None:
    with pytest.raises(InputError, match="three networks on each side"):
        median_difference(np.array([1.0, 2.0]), np.array([1.0, 2.0, 3.0]))


def test_nothing_has_no_distribution() -> None:
    with pytest.raises(InputError, match="at least one network"):
        edf(np.array([]))
