"""The best quarter against all: by hand, its interval by resampling, its p under permutation."""

from itertools import permutations

import numpy as np
import pytest
from scipy import stats

from regnetlab.analysis.statistics import best_quarter as module
from regnetlab.analysis.statistics.best_quarter import best_count, best_quarter


def test_the_best_quarter_is_at_least_three_and_never_more_than_there_are() -> None:
    assert [best_count(n) for n in (1, 2, 3, 8, 12, 14, 150)] == [1, 2, 3, 3, 3, 4, 38]


def test_means_are_those_of_the_networks_with_the_least_errors() -> None:
    logs = np.log(np.array([2.0, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1]))
    found = best_quarter(np.arange(12.0), logs)
    assert np.exp(found.mean) == pytest.approx(2)
    assert np.exp(found.mean_of_all) == pytest.approx(2**0.25)
    assert found.difference.estimate == pytest.approx(2 - 2**0.25)


def test_networks_of_equal_errors_share_the_places_that_are_left() -> None:
    logs = np.array([0.0, 1, 2, 3, 9, 9, 9, 9, 9, 9, 9, 9])
    errors = np.array([1.0, 2, 2, 2, 3, 3, 3, 3, 3, 3, 3, 3])
    assert best_quarter(errors, logs).mean == pytest.approx((0 + 2 / 3 * (1 + 2 + 3)) / 3)
    order = np.random.default_rng(0).permutation(12)
    assert best_quarter(errors[order], logs[order]).mean == pytest.approx(best_quarter(errors, logs).mean)


@pytest.mark.parametrize("ties", [False, True])
def test_the_interval_is_that_of_resampling(ties: bool) -> None:
    random = np.random.default_rng(3)
    errors = random.normal(25, 4, 60)
    errors = np.round(errors / 4) if ties else errors
    logs = 0.1 * errors + random.normal(0, 0.3, 60)
    found = best_quarter(errors, logs).difference
    rows = random.integers(60, size=(20_000, 60))
    rows = np.take_along_axis(rows, np.argsort(random.random(rows.shape)), axis=1)  # ties in any order
    best = np.argsort(errors[rows], axis=1, kind="stable")[:, :15]
    means = np.exp(logs[np.take_along_axis(rows, best, axis=1)].mean(axis=1)) - np.exp(
        logs[rows].mean(axis=1)
    )
    low, high = np.quantile(means, [0.025, 0.975])
    assert [found.low, found.high] == pytest.approx([low, high], abs=0.12 * (high - low))


def test_p_is_the_share_of_permutations_that_differ_as_much() -> None:
    logs = np.array([0.0, 0.1, 0.5, 0.9, 1.7, 3.0, 3.1])
    errors = np.array([5.0, 1, 2, 3, 4, 0, 6])
    best = np.argsort(errors)[:3]
    far = [
        abs(np.array(order)[best].mean() - logs.mean()) >= abs(logs[best].mean() - logs.mean()) - 1e-12
        for order in permutations(logs)
    ]
    assert best_quarter(errors, logs).p == pytest.approx(np.mean(far), abs=0.02)


def test_p_values_of_errors_that_say_nothing_are_uniform() -> None:
    random = np.random.default_rng(1)
    found = [best_quarter(random.normal(size=40), random.normal(size=40)).p for _ in range(120)]
    assert np.mean(np.array(found) <= 0.5) == pytest.approx(0.5, abs=0.15)
    assert np.mean(np.array(found) <= 0.05) < 0.12


def test_the_normal_law_of_many_networks_agrees_with_permutations(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(2)
    errors = random.normal(size=400)
    logs = 0.1 * errors + random.normal(size=400)
    shuffled = best_quarter(errors, logs).p
    monkeypatch.setattr(module, "_MOST", 100)
    assert best_quarter(errors, logs).p == pytest.approx(shuffled, abs=0.02)


def test_few_networks_have_no_interval_and_fewer_no_p() -> None:
    few = best_quarter(np.arange(5.0), np.arange(5.0))
    assert (few.difference.low, few.difference.high) == (-np.inf, np.inf)
    assert 0 < few.p <= 1
    assert np.isnan(best_quarter(np.array([1.0]), np.array([0.3])).p)
    assert best_quarter(np.ones(8), np.arange(8.0)).p == 1


def test_many_networks_have_the_normal_law_of_their_permutations(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(9)
    errors, logs = random.normal(size=(2, 20))
    monkeypatch.setattr(module, "_MOST", 19)
    weights = np.where(errors <= np.sort(errors)[4], 1 / 5, 0)
    variance = ((weights - 1 / 20) ** 2).sum() * logs.var(ddof=1)
    away = abs(weights @ logs - logs.mean()) / np.sqrt(variance)
    assert best_quarter(errors, logs).p == pytest.approx(2 * stats.norm.sf(away))
    monkeypatch.setattr(module, "_MOST", 20)
    permuted = best_quarter(errors, logs).p * (1 + module._PERMUTATIONS)
    assert permuted == pytest.approx(round(permuted), abs=1e-6)


def test_p_is_never_nothing_and_never_more_than_everything() -> None:
    ordered = np.arange(60.0)
    assert best_quarter(ordered, ordered).p == 1 / (1 + module._PERMUTATIONS)
    assert best_quarter(np.zeros(60), ordered).p == 1
    assert best_quarter(ordered, np.zeros(60)).p == 1
    assert best_quarter(ordered[:4], ordered[:4]).p > 0
