"""Raw draws: random words in, networks of a space out, before the regime is judged (``sampler`` does that).

Depths and widths are log-uniform, group widths and bottleneck ratios uniform (Radosavovic et al. 2020,
section 3.2); RegNet's parameters as there in section 3.3: d uniform, w_0, w_a and w_m log-uniform.

A space such as AnyNetE is AnyNetA given that every stage suits the next. Drawing AnyNetA and throwing away
what does not suit costs a factor of hundreds; here the same distribution is drawn directly, by a ``Chain``.
All its weights are integers, so a draw is bit for bit the same on every machine.
"""

from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass, replace
from decimal import Decimal, localcontext
from functools import cache
from itertools import accumulate, pairwise, product

import numpy as np

from regnetlab.errors import InputError
from regnetlab.spaces.arrays import Floats, Ints, Words
from regnetlab.spaces.blocks import block_named
from regnetlab.spaces.compatibility import make_compatible
from regnetlab.spaces.constraints import QUANTIZED_LINEAR, Constraint, Link
from regnetlab.spaces.law import quantized_stages
from regnetlab.spaces.population import Population
from regnetlab.spaces.ranges import WIDTH_STEP, Ranges
from regnetlab.spaces.space import DesignSpace

_HALF = np.uint64(32)
_LOW_HALF = np.uint64(2**32 - 1)
_BITS = 63
_DIGITS = 20  # of logarithms
_GUIDE_BITS = 14
"""A guide of 2¹⁴ places answers nine searches in ten at once and stays in a core's nearest caches."""


@dataclass(frozen=True, slots=True)
class Draws:
    """How networks of a space are drawn from random words.

    ``draw`` maps 32-bit words of shape (``words``, n) to at most n networks, which satisfy the constraints
    that are ``built_in``. Its second result holds the column that each network came from, ascending; a
    column whose words give no network is left out.
    """

    words: int
    stages: int
    built_in: frozenset[Constraint]
    draw: Callable[[Words], tuple[Population, Ints]]


def draws_of(space: DesignSpace, stages: int) -> Draws:
    """How networks of ``stages`` stages are drawn from this space."""
    of_width = block_named(space.block).groups_of == "width"
    if QUANTIZED_LINEAR in space.constraints:
        return _made_of(space, _law_draws(space.ranges, stages, of_width), shared=True)
    linked = frozenset(each for each in space.constraints if each.link is not None)
    return _made_of(space, _linked_draws(space.ranges, linked, stages, of_width), shared=False)


def _made_of(space: DesignSpace, body: Draws, shared: bool) -> Draws:
    """The same networks of the space's block, with its own parameters drawn for each stage, or ``shared``."""
    stages = body.stages
    each = 1 if shared else stages
    choices = [
        (name, np.array(values, np.int64), free_chain([1] * len(values), each)) for name, values in space.own
    ]

    def draw(words: Words) -> tuple[Population, Ints]:
        population, origin = body.draw(words[: body.words])
        own: dict[str, Ints] = {}
        for place, (name, values, chain) in enumerate(choices):
            start = body.words + place * each
            column = values[chain.draw(words[start : start + each]).T[origin]]
            own[name] = np.ascontiguousarray(np.broadcast_to(column, (len(origin), stages)))
        return replace(population, block=space.block, se_ratio=space.se_ratio, own=own), origin

    return replace(body, words=body.words + each * len(choices), draw=draw)


def _linked_draws(ranges: Ranges, linked: frozenset[Constraint], stages: int, of_width: bool) -> Draws:
    """Stages drawn one after another, each given the one before it."""
    links = {each.link for each in linked}
    blocks, states = _blocks(ranges, links, stages, of_width)
    widths, groups = (np.array([state[k] for state in states], np.int64) for k in (0, 1))
    ratios = np.array([state[2] for state in states], np.float64)

    depth_values = list(range(ranges.depth[0], ranges.depth[1] + 1))
    depth_weights = log_uniform_weights(depth_values, 1)
    if Link.RISING_DEPTH in links:
        depths = chain_of(depth_weights, *_slices([()] * len(depth_values), depth_values), stages)
    else:
        depths = free_chain(depth_weights, stages)
    depth_column = np.array(depth_values, np.int64)

    def draw(words: Words) -> tuple[Population, Ints]:
        drawn = blocks.draw(words[:stages]).T
        population = Population(
            depth_column[depths.draw(words[stages:])].T, widths[drawn], groups[drawn], ratios[drawn]
        )
        return population, np.arange(words.shape[1])

    return Draws(2 * stages, stages, linked, draw)


