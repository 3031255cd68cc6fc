import re

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from regnetlab.errors import InputError
from regnetlab.spaces.law import (
    RegNetLaw,
    log_linear_depths,
    log_linear_fit,
    log_linear_widths,
    parse_config,
    quantized_stages,
    quantized_widths,
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
    config = RegNetLaw(w0=32, wa=0, wm=2, depth=5, group_width=8).config
    assert (config.depths, config.widths) == ((5,), (32,))


def test_the_line_of_exact_powers_is_found_again() -> None:
    widths = np.array([[16, 32, 64, 128], [24, 72, 216, 648], [40, 40, 40, 40]])
    w0, growth = log_linear_fit(widths)
    assert w0 == pytest.approx([16, 24, 40])
    assert growth == pytest.approx([2, 3, 1])


def test_depths_follow_the_growth_and_equal_ones_stay_equal() -> None:
    assert log_linear_depths(12, 1.0, 3) == (4, 4, 4)
    assert log_linear_depths(12, 0.5, 3) == (4, 4, 4)  # never falling
    assert log_linear_depths(10, 2.0, 3) == (2, 3, 5)
    assert log_linear_depths(4, 1.0, 3) == (1, 1, 2)


@pytest.mark.parametrize(
    ("w0", "wa", "wm", "depth", "stages", "whole"),
    [
        (32, 15.9, 2.25, 2, 2, False),  # the second stage begins behind block 1.006
        (32, 16.0, 2.25, 3, 2, False),  # at block 1 exactly, where the last bit would decide
        (32, 16.1, 2.25, 3, 2, True),
        (32, 16.0, 2.25, 2, 1, False),  # a second block exactly where the next stage would begin
        (32, 15.9, 2.25, 2, 1, True),
        (8, 4.0, 1.5, 3, 2, False),  # 12 lies between two multiples of 8
        (8, 4.0, 1.6, 3, 2, True),
        (8, 0.1, 1.1, 6, 2, False),  # both stages would be 8 wide
    ],
)
def test_a_row_is_whole_where_no_tie_decides_it(
    w0: float, wa: float, wm: float, depth: int, stages: int, whole: bool
) -> None:
    columns = (np.array([value], float) for value in (w0, wa, wm))
    assert quantized_stages(*columns, np.array([depth]), stages)[2].tolist() == [whole]


@pytest.mark.parametrize(
    "good",
    [
        {"w0": 16_384},
        {"w0": 4.5},
        {"wa": 0},
        {"wa": 16_384},
        {"wm": 64},
        {"wm": 1.01, "depth": 1},
        {"depth": 1},
        {"depth": 1_024, "wa": 1},
    ],
)
def test_the_laws_limits_are_part_of_what_is_allowed(good: dict[str, float]) -> None:
    config = RegNetLaw(**{"w0": 32, "wa": 24, "wm": 2, "depth": 6, "group_width": 8} | good).config  # type: ignore[arg-type]
    assert config.depth == good.get("depth", 6)
    assert set(config.bottleneck_ratios) == {1}


@pytest.mark.parametrize(
    ("bad", "part"),
    [
        ({"w0": 0}, "needs w0 > 0"),
        ({"w0": 16_385}, "needs w0 > 0"),
        ({"w0": 1}, "rounds to 0; use a w0 of 8"),
        ({"wa": -1}, "wa ≥ 0"),
        ({"wa": 16_385}, "wa ≥ 0"),
        ({"wm": 1}, "wm > 1"),
        ({"wm": 64.5}, "wm > 1"),
        ({"depth": 0}, "depth must be between 1"),
        ({"depth": 1_025}, "depth must be between 1"),
    ],
)
def test_beyond_them_is_refused(bad: dict[str, float], part: str) -> None:
    with pytest.raises(InputError, match=part):
        _ = RegNetLaw(**{"w0": 32, "wa": 24, "wm": 2, "depth": 6, "group_width": 8} | bad).config  # type: ignore[arg-type]


def test_the_notation_of_a_law_takes_a_ratio_and_squeeze_and_excitation() -> None:
    config = parse_config("regnet:w0=24,wa=24.48,wm=2.54,d=22,g=16,b=1/4,se=0.25")
    assert config.text == "anynet:d=1,2,7,12;w=24,64,152,392;g=16;b=0.25;se=0.25"


def test_the_log_linear_notation_gives_widths_and_depths_of_one_growth() -> None:
    config = parse_config("regnet:w0=24,growth=2.1,stages=4,d=16,g=16,b=1")
    assert config.text == "anynet:d=1,2,5,8;w=32,48,96,224;g=16;b=1"  # 104 becomes 96 in groups of 16
    with_squeeze = parse_config("regnet:g=8; d=6; stages=3; growth=2; w0=16; b=1/4; se=0.25")
    assert with_squeeze.text == "anynet:d=1,2,3;w=16,32,64;g=8;b=0.25;se=0.25"


@given(
    st.integers(8, 200),
    st.floats(1, 3),
    st.integers(1, 6),
    st.integers(0, 60),
    st.sampled_from([1, 2, 4, 8, 16, 32]),
    st.sampled_from([1, 2, 4]),
)
def test_a_log_linear_regnet_never_falls_and_has_all_its_blocks(
    w0: int, growth: float, stages: int, extra: int, group_width: int, ratio: int
) -> None:
    depth = stages + extra
    text = f"regnet:w0={w0},growth={growth},stages={stages},d={depth},g={group_width},b={ratio}"
    config = parse_config(text)
    assert (config.stages, config.depth) == (stages, depth)
    assert list(config.depths) == sorted(config.depths)
    assert list(config.widths) == sorted(config.widths)
    assert set(config.bottleneck_ratios) == {ratio}


def test_stages_of_the_quantized_line_are_as_long_as_the_log_linear_ones() -> None:
    """A line long enough that rounding to whole blocks is small: lengths grow like widths."""
    w0, wm, stages = 64, 2.0, 5
    wa = 2.0
    depth = int(w0 * (wm ** (stages - 0.5) - 1) / wa)
    _, lengths = np.unique(quantized_widths(w0, wa, wm, depth), return_counts=True)
    expected = log_linear_depths(int(lengths[1:].sum()), wm, stages - 1)
    assert lengths[1:] == pytest.approx(expected, abs=3)


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ("w0=0", "w0=0 gives no network; w0 must be above 0"),
        ("w0=3", "w0=3: the first width rounds to 0"),
        ("w0=nan", "w0=nan is not a number"),
        ("growth=0.9", "growth=0.9 gives no network; growth must be between 1 and 64"),
        ("growth=65", "growth=65"),
        ("growth=40", "the width of stage 4 is 1,536,000; it must be at most 65,536"),
        ("growth=x", "growth=x is not a number"),
        ("stages=0", "stages=0 gives no network; stages must be between 1 and 16"),
        ("stages=17", "stages=17"),
        ("stages=2.5", "stages=2.5 is not a whole number"),
        ("d=3", "d=3 gives no network; d must be between 4 and 1,024"),
        ("d=5000", "d=5000"),
        ("g=0", "g=0 is not between"),
        ("b=2.5", "bottleneck ratio 2.5"),
        ("wa=24", "'wa' is not known; names are w0, growth, stages, d, g, b, se"),
        ("stages=", "'stages=' is not name=value"),
    ],
)
def test_a_log_linear_law_that_can_not_be_is_refused_with_its_value(change: str, part: str) -> None:
    fields = {"w0": "24", "growth": "2.1", "stages": "4", "d": "16", "g": "16", "b": "1"}
    name, _, value = change.partition("=")
    text = "regnet:" + ",".join(f"{key}={each}" for key, each in (fields | {name: value}).items())
    with pytest.raises(InputError, match=re.escape(part)):
        parse_config(text)


def test_what_is_missing_names_both_notations() -> None:
    with pytest.raises(InputError, match=r"growth is missing.* other notation has w0, wa, wm, d, g"):
        parse_config("regnet:w0=24,stages=4,d=16,g=16")
    with pytest.raises(InputError, match=r"wa, wm is missing.* other notation has w0, growth, stages, d, g"):
        parse_config("regnet:w0=24,d=16,g=16")
    with pytest.raises(InputError, match=r"growth is given twice; keep one$"):
        parse_config("regnet:w0=24,growth=2,growth=3,stages=4,d=16,g=16")
