"""No two spaces look alike, as colour-blind readers see them too; and times as people say them."""

from itertools import combinations

import numpy as np
import pytest

from regnetlab.plain import duration
from regnetlab.report.style import DASHES, style, swatch
from regnetlab.report.templates import _breakable
from regnetlab.spaces.arrays import Floats
from regnetlab.spaces.blocks import BLOCKS
from regnetlab.trials.job import DERIVED

PAPER = ["AnyNetA", "AnyNetB", "AnyNetC", "AnyNetD", "AnyNetE", "RegNet", DERIVED]
VARIANTS = [
    f"{base}-{name}" for name in (*BLOCKS, "3stages", "5stages") for base in ("AnyNetA", "AnyNetE", "RegNet")
]
SIGHT = {  # Machado, Oliveira & Fernandes 2009, severity 1, on linear RGB
    "full": np.eye(3),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
}
XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)


def linear(colour: str) -> Floats:
    values = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def lab(rgb: Floats) -> Floats:
    ratio = XYZ @ rgb / XYZ.sum(axis=1)
    x, y, z = np.where(ratio > 216 / 24389, np.cbrt(ratio), (24389 / 27 * ratio + 16) / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def distance(a: str, b: str, sight: str) -> float:
    seen = [lab(np.clip(SIGHT[sight] @ linear(each), 0, 1)) for each in (a, b)]
    return float(np.linalg.norm(seen[0] - seen[1]))


@pytest.mark.parametrize("sight", SIGHT)
def test_the_papers_spaces_have_colours_that_everyone_can_tell_apart(sight: str) -> None:
    for a, b in combinations(PAPER, 2):
        assert distance(style(a)[0], style(b)[0], sight) >= 13, (a, b)


@pytest.mark.parametrize("sight", SIGHT)
def test_spaces_of_other_blocks_and_stages_differ_in_colour_or_in_dash_and_marker(sight: str) -> None:
    for a, b in combinations([*PAPER, *VARIANTS], 2):
        (one, *rest), (other, *others) = style(a), style(b)
        assert rest[0] != others[0] or rest[1] != others[1] or distance(one, other, sight) >= 19, (a, b)


@pytest.mark.parametrize("sight", SIGHT)
def test_a_studys_own_spaces_differ_in_colour_or_in_dash(sight: str) -> None:
    for a, b in combinations([style(f"own{i}", i) for i in range(36)], 2):
        assert a[1] != b[1] or distance(a[0], b[0], sight) >= 19


@pytest.mark.parametrize("paper", ["#ffffff", "#12161b"])
def test_every_colour_stands_out_on_white_and_on_black(paper: str) -> None:
    for space in [*PAPER, *VARIANTS]:
        light, dark = sorted((XYZ[1] @ linear(each) for each in (style(space)[0], paper)), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 2.1, space


def test_a_swatch_shows_colour_dash_and_marker() -> None:
    seen = {space: str(swatch(space)) for space in PAPER}
    assert len(set(seen.values())) == len(PAPER)
    for space, drawn in seen.items():
        colour, dash, _ = style(space)
        assert colour in drawn and ("stroke-dasharray" in drawn) == (dash in DASHES)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(2.34, "2.3 s"), (35, "35 s"), (216, "4 min"), (3_599, "60 min"), (6_444, "1.8 h"), (45_000, "12 h")],
)
def test_a_time_is_told_as_people_say_it(seconds: float, said: str) -> None:
    assert duration(seconds) == said


def test_long_names_break_between_their_parts() -> None:
    assert _breakable("resnet_b@1d@<x>") == "resnet_<wbr>b<wbr>@1d<wbr>@&lt;x&gt;"