def _blocks(
    ranges: Ranges, links: Set[Link | None], stages: int, of_width: bool
) -> tuple["Chain", list[tuple[int, int, float]]]:
    """The chain of compatible blocks, and the (w, g, b) of each of its states."""
    weights: dict[tuple[int, int, float], int] = {}
    raw = multiples(ranges.width)
    drawn = list(product(raw, ranges.group_width, ranges.bottleneck_ratio))
    asked, groups, ratios = (np.array(column) for column in zip(*drawn, strict=True))
    fitted, capped = (column.tolist() for column in make_compatible(asked, groups, ratios, of_width))
    share = dict(zip(raw, log_uniform_weights(raw, WIDTH_STEP), strict=True))
    for (width, _, b), w, g in zip(drawn, fitted, capped, strict=True):
        if ranges.width[0] <= w <= ranges.width[1]:
            weights[w, g, b] = weights.get((w, g, b), 0) + share[width]
    if not weights:
        raise InputError(
            f"no width of {ranges.width[0]} to {ranges.width[1]} fits the group widths"
            f" {list(ranges.group_width)}",
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
    return chain_of([weights[state] for state in states], low, high, stages), states


def _slices(shared: Sequence[tuple[float, ...]], rank: Sequence[int]) -> tuple[Ints, Ints]:
    """For each of the ordered states the slice of those that share as much and rank as high."""
    keys = list(zip(shared, rank, strict=True))
    first = {key: index for index, key in reversed(list(enumerate(keys)))}
    last = {key: index + 1 for index, key in enumerate(shared)}
    low = np.array([first[key] for key in keys], np.int64)
    high = np.array([last[key] for key in shared], np.int64)
    return low, high


def _law_draws(ranges: Ranges, stages: int, of_width: bool) -> Draws:
    """Networks from the parameters of the quantized-linear law."""
    least, most, starts = law_bounds(ranges, stages)
    tenths, thousandths = _grid(ranges.wa, Decimal("0.1")), _grid(ranges.wm, Decimal("0.001"))
    choices = (
        _choice(range(least, most + 1)),
        _choice(starts, log_uniform_weights(starts, WIDTH_STEP)),
        _choice(tenths, log_uniform_weights(tenths, Decimal("0.1"))),
        _choice(thousandths, log_uniform_weights(thousandths, Decimal("0.001"))),
        _choice(ranges.group_width),
        _choice(ranges.bottleneck_ratio),
    )

    def draw(words: Words) -> tuple[Population, Ints]:
        def choice(i: int, which: Ints | slice) -> Floats:
            chain, values = choices[i]
            drawn: Ints = chain.draw(words[i : i + 1, which])[0]
            return values.take(drawn)

        d, w0, wa, wm = (choice(i, slice(None)) for i in range(4))
        law_widths, depths, whole = quantized_stages(w0, wa, wm, d.astype(np.int64), stages)
        rows = np.flatnonzero(whole)
        shape = (len(rows), stages)
        g, ratios = (np.broadcast_to(choice(i, rows)[:, None], shape) for i in (4, 5))
        widths, groups = make_compatible(law_widths[rows], g.astype(np.int64), ratios, of_width)
        law = {"w0": w0[rows], "wa": wa[rows], "wm": wm[rows]}
        population = Population(depths[rows], widths, groups, ratios, law)
        inside = np.ones(len(rows), np.bool_)
        for column, (low, high) in ((depths[rows], ranges.depth), (widths, ranges.width)):
            inside &= np.all((column >= low) & (column <= high), axis=1)
        return population.take(inside), rows[inside]

    return Draws(len(choices), stages, frozenset({QUANTIZED_LINEAR}), draw)


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


def _choice(
    values: Sequence[float] | Sequence[Decimal], weights: Sequence[int] | None = None
) -> tuple["Chain", Floats]:
    """One of these values, equally likely without ``weights``."""
    chances = [1] * len(values) if weights is None else weights
    return free_chain(chances, 1), np.array([float(value) for value in values])


def multiples(bounds: tuple[int, int]) -> list[int]:
    """The multiples of the width step inside the bounds."""
    return list(range(-(-bounds[0] // WIDTH_STEP) * WIDTH_STEP, bounds[1] + 1, WIDTH_STEP))


def _grid(bounds: tuple[float, float], step: Decimal) -> list[Decimal]:
    low, high = (Decimal(str(bound)) for bound in bounds)
    return [low + step * k for k in range(int((high - low) / step) + 1)]


@dataclass(frozen=True, slots=True)
class _Stage:
    """``steps`` are the cumulative weights of the states of one stage, over 2⁶³, ascending.

    ``guide[k]`` is the state at point k · 2^``shift``: the search for a point begins, and mostly ends,
    there (Chen & Asau 1974).
    """

    steps: Words
    guide: Ints
    shift: np.uint64

    def at(self, points: Words) -> Ints:
        """The last state whose cumulative weight does not exceed each point."""
        places = (points >> self.shift).astype(np.int64)
        states = self.guide[places]
        unclear = np.flatnonzero(states != self.guide[1:][places])
        states[unclear] = np.searchsorted(self.steps, points[unclear], side="right") - 1
        return states


@dataclass(frozen=True, slots=True)
class Chain:
    """States of one stage after another; state s may be followed by those of [low[s], high[s]).

    The possible states of a stage stand in a table, ordered so that those which may follow state s are a
    slice. Backward sums over the table (the forward-filtering of a Markov chain, as in Rabiner 1989, section
    III.A) give each stage's distribution given the one before it.
    """

    stages: tuple[_Stage, ...]
    low: Ints
    high: Ints

    def draw(self, words: Words) -> Ints:
        """States of shape (stages, n) from 32-bit random ``words`` of that shape."""
        states = np.empty(words.shape, np.int64)
        first = np.zeros(1, np.int64), np.full(1, len(self.low))  # from where every state may follow
        free = not self.low.any() and bool((self.high == len(self.low)).all())
        for i, (stage, word) in enumerate(zip(self.stages, words, strict=True)):
            low, high = first if free or not i else (self.low, self.high)
            before = first[0] if free or not i else states[i - 1]
            starts, ends = stage.steps[low], stage.steps[high]
            spans = ends - starts
            start, span = starts[before], spans[before]
            # start + span · word / 2³² in 96 bits, from two products of 64
            point = start + (span >> _HALF) * word + (((span & _LOW_HALF) * word) >> _HALF)
            states[i] = stage.at(point)
            if not spans.all():  # a slice too light for 63 bits has no point of its own
                np.minimum(states[i], high[before] - 1, out=states[i])
        return states


def chain_of(weights: Sequence[int], low: Ints, high: Ints, stages: int) -> Chain:
    """The chain of ``stages`` states in which s may be followed by the states of [low[s], high[s]).

    A sequence is drawn with a probability proportional to the product of its states' weights.
    """
    future = [1] * len(weights)  # how much weight all continuations of a state have
    made: list[_Stage] = []
    for _ in range(stages):
        sums = list(accumulate((w * f for w, f in zip(weights, future, strict=True)), initial=0))
        made.append(_stage(np.array([(total << _BITS) // sums[-1] for total in sums], np.uint64)))
        future = [sums[b] - sums[a] for a, b in zip(low.tolist(), high.tolist(), strict=True)]
    return Chain(tuple(reversed(made)), low, high)


def _stage(steps: Words) -> _Stage:
    bits = min(_GUIDE_BITS, len(steps).bit_length() + 3)
    shift = np.uint64(_BITS - bits)
    edges = np.arange(2**bits + 2, dtype=np.uint64) << shift  # one behind the last point
    return _Stage(steps, np.searchsorted(steps, edges, side="right") - 1, shift)


def free_chain(weights: Sequence[int], stages: int) -> Chain:
    """Stages that do not depend on each other."""
    count = len(weights)
    return chain_of(weights, np.zeros(count, np.int64), np.full(count, count), stages)


def log_uniform_weights(values: Sequence[Decimal | int], step: Decimal | int) -> list[int]:
    """Integer weights of ``values``, multiples of ``step`` in a row, for a log-uniform draw.

    A value stands for all reals up to it from the one before: x drawn log-uniformly, then rounded
    up (as ``log_uniform`` of pycls); the first begins at half itself at the most.
    """
    with localcontext(prec=_DIGITS):
        first = Decimal(values[0])
        logs = [_ln(first - min(Decimal(step), first / 2)), *map(_ln, values)]
        spread = logs[-1] - logs[0]
        return [int((b - a) / spread * 2**40) for a, b in pairwise(logs)]


@cache
def _ln(value: Decimal | int) -> Decimal:
    """Correctly rounded, hence equal everywhere, unlike a C library's log."""
    with localcontext(prec=_DIGITS):
        return Decimal(value).ln()
