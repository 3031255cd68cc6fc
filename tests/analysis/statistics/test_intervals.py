"""Intervals of quantiles, means and differences, on populations whose truth is known.

How well they cover it for many populations and sizes is in docs/calibration.md.
"""

import numpy as np
import pytest
from scipy import stats

from regnetlab.analysis.statistics.differences import median_difference
from regnetlab.analysis.statistics.intervals import (
    mean_interval,
    median_scale,
    quantile_interval,
)
from regnetlab.errors import InputError


def _monte_carlo_error(rounds: int) -> float:
    return float(3 * np.sqrt(0.05 * 0.95 / rounds))


@pytest.mark.parametrize("n", [6, 14, 51])
@pytest.mark.parametrize("share", [0.05, 0.5])
def test_a_quantiles_interval_covers_it_for_a_skewed_population(n: int, share: float) -> None:
    random = np.random.default_rng(n)
    truth = -np.log(1 - share)
    intervals = [quantile_interval(random.exponential(size=n), share) for _ in range(2_000)]
    covered = np.mean([each.low <= truth <= each.high for each in intervals])
    assert covered > 0.95 - _monte_carlo_error(2_000)


def test_too_few_networks_have_no_interval() -> None:
    interval = quantile_interval(np.array([3.0, 1.0, 2.0, 5.0, 4.0]))
    assert interval.estimate == 3
    assert (interval.low, interval.high) == (-np.inf, np.inf)


def test_six_networks_have_the_widest() -> None:
    interval = quantile_interval(np.arange(6.0))
    assert (interval.low, interval.high) == (0, 5)


def test_the_best_twentieth_of_few_is_bounded_from_above_only() -> None:
    interval = quantile_interval(np.arange(20.0), 0.05)
    assert interval.estimate == 0
    assert interval.low == -np.inf
    assert 0 < interval.high < 5


def test_the_medians_quick_bootstrap_is_the_one_that_resamples() -> None:
    random = np.random.default_rng(3)
    for n_a, n_b in ((15, 22), (8, 8)):
        a, b = random.gamma(4, 2, n_a), random.gamma(4, 2, n_b)
        slow = stats.bootstrap(
            (a, b),
            lambda x, y, axis: np.median(y, axis=axis) - np.median(x, axis=axis),
            n_resamples=20_000,
            method="percentile",
            rng=random,
        ).confidence_interval
        quick = median_difference(a, b)
        width = slow.high - slow.low
        assert quick.low == pytest.approx(slow.low, abs=0.05 * width)
        assert quick.high == pytest.approx(slow.high, abs=0.05 * width)


@pytest.mark.simulation
@pytest.mark.parametrize("shift", [0.0, 3.0])
@pytest.mark.parametrize("sizes", [(8, 8), (40, 40), (20, 90)])
def test_the_interval_of_a_median_difference_covers_the_truth(shift: float, sizes: tuple[int, int]) -> None:
    random = np.random.default_rng(7)
    covered = 0
    for _ in range(1_000):
        interval = median_difference(random.gamma(4, 2, sizes[0]), random.gamma(4, 2, sizes[1]) + shift)
        covered += interval.low <= shift <= interval.high
    assert 0.95 - _monte_carlo_error(1_000) <= covered / 1_000 <= 0.99


def test_a_higher_level_gives_a_wider_interval() -> None:
    random = np.random.default_rng(0)
    a, b = random.normal(size=30), random.normal(size=30)
    wide, narrow = median_difference(a, b, 0.99), median_difference(a, b)
    assert wide.low < narrow.low <= narrow.high < wide.high


def test_a_difference_of_fewer_than_six_is_not_known_at_all() -> None:
    interval = median_difference(np.arange(5.0), np.arange(50.0) + 100)
    assert interval.estimate == 122.5
    assert (interval.low, interval.high) == (-np.inf, np.inf)


def test_a_difference_with_nothing_is_refused() -> None:
    with pytest.raises(InputError, match="on both sides"):
        median_difference(np.array([]), np.array([1.0, 2.0, 3.0]))


def test_the_scale_of_a_normal_median_is_the_textbooks() -> None:
    random = np.random.default_rng(0)
    scales = [median_scale(random.normal(0, 4, 201)) for _ in range(40)]
    assert np.mean(scales) == pytest.approx(4 * np.sqrt(np.pi / 2), rel=0.1)


def test_the_means_interval_covers_it() -> None:
    random = np.random.default_rng(5)
    intervals = [mean_interval(random.normal(25, 4, 30)) for _ in range(300)]
    covered = np.mean([each.low <= 25 <= each.high for each in intervals])
    assert covered > 0.94 - _monte_carlo_error(300)


def test_one_error_has_a_mean_and_no_interval() -> None:
    interval = mean_interval(np.array([7.0]))
    assert (interval.estimate, interval.low, interval.high) == (7, -np.inf, np.inf)


@pytest.mark.parametrize(("n", "finite"), [(71, False), (72, True)])
def test_a_best_twentieth_has_a_lower_end_where_chance_has_none_below_in_one_of_forty(
    n: int, finite: bool
) -> None:
    assert 0.95**72 <= 0.025 < 0.95**71
    assert np.isfinite(quantile_interval(np.arange(float(n)), 0.05).low) == finite
