"""Comparison at equal complexity."""

import numpy as np
import pytest
from scipy import stats

from regnetlab.analysis.statistics.matching import _bisected_medians, _resampled_medians, matched


def _larger_is_better(random: np.random.Generator, n: int, low: float, shift: float) -> tuple:
    flops = 10 ** random.uniform(low, low + 1, n)
    return 60 - 6 * np.log10(flops) + shift + random.normal(0, 1, n), flops


def test_a_space_of_larger_networks_is_not_better_at_equal_flops() -> None:
    random = np.random.default_rng(0)
    (a, flops_a), (b, flops_b) = (_larger_is_better(random, 200, low, 0.0) for low in (5.0, 5.4))
    assert np.median(b) - np.median(a) < -1.5
    found = matched((a, b), (flops_a, flops_b))
    assert found is not None
    assert abs(found.difference.estimate) < 0.6
    assert not found.difference.excludes_zero


@pytest.mark.simulation
def test_the_interval_covers_the_difference_at_equal_flops() -> None:
    random = np.random.default_rng(1)
    covered, rounds = 0, 300
    for _ in range(rounds):
        (a, flops_a), (b, flops_b) = (
            _larger_is_better(random, 80, low, shift) for low, shift in ((5.0, 0.0), (5.3, 1.0))
        )
        found = matched((a, b), (flops_a, flops_b))
        assert found is not None
        covered += found.difference.low <= 1 <= found.difference.high
    assert covered / rounds > 0.95 - 3 * np.sqrt(0.05 * 0.95 / rounds)


def test_every_bin_has_the_same_weight_in_both_populations() -> None:
    random = np.random.default_rng(2)
    flops_a, flops_b = random.uniform(1, 2, 60), random.uniform(1.3, 2.3, 90)
    found = matched((random.random(60), random.random(90)), (flops_a, flops_b))
    assert found is not None
    low, high = flops_b.min(), flops_a.max()
    for flops, weights, used in zip((flops_a, flops_b), found.weights, found.used, strict=True):
        assert weights.sum() == pytest.approx(1)
        assert (weights > 0).sum() == used
        assert not weights[(flops < low) | (flops > high)].any()
        values, counts = np.unique(np.round(weights[weights > 0], 12), return_counts=True)
        assert sum(values * counts) == pytest.approx(1)
        bin_weight = 1 / found.bins
        assert all(round(bin_weight / value) * value == pytest.approx(bin_weight) for value in values)


def test_populations_without_common_complexity_can_not_be_matched() -> None:
    random = np.random.default_rng(3)
    errors = (random.random(50), random.random(50))
    assert matched(errors, (random.uniform(1, 2, 50), random.uniform(3, 4, 50))) is None
    assert matched(errors, (np.ones(50), np.ones(50))) is None
    assert matched((errors[0][:4], errors[1]), (np.linspace(1, 2, 4), np.linspace(1, 2, 50))) is None


@pytest.mark.parametrize(("n", "ties"), [(30, False), (31, True), (400, False)])
def test_bisection_finds_the_medians_that_whole_resamples_have(n: int, ties: bool) -> None:
    random = np.random.default_rng(4)
    errors = np.sort(random.normal(25, 4, n))
    errors = np.round(errors) if ties else errors
    bins = random.permutation(np.arange(n) % 3)  # bins of as many networks: half a weight exactly is common
    whole, sought = (
        make(errors, bins, 3, np.random.default_rng(seed))
        for make, seed in ((_resampled_medians, 5), (_bisected_medians, 6))
    )
    assert len(whole) == len(sought)
    assert stats.ks_2samp(whole, sought).pvalue > 1e-3
    assert np.std(sought) == pytest.approx(np.std(whole), rel=0.12)


def test_many_networks_give_the_interval_that_few_would_give_by_hand() -> None:
    random = np.random.default_rng(7)
    (a, flops_a), (b, flops_b) = (
        _larger_is_better(random, 20_000, low, shift) for low, shift in ((5.0, 0.0), (5.3, 1.0))
    )
    found = matched((a, b), (flops_a, flops_b))
    assert found is not None
    assert found.difference.low < 1 < found.difference.high
    assert found.difference.high - found.difference.low < 0.3


@pytest.mark.parametrize(("n", "bins"), [(9, None), (10, 1), (19, 1), (20, 2), (100, 10), (130, 10)])
def test_bins_have_ten_of_a_population_on_average_and_are_ten_at_most(n: int, bins: int | None) -> None:
    flops = np.linspace(1, 2, n)
    found = matched((np.arange(float(n)), np.arange(float(n))), (flops, flops))
    assert (None if found is None else found.bins) == bins
    assert found is None or found.used == (n, n)
