import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from regnetlab.errors import InputError
from regnetlab.spaces.law import (
    log_linear_depths,
    log_linear_widths,
    quantized_stages,
    quantized_widths,
    regnet_config,
)


@given(
    st.integers(1, 40).map(lambda k: 8 * k),
    st.integers(80, 2560).map(lambda k: k / 10),
    st.integers(1500, 3000).map(lambda k: k / 1000),
    st.integers(1, 40),
    st.integers(1, 5),
)
def test_columns_agree_with_block_by_block(w0: int, wa: float, wm: float, depth: int, stages: int) -> None:
    """The vectorised law against the definition, wherever no step is skipped and no tie decides."""
    line = np.log1p(wa * np.arange(depth) / w0) / np.log(wm)
    assume(np.abs(line % 1 - 0.5).min() > 1e-6)
    steps = np.rint(line)
    widths, depths = np.unique(quantized_widths(w0, wa, wm, depth), return_counts=True)
    expected = len(widths) == stages and steps.max() + 1 == stages
    got, lengths, whole = quantized_stages(
        np.array([w0], float), np.array([wa]), np.array([wm]), np.array([depth]), stages
    )
    if whole[0]:
        assert expected
        assert got[0].tolist() == widths.tolist()
        assert lengths[0].tolist() == depths.tolist()
    elif expected:  # only a width that rounds at a tie may be left out
        raw = w0 * wm ** np.arange(stages) / 8
        assert np.abs(np.abs(raw - np.floor(raw)) - 0.5).min() < 1e-5


def test_both_notations_are_one_law() -> None:
    """Stage k of the quantized line has the log-linear law's width, with growth w_m, rounded to 8."""
    widths = np.unique(quantized_widths(80, 34.01, 2.25, 18))
    assert widths.tolist() == (np.rint(log_linear_widths(80, 2.25, 4) / 8) * 8).tolist()


@given(st.integers(1, 6), st.integers(0, 60), st.floats(0.5, 4))
def test_log_linear_depths_never_fall_and_sum_to_the_total(stages: int, extra: int, growth: float) -> None:
    depths = log_linear_depths(stages + extra, growth, stages)
    assert sum(depths) == stages + extra
    assert min(depths) >= 1
    assert list(depths) == sorted(depths)


def test_too_few_blocks_for_the_stages_are_refused() -> None:
    with pytest.raises(InputError, match="do not fill 4 stages"):
        log_linear_depths(3, 2.0, 4)


def test_a_slope_of_zero_gives_one_stage() -> None:
    config = regnet_config(w0=32, wa=0, wm=2, depth=5, group_width=8)
    assert (config.depths, config.widths) == ((5,), (32,))
