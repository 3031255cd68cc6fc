import pytest
from hypothesis import given
from hypothesis import strategies as st

from regnetlab.errors import InputError
from regnetlab.spaces.config import MAX_STAGES, MAX_WIDTH, Config, notation
from regnetlab.spaces.law import parse_config

stage = st.tuples(
    st.integers(1, 16),
    st.integers(1, 128).map(lambda k: 8 * k),
    st.sampled_from([1, 2, 4, 8, 16, 32]),
    st.sampled_from([1, 2, 4, 1 / 2, 1 / 3, 1 / 4]),
)
configs = st.lists(stage, min_size=1, max_size=5).map(
    lambda rows: Config.compatible(*(list(column) for column in zip(*rows, strict=True)))
)


def test_squeeze_ratios_that_differ_have_different_texts_and_ids() -> None:
    one, other = (parse_config(f"anynet:d=1;w=64;se={each}") for each in ("0.1234567", "0.12345668"))
    assert one != other
    assert one.text != other.text
    assert one.id != other.id
    for config in (one, other):
        assert parse_config(config.text) == config


@given(configs)
def test_notation_reads_back_as_the_same_network(config: Config) -> None:
    assert parse_config(config.text) == config
    assert parse_config(config.text).id == config.id


def test_one_value_stands_for_every_stage() -> None:
    short = parse_config("anynet:d=1,2,7,12;w=32,64,160,384;g=16;b=1")
    long = parse_config("anynet:d=1,2,7,12;w=32,64,160,384;g=16,16,16,16;b=1,1,1,1")
    assert short == long
    assert short.text == "anynet:d=1,2,7,12;w=32,64,160,384;g=16;b=1"


def test_commas_separate_fields_as_well_as_values() -> None:
    assert parse_config("anynet:d=1,2,3,w=8,16,32,g=8") == parse_config("anynet:d=1,2,3;w=8,16,32;g=8")


def test_the_identity_of_a_network_is_the_same_in_every_release() -> None:
    """Stores know networks by it."""
    assert parse_config("anynet:d=1,2,7,12;w=32,64,160,384;g=16").id == "4f7bf373c12f"


def test_squeeze_and_excitation_is_written_where_there_is_one() -> None:
    config = parse_config("anynet:d=1;w=8;se=0.25")
    assert config.text == "anynet:d=1;w=8;g=1;b=1;se=0.25"
    assert Config.compatible([1], [8], [1], [1]).se_ratio == 0
    assert notation([1], [8], [1], [1]) == "anynet:d=1;w=8;g=1;b=1"
    assert parse_config("anynet:d=1;w=8;se=1").se_ratio == 1


def test_a_ratio_below_one_widens_the_block_inside() -> None:
    config = parse_config("anynet:d=1,1;w=16,24;g=1;b=1/6")
    assert config.inner_widths == (96, 144)
    assert parse_config("anynet:d=1;w=16;b=1/16").inner_widths == (256,)
    assert parse_config("anynet:d=1;w=2048;b=1024").inner_widths == (2,)
    assert config == parse_config("anynet:d=1,1;w=16,24;g=1;b=0.1667") == parse_config(config.text)


def test_regnet_notation_is_the_published_network() -> None:
    config = parse_config("regnet:w0=24,wa=24.48,wm=2.54,d=22,g=16,b=1")
    assert config.text == "anynet:d=1,2,7,12;w=32,64,160,384;g=16;b=1"


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("anynet:d=1,2;w=8", "one per stage"),
        ("anynet:d=1;w=0", "between 1 and"),
        ("anynet:d=0;w=8", "depth 0"),
        ("anynet:d=1", "w is missing"),
        ("anynet:d=1;w=8;x=3", "'x' is not known"),
        ("anynet:d=1;w=8;w=8", "given twice"),
        ("anynet:d=1;w", "'w' is not name=value"),
        ("anynet:d=1;w=", "'w=' is not name=value"),
        ("anynet:d=1;w=8=9", "w=8=9 is not a list"),
        ("anynet:d=one;w=8", "d=one is not a list of whole numbers"),
        ("anynet:d=1;w=eight", "w=eight is not a list of whole numbers"),
        ("anynet:d=1;w=8;g=x", "g=x is not a list of whole numbers"),
        ("anynet:d=1;w=1234567890", "whole numbers"),
        ("anynet:d=1;w=123456789", "w=123456789 is not between 1 and"),
        ("anynet:d=1;w=8;g=0", "g=0 is not between 1 and"),
        ("anynet:d=1,1;w=8,8;g=1,2,3", "g has 3 entries; give one, or one for each"),
        ("anynet:d=1,1;w=8,8;b=1,2,4", "b has 3 entries; give one, or one for each"),
        ("anynet:d=1;w=8;se=x", "se=x is not a number"),
        ("anynet:", "missing"),
        ("regnet:w0=24", "missing"),
        ("regnet:w0=24,wa=nan,wm=2,d=3,g=8", "wa=nan is not a number"),
        ("regnet:w0=24,wa=24,wm=1,d=3,g=8", "wm > 1"),
        ("regnet:w0=24,wa=24,wm=2,d=2.5,g=8", "d=2.5 is not a whole number"),
        ("regnet:w0=24,wa=24,wm=2,d=3,g=8.5", "g=8.5 is not a whole number"),
        ("regnet:w0=24,wa=24,wm=2,d=100000,g=8", "depth must be"),
        ("anynet:d=1;w=8;se=2", "not in 0 to 1"),
        (
            "anynet:d=1;w=8;b=0.7",
            "bottleneck ratio 0.7 can't be used; it must be a whole number of 1 to 1,024, or one over",
        ),
        ("anynet:d=1;w=8;b=0.4", "bottleneck ratio 0.4"),
        ("anynet:d=1;w=8;b=1/17", "bottleneck ratio 0.0588235"),
        ("anynet:d=1;w=8;b=1025", "bottleneck ratio 1025"),
        ("anynet:d=1;w=8;b=1/0", "bottleneck ratio '1/0'"),
        ("anynet:d=1;w=8;b=nan", "bottleneck ratio nan"),
        ("anynet:d=1;w=8;b=-1", "bottleneck ratio -1"),
        ("anynet:d=1;w=8;b=0", "bottleneck ratio 0"),
        ("anynet:d=1;w=8;b=inf", "bottleneck ratio inf"),
        ("regnet:w0=24,wa=24,wm=2,d=3,g=8,b=2.5", "bottleneck ratio 2.5"),
    ],
)
def test_bad_notation_says_what_is_wrong(text: str, part: str) -> None:
    with pytest.raises(InputError, match=r"^[^\n]+$") as caught:
        parse_config(text)
    assert part in str(caught.value)


def test_a_config_that_does_not_divide_is_refused() -> None:
    with pytest.raises(InputError, match="does not divide into groups of 16"):
        Config((1,), (24,), (16,), (1,))


def test_columns_of_different_lengths_and_too_many_stages_are_refused() -> None:
    with pytest.raises(InputError, match="have 2, 2, 1, 2 entries"):
        Config((1, 2), (8, 8), (8,), (1, 1))
    longest = Config.compatible([1] * MAX_STAGES, [MAX_WIDTH] * MAX_STAGES, [1], [1])
    assert longest.stages == MAX_STAGES
    with pytest.raises(InputError, match="have 17, 17, 17, 17 entries"):
        Config.compatible([1] * 17, [8] * 17, [1], [1])
