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
_SCALE = 2**63


@dataclass(frozen=True, slots=True)
class Chain:
    """``steps[i]`` are the cumulative weights of the states at stage i, over 2⁶³, ascending."""

    steps: tuple[Words, ...]
    low: Ints
    high: Ints

    def draw(self, words: Words) -> Ints:
        """States of shape (n, stages) from 32-bit random ``words`` of that shape."""
        states = np.empty(words.shape, np.int64)
        low, high = np.zeros(len(words), np.int64), np.full(len(words), len(self.low))
        for i, step in enumerate(self.steps):
            start, span = step[low], step[high] - step[low]
            # start + span · word / 2³² in 96 bits, from two products of 64
            word = words[:, i]
            point = start + (span >> _HALF) * word + (((span & _LOW_HALF) * word) >> _HALF)
            states[:, i] = np.clip(np.searchsorted(step, point, side="right") - 1, low, high - 1)
            low, high = self.low[states[:, i]], self.high[states[:, i]]
        return states


def chain_of(weights: Sequence[int], low: Ints, high: Ints, stages: int) -> Chain:
    """The chain of ``stages`` states in which s may be followed by the states of [low[s], high[s]).

    A sequence is drawn with a probability proportional to the product of its states' weights.
    """
    future = [1] * len(weights)  # how much weight all continuations of a state have
    steps: list[Words] = []
    for _ in range(stages):
        sums = list(accumulate((w * f for w, f in zip(weights, future, strict=True)), initial=0))
        steps.append(np.array([total * _SCALE // sums[-1] for total in sums], np.uint64))
        future = [sums[b] - sums[a] for a, b in zip(low.tolist(), high.tolist(), strict=True)]
    return Chain(tuple(reversed(steps)), low, high)


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
