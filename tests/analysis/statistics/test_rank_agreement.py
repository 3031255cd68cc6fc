"""The agreement of budgets and the evidence an hour, on populations whose truth is known."""

import numpy as np
import pytest
from scipy import stats

from regnetlab.analysis.statistics.rank_agreement import (
    agreement,
    evidence,
    linear,
    resampled,
    resampled_agreement,
)
from regnetlab.spaces.arrays import Floats, Ints

SHARED = (0.8, 0.9, 1.0)  # correlation of a budget's seed-free error with the last budget's
NOISE = (0.7, 0.6, 0.5)  # standard deviation between seeds, where that between networks is 1
VALIDITY = np.array(SHARED) / np.sqrt(1 + np.array(NOISE) ** 2)
SECONDS = np.array([1.0, 2.0, 4.0])


def population(random: np.random.Generator, spaces: int, networks: int) -> tuple[Floats, Ints]:
    """Errors (n, 3, 2) of spaces whose means differ, and the spaces."""
    strata = np.repeat(np.arange(spaces), networks)
    truth = random.normal(size=(len(strata), 1))
    own = random.normal(size=(len(strata), len(SHARED)))
    shared = np.array(SHARED)
    seed_free = shared * truth + np.sqrt(1 - shared**2) * own + 2.0 * strata[:, None]
    noise = np.array(NOISE)[:, None] * random.normal(size=(len(strata), len(SHARED), 2))
    return seed_free[..., None] + noise, strata


def test_correction_and_validity_find_the_truth_within_spaces() -> None:
    random = np.random.default_rng(0)
    found = [agreement(*population(random, 6, 10)) for _ in range(200)]
    assert np.mean([each.validity for each in found], axis=0) == pytest.approx(VALIDITY, abs=0.025)
    corrected = np.mean([each.corrected for each in found], axis=0)
    assert corrected == pytest.approx(SHARED, abs=0.03)
    hourly = np.mean([evidence(each.validity, SECONDS) for each in found], axis=0)
    assert hourly == pytest.approx(3600 / SECONDS * VALIDITY**2, rel=0.06)


def test_spaces_that_differ_raise_the_correlation_over_all_networks_only() -> None:
    errors, strata = population(np.random.default_rng(1), 6, 40)
    within, overall = agreement(errors, strata), agreement(errors, np.zeros_like(strata))
    assert (overall.raw > within.raw + 0.15).all()


def test_the_bootstraps_interval_covers_the_evidence() -> None:
    random = np.random.default_rng(2)
    truth = 3600 / SECONDS * VALIDITY**2
    covered = np.zeros(3)
    for _ in range(60):
        errors, strata = population(random, 5, 12)
        drawn = resampled_agreement(errors, strata, resampled(strata, 300))
        low, high = np.nanquantile(evidence(drawn.validity, SECONDS), [0.025, 0.975], axis=0)
        covered += (low <= truth) & (truth <= high)
    assert (covered / 60 >= 0.88).all()


def test_networks_of_an_hour_have_the_power_that_their_evidence_says() -> None:
    """n networks at a budget of validity ρ tell two spaces apart as often as n ρ² without any noise."""
    random = np.random.default_rng(3)
    rounds, gap = 3_000, 0.5

    def power(n: int, validity: float) -> float:
        truth = random.normal(size=(2, rounds, n)) + np.array([0.0, gap])[:, None, None]
        measured = validity * truth + np.sqrt(1 - validity**2) * random.normal(size=truth.shape)
        return float((stats.ttest_ind(*measured, axis=-1).pvalue < 0.05).mean())

    for validity in VALIDITY:
        n = 120
        assert power(n, validity) == pytest.approx(power(round(n * validity**2), 1.0), abs=0.05)


def test_two_trainings_with_one_seed_do_not_count_as_agreement() -> None:
    random = np.random.default_rng(4)
    seeds = random.normal(size=(400, 1, 2))  # what the first weights do, at every budget alike
    errors = seeds + 0.1 * random.normal(size=(400, 3, 2))
    found = agreement(errors, np.zeros(400, np.int64))
    assert np.abs(found.raw).max() < 0.15


def test_seeds_that_agree_by_nothing_leave_no_correction() -> None:
    random = np.random.default_rng(5)
    errors = np.stack([np.arange(8.0), -np.arange(8.0)], axis=-1)[:, None].repeat(2, axis=1)
    found = agreement(errors + 1e-9 * random.normal(size=errors.shape), np.zeros(8, np.int64))
    assert np.isnan(found.corrected).all()
    orders = np.array([[0.0, 1, 2, 3, 4], [0, 1, 4, 3, 2]]).T  # agree a little
    swapped = np.array([[0.0, 1, 2, 3], [1, 3, 0, 2]]).T  # and of 0, but for rounding
    assert np.isfinite(agreement(np.stack([orders, orders], axis=1), np.zeros(5, np.int64)).corrected).all()
    assert np.isnan(agreement(np.stack([swapped, swapped], axis=1), np.zeros(4, np.int64)).corrected).all()
    assert np.isnan(found.validity).all()


def test_a_budget_that_ranks_backwards_tells_nothing() -> None:
    assert evidence(np.array([-0.9, 0.5]), np.array([1.0, 1.0])).tolist() == [0.0, 900.0]


@pytest.mark.parametrize("n", [5, 10, 60])
def test_rank_correlations_of_few_networks_become_linear_ones(n: int) -> None:
    random = np.random.default_rng(6)
    x = random.normal(size=(4_000, n))
    y = 0.7 * x + np.sqrt(1 - 0.49) * random.normal(size=x.shape)
    ranks = stats.rankdata(x, axis=1), stats.rankdata(y, axis=1)
    middle = (n + 1) / 2
    spearman = np.mean([np.corrcoef(a - middle, b - middle)[0, 1] for a, b in zip(*ranks, strict=True)])
    assert linear(np.array([spearman]), np.array([n]))[0] == pytest.approx(0.7, abs=0.015)


def test_resamples_keep_the_number_of_each_space() -> None:
    strata = np.array([0, 0, 1, 1, 1, 0])
    rows = resampled(strata, 50)
    assert (strata[rows] == strata).all()
    assert len(np.unique(rows, axis=0)) > 10
