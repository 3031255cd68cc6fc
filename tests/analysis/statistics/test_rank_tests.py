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


def test_the_interval_of_superiority_is_delongs_with_the_freedom_of_brunner_and_munzel() -> None:
    random = np.random.default_rng(5)
    a, b = np.round(random.normal(1, 1, 12), 1), np.round(random.normal(0, 1, 20), 1)
    wins = (b < a[:, None]) + 0.5 * (b == a[:, None])  # a row for each of a
    parts = wins.mean(1).var(ddof=1) / 12, wins.mean(0).var(ddof=1) / 20
    freedom = sum(parts) ** 2 / (parts[0] ** 2 / 11 + parts[1] ** 2 / 19)
    share = wins.mean()
    width = stats.t.ppf(0.975, freedom) * np.sqrt(sum(parts)) / (share * (1 - share))
    logits = np.log(share / (1 - share)) + np.array([-width, width])
    found = probability_of_superiority(a, b)
    assert found.estimate == pytest.approx(share)
    assert found.ends == pytest.approx(1 / (1 + np.exp(-logits)))


def test_populations_apart_have_the_interval_of_as_many_trials() -> None:
    low, high = np.arange(5.0), np.arange(10.0, 18)
    reach = 0.025 ** (1 / 5)
    assert probability_of_superiority(high, low).ends == pytest.approx([reach, 1])
    assert probability_of_superiority(low, high).ends == pytest.approx([0, 1 - reach])
    assert probability_of_superiority(low[:1], np.array([-1.0, 0, 1])).ends == [0, 1]


def test_p_counts_what_was_found_among_the_permutations() -> None:
    tests = rank_tests(np.arange(20.0), np.arange(20.0, 45))
    assert (tests.ks, tests.permuted) == (1, True)
    assert (tests.ks_p, tests.mann_whitney_p) == (1e-4, 1e-4)
    alike = rank_tests(np.zeros(5), np.zeros(7))
    assert (alike.ks_p, alike.mann_whitney_p) == (1, 1)


def test_scipys_tests_begin_above_two_thousand_networks() -> None:
    random = np.random.default_rng(6)
    for n, permuted in ((1_000, True), (1_001, False)):
        a, b = random.normal(size=n), random.normal(size=1_000)
        tests = rank_tests(a, b)
        ks = stats.ks_2samp(a, b, method="asymp")
        assert tests.permuted is permuted
        assert tests.ks == pytest.approx(ks.statistic)
        assert permuted or tests.ks_p == pytest.approx(ks.pvalue)
        assert tests.superiority == probability_of_superiority(a, b)
