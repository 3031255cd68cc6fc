"""Differences of two networks' errors over seeds and test images, on simulated trainings with known truth."""

import math

import numpy as np
import pytest
from scipy import stats

from regnetlab.analysis.statistics.error_difference import over_seeds, over_seeds_and_images
from tests.benchmarks.calibration import contest_rates, trained


@pytest.mark.parametrize(("seeds", "spreads"), [(3, (0.3, 1.4)), (5, (0.3, 0.3)), (12, (1.4, 1.4))])
def test_the_interval_covers_the_truth_and_claims_no_winner_where_there_is_none(
    seeds: int, spreads: tuple[float, float]
) -> None:
    """All of 24 settings with 2,000 rounds each: docs/calibration.md."""
    found = contest_rates((seeds, seeds), 2_000, spreads, rounds=400, bootstrapped=0)
    assert found["seeds and images"] >= 0.93


def test_seeds_alone_claim_winners_where_the_images_decide() -> None:
    found = contest_rates((12, 12), 2_000, (0.3, 0.3), rounds=200, bootstrapped=0)
    assert found["seeds only"] < 0.85


def test_with_images_that_all_seeds_judge_alike_it_is_the_interval_of_a_paired_difference() -> None:
    random = np.random.default_rng(1)
    a, b = (np.repeat(random.random((1, 500)) < share, 4, axis=0) for share in (0.8, 0.9))
    found = over_seeds_and_images(a, b)
    paired = 100.0 * a[0] - 100.0 * b[0]
    half = stats.norm.ppf(0.975) * paired.std(ddof=1) / math.sqrt(500)
    assert found.estimate == pytest.approx(paired.mean())
    assert (found.low, found.high) == pytest.approx((paired.mean() - half, paired.mean() + half))


def test_it_is_welchs_where_images_say_nothing_of_the_difference() -> None:
    """Which images a seed misses is independent of everything: the seeds' spread holds that already."""
    random = np.random.default_rng(2)
    a, b = (random.random((400, 300)) < 0.9 for _ in range(2))
    errors = [(100 - 100 * each.mean(1)).tolist() for each in (a, b)]
    found, welch = over_seeds_and_images(a, b), over_seeds(*errors)
    assert found.estimate == pytest.approx(welch.estimate)
    assert found.high - found.low == pytest.approx(welch.high - welch.low, rel=0.05)


def test_it_is_never_narrower_than_welchs_over_seeds() -> None:
    random = np.random.default_rng(3)
    for _ in range(50):
        a, b = trained(random, (3, 5), 200, (0.5, 2.0))
        welch = over_seeds(*((100 - 100 * each.mean(1)).tolist() for each in (a, b)))
        found = over_seeds_and_images(a, b)
        assert found.low <= welch.low
        assert found.high >= welch.high


def test_one_seed_has_no_interval_and_other_images_are_refused() -> None:
    one, two = np.ones((1, 8), bool), np.ones((2, 8), bool)
    assert over_seeds_and_images(one, two).low == -math.inf
    assert over_seeds_and_images(two, two).ends == [0.0, 0.0]
    with pytest.raises(ValueError, match="8 and 4 test images"):
        over_seeds_and_images(two, two[:, :4])


def test_an_interval_over_groups_holds_where_images_of_a_group_are_wrong_together() -> None:
    random = np.random.default_rng(3)
    held = {"images": 0, "groups": 0}
    rounds = 200
    for _ in range(rounds):
        groups = np.repeat(np.arange(20), 25)
        rates = np.clip(random.normal(0.1, 0.08, (2, 20)), 0, 1)  # both networks err by 10% on average
        a, b = (random.random((3, 500)) >= each[groups] for each in rates)
        for name, which in (("images", None), ("groups", groups)):
            found = over_seeds_and_images(a, b, which)
            held[name] += found.low <= 0 <= found.high
    assert held["images"] < 0.9 * rounds
    assert held["groups"] > 0.92 * rounds


