"""The best of k drawn at random: exact where it can be counted."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regnetlab.analysis.statistics.random_search import best_at_random, random_search
from regnetlab.errors import InputError


@given(st.lists(st.integers(0, 8), min_size=1, max_size=5), st.data())
def test_the_expected_best_of_k_is_the_mean_over_all_draws(values: list[int], data: st.DataObject) -> None:
    k = data.draw(st.integers(1, len(values)))
    errors = np.array(values, float)
    found = best_at_random(errors, k, 4.0)
    bests = [min(draw) for draw in itertools.product(values, repeat=k)]
    assert found.expected == pytest.approx(np.mean(bests))
    assert found.low <= found.expected <= max(values) + 1e-9
    curve = random_search(errors)
    assert curve.expected[curve.k == k] == pytest.approx(found.expected)


def test_the_range_of_the_best_of_k_leaves_a_fortieth_on_either_side() -> None:
    """By going through all draws of three from twelve errors."""
    errors = np.sort(np.random.default_rng(7).random(12) * 20)
    bests = np.sort([min(draw) for draw in itertools.product(errors, repeat=3)])
    found = best_at_random(errors, 3, 4.0)
    for end, share in ((found.low, 0.025), (found.high, 0.975)):
        assert (bests <= end).mean() >= share > (bests < end).mean()
    curve = random_search(errors)
    assert curve.low[curve.k == 3] == found.low
    assert curve.high[curve.k == 3] == found.high


def test_the_range_of_one_draw_holds_95_percent_of_the_population() -> None:
    errors = np.arange(1_000.0)
    found, curve = best_at_random(errors, 1, 0.0), random_search(errors)
    assert (found.low, found.high) == (24.0, 974.0)  # 2.5% of the errors are at most the 25th
    assert (curve.low[0], curve.high[0]) == (24.0, 974.0)


def test_a_curve_ends_where_it_is_told_and_has_no_more_points_than_a_figure_needs() -> None:
    errors = np.arange(10_000.0)
    whole, short = random_search(errors), random_search(errors, 36.0, most=100)
    assert (whole.k[0], whole.k[-1], short.k[-1]) == (1, 10_000, 100)
    assert len(whole.k) < 60
    assert short.hours.tolist() == pytest.approx((short.k / 100).tolist())


def test_an_error_that_the_population_has_too_counts_on_both_sides() -> None:
    """Two further draws of the same kind are at least as good as 2.0, which one of three networks has."""
    found = best_at_random(np.array([1.0, 2.0, 3.0]), 2, 2.0)
    bests = [min(mine) for mine in itertools.combinations(range(5), 2)]
    assert found.as_good == pytest.approx(np.mean([best - 0 <= 1 for best in bests]))
    assert found.as_bad == pytest.approx(np.mean([best >= 2 for best in bests]))


def test_the_expected_best_of_equal_errors_is_that_error() -> None:
    assert best_at_random(np.full(5, 0.7), 1, 1.0).expected == 0.7


@pytest.mark.parametrize(("n", "k", "below"), [(3, 2, 0), (3, 2, 1), (4, 3, 2), (4, 3, 4), (5, 1, 3)])
def test_chances_are_counted_over_all_orders_of_exchangeable_numbers(n: int, k: int, below: int) -> None:
    errors = np.arange(n) * 2.0
    found = best_at_random(errors, k, 2.0 * below - 1)  # so many of the population are better
    better = (
        [
            sum(rank < min(mine) for rank in set(range(n + k)) - set(mine))
            for mine in itertools.combinations(range(n + k), k)
        ]
        if k <= n
        else []
    )
    assert found.as_good == pytest.approx(np.mean([each <= below for each in better]))
    assert found.as_bad == pytest.approx(np.mean([each >= below for each in better]))


def test_more_draws_than_networks_are_refused() -> None:
    with pytest.raises(InputError, match="the best of 4 can't be told from 3"):
        best_at_random(np.array([1.0, 2.0, 3.0]), 4, 1.0)
