"""Rank tests against SciPy's exact ones, and against known truth."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from regnetlab.analysis.statistics.rank_tests import holm, probability_of_superiority, rank_tests

populations = st.lists(st.integers(0, 12), min_size=2, max_size=25).map(lambda v: np.array(v, np.float64))


def test_permutation_finds_the_exact_p_values() -> None:
    random = np.random.default_rng(0)
    for _ in range(5):
        a, b = random.normal(0, 1, 12), random.normal(0.7, 1, 9)
        tests = rank_tests(a, b)
        ks = stats.ks_2samp(a, b, method="exact")
        assert tests.ks == pytest.approx(ks.statistic)
        assert tests.ks_p == pytest.approx(ks.pvalue, abs=0.02)
        exact = stats.mannwhitneyu(a, b, method="exact").pvalue
        assert tests.mann_whitney_p == pytest.approx(exact, abs=0.02)


@given(populations, populations)
def test_the_distance_and_superiority_are_scipys_with_ties_too(a: np.ndarray, b: np.ndarray) -> None:
    tests = rank_tests(a, b)
    assert tests.ks == pytest.approx(stats.ks_2samp(a, b, method="asymp").statistic)
    pairs = np.mean((b[None] < a[:, None]) + 0.5 * (b[None] == a[:, None]))
    assert tests.superiority.estimate == pytest.approx(pairs)
    assert 0 <= tests.superiority.low <= tests.superiority.estimate <= tests.superiority.high <= 1


@pytest.mark.simulation
def test_p_values_of_equal_populations_are_uniform() -> None:
    random = np.random.default_rng(4)
    found = [rank_tests(random.normal(size=15), random.normal(size=20)) for _ in range(200)]
    for p_values in ([each.ks_p for each in found], [each.mann_whitney_p for each in found]):
        assert np.mean(np.array(p_values) <= 0.05) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 200)
        assert np.mean(np.array(p_values) <= 0.5) > 0.35


def test_many_networks_have_scipys_asymptotic_tests() -> None:
    random = np.random.default_rng(4)
    a, b = random.normal(size=1_500), random.normal(0.1, 1, 1_500)
    tests = rank_tests(a, b)
    assert not tests.permuted
    assert tests.mann_whitney_p == pytest.approx(stats.mannwhitneyu(a, b).pvalue)


def test_the_interval_of_superiority_covers_it() -> None:
    random = np.random.default_rng(1)
    truth = stats.norm.cdf(0.5 / np.sqrt(2))
    found = [
        probability_of_superiority(random.normal(0.5, 1, 20), random.normal(0, 1, 30)) for _ in range(1_000)
    ]
    assert np.mean([each.low <= truth <= each.high for each in found]) > 0.95 - 0.021


def test_complete_separation_has_no_false_certainty() -> None:
    interval = probability_of_superiority(np.arange(8.0) + 10, np.arange(8.0))
    assert interval.estimate == interval.high == 1
    assert interval.low == pytest.approx(0.025 ** (1 / 8))


def test_all_equal_errors_say_nothing_of_superiority() -> None:
    interval = probability_of_superiority(np.full(8, 90.0), np.full(9, 90.0))
    assert (interval.estimate, interval.low, interval.high) == (0.5, 0, 1)


def test_holm_corrects_step_by_step() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []
