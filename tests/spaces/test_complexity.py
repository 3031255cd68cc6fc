"""Counts of one block by hand; that they equal the module's is tested with the models."""

import pytest

from regnetlab.spaces.complexity import config_complexity
from regnetlab.spaces.config import Config
from regnetlab.spaces.template import Template

TINY = Template("tiny", 1, 8, 8, 2, stem_width=4, stem_stride=2, strides=(1,))


def added_by_squeeze(config: Config) -> dict[str, int]:
    without = Config(config.depths, config.widths, config.group_widths, config.bottleneck_ratios)
    before, after = config_complexity(without, TINY), config_complexity(config, TINY)
    return {name: after[name] - before[name] for name in ("flops", "params", "acts")}


def test_a_squeeze_adds_two_linear_layers_on_one_pixel() -> None:
    """From v = 6 to s = 4 · 0.5 = 2 and back: weights twice 12, biases 2 and 6."""
    config = Config((1,), (6,), (6,), (1,), se_ratio=0.5)
    assert added_by_squeeze(config) == {"flops": 24, "params": 32, "acts": 8}


def test_the_width_of_a_squeeze_is_of_the_blocks_input() -> None:
    """The second block has an input of 6 channels, s = 3."""
    config = Config((2,), (6,), (6,), (1,), se_ratio=0.5)
    assert added_by_squeeze(config) == {"flops": 24 + 36, "params": 32 + 45, "acts": 8 + 9}


@pytest.mark.parametrize(("ratio", "params"), [(0.1, 0), (0.25, 19)])
def test_a_squeeze_that_rounds_to_nothing_is_left_out_and_one_of_one_is_not(
    ratio: float, params: int
) -> None:
    assert added_by_squeeze(Config((1,), (6,), (6,), (1,), se_ratio=ratio))["params"] == params
