import math

import numpy as np
import pandas as pd
import pytest

from regnetlab.analysis.derive import _candidates, _growths, derive, told_se_ratio
from regnetlab.analysis.log_linear_fit import fit_log_linear
from regnetlab.analysis.population_law import DOES_NOT_GROW, GROWS, NO_EVIDENCE, Claim, PopulationLaw
from regnetlab.analysis.statistics.intervals import Interval
from regnetlab.errors import InputError
from regnetlab.spaces.complexity import config_complexity
from regnetlab.spaces.config import Config
from regnetlab.spaces.constraints import RISING_DEPTHS, RISING_WIDTHS
from regnetlab.spaces.law import log_linear_depths
from regnetlab.spaces.population import Population
from regnetlab.spaces.ranges import Ranges
from regnetlab.spaces.regime import Regime, Window
from regnetlab.spaces.template import SMALL

RANGES = Ranges(depth=(1, 12), width=(8, 256))
REGIME = Regime(flops=Window(0.8e6, 1.2e6))


def law(
    growth: float,
    ends: tuple[float, float] | None = None,
    w0: float = 16.0,
    depth: float = 10.0,
    claim: Claim = GROWS,
    group_width: float = 8.0,
    ratio: float = 1.0,
) -> PopulationLaw:
    low, high = ends or (growth, growth)
    return PopulationLaw(
        n=32,
        n_best=8,
        claim=claim,
        reason="it bends nowhere" if claim == NO_EVIDENCE else None,
        growth=Interval(growth, low, high),
        inside=claim != NO_EVIDENCE,
        w0=Interval(w0, w0, w0),
        w0_inside=True,
        depth=depth,
        depth_growth=1.3,
        group_width=group_width,
        bottleneck_ratio=ratio,
        growth_best=growth,
        r2=0.9,
        median_r2=0.95,
        best=pd.DataFrame(),
    )


def growth_of(config: Config) -> float:
    return fit_log_linear(config.widths, config.depths).growth


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
        assert growth_of(config) == pytest.approx(growth, rel=0.3)


def test_they_cover_the_interval_of_growth_its_estimate_first() -> None:
    shape = law(1.9, (1.4, 2.6), group_width=1.0)
    growths = [growth_of(each) for each in derive(shape, 8, SMALL, REGIME, RANGES)]
    assert growths[:3] == pytest.approx([1.9, 1.4, 2.6], rel=0.1)
    assert sorted(growths) == pytest.approx(
        sorted([1.9, *(1.4 * (2.6 / 1.4) ** each for each in (0, 1, 1 / 2, 1 / 4, 3 / 4, 1 / 8, 3 / 8))]),
        rel=0.1,
    )


@pytest.mark.parametrize("n", [1, 3, 8, 20, 60])
def test_asking_for_more_keeps_what_came_first(n: int) -> None:
    shape = law(1.9, (1.4, 2.6))
    found = derive(shape, n, SMALL, REGIME, RANGES)
    assert found == derive(shape, 60, SMALL, REGIME, RANGES)[:n]
    assert len(set(found)) == n


def test_the_nearest_to_the_laws_depth_comes_first() -> None:
    first = derive(law(1.8, depth=6), 1, SMALL, REGIME, RANGES)[0]
    last = derive(law(1.8, depth=30), 1, SMALL, REGIME, RANGES)[0]
    assert first.depth < last.depth


def test_nearness_is_of_the_first_width_and_the_depth_in_logs() -> None:
    only = Ranges(depth=(1, 12), width=(8, 256), group_width=(8,), bottleneck_ratio=(1,))
    for w0, depth in ((16.0, 9.0), (40.0, 20.0)):
        found = derive(law(1.8, w0=w0, depth=depth), 40, SMALL, REGIME, only)
        away = [math.log(c.widths[0] / w0) ** 2 + math.log(c.depth / depth) ** 2 for c in found]
        assert away == sorted(away)


@pytest.mark.parametrize(
    ("claim", "why"),
    [
        (NO_EVIDENCE, "the width law is undecided"),
        (DOES_NOT_GROW, "^the widths of good networks do not grow"),
    ],
)
def test_only_a_law_that_claims_growth_gives_regnets_unless_forced(claim: Claim, why: str) -> None:
    shape = law(1.8, (0.8, 2.2), claim=claim)
    with pytest.raises(InputError, match=why):
        derive(shape, 3, SMALL, REGIME, RANGES)
    growths = [growth_of(each) for each in derive(shape, 9, SMALL, REGIME, RANGES, force=True)]
    assert min(growths) >= 1  # a RegNet's widths never fall


