"""Windows, ranges and templates: what they take and what they refuse."""

import numpy as np
import pytest

from regnetlab.errors import InputError
from regnetlab.spaces.draws import multiples
from regnetlab.spaces.ranges import Ranges
from regnetlab.spaces.ratio import plain_rows
from regnetlab.spaces.regime import Window, format_count, parse_window
from regnetlab.spaces.sampler import sample
from regnetlab.spaces.space import SPACES
from regnetlab.spaces.template import PAPER, SMALL, Template, parse_input, template_named


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


@pytest.mark.parametrize("text", ["360:400M", "1 : 2G", "0.8:1.2K"])
def test_a_unit_at_one_end_alone_is_refused_where_the_window_would_be_huge(text: str) -> None:
    with pytest.raises(InputError, match="begins at ") as refused:
        parse_window("flops", text)
    low, _, high = text.partition(":")
    unit = high.strip()[-1]
    assert refused.value.hint == f"write the unit at both ends: {low.strip()}{unit}:{high.strip()}"
    assert parse_window("flops", "50000:0.4M") == Window(50_000, 400_000)


@pytest.mark.parametrize(
    ("count", "text"),
    [(999, "999"), (1_000, "1K"), (10**9 - 1, "999.999999M"), (10**9, "1G"), (399_600_000, "399.6M")],
)
def test_counts_are_written_exactly(count: int, text: str) -> None:
    assert format_count(count) == text
    assert parse_window("acts", f"{text}:").low == count


def test_what_is_no_window_is_told_how_one_is_written() -> None:
    for name, example in (("flops", "300M:400M"), ("latency", "0.5ms:2ms")):
        with pytest.raises(InputError, match=f"write it as in {example}$"):
            parse_window(name, "400M")
    with pytest.raises(InputError, match="'2M:3M' is not a count"):
        parse_window("flops", "1M:2M:3M")


@pytest.mark.parametrize("text", ["", ":", "400M", "5M:3M", "a:b", "1e6:2e6", "-5:5", "1M:2M:3M", "1T:2T"])
def test_malformed_or_empty_windows_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="flops window"):
        parse_window("flops", text)


def test_equal_ranges_have_equal_text_and_draws() -> None:
    given = Ranges(depth=(1.0, 16), width=[8, 1024], group_width=(1.0, 2, 4, 8, 16, 32), wa=(8, 256))  # type: ignore[arg-type]
    assert given == Ranges()
    assert given.text == Ranges().text
    assert hash(given) == hash(Ranges())
    one, other = (sample(SPACES["RegNet"].within(each), 3, PAPER) for each in (given, Ranges()))
    assert (one.population.rows == other.population.rows).all()


@pytest.mark.parametrize(
    ("name", "floor", "roof"),
    [
        ("depth", 1, 128),
        ("width", 1, 16_384),
        ("w0", 1, 16_384),
        ("wa", 0.1, 1_000),
        ("wm", 1.01, 10),
        ("total_depth", 1, 1_024),
    ],
)
def test_a_range_may_reach_its_limits_and_not_go_beyond(name: str, floor: float, roof: float) -> None:
    def ranges(low: float, high: float) -> Ranges:
        return Ranges().changed(**{name: (low, high)})

    assert getattr(ranges(floor, roof), name) == (floor, roof)
    for low, high in ((floor * 0.99, roof), (floor, roof + 1)):
        with pytest.raises(InputError, match=f"^range of {name} is {low:g} to {high:g}; {floor:g} to"):
            ranges(low, high)
    with pytest.raises(InputError, match=f"^range of {name} is empty: {roof:g} is above {floor:g}"):
        ranges(roof, floor)


@pytest.mark.parametrize("name", ["width", "w0"])
def test_a_range_of_widths_has_a_multiple_of_eight(name: str) -> None:
    assert Ranges().changed(**{name: (8, 15)})
    with pytest.raises(InputError, match=f"^range of {name} has no multiple of 8"):
        Ranges().changed(**{name: (9, 15)})


@pytest.mark.parametrize(
    ("name", "values", "reason"),
    [
        ("group_width", (), "needs at least one value"),
        ("group_width", (8, 8), "none twice"),
        ("group_width", (0, 8), "must be between 1 and 1,024"),
        ("group_width", (8, 1_025), "must be between 1 and 1,024"),
        ("bottleneck_ratio", (), "needs at least one value"),
        ("bottleneck_ratio", (2, 2), "none twice"),
        ("bottleneck_ratio", (0,), "is .0.: bottleneck ratio 0 can't be used"),
    ],
)
def test_sets_of_values_that_can_not_be_are_refused(name: str, values: tuple[int, ...], reason: str) -> None:
    with pytest.raises(InputError, match=f"^{name} .*{reason}"):
        Ranges().changed(**{name: values})
    assert Ranges(group_width=(1, 1_024)).group_width == (1, 1_024)


def test_multiples_of_eight_lie_inside_the_bounds() -> None:
    assert multiples((8, 15)) == [8]
    assert multiples((9, 24)) == [16, 24]


def test_given_ranges_replace_others_and_none_leaves_one() -> None:
    assert Ranges(depth=(1, 2)).changed(width=(8, 64), depth=None) == Ranges(depth=(1, 2), width=(8, 64))


def test_ratios_of_a_population_are_whole_numbers_where_they_are_whole() -> None:
    whole, mixed = plain_rows(np.array([[1.0, 4.0]])), plain_rows(np.array([[1.0, 0.25]]))
    assert (whole, mixed) == ([[1, 4]], [[1, 0.25]])
    assert [type(each) for each in (*whole[0], *mixed[0])] == [int, int, int, float]


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


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("channels", 0, "channels is 0"),
        ("height", 65_537, "height is 65537"),
        ("width", 0, "width is 0"),
        ("classes", 0, "classes is 0"),
        ("stem_width", 65_537, "stem_width is 65537"),
        ("stem_stride", 0, "stem_stride is 0"),
        ("strides", (1, 0), r"strides\[1\] is 0"),
        ("strides", (), "strides has 0 entries"),
        ("strides", (1,) * 17, "strides has 17 entries"),
    ],
)
def test_a_template_that_can_not_be_is_refused(name: str, value: object, shown: str) -> None:
    fields = {"name": "mine", "channels": 1, "height": 28, "width": 28, "classes": 10}
    fields |= {"stem_width": 16, "stem_stride": 2, "strides": (1,)}
    with pytest.raises(InputError, match=f"^template: {shown}"):
        Template(**fields | {name: value})  # type: ignore[arg-type]
    largest = Template(**fields | {"height": 65_536, "strides": (2,) * 16})  # type: ignore[arg-type]
    assert largest.stage_strides(17) == (2,) * 17


def test_the_nearest_template_is_suggested() -> None:
    with pytest.raises(InputError, match="did you mean 'small'"):
        template_named("smal")
