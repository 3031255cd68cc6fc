"""Exact draws of stages that may only follow each other in certain ways.

A space such as AnyNetE is AnyNetA given that every stage suits the next. Drawing AnyNetA and
throwing away what does not suit costs a factor of hundreds; here the same distribution is drawn
directly. The possible states of a stage stand in a table, ordered so that the states which may
follow state s are the slice [low[s], high[s]). Backward sums over the table (the forward-filtering
of a Markov chain, as in Rabiner 1989, section III.A) then give each stage's distribution given the
one before it.

All weights are integers, so a draw is bit for bit the same on every machine.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal, localcontext
from itertools import accumulate, pairwise

import numpy as np

from regnetlab.spaces.arrays import Ints, Words

_HALF = np.uint64(32)
_LOW_HALF = np.uint64(2**32 - 1)
_BITS = 63
_GUIDE_BITS = 14
"""A guide of 2¹⁴ places answers nine searches in ten at once and stays in a core's nearest caches."""


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
    """States of one stage after another; state s may be followed by those of [low[s], high[s])."""

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
    with localcontext() as context:
        context.prec = 20  # correctly rounded, hence equal everywhere, unlike a C library's log
        first = Decimal(values[0])
        edges = [first - min(Decimal(step), first / 2), *(Decimal(value) for value in values)]
        logs = [edge.ln() for edge in edges]
        spread = logs[-1] - logs[0]
        return [int((b - a) / spread * 2**40) for a, b in pairwise(logs)]
