"""Distribution functions and their bands, against known truth."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regnetlab.analysis.statistics.edf import edf, weighted_edf
from regnetlab.errors import InputError

errors = st.lists(st.floats(0, 100), min_size=1, max_size=60).map(np.array)


@given(errors, st.floats(0, 100))
def test_the_edf_is_the_share_of_networks_at_most_that_bad(values: np.ndarray, at: float) -> None:
    curve = edf(values)
    step = curve.shares[curve.errors <= at]
    assert (step[-1] if len(step) else 0) == pytest.approx((values <= at).mean())


@given(errors)
def test_equal_weights_give_the_plain_edf(values: np.ndarray) -> None:
    ordered, shares = weighted_edf(values, np.full(len(values), 0.25))
    assert np.array_equal(ordered, edf(values).errors)
    assert shares == pytest.approx(edf(values).shares)


def test_a_network_without_weight_is_not_in_the_distribution() -> None:
    ordered, shares = weighted_edf(np.array([3.0, 1.0, 2.0]), np.array([0.5, 0.0, 0.25]))
    assert ordered.tolist() == [2, 3]
    assert shares.tolist() == pytest.approx([1 / 3, 1])


def test_the_band_holds_the_whole_truth_in_at_least_95_percent() -> None:
    random = np.random.default_rng(0)
    n, missed = 40, 0
    for _ in range(1_000):
        curve = edf(random.random(n))
        above = np.abs(curve.shares - curve.errors).max()
        below = np.abs(curve.errors - (curve.shares - 1 / n)).max()
        missed += max(above, below) > curve.margin
    assert missed / 1_000 < 0.05 + 3 * np.sqrt(0.05 * 0.95 / 1_000)


def test_pointwise_intervals_are_those_that_resampling_finds() -> None:
    random = np.random.default_rng(1)
    values = random.normal(25, 4, 30)
    curve = edf(values)
    resampled = random.choice(values, (20_000, 30))
    for place in (5, 14, 25):
        shares = (resampled <= curve.errors[place]).mean(axis=1)
        assert np.quantile(shares, 0.025) == pytest.approx(curve.low[place], abs=1 / 30)
        assert np.quantile(shares, 0.975) == pytest.approx(curve.high[place], abs=1 / 30)


def test_nothing_has_no_distribution() -> None:
    with pytest.raises(InputError, match="at least one network"):
        edf(np.array([]))


def test_the_bands_width_is_the_inequalitys() -> None:
    assert edf(np.arange(150.0)).margin == pytest.approx(math.sqrt(math.log(2 / 0.05) / 300))


def test_a_thinned_curve_keeps_its_band_and_lies_on_the_whole_one() -> None:
    whole = edf(np.random.default_rng(3).random(1_000))
    few = whole.thinned(50)
    assert (len(few.errors), few.margin) == (50, whole.margin)
    assert set(zip(few.errors.tolist(), few.shares.tolist(), strict=True)) < set(
        zip(whole.errors.tolist(), whole.shares.tolist(), strict=True)
    )
    assert (few.errors[0], few.errors[-1], few.shares[-1]) == (whole.errors[0], whole.errors[-1], 1)
    assert whole.thinned(1_000) is whole
