"""Rank correlations within strata at equal values of a covariate, against populations of known truth."""

import numpy as np
import pytest

from regnetlab.analysis.statistics.partial_rank import partial_rank_correlation
from regnetlab.analysis.trends import rank_correlation
from regnetlab.spaces.arrays import Floats, Ints


def population(
    random: np.random.Generator, networks: int, spaces: int, effect: float, shape: str
) -> tuple[Floats, Floats, Ints, Floats]:
    """A property, errors, spaces and depths: the property depends on depth, and so does the error.

    Spaces differ in both. At equal depth the error depends on the property by ``effect`` alone.
    """
    strata = np.repeat(np.arange(spaces), networks)
    shift = 3.0 * strata
    depth = np.clip(np.round(np.exp(random.normal(1.8, 0.5, len(strata)))), 2, 30)
    own = 0.4 * random.normal(size=len(strata))
    error = -4 * np.log(depth) if shape == "falling" else 0.15 * (depth - 9) ** 2
    error = error + 3 * effect * own + 1.5 * random.normal(size=len(strata))
    return -np.log(depth) + own + shift, 20 + error + shift, strata, depth


def share_covered(networks: int, spaces: int, effect: float, shape: str, truth: float) -> float:
    random = np.random.default_rng(12)
    covered = 0
    for _ in range(400):
        x, y, strata, depth = population(random, networks, spaces, effect, shape)
        found = partial_rank_correlation(x, y, strata, depth)
        assert found is not None
        covered += found.low <= truth <= found.high
    return covered / 400


@pytest.mark.parametrize("shape", ["falling", "bent"])
@pytest.mark.parametrize(("networks", "spaces"), [(20, 3), (100, 5)])
def test_a_property_that_matters_by_depth_alone_has_no_trend(networks: int, spaces: int, shape: str) -> None:
    assert share_covered(networks, spaces, 0.0, shape, 0.0) > 0.92


@pytest.mark.parametrize(("networks", "spaces"), [(20, 3), (100, 5)])
def test_the_interval_covers_the_correlation_of_a_large_population(networks: int, spaces: int) -> None:
    x, y, strata, depth = population(np.random.default_rng(1), 20_000, spaces, 1.0, "falling")
    truth = partial_rank_correlation(x, y, strata, depth)
    assert truth is not None
    assert truth.estimate > 0.4
    assert share_covered(networks, spaces, 1.0, "falling", truth.estimate) > 0.92


def test_without_strata_and_covariate_the_same_population_shows_a_trend() -> None:
    x, y, strata, depth = population(np.random.default_rng(2), 100, 5, 0.0, "falling")
    assert rank_correlation(x, y).low > 0.5
    within = partial_rank_correlation(x, y, strata)
    assert within is not None
    assert within.low > 0.2
    equal = partial_rank_correlation(x, y, strata, depth)
    assert equal is not None
    assert not equal.excludes_zero


def test_of_one_stratum_without_covariate_it_is_spearmans() -> None:
    x, y = np.random.default_rng(3).normal(size=(2, 30))
    found = partial_rank_correlation(x, y, np.zeros(30, np.int64))
    expected = rank_correlation(x, y)
    assert found is not None
    assert (found.estimate, found.low) == pytest.approx((expected.estimate, expected.low))


def test_what_follows_from_the_covariate_or_from_the_stratum_has_none() -> None:
    random = np.random.default_rng(4)
    strata, depth, y = np.repeat([0, 1], 20), random.integers(1, 4, 40).astype(float), random.random(40)
    assert partial_rank_correlation(depth**2, y, strata, depth) is None
    assert partial_rank_correlation(strata.astype(float), y, strata) is None
    assert partial_rank_correlation(y, random.random(40), np.arange(40), depth) is None
    assert partial_rank_correlation(y[:6], depth[:6], np.repeat([0, 1], 3)) is None


def test_a_perfect_order_in_every_stratum_is_one() -> None:
    x = np.arange(20.0)
    found = partial_rank_correlation(x, np.where(x < 10, x + 100, x**2), np.repeat([0, 1], 10))
    assert found is not None
    assert (found.estimate, found.low, found.high) == pytest.approx((1, 1, 1))
