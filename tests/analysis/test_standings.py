"""Standings and matches of contenders, on made-up rows with known truth."""

import math

import numpy as np
import pytest
from scipy import stats

from regnetlab.analysis.standings import matches, standings
from tests.analysis.frames import contender_rows


def test_a_standing_has_mean_and_deviation_over_seeds() -> None:
    (found,) = standings(contender_rows("a", "VGG", 100, [10, 12, 14], [11, 12, 16]))
    assert found.test is not None
    assert found.test.mean == 13
    assert found.test.sd == pytest.approx(np.std([11, 12, 16], ddof=1))
    assert found.tries == ((0.1, 20.0), (0.2, 19.0), (0.4, None))
    assert not found.at_edge
    assert found.latencies == {1: 0.5}


def test_a_rate_tried_with_several_seeds_has_their_mean() -> None:
    rows = contender_rows("a", "VGG", 100, [10, 12, 14], [11, 12, 16])
    again = [{**row, "seed": "99", "error": "24"} for row in rows if row["stage"] == "tuning"][:2]
    (found,) = standings([*rows, *again])
    assert found.tries == ((0.1, 22.0), (0.2, 21.5), (0.4, None))
    assert found.tuning_seeds == 2


def test_champions_are_named_by_validation_not_by_test() -> None:
    table = contender_rows("lucky", "VGG", 100, [12, 12, 13], [5, 5, 6]) + contender_rows(
        "best", "NiN", 110, [9, 9, 10], [9, 9, 10]
    )
    table += contender_rows("r", "RegNet", 105, [8, 8, 9], [7, 7, 8])
    (match,) = matches(standings(table))
    assert (match.a.name, match.b.name) == ("best", "r")
    assert match.verdict == "better"
    assert match.tried_once
    expected = stats.ttest_ind([7, 7, 8], [9, 9, 10], equal_var=False).confidence_interval(0.95)
    assert (match.difference.low, match.difference.high) == pytest.approx((expected.low, expected.high))


def test_only_equal_compute_is_compared() -> None:
    table = contender_rows("a", "VGG", 100, [9] * 3, [9] * 3) + contender_rows(
        "r", "RegNet", 200, [8] * 3, [8] * 3
    )
    assert matches(standings(table)) == []


def test_noise_is_undecided() -> None:
    table = contender_rows("a", "VGG", 100, [9, 12, 15], [9, 12, 15]) + contender_rows(
        "r", "RegNet", 100, [8, 12, 14], [8, 12, 14]
    )
    assert matches(standings(table))[0].verdict == "undecided"


def test_a_standing_repeats_what_its_rows_say() -> None:
    rows = contender_rows("a", "VGG", 100, [10, 12, 14], [11, 12, 16])
    rows[0] |= {"model": "m", "params": "7", "acts": "9", "seconds": "50"}
    rows = [rows[0]] + [row | {"model": "m", "params": "7", "acts": "9"} for row in rows[1:]]
    rows[-1] |= {"ended": "out of memory", "error": "", "test_error": ""}
    (found,) = standings(rows)
    assert (found.name, found.model, found.flops, found.params, found.acts) == ("a", "m", 100, 7, 9)
    assert (found.lr, found.failed, found.seconds) == (0.2, 1, 2.0)
    assert found.test is not None
    assert found.test.errors == (11, 12)
    (untrained,) = standings(rows[:3])
    assert (untrained.lr, untrained.test, untrained.validation) == (None, None, None)
    assert math.isnan(untrained.seconds)


def test_a_rate_at_either_end_of_the_sweep_is_at_its_edge() -> None:
    for errors, edge in ((("19", "20", "21"), False), (("20", "19", "21"), True)):
        rows = contender_rows("a", "VGG", 100, [10] * 3, [10] * 3)
        for row, error in zip(rows, errors, strict=False):
            row["error"] = error
        for row in rows[3:]:
            row["lr"] = "0.1" if edge else "0.2"
        assert standings(rows)[0].at_edge is edge


def test_the_difference_allows_for_unequal_spreads_and_numbers_of_seeds() -> None:
    """Welch's interval, not the pooled one, which is a third as wide here."""
    wide, narrow = [8.0, 12.0, 13.0], [14.0, 14.1, 14.2, 14.1, 14.0, 14.2]
    table = contender_rows("a", "VGG", 100, wide, wide) + contender_rows("r", "RegNet", 110, narrow, narrow)
    (match,) = matches(standings(table))
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
    table = contender_rows("a", "VGG", 100, a, a) + contender_rows("r", "RegNet", 100, b, b)
    difference = matches(standings(table))[0].difference
    assert difference.estimate == pytest.approx(np.mean(b) - np.mean(a))
    assert (difference.low, difference.high) == (low, high)


def test_two_seeds_have_an_interval() -> None:
    table = contender_rows("a", "VGG", 100, [9, 10], [9, 10]) + contender_rows(
        "r", "RegNet", 125, [8, 7], [8, 7]
    )
    (match,) = matches(standings(table))
    assert math.isfinite(match.difference.low)
