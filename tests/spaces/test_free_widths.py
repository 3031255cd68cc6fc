"""Which spaces leave the widths free relative to each other."""

import pytest

from regnetlab.spaces.custom import custom_space
from regnetlab.spaces.free_widths import leaves_widths_free
from regnetlab.spaces.space import SPACES
from regnetlab.spaces.template import PAPER, SMALL


@pytest.mark.parametrize("template", [SMALL, PAPER], ids=["small", "paper"])
def test_of_the_papers_spaces_a_b_and_c_leave_the_widths_free(template: object) -> None:
    free = [name for name, space in SPACES.items() if leaves_widths_free(space, template)]  # type: ignore[arg-type]
    assert free == ["AnyNetA", "AnyNetB", "AnyNetC"]


@pytest.mark.parametrize(
    "text",
    [
        "b == 1",
        "depth <= 12",
        "d[i] <= d[i+1]",
        "g[i] <= g[i+1]",
        "flops <= 1e6",
        "params >= 1e3 and w[i] >= 16",
        "sum(w) <= 400",
        "w[i] >= 2*g[i]",
        "w[i]*d[i] <= 400",
        "flops <= 10",
    ],
)
@pytest.mark.parametrize("parent", ["AnyNetA", "AnyNetC"])
def test_constraints_that_treat_all_stages_widths_alike_leave_them_free(parent: str, text: str) -> None:
    assert leaves_widths_free(custom_space("mine", parent, [text]), SMALL)


@pytest.mark.parametrize(
    "text",
    [
        "w[i] <= w[i+1]",
        "w[i+1] <= 3*w[i]",
        "w[i] >= w[i+1]",
        "growth >= 1.5",
        "w0 <= 20",
        "w[1] <= 64",
        "w[-1] >= 128",
        "d[i] <= d[i+1] and w[1] <= w[-1]",
    ],
)
@pytest.mark.parametrize("parent", ["AnyNetA", "AnyNetC"])
def test_constraints_on_the_order_of_widths_do_not(parent: str, text: str) -> None:
    assert not leaves_widths_free(custom_space("mine", parent, [text]), SMALL)


@pytest.mark.parametrize("parent", ["AnyNetD", "AnyNetE", "RegNet"])
def test_a_child_of_a_space_of_rising_widths_does_not_either(parent: str) -> None:
    assert not leaves_widths_free(custom_space("mine", parent, ["b == 1"]), SMALL)
