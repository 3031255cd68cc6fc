"""Tuned networks and who wins, on made-up rows with known truth."""

import math

import numpy as np
import pytest
from scipy import stats

from regnetlab.analysis.baselines import baselines
from regnetlab.training.guessing import Guessing
from regnetlab.trials.csv_tables import BASELINES
from tests.analysis.frames import baseline_rows, baselines_of


def test_a_network_has_mean_and_deviation_over_seeds() -> None:
    (found,) = baselines_of(baseline_rows("a", "VGG", 100, [10, 12, 14], [11, 12, 16])).networks
    assert found.test is not None
    assert found.test.mean == 13
    assert found.test.sd == pytest.approx(np.std([11, 12, 16], ddof=1))
    assert found.tries == ((0.1, 20.0), (0.2, 19.0), (0.4, None))
    assert not found.at_edge
    assert found.latencies == {1: 0.5}


def test_a_rate_tried_with_several_seeds_has_their_mean() -> None:
    rows = baseline_rows("a", "VGG", 100, [10, 12, 14], [11, 12, 16])
    again = [{**row, "seed": 99, "error": 24.0} for row in rows if row["stage"] == "tuning"][:2]
    (found,) = baselines_of(rows, again).networks
    assert found.tries == ((0.1, 22.0), (0.2, 21.5), (0.4, None))
    assert found.tuning_seeds == 2


def test_the_best_of_a_side_is_named_by_validation_not_by_test() -> None:
    table = baseline_rows("lucky", "VGG", 100, [12, 12, 13], [5, 5, 6]) + baseline_rows(
        "best", "NiN", 110, [9, 9, 10], [9, 9, 10]
    )
    table += baseline_rows("r", "RegNet", 105, [8, 8, 9], [7, 7, 8])
    (match,) = baselines_of(table).matches
    assert (match.a.name, match.b.name) == ("best", "r")
    assert match.verdict == "better"
    assert match.tried_once
    expected = stats.ttest_ind([7, 7, 8], [9, 9, 10], equal_var=False).confidence_interval(0.95)
    assert (match.difference.low, match.difference.high) == pytest.approx((expected.low, expected.high))


def test_only_equal_compute_is_compared() -> None:
    table = baseline_rows("a", "VGG", 100, [9] * 3, [9] * 3) + baseline_rows(
        "r", "RegNet", 200, [8] * 3, [8] * 3
    )
    assert baselines_of(table).matches == ()


def test_noise_is_undecided() -> None:
    table = baseline_rows("a", "VGG", 100, [9, 12, 15], [9, 12, 15]) + baseline_rows(
        "r", "RegNet", 100, [8, 12, 14], [8, 12, 14]
    )
    assert baselines_of(table).matches[0].verdict == "undecided"


def test_a_network_repeats_what_its_rows_say() -> None:
    rows = baseline_rows("a", "VGG", 100, [10, 12, 14], [11, 12, 16])
    rows[0] |= {"model": "m", "params": 7, "acts": 9, "seconds": 50.0}
    rows = [rows[0]] + [row | {"model": "m", "params": 7, "acts": 9} for row in rows[1:]]
    rows[-1] |= {"ended": "out of memory", "error": math.nan, "test_error": math.nan}
    (found,) = baselines_of(rows).networks
    assert (found.name, found.model, found.flops, found.params, found.acts) == ("a", "m", 100, 7, 9)
    assert (found.lr, found.failed, found.seconds) == (0.2, 1, 2.0)
    assert found.test is not None
    assert found.test.errors == (11, 12)
    (untrained,) = baselines_of(rows[:3]).networks
    assert (untrained.lr, untrained.test, untrained.validation) == (None, None, None)
    assert math.isnan(untrained.seconds)


def test_a_rate_at_either_end_of_the_sweep_is_at_its_edge() -> None:
    for errors, edge in (((19.0, 20.0, 21.0), False), ((20.0, 19.0, 21.0), True)):
        rows = baseline_rows("a", "VGG", 100, [10] * 3, [10] * 3)
        for row, error in zip(rows, errors, strict=False):
            row["error"] = error
        for row in rows[3:]:
            row["lr"] = 0.1 if edge else 0.2
        assert baselines_of(rows).networks[0].at_edge is edge


