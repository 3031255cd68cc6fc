"""What may be claimed of an interval, and how many networks a claim needs."""

import math

import numpy as np
import pytest

from regnetlab.analysis.statistics.differences import median_difference
from regnetlab.analysis.statistics.intervals import Interval
from regnetlab.analysis.statistics.verdicts import (
    is_alike,
    networks_needed,
    points,
    verdict,
)


@pytest.mark.parametrize(
    ("low", "high", "claim"),
    [
        (-3.0, -0.1, "better"),
        (-3.0, 0.0, "no worse"),
        (-3.0, 0.9, "no worse"),
        (0.1, 0.9, "no worse"),
        (-3.0, 1.0, "undecided"),
        (0.0, 4.0, "undecided"),
        (0.1, 1.0, "worse"),
        (2.0, 4.0, "worse"),
        (-math.inf, math.inf, "undecided"),
    ],
)
def test_the_verdict_is_the_strongest_claim_the_whole_interval_allows(
    low: float, high: float, claim: str
) -> None:
    assert verdict(Interval(0.5, low, high), margin=1.0) == claim


def test_without_a_margin_nothing_is_no_worse() -> None:
    assert verdict(Interval(0, -0.5, 0.0), margin=0.0) == "undecided"


@pytest.mark.simulation
@pytest.mark.parametrize(
    ("shift", "false"),
    [(0.0, ("better", "worse")), (1.0, ("better", "no worse"))],
    ids=["equal", "at margin"],
)
def test_false_claims_are_rarer_than_one_in_twenty(shift: float, false: tuple[str, str]) -> None:
    random = np.random.default_rng(11)
    claims = [
        verdict(median_difference(random.lognormal(2, 0.7, 25), random.lognormal(2, 0.7, 25) + shift), 1.0)
        for _ in range(1_000)
    ]
    for claim in false:
        assert claims.count(claim) / 1_000 <= 0.05


@pytest.mark.simulation
def test_as_many_networks_as_planned_reach_the_planned_power() -> None:
    random = np.random.default_rng(2)
    scale = 4 * math.sqrt(math.pi / 2)
    n = math.ceil(networks_needed((scale, scale), gap=2.0, power=0.8))
    claims = [
        verdict(median_difference(random.normal(25, 4, n), random.normal(23, 4, n)), 1.0) for _ in range(500)
    ]
    assert claims.count("better") / 500 == pytest.approx(0.8, abs=0.07)


def test_more_networks_are_needed_for_less() -> None:
    wide, narrow = networks_needed((4, 4), 1.0), networks_needed((4, 4), 0.5)
    assert narrow == pytest.approx(4 * wide)
    assert networks_needed((4, 4), 0.0) == math.inf


def test_a_margin_in_words_counts_its_points() -> None:
    assert [points(margin) for margin in (0.0, 0.5, 1.0, 2.0)] == [
        "0 points",
        "0.5 points",
        "1 point",
        "2 points",
    ]


def test_alike_is_within_the_margin_on_both_sides() -> None:
    assert is_alike(Interval(0, -0.9, 0.9), 1.0)
    assert not is_alike(Interval(-1, -2.0, 0.5), 1.0)
    assert not is_alike(Interval(0, -0.5, 1.0), 1.0)
