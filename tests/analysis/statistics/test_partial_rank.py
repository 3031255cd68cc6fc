"""Rank correlations within strata at equal values of a covariate, against populations of known truth."""

import numpy as np
import pytest

from regnetlab.analysis.statistics import partial_rank as module
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


def test_groups_are_of_neighbours_and_never_part_equal_values(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_GROUP", 3)
    given = np.array([5.0, 1, 3, 1, 4, 3, 2, 9, 8, 7, 6, 5, 4])
    strata = np.array([0] * 7 + [1] * 6)
    assert module._groups(given, strata).tolist() == [1, 0, 1, 0, 1, 1, 0, 3, 3, 3, 2, 2, 2]


@pytest.mark.parametrize("spaces", [1, 3])
def test_it_is_the_correlation_of_what_groups_and_a_line_of_the_covariate_leave(spaces: int) -> None:
    random = np.random.default_rng(8)
    x, y, strata, depth = population(random, 40, spaces, 0.5, "falling")
    found = partial_rank_correlation(x, y, strata, depth)
    ranks = module._ranks(np.stack([x, y, depth]), strata)
    groups = module._groups(depth, strata)
    model = np.column_stack([groups[:, None] == np.unique(groups), ranks[2]]).astype(np.float64)
    left = [each - model @ np.linalg.lstsq(model, each, rcond=None)[0] for each in ranks[:2]]
    rho = left[0] @ left[1] / np.sqrt((left[0] @ left[0]) * (left[1] @ left[1]))
    free = len(x) - len(np.unique(groups)) - 1 - 2
    reach = 1.959964 * np.sqrt((1 + rho**2 / 2) / free)
    assert found is not None
    assert found.estimate == pytest.approx(rho)
    assert found.ends == pytest.approx(np.tanh(np.arctanh(rho) + np.array([-reach, reach])), rel=1e-5)


def test_ranks_are_shares_of_their_stratum() -> None:
    ranks = module._ranks(np.array([[3.0, 1, 2, 2, 8, 9]]), np.array([0, 0, 0, 0, 1, 1]))
    assert ranks.tolist() == [[1.0, 0.25, 0.625, 0.625, 0.5, 1.0]]


@pytest.mark.parametrize(("networks", "known"), [(5, False), (6, True)])
def test_three_degrees_of_freedom_are_the_least(networks: int, known: bool) -> None:
    x = np.array([1.0, 2, 4, 3, 5, 6])[:networks]
    found = partial_rank_correlation(x, np.arange(networks, dtype=np.float64), np.zeros(networks, np.int64))
    assert (found is not None) is known
