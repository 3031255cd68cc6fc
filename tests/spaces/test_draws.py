"""The chain draws exactly what rejection would: the point on which every comparison of spaces rests."""

from decimal import Decimal
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from regnetlab.spaces.draws import chain_of, draws_of, free_chain, log_uniform_weights
from regnetlab.spaces.ranges import Ranges
from regnetlab.spaces.space import ANYNET_A, SPACES, DesignSpace


def words(n: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 2**32, (n, width), dtype=np.uint64)


def test_rising_sequences_have_the_weight_of_their_product() -> None:
    weights, stages = [5, 1, 3], 3
    count = np.arange(3)
    chain = chain_of(weights, count, np.full(3, 3), stages)
    drawn = chain.draw(words(60_000, stages).T).T
    sequences = [s for s in product(range(3), repeat=stages) if list(s) == sorted(s)]
    chances = np.array([float(np.prod([weights[i] for i in s])) for s in sequences])
    seen = [int((drawn == s).all(axis=1).sum()) for s in sequences]
    assert sum(seen) == len(drawn)
    assert stats.chisquare(seen, chances / chances.sum() * len(drawn)).pvalue > 1e-3


def test_free_stages_do_not_depend_on_each_other() -> None:
    drawn = free_chain([1, 2, 3, 4], 2).draw(words(40_000, 2).T).T
    table = np.zeros((4, 4))
    np.add.at(table, (drawn[:, 0], drawn[:, 1]), 1)
    assert stats.chi2_contingency(table).pvalue > 1e-3


@given(st.lists(st.integers(0, 50), min_size=1, max_size=40).filter(any), st.integers(0, 2**32))
@settings(max_examples=50, deadline=None)
def test_the_guide_finds_what_a_search_finds(weights: list[int], seed: int) -> None:
    (stage,) = free_chain(weights, 1).stages
    random = np.random.default_rng(seed)
    edges = stage.steps[:-1]
    points = np.concatenate([random.integers(0, 2**63, 500, np.uint64), edges, edges - (edges > 0)])
    points = points[points < 2**63].astype(np.uint64)
    assert (stage.at(points) == np.searchsorted(stage.steps, points, side="right") - 1).all()


def test_the_steps_of_a_stage_are_exact_shares_of_what_may_still_come() -> None:
    """After 0 all three states may come, after 1 the last two, after 2 the last: futures 9, 4 and 3."""
    first, second = chain_of([5, 1, 3], np.arange(3), np.full(3, 3), 2).stages
    assert second.steps.tolist() == [(part << 63) // 9 for part in (0, 5, 6, 9)]
    assert first.steps.tolist() == [(part << 63) // 58 for part in (0, 45, 49, 58)]


@pytest.mark.parametrize("stages", [2, 3])
def test_a_draw_is_exact_to_the_last_bit_of_its_word(stages: int) -> None:
    """Also where all that may follow has a few points of 2⁶³, as after 3 in the last of two stages."""
    weights = [3, 2, 7, 2**61 + 1, 11]
    chain = chain_of(weights, np.array([0, 1, 0, 0, 0]), np.array([5, 4, 3, 3, 3]), stages)
    random = words(4_000, stages).T
    random[:, ::7] = 2**32 - 1  # the last point of each slice
    states = chain.draw(random)
    for k in range(random.shape[1]):
        low, high = 0, 5
        for stage, word, state in zip(
            chain.stages, random[:, k].tolist(), states[:, k].tolist(), strict=True
        ):
            steps = [int(step) for step in stage.steps]
            point = steps[low] + (steps[high] - steps[low]) * word // 2**32
            assert state == max(i for i in range(low, high) if steps[i] <= point)
            low, high = int(chain.low[state]), int(chain.high[state])


def test_what_is_too_light_for_a_draw_still_comes_where_nothing_else_may() -> None:
    """One in 10⁴⁵ has no point among 2⁶³, but is all that may follow."""
    chain = chain_of([3**95, 1, 7**50], np.full(3, 1), np.full(3, 2), 2)
    assert chain.stages[1].steps[1] == chain.stages[1].steps[2]
    states = chain.draw(words(1_000, 2).T)
    assert set(states[0].tolist()) == {0, 2}
    assert set(states[1].tolist()) == {1}


def test_depths_that_begin_above_one_are_log_uniform_too() -> None:
    ranges = Ranges(depth=(4, 6), width=(8, 8), group_width=(1,), bottleneck_ratio=(1,))
    source = draws_of(ANYNET_A.within(ranges), stages=1)
    population, _ = source.draw(words(60_000, source.words).T)
    counts = np.bincount(population.depths[:, 0])[4:]
    shares = np.diff(np.log([3, 4, 5, 6])) / np.log(2)
    assert stats.chisquare(counts, shares * counts.sum()).pvalue > 1e-3


def test_log_uniform_weights_are_those_of_logarithms() -> None:
    values = [8, 16, 24, 32]
    edges = np.log([4, 8, 16, 24, 32])
    expected = np.diff(edges) / (edges[-1] - edges[0])
    weights = np.array(log_uniform_weights(values, 8)) / 2**40
    assert weights == pytest.approx(expected, abs=1e-10)
    assert log_uniform_weights([Decimal("0.5")], Decimal("0.1")) == [2**40]


@pytest.mark.parametrize("name", ["AnyNetB", "AnyNetC", "AnyNetD", "AnyNetE"])
def test_drawing_a_space_equals_drawing_anynet_a_and_rejecting(name: str) -> None:
    """Every network's frequency, on ranges small enough to count them all."""
    ranges = Ranges(depth=(1, 2), width=(8, 24), group_width=(4, 16), bottleneck_ratio=(1, 2))
    space = SPACES[name].within(ranges)
    direct = _frequencies(space, 150_000, seed=1)
    rejected = _frequencies(ANYNET_A.within(ranges), 900_000, seed=2, keep=space)
    assert set(direct) == set(rejected)
    names = [key for key in direct if direct[key] + rejected[key] >= 20]
    table = [[counts[key] for key in names] for counts in (direct, rejected)]
    assert stats.chi2_contingency(table).pvalue > 1e-3


def _frequencies(space: DesignSpace, n: int, seed: int, keep: DesignSpace | None = None) -> dict[bytes, int]:
    source = draws_of(space, stages=2)
    population, _ = source.draw(words(n, source.words, seed).T)
    for constraint in (keep or space).constraints:
        population = population.take(constraint.holds(population))
    rows, counts = np.unique(population.rows, axis=0, return_counts=True)
    return {row.tobytes(): int(count) for row, count in zip(rows, counts, strict=True)}
