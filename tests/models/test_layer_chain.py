"""Chains of layers as text: costs by hand, those of the real networks, and what is not understood."""

from fractions import Fraction

import pytest

from regnetlab.errors import InputError
from regnetlab.models.layer_chain import Counts, parse_chain
from regnetlab.models.registry import find_model
from regnetlab.models.summary import summarise
from regnetlab.spaces.template import PAPER


def counts(text: str, size: tuple[int, int] | None = None) -> Counts:
    return parse_chain(text).counts(size)


@pytest.mark.parametrize(
    ("text", "params", "pixel", "field"),
    [
        ("conv 5x5 192->32", 153_600, 153_600, 5),
        ("conv 1x1 192->16 + conv 5x5 16->32", 15_872, 15_872, 5),
        ("conv 3x3 64->64 + conv 3x3 64->64", 2 * 9 * 64**2, 2 * 9 * 64**2, 5),
        ("conv 3×3 64→128 groups=32 bias", 9 * 2 * 128 + 128, 9 * 2 * 128, 3),
        ("conv 3x3 8->8 stride=2", 576, 144, 3),
        ("conv 3x3 8->8 stride=2 + conv 3x3 8->16", 576 + 1152, Fraction(576 + 1152, 4), 7),
        ("conv 3x3 8->8 stride=3", 576, 64, 3),
        ("pool 2x2 + conv 3x3 8->8", 576, 144, 6),
        ("pool 3x3 stride=2", 0, 0, 3),
    ],
)
def test_costs_are_those_worked_out_by_hand(text: str, params: int, pixel: Fraction, field: int) -> None:
    found = counts(text)
    assert (found.params, found.flops_per_pixel, found.receptive_field) == ((params,), (pixel,), field)
    assert found.flops is found.output is None


def test_an_input_gives_flops_and_the_shape_behind() -> None:
    found = counts("conv 3x3 3->8 stride=2 + pool 2x2 + fc 392->10", (28, 28))
    assert found.flops == (9 * 3 * 8 * 14 * 14 + 3_920,)
    assert (found.output, found.flops_per_pixel, found.receptive_field) == ((10,), None, 3 + 2 + 6 * 4)
    assert counts("conv 1x1 4->8 + pool global + fc 8->10", (5, 7)).flops == (32 * 35 + 80,)
    assert counts("fc 6400->4096 bias + fc 4096->10").params == (6_400 * 4_096 + 4_096 + 40_960,)


def test_a_letter_stands_for_any_number() -> None:
    assert counts("conv 5x5 c->c").params == (25, 0, 0)
    assert counts("conv 3x3 c->c + conv 3x3 c->c").flops_per_pixel == (18, 0, 0)
    assert counts("conv 3x3 c->c groups=c bias + conv 1x1 c->2c groups=4").params == (Fraction(1, 2), 10, 0)
    assert counts("conv 7x7 3->c bias + conv 1x1 c->10 bias", (8, 8)).flops == (0, 64 * (49 * 3 + 10), 0)
    square, linear, constant = counts("conv 3x3 16->2n + conv 3x3 2n->2n + conv 1x1 2n->5").params
    for n in (1, 8, 24):
        by_number = counts(f"conv 3x3 16->{2 * n} + conv 3x3 {2 * n}->{2 * n} + conv 1x1 {2 * n}->5").params[
            0
        ]
        assert square * n**2 + linear * n + constant == by_number


def test_the_chain_of_a_real_network_costs_what_its_summary_says() -> None:
    text = (
        "conv 3x3 1->16 bias + pool 2x2 + conv 3x3 16->32 bias + pool 2x2 + conv 3x3 32->64 bias"
        " + conv 3x3 64->64 bias + pool 2x2 + conv 3x3 64->128 bias + conv 3x3 128->128 bias + pool 2x2"
        " + conv 3x3 128->128 bias + conv 3x3 128->128 bias + pool 2x2 + fc 6272->4096 bias"
        " + fc 4096->4096 bias + fc 4096->10 bias"
    )
    found = summarise(find_model("vgg11_slim"), PAPER.changed("1x224x224", 10))
    by_text = counts(text, (224, 224))
    assert (by_text.params, by_text.flops) == ((found.params,), (found.flops,))
    assert by_text.receptive_field == found.layers[-1].receptive_field


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "layer '' is not understood; write a chain as in 'conv 1x1"),
        ("conv 5x5 192->32 +", "layer '' is not understood"),
        ("conv 5x5 192", "layer 'conv 5x5 192' is not understood"),
        ("deconv 5x5 3->4", "layer 'deconv 5x5 3->4' is not understood"),
        ("conv 3x5 3->4", "only square windows"),
        ("conv 0x0 3->4", "the window is 0"),
        ("conv 999x999 3->4", "the window is 999"),
        ("conv 3x3 0->4", "0 in '0' is not between 1 and 65,536"),
        ("conv 3x3 65537->4", "65537 in '65537'"),
        ("conv 3x3 ->4", "has no channels"),
        ("conv 3x3 3->4 stride=0", "stride is 0"),
        ("conv 3x3 3->4 stride=-1", "stride is -1"),
        ("conv 3x3 3->4 strides=2", "'strides=2' is not understood; behind conv may stand groups=1"),
        ("conv 3x3 3->4 stride=2 stride=2", "'stride=2' is not understood"),
        ("conv 3x3 3->4 bias=1", "'bias=1' is not understood"),
        ("conv 3x3 3->4 groups=2", "3 and 4 do not divide into 2 groups"),
        ("conv 3x3 3->4 groups=x=2", "is no number of groups"),
        ("fc 3->4 groups=2", "behind fc may stand bias"),
        ("conv 1x1 192->16 + conv 5x5 32->32", "'conv 5x5 32->32' takes 32, but what comes before gives 16"),
        ("conv 1x1 a->b", "the letters a, b; use one"),
        ("conv 1x1 999c->c", "999 in '999c' is not between 1 and 256"),
        ("conv 1x1 8->8 + fc 8->4", "takes the whole map; give its size as in --input"),
        ("fc 8->4 + conv 1x1 4->4", "takes a map, but what comes before gives 4 features"),
        ("pool 2x2 padding=2", "half the window"),
        (" + ".join(["pool 2x2"] * 9), "the strides multiply to 512"),
        (" + ".join(["conv 1x1 1->1"] * 65), "has at most 64"),
    ],
)
def test_what_is_not_understood_is_quoted(text: str, part: str) -> None:
    with pytest.raises(InputError) as refused:
        counts(text)
    assert part in str(refused.value)


def test_a_map_must_fit() -> None:
    with pytest.raises(InputError, match="does not fit into a map of 3×4×4; give a larger --input"):
        counts("conv 5x5 3->3 padding=0", (4, 4))
    with pytest.raises(InputError, match=r"takes 100, but what comes before gives 8×3×3 = 72"):
        counts("conv 3x3 3->8 + fc 100->10", (3, 3))
    with pytest.raises(InputError, match="has no map; leave --input out"):
        counts("fc 100->10", (3, 3))
