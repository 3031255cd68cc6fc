"""Pooled effects: against the formulas, against known truth, and with too little to pool."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from regnetlab.analysis.statistics.meta_analysis import Effect, averaged, random_effects, standard_error
from regnetlab.errors import InputError
from tests.benchmarks.calibration_pooled import pooled_rates

ALIKE = [Effect(1.0, 1.0), Effect(1.0, 1.0), Effect(1.0, 1.0), Effect(1.0, 1.0)]
EFFECTS = st.lists(st.builds(Effect, st.floats(-5, 5), st.floats(0.05, 5)), min_size=2, max_size=8)


def test_effects_that_agree_are_pooled_as_by_the_classical_fixed_weights() -> None:
    found = random_effects(ALIKE)
    assert found.between == 0
    assert found.mean.estimate == 1
    assert found.mean.high == pytest.approx(1 + stats.t.isf(0.025, 3) * 0.5)
    assert found.further.high == pytest.approx(1 + stats.t.isf(0.025, 2) * 0.5)


def test_the_variance_between_studies_is_what_equal_standard_errors_leave_of_the_spread() -> None:
    estimates, error = [0.0, 2.0, 4.0, 6.0], 1.0
    found = random_effects([Effect(each, error) for each in estimates])
    assert found.between**2 == pytest.approx(np.var(estimates, ddof=1) - error**2)
    reach = stats.t.isf(0.025, 3) * np.std(estimates, ddof=1) / 2
    assert found.mean.ends == pytest.approx([3 - reach, 3 + reach])


def test_at_that_variance_the_weighted_squares_sum_to_what_is_expected() -> None:
    effects = [Effect(-1.0, 0.3), Effect(0.2, 0.5), Effect(1.5, 0.2), Effect(0.9, 1.0)]
    found = random_effects(effects)
    weights = [1 / (each.error**2 + found.between**2) for each in effects]
    squares = (
        weight * (each.estimate - found.mean.estimate) ** 2
        for weight, each in zip(weights, effects, strict=True)
    )
    assert sum(squares) == pytest.approx(len(effects) - 1)


@given(effects=EFFECTS)
def test_one_more_study_is_predicted_no_more_surely_than_the_mean_is_known(effects: list[Effect]) -> None:
    found = random_effects(effects)
    assert found.further.low <= found.mean.low <= found.mean.estimate <= found.mean.high <= found.further.high
    least, most = (f(each.estimate for each in effects) for f in (min, max))
    assert least - 1e-9 <= found.mean.estimate <= most + 1e-9


def test_of_two_studies_nothing_is_predicted() -> None:
    found = random_effects([Effect(0.0, 1.0), Effect(1.0, 1.0)])
    assert found.further.ends == [-math.inf, math.inf]


@pytest.mark.parametrize("between", [0.0, 1.0])
def test_pooled_intervals_cover_the_truth_also_where_all_data_sets_are_alike(between: float) -> None:
    found = pooled_rates(4, between, rounds=300, seed=1)
    assert found["mean"] > 0.92
    assert found["mean of five together"] > 0.97
    assert found["further"] > 0.90


def test_estimates_of_one_effect_are_averaged_by_precision() -> None:
    found = averaged([Effect(0.0, 1.0), Effect(3.0, math.sqrt(0.5))])
    assert found.estimate == pytest.approx(2)
    assert found.error == pytest.approx(math.sqrt(1 / 3))


def test_a_standard_error_is_read_from_a_95_percent_interval() -> None:
    assert standard_error(*Effect(2.0, 0.7).interval().ends) == pytest.approx(0.7)


@pytest.mark.parametrize("effects", [[Effect(0.0, 1.0)], [Effect(0.0, 0.0), Effect(1.0, 1.0)]])
def test_one_study_or_one_without_an_error_is_not_pooled(effects: list[Effect]) -> None:
    with pytest.raises(InputError):
        random_effects(effects)
