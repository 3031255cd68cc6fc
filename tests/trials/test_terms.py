"""What may be stated of a comparison."""

import math

import pytest

from regnetlab.errors import InputError
from regnetlab.trials.terms import Terms, check_margin


@pytest.mark.parametrize("margin", [0.1, 100.0])
def test_a_margin_may_be_small_or_everything(margin: float) -> None:
    assert check_margin(margin) == margin


@pytest.mark.parametrize("margin", [0.0, -0.1, 101.0, math.nan])
def test_a_margin_is_a_number_of_points_above_zero(margin: float) -> None:
    with pytest.raises(InputError, match="margin is") as error:
        check_margin(margin)
    assert error.value.hint == "it must be above 0, at most 100 percentage points of error"


def test_a_statistic_or_matching_that_is_not_known_names_the_nearest() -> None:
    with pytest.raises(InputError, match=r"statistic 'medians' is not known.*median"):
        Terms(statistic="medians")  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"matched 'flop' is not known.*flops"):
        Terms(matched="flop")  # type: ignore[arg-type]