def test_a_regime_off_the_law_says_so() -> None:
    with pytest.raises(
        InputError, match=r"no RegNet with growth 1\.80 to 1\.80 lies in the regime flops 1:2"
    ):
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


@pytest.mark.parametrize(("group_width", "ratio", "pair"), [(3.5, 1.9, (4, 2)), (1.2, 4.0, (1, 4))])
def test_group_width_and_bottleneck_ratio_are_the_nearest_allowed(
    group_width: float, ratio: float, pair: tuple[int, int]
) -> None:
    for config in derive(law(1.8, group_width=group_width, ratio=ratio), 5, SMALL, REGIME, RANGES):
        assert (set(config.group_widths), set(config.bottleneck_ratios)) == ({pair[0]}, {pair[1]})


def test_a_group_width_that_does_not_fit_gives_way_to_the_next() -> None:
    (config,) = derive(law(2.2, group_width=32.0), 1, SMALL, REGIME, RANGES)
    assert config.group_widths[0] < 32
    assert config.group_widths[0] == config.group_widths[-1]


def test_widths_alone_are_enough_for_a_law() -> None:
    assert derive(law(1.8, group_width=math.nan, ratio=math.nan), 2, SMALL, REGIME, RANGES)
    assert np.isfinite(law(1.8).depth)


def test_growths_halve_the_interval_in_logs_the_estimate_first() -> None:
    found = np.log2(_growths(law(4.0, (2.0, 32.0))))
    assert found[0] == pytest.approx(2)
    sixteenths = np.r_[0, 16, 8, 4, 12, 2, 6, 10, 14, 1, 3, 5, 7, 9, 11, 13, 15] / 16
    # one of them is the estimate again, which is not repeated
    expected = [2.0, *(1 + 4 * each for each in sixteenths if each != 0.25)]
    assert found.tolist() == pytest.approx(expected)


def test_the_squeeze_and_excitation_of_the_networks_is_counted_and_kept() -> None:
    shape = law(1.8)
    plain, squeezed = (derive(shape, 40, SMALL, REGIME, RANGES, se_ratio) for se_ratio in (0.0, 0.25))
    assert {each.se_ratio for each in squeezed} == {0.25}
    assert {each.se_ratio for each in plain} == {0.0}
    for config in squeezed:
        assert 0.8e6 <= config_complexity(config, SMALL)["flops"] <= 1.2e6
    by_shape = [{(each.depths, each.widths) for each in configs} for configs in (plain, squeezed)]
    assert by_shape[0] != by_shape[1]  # near the window's ends others lie inside


@pytest.mark.parametrize(
    ("told", "ratio"), [([0.25, 0.25], 0.25), ([0.25, 0.5], 0.0), (["0.25", "0.25"], 0.0), (None, 0.0)]
)
def test_the_ratio_that_files_tell_is_the_one_that_all_their_networks_have(
    told: list[float | str] | None, ratio: float
) -> None:
    frame = pd.DataFrame({"space": ["A", "A"]} | ({} if told is None else {"se_ratio": told}))
    assert told_se_ratio(frame) == ratio


def test_as_many_are_derived_as_were_asked_for_and_no_more() -> None:
    assert [len(derive(law(1.8, (1.3, 2.4)), n, SMALL, REGIME, RANGES)) for n in (1, 2, 7)] == [1, 2, 7]


@pytest.mark.parametrize(
    ("ranges", "widths", "depths"),
    [
        (Ranges((1, 2), (12, 24), (8,), (1,)), {(16, 16, 16, 16), (24, 24, 24, 24)}, {4, 5, 6, 7, 8}),
        (Ranges((1, 1), (8, 8), (8,), (1,)), {(8, 8, 8, 8)}, {4}),
        (Ranges((1, 1), (8, 8), (16,), (1,)), set(), set()),
    ],
)
def test_candidates_reach_the_ends_of_the_ranges_and_not_beyond(
    ranges: Ranges, widths: set[tuple[int, ...]], depths: set[int]
) -> None:
    found = _candidates(1.0, 1.0, ranges.group_width[0], 1.0, 4, ranges)
    if not widths:
        assert found is None
        return
    assert found is not None
    assert {tuple(each) for each in found.widths.tolist()} == widths
    assert {sum(each) for each in found.depths.tolist()} == depths
    assert len(found.widths) == len(widths) * len({tuple(each) for each in found.depths.tolist()})
