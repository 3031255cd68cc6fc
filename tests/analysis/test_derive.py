import math

import numpy as np
import pytest

from regnetlab.analysis.derive import derive
from regnetlab.analysis.log_linear_fit import PopulationLaw, fit_log_linear
from regnetlab.analysis.statistics.intervals import Interval
from regnetlab.errors import InputError
from regnetlab.spaces.complexity import config_complexity
from regnetlab.spaces.config import Config
from regnetlab.spaces.law import log_linear_depths
from regnetlab.spaces.population import Population
from regnetlab.spaces.ranges import Ranges
from regnetlab.spaces.regime import Regime, Window
from regnetlab.spaces.sampler import sample
from regnetlab.spaces.space import ANYNET_E, RISING_DEPTHS, RISING_WIDTHS
from regnetlab.spaces.template import SMALL
from tests.analysis.frames import networks

RANGES = Ranges(depth=(1, 12), width=(8, 256))
REGIME = Regime(flops=Window(0.8e6, 1.2e6))


def law(growth: float, w0: float = 16.0, depth: float = 10.0) -> PopulationLaw:
    configs = list(sample(ANYNET_E.within(RANGES), 8, SMALL, REGIME).population.configs())
    exactly = lambda x: Interval(x, x, x)  # noqa: E731
    best = networks(configs, np.arange(8.0))
    return PopulationLaw(32, 8, exactly(w0), exactly(growth), 0.9, 0.95, 1.3, depth, best)


@pytest.mark.parametrize("growth", [1.3, 1.8, 2.4])
def test_derived_regnets_are_on_the_law_inside_regime_and_ranges(growth: float) -> None:
    configs = derive(law(growth), 6, SMALL, REGIME, RANGES)
    assert len(set(configs)) == len(configs) == 6
    columns = Population.of(configs)
    assert RISING_WIDTHS.holds(columns).all()
    assert RISING_DEPTHS.holds(columns).all()
    for config in configs:
        assert 0.8e6 <= config_complexity(config, SMALL)["flops"] <= 1.2e6
        assert 8 <= min(config.widths) <= max(config.widths) <= 256
        assert max(config.depths) <= 12
        assert len(set(config.group_widths)) == len(set(config.bottleneck_ratios)) == 1
        # widths are multiples of 8 and of the group width, so the growth is met as nearly as they allow
        assert fit_log_linear(config.widths, config.depths).growth == pytest.approx(growth, rel=0.3)


def test_the_nearest_to_the_best_comes_first() -> None:
    first = derive(law(1.8, depth=6), 1, SMALL, REGIME, RANGES)[0]
    last = derive(law(1.8, depth=30), 1, SMALL, REGIME, RANGES)[0]
    assert first.depth < last.depth


def test_asking_for_more_keeps_what_came_first() -> None:
    assert derive(law(1.8), 8, SMALL, REGIME, RANGES)[:3] == derive(law(1.8), 3, SMALL, REGIME, RANGES)


def test_a_law_that_does_not_grow_gives_no_regnet() -> None:
    with pytest.raises(InputError, match=r"do not grow from stage to stage \(growth 0.90\)"):
        derive(law(0.9), 3, SMALL, REGIME, RANGES)


def test_a_regime_off_the_law_says_so() -> None:
    with pytest.raises(InputError, match=r"no RegNet with growth 1\.80 lies in the regime flops 1:2"):
        derive(law(1.8), 3, SMALL, Regime(flops=Window(1, 2)), RANGES)


def test_every_regnet_on_the_law_inside_the_ranges_is_found_once() -> None:
    """By going through all of them; the ranges' ends are reached in width and in depth."""
    ranges = Ranges(depth=(2, 4), width=(16, 128), group_width=(8,), bottleneck_ratio=(1,))
    shape = law(2.0)
    expected = set()
    for w0 in range(8, 257, 8):
        for depth in range(4, 41):
            depths = log_linear_depths(depth, shape.depth_growth, 4)
            config = Config.compatible(depths, [w0 * 2**i for i in range(4)], [8], [1])
            if set(depths) <= {2, 3, 4} and min(config.widths) >= 16 and max(config.widths) <= 128:
                expected.add(config)
    found = derive(shape, 1_000, SMALL, Regime(), ranges)
    assert len(found) == len(set(found))
    assert set(found) == expected
    assert {each.widths for each in found} == {(16, 32, 64, 128)}
    assert {min(each.depths) for each in found} == {2}
    assert {max(each.depths) for each in found} == {4}


def test_nearness_is_of_the_first_width_and_the_depth_in_logs() -> None:
    for w0, depth in ((16.0, 9.0), (40.0, 20.0)):
        found = derive(law(1.8, w0=w0, depth=depth), 40, SMALL, REGIME, RANGES)
        away = [math.log(c.widths[0] / w0) ** 2 + math.log(c.depth / depth) ** 2 for c in found]
        assert away == sorted(away)


def test_group_width_and_bottleneck_ratio_are_the_commonest_of_the_best() -> None:
    shape = law(1.8)
    for column, values in (
        ("group_widths", [(4,) * 4] * 5 + [(8,) * 4] * 3),
        ("bottleneck_ratios", [(2,) * 4] * 8),
    ):
        shape.best[column] = values
    for config in derive(shape, 5, SMALL, REGIME, RANGES):
        assert (set(config.group_widths), set(config.bottleneck_ratios)) == ({4}, {2})


def test_a_growth_of_one_is_no_growth() -> None:
    with pytest.raises(InputError, match=r"do not grow from stage to stage \(growth 1\.00\)"):
        derive(law(1.0), 3, SMALL, REGIME, RANGES)
