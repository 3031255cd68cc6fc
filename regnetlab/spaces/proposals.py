"""Raw draws: random words in, networks of a space out.

A proposal gives networks of the space's distribution before the regime and whatever constraint it did
not build in are judged; ``sampler`` does that. Depths and widths are log-uniform, group widths and
bottleneck ratios uniform (Radosavovic et al. 2020, section 3.2); RegNet's parameters as there in
section 3.3: d uniform, w_0, w_a and w_m log-uniform.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import product
from typing import Protocol

import numpy as np

from regnetlab.errors import InputError
from regnetlab.spaces.arrays import Floats, Ints, Words
from regnetlab.spaces.chain import Chain, chain_of, free_chain, log_uniform_weights
from regnetlab.spaces.compatibility import make_compatible
from regnetlab.spaces.constraints import QUANTIZED_LINEAR, Constraint, Link
from regnetlab.spaces.law import quantized_stages
from regnetlab.spaces.population import Population
from regnetlab.spaces.ranges import WIDTH_STEP, Ranges
from regnetlab.spaces.space import DesignSpace


class Proposal(Protocol):
    """``draw`` maps 32-bit words of shape (``words``, n) to at most n networks.

    The second result holds the column that each network came from, ascending; one whose words give no
    network is left out. Every network satisfies the constraints that are ``built_in``.
    """

    @property
    def built_in(self) -> frozenset[Constraint]: ...

    @property
    def words(self) -> int: ...

    def draw(self, words: Words) -> tuple[Population, Ints]: ...


def proposal(space: DesignSpace, stages: int) -> Proposal:
    """How to draw networks of ``stages`` stages from this space."""
    if QUANTIZED_LINEAR in space.constraints:
        return _law_proposal(space.ranges, stages)
    linked = frozenset(each for each in space.constraints if each.link is not None)
    return _linked_proposal(space.ranges, linked, stages)


@dataclass(frozen=True, slots=True)
class _Linked:
    """Stages drawn one after another, each given the one before it."""

    blocks: Chain  # over the compatible (w, g, b) of a stage
    widths: Ints
    group_widths: Ints
    bottleneck_ratios: Floats
    depth_values: Ints
    depths: Chain
    built_in: frozenset[Constraint]

    @property
    def words(self) -> int:
        return 2 * len(self.depths.stages)

    def draw(self, words: Words) -> tuple[Population, Ints]:
        stages = len(self.depths.stages)
        states = self.blocks.draw(words[:stages]).T
        depths = self.depth_values[self.depths.draw(words[stages:])].T
        population = Population(
            depths, self.widths[states], self.group_widths[states], self.bottleneck_ratios[states]
        )
        return population, np.arange(words.shape[1])


def _linked_proposal(ranges: Ranges, linked: frozenset[Constraint], stages: int) -> _Linked:
    links = {each.link for each in linked}
    weights: dict[tuple[int, int, float], int] = {}
    raw = multiples(ranges.width)
    drawn = list(product(raw, ranges.group_width, ranges.bottleneck_ratio))
    asked = [np.array(column) for column in zip(*drawn, strict=True)]
    fitted, capped = (column.tolist() for column in make_compatible(*asked))
    share = dict(zip(raw, log_uniform_weights(raw, WIDTH_STEP), strict=True))
    for (width, _, b), w, g in zip(drawn, fitted, capped, strict=True):
        if ranges.width[0] <= w <= ranges.width[1]:
            weights[w, g, b] = weights.get((w, g, b), 0) + share[width]
    if not weights:
        raise InputError(
            (
                f"no width of {ranges.width[0]} to {ranges.width[1]} fits the group widths"
                f" {list(ranges.group_width)}"
            ),
            "widen the range of width",
        )

    # What a stage shares with the next comes first in the order, so that it bounds a slice.
    def shared(state: tuple[int, int, float]) -> tuple[float, ...]:
        _, g, b = state
        ratio = (b,) if Link.SAME_BOTTLENECK_RATIO in links else ()
        return (*ratio, g) if Link.SAME_GROUP_WIDTH in links else ratio

    states = sorted(weights, key=lambda state: (shared(state), state))
    rising = Link.RISING_WIDTH in links
    low, high = _slices([shared(s) for s in states], [s[0] if rising else 0 for s in states])
    widths, groups = (np.array([state[k] for state in states], np.int64) for k in (0, 1))

    depth_values = list(range(ranges.depth[0], ranges.depth[1] + 1))
    depth_weights = log_uniform_weights(depth_values, 1)
    if Link.RISING_DEPTH in links:
        first, last = _slices([()] * len(depth_values), depth_values)
        depths = chain_of(depth_weights, first, last, stages)
    else:
        depths = free_chain(depth_weights, stages)
    return _Linked(
        blocks=chain_of([weights[state] for state in states], low, high, stages),
        widths=widths,
        group_widths=groups,
        bottleneck_ratios=np.array([state[2] for state in states], np.float64),
        depth_values=np.array(depth_values, np.int64),
        depths=depths,
        built_in=linked,
    )


def _slices(shared: Sequence[tuple[float, ...]], rank: Sequence[int]) -> tuple[Ints, Ints]:
    """For each of the ordered states the slice of those that share as much and rank as high."""
    keys = list(zip(shared, rank, strict=True))
    first = {key: index for index, key in reversed(list(enumerate(keys)))}
    last = {key: index + 1 for index, key in enumerate(shared)}
    low = np.array([first[key] for key in keys], np.int64)
    high = np.array([last[key] for key in shared], np.int64)
    return low, high


@dataclass(frozen=True, slots=True)
class _FromLaw:
    """Networks from the parameters of the quantized-linear law."""

    ranges: Ranges
    stages: int
    choices: tuple[tuple[Chain, Floats], ...]  # of d, w_0, w_a, w_m, g and b

    @property
    def built_in(self) -> frozenset[Constraint]:
        return frozenset({QUANTIZED_LINEAR})

    @property
    def words(self) -> int:
        return len(self.choices)

    def draw(self, words: Words) -> tuple[Population, Ints]:
        def choice(i: int, which: Ints | slice) -> Floats:
            chain, values = self.choices[i]
            drawn: Ints = chain.draw(words[i : i + 1, which])[0]
            return values.take(drawn)

        d, w0, wa, wm = (choice(i, slice(None)) for i in range(4))
        law_widths, depths, whole = quantized_stages(w0, wa, wm, d.astype(np.int64), self.stages)
        rows = np.flatnonzero(whole)
        shape = (len(rows), self.stages)
        g, ratios = (np.broadcast_to(choice(i, rows)[:, None], shape) for i in (4, 5))
        widths, groups = make_compatible(law_widths[rows], g.astype(np.int64), ratios)
        law = {"w0": w0[rows], "wa": wa[rows], "wm": wm[rows]}
        population = Population(depths[rows], widths, groups, ratios, law)
        inside = np.ones(len(rows), np.bool_)
        for column, (least, most) in (
            (depths[rows], self.ranges.depth),
            (widths, self.ranges.width),
        ):
            inside &= np.all((column >= least) & (column <= most), axis=1)
        return population.take(inside), rows[inside]


def law_bounds(ranges: Ranges, stages: int) -> tuple[int, int, list[int]]:
    """The least and most depth of a law of so many stages, and the values of its w_0."""
    least = max(stages, stages * ranges.depth[0], ranges.total_depth[0])
    most = min(stages * ranges.depth[1], ranges.total_depth[1])
    starts = multiples((max(ranges.w0[0], ranges.width[0]), min(ranges.w0[1], ranges.width[1])))
    if least > most or not starts:
        raise InputError(
            f"RegNet: no law has a depth of {least} to {most} and a w_0 inside the ranges of w0 and width",
            "widen the ranges",
        )
    return least, most, starts


def _law_proposal(ranges: Ranges, stages: int) -> _FromLaw:
    least, most, starts = law_bounds(ranges, stages)
    tenths = _grid(ranges.wa, Decimal("0.1"))
    thousandths = _grid(ranges.wm, Decimal("0.001"))
    return _FromLaw(
        ranges,
        stages,
        (
            _choice(range(least, most + 1), [1] * (most - least + 1)),
            _choice(starts, log_uniform_weights(starts, WIDTH_STEP)),
            _choice(tenths, log_uniform_weights(tenths, Decimal("0.1"))),
            _choice(thousandths, log_uniform_weights(thousandths, Decimal("0.001"))),
            _choice(ranges.group_width, [1] * len(ranges.group_width)),
            _choice(ranges.bottleneck_ratio, [1] * len(ranges.bottleneck_ratio)),
        ),
    )


def _choice(values: Sequence[float] | Sequence[Decimal], weights: Sequence[int]) -> tuple[Chain, Floats]:
    return free_chain(weights, 1), np.array([float(value) for value in values])


def multiples(bounds: tuple[int, int]) -> list[int]:
    """The multiples of the width step inside the bounds."""
    return list(range(-(-bounds[0] // WIDTH_STEP) * WIDTH_STEP, bounds[1] + 1, WIDTH_STEP))


def _grid(bounds: tuple[float, float], step: Decimal) -> list[Decimal]:
    low, high = (Decimal(str(bound)) for bound in bounds)
    return [low + step * k for k in range(int((high - low) / step) + 1)]
