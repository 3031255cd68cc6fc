"""Windows, ranges and templates: what they take and what they refuse."""

import pytest

from regnetlab.errors import InputError
from regnetlab.spaces.ranges import Ranges
from regnetlab.spaces.regime import Window, parse_window
from regnetlab.spaces.template import PAPER, SMALL, parse_input, template_named


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("300M:400M", 300e6, 400e6),
        ("0.8M:1.2M", 800_000, 1_200_000),
        ("1.1M:", 1_100_000, float("inf")),
        (":2G", 0, 2e9),
        ("360m:1g", 360e6, 1e9),
        ("5:5", 5, 5),
    ],
)
def test_windows(text: str, low: float, high: float) -> None:
    assert parse_window("flops", text) == Window(low, high)
    assert parse_window("flops", parse_window("flops", text).text) == Window(low, high)


@pytest.mark.parametrize("text", ["", ":", "400M", "5M:3M", "a:b", "1e6:2e6", "-5:5", "1M:2M:3M", "1T:2T"])
def test_malformed_or_empty_windows_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="flops window"):
        parse_window("flops", text)


@pytest.mark.parametrize(
    "values",
    [
        {"depth": (5, 2)},
        {"depth": (0, 2)},
        {"width": (8, 99_999)},
        {"width": (9, 15)},
        {"group_width": ()},
        {"group_width": (8, 8)},
        {"bottleneck_ratio": (0,)},
        {"wm": (0.5, 2.0)},
    ],
)
def test_impossible_ranges_are_refused(values: dict[str, tuple[int, ...]]) -> None:
    with pytest.raises(InputError, match=next(iter(values))):
        Ranges(**values)  # type: ignore[arg-type]


def test_strides_follow_the_template_and_repeat_its_last() -> None:
    assert SMALL.stage_strides(2) == (1, 2)
    assert SMALL.stage_strides(6) == (1, 2, 2, 2, 2, 2)


def test_a_template_takes_another_input_and_classes() -> None:
    changed = PAPER.changed("1x32x48", 7)
    assert (changed.channels, changed.height, changed.width, changed.classes) == (1, 32, 48, 7)
    assert changed.input == "1x32x48"


@pytest.mark.parametrize("text", ["224", "3x224", "3x-1x5", "axbxc", "3x224x224x1", ""])
def test_malformed_inputs_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="CxHxW"):
        parse_input(text)


def test_an_input_of_nothing_is_refused() -> None:
    with pytest.raises(InputError, match="height is 0"):
        PAPER.changed("3x0x224")


def test_the_nearest_template_is_suggested() -> None:
    with pytest.raises(InputError, match="did you mean 'small'"):
        template_named("smal")
