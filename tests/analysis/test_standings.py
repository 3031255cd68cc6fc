"""Standings and matches of contenders, on made-up rows with known truth."""

import numpy as np
import pytest
from scipy import stats

from regnetlab.analysis.standings import matches, pareto_front, standings
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


def test_the_pareto_front_is_what_nobody_beats() -> None:
    random = np.random.default_rng(1)
    flops, errors = random.random((2, 50))
    front = set(pareto_front(flops, errors))
    for i in range(50):
        beaten = any((flops[j] <= flops[i]) & (errors[j] <= errors[i]) for j in range(50) if j != i)
        assert (i in front) is not beaten
