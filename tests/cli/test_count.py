"""``regnetlab count``."""

import pytest

from regnetlab.cli import main
from tests.cli.asked import Capture, answer, complaint

WHOLE, NARROW = "conv 5x5 192->32", "conv 1x1 192->16 + conv 5x5 16->32"


def test_chains_are_counted_side_by_side(capsys: Capture) -> None:
    document = answer(capsys, "count", WHOLE, NARROW, "--input", "28x28")
    assert [each["flops_per_pixel"] for each in document["chains"]] == [153_600, 15_872]
    assert [each["flops"] for each in document["chains"]] == [153_600 * 784, 15_872 * 784]
    assert document["chains"][1]["output"] == [32, 28, 28]
    assert main(["count", WHOLE, NARROW]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split() == ["conv", "5x5", "192->32", "153,600", "153,600", "5"]
    assert len(lines) == 3


def test_letters_are_shown_as_powers(capsys: Capture) -> None:
    chains = answer(capsys, "count", "conv 5x5 c->c", "conv 3x3 c->c bias", "conv 3x3 c->2c stride=2")[
        "chains"
    ]
    assert [each["params"] for each in chains] == ["25c²", "9c² + c", "18c²"]
    assert [each["flops_per_pixel"] for each in chains] == ["25c²", "9c²", "4.5c²"]


@pytest.mark.parametrize(
    ("words", "part"),
    [
        ((), "LAYERS"),
        (("conv",), "layer 'conv' is not understood; write a chain as in"),
        ((WHOLE, "conv 3"), "layer 'conv 3'"),
        ((WHOLE, "--input", "28"), "input '28' is not HxW; write it as in 56x56"),
        ((WHOLE, "--input", "0x28"), "input '0x28' is not HxW"),
        ((WHOLE, "--input", "3x28x28"), "input '3x28x28' is not HxW"),
    ],
)
def test_a_chain_that_is_not_understood_is_refused(
    capsys: Capture, words: tuple[str, ...], part: str
) -> None:
    assert part in complaint(capsys, ("count", *words))
