from fractions import Fraction

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from regnetlab.spaces.compatibility import make_compatible


def by_hand(width: int, g: int, b: int) -> tuple[int, int]:
    """One stage, in the words of the paper's code."""
    inner = max(1, int(width / b))
    g = min(g, inner)
    return max(g, round(inner / g) * g) * b, g


@given(st.integers(1, 4096), st.integers(1, 256), st.sampled_from([1, 2, 4]))
def test_columns_agree_with_one_stage_by_hand(width: int, g: int, b: int) -> None:
    fitted, capped = make_compatible(*(np.array([each]) for each in (width, g, b)))
    assert (fitted[0], capped[0]) == by_hand(width, g, b)


@given(st.integers(1, 4096), st.integers(1, 256), st.sampled_from([1, 2, 4, 1 / 2, 1 / 4, 1 / 6]))
def test_inner_width_divides_into_groups_and_doing_it_twice_changes_nothing(
    width: int, g: int, b: float
) -> None:
    once = make_compatible(*(np.array([each]) for each in (width, g, b)))
    inner = Fraction(int(once[0][0])) / Fraction(b).limit_denominator(16)
    assert inner.denominator == 1
    assert inner % int(once[1][0]) == 0
    twice = make_compatible(*once, np.array([b]))
    assert (once[0] == twice[0]).all()
    assert (once[1] == twice[1]).all()


def test_an_inverted_bottleneck_is_wider_inside_by_a_whole_factor() -> None:
    """MobileNetV2's expansion of 6 on 24 channels, depthwise, and groups of 16 on 8 channels at 1/4."""
    fitted, groups = make_compatible(np.array([24, 8]), np.array([1, 16]), np.array([1 / 6, 1 / 4]))
    assert (fitted.tolist(), groups.tolist()) == ([24, 8], [1, 16])


def test_a_tie_goes_to_the_even_multiple() -> None:
    """RegNetX-400MF: 24 in groups of 16 is 32, and 392 is 384, where torchvision has 400."""
    fitted, _ = make_compatible(np.array([24, 392]), np.array([16, 16]), np.array([1, 1]))
    assert fitted.tolist() == [32, 384]