def test_the_difference_allows_for_unequal_spreads_and_numbers_of_seeds() -> None:
    """Welch's interval, not the pooled one, which is a third as wide here."""
    wide, narrow = [8.0, 12.0, 13.0], [14.0, 14.1, 14.2, 14.1, 14.0, 14.2]
    table = baseline_rows("a", "VGG", 100, wide, wide) + baseline_rows("r", "RegNet", 110, narrow, narrow)
    (match,) = baselines_of(table).matches
    mean, variances = np.mean(narrow) - np.mean(wide), [np.var(wide, ddof=1) / 3, np.var(narrow, ddof=1) / 6]
    freedom = sum(variances) ** 2 / (variances[0] ** 2 / 2 + variances[1] ** 2 / 5)
    half = stats.t.ppf(0.975, freedom) * math.sqrt(sum(variances))
    assert (match.difference.estimate, match.flops) == (pytest.approx(mean), (100, 110))
    assert (match.difference.low, match.difference.high) == pytest.approx((mean - half, mean + half))


@pytest.mark.parametrize(
    ("a", "b", "low", "high"),
    [
        ([9.0], [8.0, 7.0], -math.inf, math.inf),
        ([9.0, 9.0], [8.0, 8.0], -1.0, -1.0),
    ],
)
def test_too_few_seeds_have_no_interval_and_equal_ones_no_width(
    a: list[float], b: list[float], low: float, high: float
) -> None:
    table = baseline_rows("a", "VGG", 100, a, a) + baseline_rows("r", "RegNet", 100, b, b)
    difference = baselines_of(table).matches[0].difference
    assert difference.estimate == pytest.approx(np.mean(b) - np.mean(a))
    assert (difference.low, difference.high) == (low, high)


def test_two_seeds_have_an_interval() -> None:
    table = baseline_rows("a", "VGG", 100, [9, 10], [9, 10]) + baseline_rows(
        "r", "RegNet", 125, [8, 7], [8, 7]
    )
    (match,) = baselines_of(table).matches
    assert math.isfinite(match.difference.low)


def test_the_remarks_say_who_wins_or_why_nothing_is_compared() -> None:
    a, r = (
        baseline_rows("a", "VGG", 100, [9, 9.1], [9, 9.1]),
        baseline_rows("r", "RegNet", 105, [8, 8.1], [8, 8.1]),
    )
    first, tried = baselines_of(a, r).remarks()
    assert first.startswith("At 100 to 105 flops, the best of each side by tuning: the RegNet r beats the")
    assert (
        "hand-designed a on the test split, 8.1% against 9.1%; RegNet − hand-designed −1.00 points" in first
    )
    assert "over training seeds only. Networks × learning rates tried: 1 × 3 by hand, 1 × 3 RegNets." in first
    assert tried.startswith("each learning rate was tried once")
    assert baselines_of(a).remarks() == [baselines_of(a).reason]
    assert "no RegNet and hand-designed network have about the same flops" in baselines_of(a).reason
    assert "the final trainings are still to come" in baselines_of(a[:3], r[:3]).reason
    assert baselines_of().remarks() == []


def test_networks_are_final_once_every_one_that_learned_has_all_its_trainings() -> None:
    a, r = baseline_rows("a", "VGG", 100, [9, 9], [9, 9]), baseline_rows("r", "RegNet", 105, [8, 8], [8, 8])
    never = [{**row, "model": "n", "error": math.nan} for row in a[:3]]
    rows = BASELINES.frame([*a, *r, *never])
    assert baselines(rows).final
    assert baselines(rows, seeds=2, tuning_seeds=1).final
    assert not baselines(rows, seeds=3).final
    assert not baselines(BASELINES.frame([*a, *r[:-1]])).final


def test_a_network_is_held_to_guessing_on_the_split_that_judged_it() -> None:
    tuned = baseline_rows("a", "VGG", 100, [50, 50], [80, 80])
    guesses = {"guess": Guessing(60.0, 60.0, 1_000), "guess_test": Guessing(79.0, 79.0, 1_000)}
    found = baselines(BASELINES.frame(tuned), **guesses)
    assert found.not_learned == ["a has not learned: error 80.0% where guessing gives 79.0%"]
    document = found.to_json()
    assert (document["majority_error"], document["majority_error_test"]) == (60.0, 79.0)
    assert document["contenders"][0]["learned"] is False
