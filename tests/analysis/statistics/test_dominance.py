"""Where one space has the larger share below every error: by hand, and how seldom it is claimed wrongly."""

import math

import numpy as np
import pytest
from scipy import stats

from regnetlab.analysis.statistics.dominance import dominance

NAMES = ("A", "B")


def test_it_is_judged_at_every_error_between_the_10_and_the_90_percent_point() -> None:
    a, b = np.arange(10.0, 110, 10), np.arange(1.0, 91, 10)
    found = dominance(a, b, NAMES, 0.5)
    assert (found.low, found.high) == tuple(np.quantile(np.r_[a, b], [0.1, 0.9]))
    assert found.to_json() == {"space": None, "low": found.low, "high": found.high}


@pytest.mark.parametrize("names", [("A", "B"), ("B", "A")])
def test_the_least_difference_over_its_error_decides(names: tuple[str, str]) -> None:
    random = np.random.default_rng(1)
    a, b = np.round(random.normal(30, 3, 60), 1), np.round(random.normal(26, 3, 80), 1)
    pooled = np.unique(np.r_[a, b])
    low, high = np.quantile(np.r_[a, b], [0.1, 0.9])
    ratios = []
    for point in pooled[(pooled >= low) & (pooled <= high)]:
        p, q = np.mean(a <= point), np.mean(b <= point)
        ratios.append((q - p) / math.sqrt(p * (1 - p) / 60 + q * (1 - q) / 80))
    border = 1 - 2 * stats.norm.sf(min(ratios))  # the level at which it is just claimed
    sides = (a, b) if names == ("A", "B") else (b, a)
    assert min(ratios) > 0
    assert dominance(*sides, names, border - 1e-3).space == "B"
    assert dominance(*sides, names, border + 1e-3).space == ""


def test_equal_spaces_seldom_dominate() -> None:
    random = np.random.default_rng(2)
    claims = [dominance(*random.normal(30, 3, (2, 40)), NAMES, 0.95).space for _ in range(400)]
    assert sum(map(bool, claims)) <= 0.05 * 400
