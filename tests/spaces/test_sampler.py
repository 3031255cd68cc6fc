import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regnetlab.errors import InputError
from regnetlab.spaces import sampler
from regnetlab.spaces.complexity import complexity, config_complexity
from regnetlab.spaces.custom import custom_space
from regnetlab.spaces.draws import draws_of, law_bounds
from regnetlab.spaces.law import RegNetLaw
from regnetlab.spaces.population import Population
from regnetlab.spaces.ranges import Ranges
from regnetlab.spaces.regime import Regime, Window, format_count
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
        again = RegNetLaw(
            **law,
            depth=config.depth,
            group_width=config.group_widths[0],
            bottleneck_ratio=config.bottleneck_ratios[0],
        ).config
        assert again == config


def test_a_regnet_has_every_group_width_with_every_bottleneck_ratio() -> None:
    ranges = Ranges(group_width=(1, 4, 8), bottleneck_ratio=(1, 2))
    found = sample(REGNET.within(ranges), 500, PAPER).population
    pairs = set(zip(found.group_widths[:, 0].tolist(), found.bottleneck_ratios[:, 0].tolist(), strict=True))
    assert pairs == {(g, b) for g in (1, 4, 8) for b in (1, 2)}


def test_the_ends_of_a_laws_ranges_are_drawn_and_nothing_beyond_them() -> None:
    ranges = Ranges(depth=(1, 3), width=(8, 512), total_depth=(4, 9), wa=(40.0, 40.2), wm=(2.0, 2.002))
    found = sample(REGNET.within(ranges), 150, PAPER).population
    assert set(found.depths.sum(axis=1).tolist()) == set(range(4, 10))
    assert set(found.depths.ravel().tolist()) == {1, 2, 3}
    assert set(found.law["wa"].tolist()) == {40.0, 40.1, 40.2}
    assert set(found.law["wm"].tolist()) == {2.0, 2.001, 2.002}
    widest = Ranges(width=(8, int(found.widths.max())))
    assert sample(REGNET.within(widest), 2_000, PAPER).population.widths.max() == widest.width[1]


def test_the_depths_of_a_law_are_those_that_all_its_stages_can_have() -> None:
    assert law_bounds(Ranges(), 4)[:2] == (4, 63)
    assert law_bounds(Ranges(depth=(2, 5)), 4)[:2] == (8, 20)
    assert law_bounds(Ranges(total_depth=(10, 12)), 4)[:2] == (10, 12)
    one = sample(REGNET.within(Ranges(depth=(1, 1))), 5, PAPER).population
    assert (one.depths == 1).all()


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


def test_what_was_drawn_is_said_of_all_draws_and_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampler, "_PATIENCE", 8_192)
    monkeypatch.setattr(sampler, "_MOST_BLOCKS", 1)
    regime = Regime(flops=Window(1, 2), params=Window(0, 1e9))
    with pytest.raises(InputError) as caught:
        sample(ANYNET_A, 4, PAPER, regime, seed=9)
    drawn = sampler._words(sampler._key(ANYNET_A, PAPER, 9), 0, 2, draws_of(ANYNET_A, 4).words)
    counts = complexity(draws_of(ANYNET_A, 4).draw(drawn)[0], PAPER)
    had = ", ".join(
        f"{name} {' to '.join(format_count(float(f'{end:.3g}')) for end in (column.min(), column.max()))}"
        for name, column in (("flops", counts.flops), ("params", counts.params))
    )
    assert str(caught.value) == (
        "AnyNetA: 0 of 4 networks found in 8,192 draws at flops 1:2, params :1G; what was drawn had"
        f" {had}; widen or move the window, change the ranges, or ask for fewer"
    )


def test_where_no_draw_satisfies_what_to_loosen_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sampler, "_PATIENCE", 4_096)
    steep = Ranges(wa=(999.0, 1_000.0), wm=(1.5, 1.5), total_depth=(60, 63))
    with pytest.raises(InputError, match=r"ranges and constraints; widen depth, width, w0, wa or wm$"):
        sample(REGNET.within(steep), 1, PAPER)
    never = custom_space("never", "AnyNetA", {"small": "w < 0", "smaller": "w < -1"})
    with pytest.raises(InputError, match=r"ranges and constraints; loosen small, smaller, or the ranges$"):
        sample(never, 1, PAPER)


def test_a_search_goes_on_while_there_are_new_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Patience counts from the newest network, wherever it was among the draws."""
    ranges = Ranges(depth=(1, 2), width=(8, 16), group_width=(1,), bottleneck_ratio=(1,))
    space = ANYNET_A.within(ranges)
    monkeypatch.setattr(sampler, "_MOST_BLOCKS", 1)
    monkeypatch.setattr(sampler, "_PATIENCE", 8_192)
    with pytest.raises(InputError) as caught:
        sample(space, 1_000, SMALL)
    found = sample(space, 256, SMALL)  # 2⁴ depths times 2⁴ widths
    words = sampler._words(sampler._key(space, SMALL, 0), 0, found.drawn // sampler._BLOCK, 8)
    rows = draws_of(space, 4).draw(words)[0].rows
    newest = max(np.unique(rows, axis=0, return_index=True)[1])
    expected = -(-(newest + 8_192) // sampler._BLOCK) * sampler._BLOCK
    assert f"256 of 1,000 networks found in {expected:,} draws" in str(caught.value)


def test_a_space_with_too_few_different_networks_says_so() -> None:
    ranges = Ranges(depth=(1, 1), width=(8, 8), group_width=(1,), bottleneck_ratio=(1,))
    assert len(sample(ANYNET_A.within(ranges), 1, SMALL).population) == 1
    with pytest.raises(InputError, match=r"1 of 2 networks found.*no more different ones"):
        sample(ANYNET_A.within(ranges), 2, SMALL)


def test_seeds_are_counted_from_0_to_2_to_the_63() -> None:
    assert columns(sample(ANYNET_A, 3, PAPER).population) == columns(
        sample(ANYNET_A, 3, PAPER, seed=0).population
    )
    assert len(sample(ANYNET_A, 1, PAPER, seed=2**63 - 1).population) == 1
    for seed in (-1, 2**63):
        with pytest.raises(InputError, match="seed is"):
            sample(ANYNET_A, 1, PAPER, seed=seed)


@pytest.mark.parametrize("n", [0, -3, 10**9])
def test_an_impossible_n_is_refused(n: int) -> None:
    with pytest.raises(InputError, match=f"n is {n}"):
        sample(ANYNET_A, n, PAPER)


def test_ranges_without_a_law_are_refused() -> None:
    with pytest.raises(InputError, match="RegNet: no law"):
        sample(REGNET.within(Ranges(total_depth=(1, 3))), 1, PAPER)


@given(st.integers(0, 2**32), st.sampled_from([-2, 0, 30_000]))
@settings(max_examples=60, deadline=None)
def test_rows_met_before_are_those_that_a_set_finds(seed: int, largest: int) -> None:
    random = np.random.default_rng(seed)
    found = sampler._Found(ANYNET_A, draws_of(ANYNET_A, 2), PAPER, Regime())
    known: set[tuple[int, ...]] = set()
    for _ in range(random.integers(1, 9)):
        rows = random.integers(-3, largest, (random.integers(0, 60), 8))
        new = []
        for index, row in enumerate(map(tuple, rows.tolist())):
            if row not in known:
                known.add(row)
                new.append(index)
        assert found.unseen(rows).tolist() == new
