"""How far spaces differ at each budget: by hand, and by tests whose p is known in another way."""

import math

import numpy as np
import pytest
from scipy import stats

from regnetlab.analysis.statistics.budget_effects import LENIENT, _test, effects_of
from regnetlab.analysis.statistics.ladder import Measured
from regnetlab.analysis.statistics.rank_agreement import resampled
from regnetlab.spaces.arrays import Floats
from regnetlab.training.budget import Budget

BUDGETS = (Budget(images=400), Budget(images=1600))


def ladder(errors: Floats, sizes: tuple[int, ...]) -> Measured:
    """Networks of so many of each space with these errors (n, 2, S)."""
    strata = np.repeat(np.arange(len(sizes)), sizes)
    return Measured(BUDGETS, tuple("ABC"[: len(sizes)]), strata, errors, np.ones_like(errors), 0)


def test_an_effect_is_a_difference_of_means_over_the_spread_within_the_two() -> None:
    random = np.random.default_rng(0)
    errors = random.normal(30, 3, (8, 2, 2))
    errors[1, 0, 1] = errors[5, 1, 0] = np.nan  # failed trainings
    made = ladder(errors, (3, 5))
    found = effects_of(made, [("A", "B")], resampled(made.strata))
    spaces = errors[:3], errors[3:]
    means = [np.nanmean(each, axis=0).mean(-1) for each in spaces]
    variances = [np.nanvar(each, axis=0, ddof=1).mean(-1) for each in spaces]
    assert found.effects[0] == pytest.approx((means[1] - means[0]) / np.sqrt(sum(variances) / 2))
    assert found.sd == pytest.approx(np.sqrt((2 * variances[0] + 4 * variances[1]) / 6))


def test_one_effect_is_tested_as_by_students_t() -> None:
    changes = np.random.default_rng(1).normal(0.3, 0.4, 500)
    found, drawn = np.array([[0.9, 0.2]]), np.stack([changes, np.zeros(500)], -1)[:, None]
    free = 7
    p, unseen = _test(found, drawn, 0, free)
    sd = changes.std(ddof=1) * math.sqrt((free + 1) / free)
    assert p == pytest.approx(2 * stats.t.sf(0.7 / sd, free))
    assert unseen == pytest.approx((stats.norm.ppf(1 - LENIENT / 2) + stats.norm.ppf(0.8)) * sd)


def test_several_effects_are_tested_together() -> None:
    """For two of them F with 2 and m degrees of freedom has the tail (1 + 2 x / m)^(-m / 2)."""
    random = np.random.default_rng(2)
    covariance = np.array([[0.3, 0.1], [0.1, 0.2]])
    changes = random.multivariate_normal([0, 0], covariance, 4_000)
    here, largest = np.array([0.5, -0.4]), np.array([0.1, 0.1])
    free = 20
    p, unseen = _test(np.stack([here, largest], -1), np.stack([changes + 1, changes * 0 + 1], -1), 0, free)
    spread = np.cov(changes.T) * (free + 1) / free
    squared = (here - largest) @ np.linalg.solve(spread, here - largest)
    left = free - 1
    assert p == pytest.approx((1 + squared / free) ** (-left / 2))
    clear = stats.norm.ppf(1 - LENIENT / 4) + stats.norm.ppf(0.8)
    assert unseen == pytest.approx(clear * math.sqrt(spread[0, 0]))
    again = np.vstack([here, here]), np.vstack([largest, largest])  # a step told twice tells no more
    twice = np.stack([np.stack([changes[:, 0]] * 2, -1), np.zeros((4_000, 2))], -1)
    once = twice[:, :1]
    found = np.stack([again[0][:, 0], again[1][:, 0]], -1)
    assert _test(found, twice, 0, free) == pytest.approx(_test(found[:1], once, 0, free))


def test_where_nothing_tells_there_is_no_p() -> None:
    found = np.array([[0.9, 0.2]])
    changes = np.random.default_rng(1).normal(0.3, 0.4, 100)
    drawn = np.stack([changes, np.zeros(100)], -1)[:, None]
    some, most = drawn.copy(), drawn.copy()
    some[:50], most[:51] = np.nan, np.nan
    known = {
        "as it is": _test(found, drawn, 0, 2),
        "half of the resamples": _test(found, some, 0, 2),
        "the largest budget": _test(found, drawn, 1, 2),
        "no step": _test(found[:0], drawn[:, :0], 0, 2),
        "too few networks": _test(found, drawn, 0, 1),
        "less than half of the resamples": _test(found, most, 0, 2),
        "no effect": _test(found * np.nan, drawn, 0, 2),
        "resamples that are all equal": _test(found, drawn * 0, 0, 2),
    }
    assert [name for name, (p, _) in known.items() if math.isfinite(p)] == [
        "as it is",
        "half of the resamples",
    ]
    assert all(math.isfinite(p) == math.isfinite(unseen) for p, unseen in known.values())


def test_a_budget_is_tested_with_a_degree_of_freedom_less_for_every_space() -> None:
    errors = np.random.default_rng(3).normal(30, 3, (8, 2, 2))
    made = ladder(errors, (3, 5))
    found = effects_of(made, [("A", "B")], resampled(made.strata))
    p, unseen = _test(found.effects, found.drawn, 0, 8 - 2)
    assert (found.p[0], found.unseen[0]) == (p, unseen)
    assert np.isnan(found.p[1]) and not found.differ[1]