def test_images_of_one_group_tell_nothing_of_others() -> None:
    a = np.ones((3, 50), bool)
    b = np.arange(150).reshape(3, 50) % 7 > 0
    assert over_seeds_and_images(a, b, np.zeros(50, np.int64)).high == math.inf


def test_over_groups_of_one_size_the_images_part_is_the_t_interval_of_the_groups_means() -> None:
    """As long as seeds agree, so that they add nothing."""
    random = np.random.default_rng(4)
    groups = np.repeat(np.arange(20), 25)
    rates = random.uniform(0.02, 0.3, (2, 20))
    a, b = (np.repeat((random.random((1, 500)) >= each[groups]), 3, axis=0) for each in rates)
    found = over_seeds_and_images(a, b, groups)
    means = 100.0 * (a[0].astype(float) - b[0]).reshape(20, 25).mean(1)
    expected = stats.t.interval(0.95, 19, means.mean(), stats.sem(means))
    assert (found.low, found.high) == pytest.approx(expected)


def test_over_groups_of_any_size_the_variance_is_that_of_summed_residuals() -> None:
    """The cluster-robust variance of a mean, G / (G − 1) · Σ e_g² / m²."""
    groups = np.repeat([5, 7, 9], [2, 3, 5])
    b = np.ones((2, 10), bool)
    a = np.repeat(np.array([[0, 0, 1, 0, 1, 1, 1, 1, 1, 0]], bool), 2, axis=0)
    found = over_seeds_and_images(a, b, groups)  # residuals: wrong in a is −100, and the mean is −40
    sums = np.array([2 * -60, -60 + 2 * 40, -60 + 4 * 40])
    half = stats.t.ppf(0.975, 2) * math.sqrt(3 / 2 * np.square(sums).sum() / 100)
    assert (found.low, found.high) == pytest.approx((-40 - half, -40 + half))


def test_what_is_left_of_seeds_and_images_is_taken_from_the_images_part() -> None:
    """Mean squares by hand (Searle, Casella & McCulloch 1992, chapter 4), over networks of 3 and 4 seeds."""
    random = np.random.default_rng(5)
    easy = random.random(40)  # images differ, so that there is something to take from
    a, b = (random.random((seeds, 40)) < 0.3 + 0.7 * easy for seeds in (3, 4))

    def rest(right: np.ndarray) -> float:
        wrong = 100.0 * ~right
        left = wrong - wrong.mean(0) - wrong.mean(1)[:, None] + wrong.mean()
        return float(np.square(left).sum() / ((len(wrong) - 1) * (wrong.shape[1] - 1)) / len(wrong))

    differences = 100.0 * (a.mean(0) - b.mean(0))
    images = (differences.var(ddof=1) - rest(a) - rest(b)) / 40
    assert images > 0
    welch = over_seeds(*((100 - 100 * each.mean(1)).tolist() for each in (a, b)))
    half = math.hypot((welch.high - welch.low) / 2, stats.norm.ppf(0.975) * math.sqrt(images))
    found = over_seeds_and_images(a, b)
    assert (found.low, found.high) == pytest.approx((found.estimate - half, found.estimate + half))


def test_over_groups_the_seeds_part_is_added_in_squares() -> None:
    random = np.random.default_rng(7)
    groups = np.repeat(np.arange(10), 8)
    a, b = (random.random((3, 80)) < rate for rate in (0.7, 0.8))
    found = over_seeds_and_images(a, b, groups)
    welch = over_seeds(*((100 - 100 * each.mean(1)).tolist() for each in (a, b)))
    left = 100.0 * (a.mean(0) - b.mean(0)) - found.estimate
    sums = np.bincount(groups, left)
    of_groups = stats.t.ppf(0.975, 9) * math.sqrt(10 / 9 * np.square(sums).sum()) / 80
    half = math.hypot((welch.high - welch.low) / 2, of_groups)
    assert (found.low, found.high) == pytest.approx((found.estimate - half, found.estimate + half))
