import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regnetlab.errors import InputError
from regnetlab.spaces import sampler
from regnetlab.spaces.complexity import config_complexity
from regnetlab.spaces.law import regnet_config
from regnetlab.spaces.population import Population
from regnetlab.spaces.ranges import Ranges
from regnetlab.spaces.regime import Regime, Window
from regnetlab.spaces.sampler import sample
from regnetlab.spaces.space import ANYNET_A, REGNET, SPACES
from regnetlab.spaces.template import PAPER, SMALL

spaces = pytest.mark.parametrize("name", SPACES)
WINDOW = Regime(flops=Window(360e6, 400e6))


def columns(population: Population) -> list[list[int]]:
    return population.rows.tolist()


@spaces
def test_a_longer_sample_begins_with_the_shorter(name: str) -> None:
    short, long = (sample(SPACES[name], n, PAPER, WINDOW, seed=5) for n in (64, 128))
    assert columns(long.population)[:64] == columns(short.population)


@spaces
@pytest.mark.parametrize("most", [1, 3])
def test_the_batch_size_of_the_draw_changes_nothing(
    name: str, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = sample(SPACES[name], 3_000, SMALL, seed=1)
    monkeypatch.setattr(sampler, "_MOST_BLOCKS", most)
    assert columns(sample(SPACES[name], 3_000, SMALL, seed=1).population) == columns(usual.population)


@spaces
def test_ten_thousand_networks_satisfy_every_constraint_and_none_is_there_twice(name: str) -> None:
    space = SPACES[name]
    found = sample(space, 10_000, PAPER, seed=2).population
    assert len(found) == 10_000
    assert len(np.unique(found.rows, axis=0)) == 10_000
    assert all(constraint.holds(found).all() for constraint in space.constraints)
    assert (found.depths >= 1).all()
    assert (found.depths <= 16).all()
    assert (found.widths <= 1024).all()
    assert (found.widths % 8 == 0).all()
    assert np.isin(found.bottleneck_ratios, [1, 2, 4]).all()
    inner = found.widths // found.bottleneck_ratios
    assert (inner % found.group_widths == 0).all()
    assert (np.isin(found.group_widths, [1, 2, 4, 8, 16, 32]) | (found.group_widths == inner)).all()


@pytest.mark.parametrize(("child", "parent"), ["BA", "CB", "DC", "ED"])
def test_each_space_lies_inside_its_parent(child: str, parent: str) -> None:
    inner, outer = SPACES[f"AnyNet{child}"], SPACES[f"AnyNet{parent}"]
    assert inner.constraints[:-1] == outer.constraints


def test_regnets_are_what_their_parameters_give() -> None:
    found = sample(REGNET, 500, PAPER, seed=3).population
    for i, config in enumerate(found.configs()):
        law = {name: float(found.law[name][i]) for name in ("w0", "wa", "wm")}
        again = regnet_config(
            **law,
            depth=config.depth,
            group_width=config.group_widths[0],
            bottleneck_ratio=config.bottleneck_ratios[0],
        )
        assert again == config


@spaces
def test_a_regime_holds_for_every_network(name: str) -> None:
    regime = Regime(flops=Window(300e6, 400e6), params=Window(0, 6e6), acts=Window(1e6, 8e6))
    found = sample(SPACES[name], 50, PAPER, regime)
    for i, config in enumerate(found.population.configs()):
        counts = config_complexity(config, PAPER)
        assert counts == found.complexity.row(i)
        assert 300e6 <= counts["flops"] <= 400e6
        assert counts["params"] <= 6e6
        assert 1e6 <= counts["acts"] <= 8e6


@given(
    name=st.sampled_from(sorted(SPACES)),
    low=st.integers(1, 4),
    high=st.integers(6, 24),
    width=st.integers(8, 40).map(lambda k: 8 * k),
)
@settings(max_examples=25, deadline=None)
def test_narrowed_ranges_hold(name: str, low: int, high: int, width: int) -> None:
    if name == "RegNet":  # a law needs room to grow
        low, width = 1, width + 320
    ranges = Ranges(depth=(low, high), width=(16, width))
    found = sample(SPACES[name].within(ranges), 40, SMALL).population
    assert found.depths.min() >= low
    assert found.depths.max() <= high
    assert found.widths.min() >= 16
    assert found.widths.max() <= width


def test_different_seeds_and_spaces_draw_differently() -> None:
    first, second = (columns(sample(ANYNET_A, 64, PAPER, seed=seed).population) for seed in (0, 1))
    assert first != second
    widths = [sample(SPACES[f"AnyNet{x}"], 64, PAPER).population.widths.tolist() for x in "ABC"]
    assert widths[0] != widths[1] != widths[2]


def test_the_draw_is_the_same_on_every_machine() -> None:
    """Pinned: a change here changes every study's population, and must be meant."""
    first = {
        name: sample(space, 2, PAPER, seed=7).population.config(1).text for name, space in SPACES.items()
    }
    assert first == PINNED


PINNED = {
    "AnyNetA": "anynet:d=5,1,10,3;w=336,16,192,8;g=1,1,16,2;b=2,1,1,2",
    "AnyNetB": "anynet:d=1,7,7,3;w=64,8,40,64;g=4,4,1,16;b=2",
    "AnyNetC": "anynet:d=2,2,2,5;w=24,296,8,56;g=2;b=4",
    "AnyNetD": "anynet:d=10,1,5,1;w=16,16,16,16;g=8;b=2",
    "AnyNetE": "anynet:d=1,2,2,3;w=8,8,8,48;g=4;b=2",
    "RegNet": "anynet:d=1,2,5,8;w=16,40,96,232;g=2;b=2",
}


def test_a_regime_that_cannot_be_met_says_what_was_drawn() -> None:
    with pytest.raises(InputError) as caught:
        sample(ANYNET_A, 4, PAPER, Regime(flops=Window(1, 2)))
    message = str(caught.value)
    assert "\n" not in message
    assert "0 of 4 networks found in 2," in message
    assert "flops 1:2" in message
    assert "what was drawn had flops" in message
    assert "widen" in message


def test_a_space_with_too_few_different_networks_says_so() -> None:
    ranges = Ranges(depth=(1, 1), width=(8, 8), group_width=(1,), bottleneck_ratio=(1,))
    assert len(sample(ANYNET_A.within(ranges), 1, SMALL).population) == 1
    with pytest.raises(InputError, match=r"1 of 2 networks found.*no more different ones"):
        sample(ANYNET_A.within(ranges), 2, SMALL)


@pytest.mark.parametrize("n", [0, -3, 10**9])
def test_an_impossible_n_is_refused(n: int) -> None:
    with pytest.raises(InputError, match=f"n is {n}"):
        sample(ANYNET_A, n, PAPER)


def test_ranges_without_a_law_are_refused() -> None:
    with pytest.raises(InputError, match="RegNet: no law"):
        sample(REGNET.within(Ranges(total_depth=(1, 3))), 1, PAPER)
