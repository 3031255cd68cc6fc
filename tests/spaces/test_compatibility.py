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


@given(st.integers(1, 4096), st.integers(1, 256), st.sampled_from([1, 2, 4]))
def test_inner_width_divides_into_groups_and_doing_it_twice_changes_nothing(
    width: int, g: int, b: int
) -> None:
    once = make_compatible(*(np.array([each]) for each in (width, g, b)))
    assert once[0][0] % b == 0
    assert once[0][0] // b % once[1][0] == 0
    twice = make_compatible(*once, np.array([b]))
    assert (once[0] == twice[0]).all()
    assert (once[1] == twice[1]).all()


def test_a_tie_goes_to_the_even_multiple() -> None:
    """RegNetX-400MF: 24 in groups of 16 is 32, and 392 is 384, where torchvision has 400."""
    fitted, _ = make_compatible(np.array([24, 392]), np.array([16, 16]), np.array([1, 1]))
    assert fitted.tolist() == [32, 384]
