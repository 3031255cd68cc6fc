"""The closed form against counts layer by layer; that they are the module's is tested with the models."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regnetlab.errors import InputError
from regnetlab.spaces.complexity import _upper_bound, config_complexity
from regnetlab.spaces.config import Config
from regnetlab.spaces.population import Population
from regnetlab.spaces.template import Template
from tests.spaces.test_config import configs

TINY = Template("tiny", 1, 8, 8, 2, stem_width=4, stem_stride=2, strides=(1,))


class Counter:
    """Counts of layers as they come, on feature maps of ``side`` × ``side``."""

    def __init__(self) -> None:
        self.counts = {"flops": 0, "params": 0, "acts": 0}

    def conv(self, n_in: int, n_out: int, kernel: int, side: int, groups: int = 1) -> None:
        """A convolution without bias, and its batch norm."""
        weights = n_out * (n_in // groups) * kernel**2
        self._add(weights * side**2, weights + 2 * n_out, n_out * side**2)

    def linear(self, n_in: int, n_out: int) -> None:
        self._add(n_in * n_out, n_in * n_out + n_out, n_out)

    def _add(self, *counts: int) -> None:
        for name, count in zip(self.counts, counts, strict=True):
            self.counts[name] += count


def layer_by_layer(config: Config, template: Template) -> dict[str, int]:
    """Radosavovic et al. 2020, section 3.1 and figures 3 and 4, on square inputs."""
    counter = Counter()
    side = -(-template.height // template.stem_stride)
    before = template.stem_width
    counter.conv(template.channels, before, 3, side)
    stages = zip(
        config.depths,
        config.widths,
        config.inner_widths,
        config.group_widths,
        template.stage_strides(config.stages),
        strict=True,
    )
    for depth, width, inner, group_width, first_stride in stages:
        for block in range(depth):
            stride = 1 if block else first_stride
            counter.conv(before, inner, 1, side)
            shrunk = -(-side // stride)
            counter.conv(inner, inner, 3, shrunk, groups=inner // group_width)
            squeezed = round(before * config.se_ratio)
            if squeezed:
                counter.linear(inner, squeezed)
                counter.linear(squeezed, inner)
            counter.conv(inner, width, 1, shrunk)
            if before != width or stride != 1:
                counter.conv(before, width, 1, shrunk)
            side, before = shrunk, width
    counter.linear(before, template.classes)
    return counter.counts


@given(
    configs,
    st.integers(1, 3),
    st.integers(5, 40),
    st.integers(1, 20),
    st.tuples(st.integers(1, 2), st.lists(st.integers(1, 2), min_size=1, max_size=4)),
)
def test_counts_are_those_of_the_layers_one_by_one(
    config: Config, channels: int, side: int, classes: int, strides: tuple[int, list[int]]
) -> None:
    template = Template("any", channels, side, side, classes, 16, strides[0], tuple(strides[1]))
    assert config_complexity(config, template) == layer_by_layer(config, template)


@pytest.mark.parametrize("ratio", [0.1, 0.25, 0.5, 1.0])  # of 4 and 6 channels; 0.1 leaves nothing
def test_a_squeeze_is_as_wide_as_the_share_of_its_blocks_input(ratio: float) -> None:
    config = Config((2, 1), (6, 12), (6, 3), (1, 2), se_ratio=ratio)
    assert config_complexity(config, TINY) == layer_by_layer(config, TINY)


def test_counts_beyond_63_bits_are_refused() -> None:
    huge = Template("huge", 3, 65_536, 65_536, 10, stem_width=16, stem_stride=1, strides=(1,))
    with pytest.raises(InputError, match=r"about .* flops, too many to count"):
        config_complexity(Config.compatible([1_024], [16_384], [1], [1]), huge)


def test_large_counts_that_fit_63_bits_are_exact() -> None:
    large = Template("large", 3, 16_384, 16_384, 10, stem_width=16, stem_stride=1, strides=(1,))
    config = Config.compatible([12], [4_096], [8], [4])
    assert config_complexity(config, large) == layer_by_layer(config, large)


def test_an_upper_bound_is_above_every_count() -> None:
    template = Template("t", 3, 224, 224, 1_000, stem_width=32, stem_stride=1, strides=(1, 2))
    for ratio in (1 / 16, 1, 4):
        config = Config.compatible([2, 3], [64, 128], [8], [ratio], se_ratio=1.0)
        assert max(config_complexity(config, template).values()) < _upper_bound(
            Population.of([config]), template
        )
