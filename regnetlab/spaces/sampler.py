"""The sampler: the first n different networks of a space that lie in a regime.

Raw draws are numbered. Draw k comes from the k-th words of a counter-based generator (Philox, Salmon
et al. 2011) keyed by space, ranges, template and seed, so it depends on neither n nor how many are
drawn at a time; the sample is the accepted draws in their order. ``--n 128`` therefore begins with
the networks of ``--n 64``.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from regnetlab.errors import InputError
from regnetlab.spaces.arrays import Floats, Ints, Words
from regnetlab.spaces.blocks import block_named
from regnetlab.spaces.complexity import Complexity, complexity
from regnetlab.spaces.draws import Draws, draws_of
from regnetlab.spaces.population import Population
from regnetlab.spaces.regime import Regime, Window
from regnetlab.spaces.space import DesignSpace
from regnetlab.spaces.template import Template

MAX_N = 10_000_000
_BLOCK = 4_096  # raw draws that share a counter; changing it changes every sample
_PATIENCE = 2**21  # raw draws without a new network after which the space counts as exhausted
_SLOWLY = 64  # drawn at a time where counting a network takes long; never changes the sample either
_MOST_BLOCKS = 8  # drawn at a time: columns that fit the cache; never changes the sample


@dataclass(frozen=True, slots=True)
class Sample:
    """n different networks, their counts, and how many raw draws it took to find them.

    ``latency`` (n,) are the predicted milliseconds where the regime has a model of them.
    """

    population: Population
    complexity: Complexity
    drawn: int
    latency: Floats | None = None


def sample(
    space: DesignSpace,
    n: int,
    template: Template,
    regime: Regime = Regime(),
    seed: int = 0,
    told: Callable[[int], None] = lambda found: None,
) -> Sample:
    """The first ``n`` networks of this space on this template in this regime for this seed.

    ``told`` is called now and then with how many are found. Raises ``InputError`` where the space or the
    regime has not that many; the message says how many
    were drawn and what counts they had.
    """
    if not 1 <= n <= MAX_N:
        raise InputError(f"n is {n}", f"it must be between 1 and {MAX_N:,}")
    if not 0 <= seed < 2**63:
        raise InputError(f"seed is {seed}", "it must be between 0 and 2^63 − 1")
    if len(space.stages) > 1:
        return _of_several(space, n, template, regime, seed, told)
    return _sample(space, n, template, regime, _key(space, template, seed), told)


def _sample(
    space: DesignSpace,
    n: int,
    template: Template,
    regime: Regime,
    key: Words,
    told: Callable[[int], None],
) -> Sample:
    """A sample of a space of one number of stages, from the words of this key."""
    stages = space.stages[0] if space.stages else len(template.strides)
    source = draws_of(space, stages)
    at_once = _SLOWLY if block_named(space.block).slow else _BLOCK * _MOST_BLOCKS
    found = _Found(space, source, template, regime)
    block, blocks = 0, 1
    while len(found.first) < n:
        words = _words(key, block, blocks, source.words)
        for start in range(0, words.shape[1], at_once):
            if len(found.first) < n:
                found.add(words[:, start : start + at_once], block * _BLOCK + start)
        block += blocks
        told(min(n, len(found.first)))
        if block * _BLOCK - found.last >= _PATIENCE:
            raise found.shortfall(n, block * _BLOCK)
        rate = max(len(found.first), 1) / (block * _BLOCK)
        wanted = (n - len(found.first)) / rate / _BLOCK * 1.1
        blocks = int(min(max(wanted, 1), 2 * block, _MOST_BLOCKS))
    population = Population.joined(found.populations).slice(0, n)
    counts = Complexity.joined(found.complexities).slice(0, n)
    latency = None if regime.model is None else regime.model.predicted(counts)
    return Sample(population, counts, block * _BLOCK, latency)


def _of_several(
    space: DesignSpace,
    n: int,
    template: Template,
    regime: Regime,
    seed: int,
    told: Callable[[int], None],
) -> Sample:
    """Networks of each number of stages in turn."""
    numbers = space.stages[:n]
    parts = [
        _sample(
            replace(space, stages=(stages,)),
            -(-(n - place) // len(numbers)),
            template,
            regime,
            _key(space, template, seed, stages),
            lambda found: None,
        )
        for place, stages in enumerate(numbers)
    ]
    told(n)
    place_of = np.cumsum([0, *(len(part.population) for part in parts[:-1])])
    order = np.array([place_of[i % len(numbers)] + i // len(numbers) for i in range(n)], np.int64)
    most = max(numbers)
    population = Population.joined(part.population.padded(most) for part in parts).take(order)
    counts = Complexity.joined([part.complexity for part in parts]).take(order)
    latency = None if regime.model is None else regime.model.predicted(counts)
    return Sample(population, counts, sum(part.drawn for part in parts), latency)


class _Found:
    """The different networks found so far, in the order of their draws."""

    def __init__(self, space: DesignSpace, source: Draws, template: Template, regime: Regime) -> None:
        self.space, self.source, self.template, self.regime = space, source, template, regime
        self.populations: list[Population] = []
        self.complexities: list[Complexity] = []
        self.first: dict[bytes, int] = {}  # by network, the number of the row that it came in first
        self.rows = 0  # compared so far
        self.last = 0  # the raw draw of the newest network
        self.extremes: dict[str, tuple[float, float]] = {}  # the least and most of each count, any regime

    def add(self, words: Words, start: int) -> None:
        population, origin = self.source.draw(words)
        judged = [each for each in self.space.constraints if each not in self.source.built_in]
        for constraint in judged:
            if not constraint.counted:
                kept = constraint.holds(population)
                if not kept.all():
                    population, origin = population.take(kept), origin[kept]
        counts = complexity(population, self.template)
        for constraint in judged:
            if constraint.counted:
                which = np.flatnonzero(constraint.holds(population, counts))
                population, origin, counts = population.take(which), origin[which], counts.take(which)
        if not len(population):
            return
        self._observe(counts)
        inside = self.regime.holds(counts)
        if not inside.all():
            population, origin, counts = population.take(inside), origin[inside], counts.take(inside)
        new = self.unseen(population.rows)
        if len(new):
            self.last = start + int(origin[new[-1]])
            some = len(new) < len(population)
            self.populations.append(population.take(new) if some else population)
            self.complexities.append(counts.take(new) if some else counts)

    def unseen(self, rows: Ints) -> Ints:
        """Indexes of the rows of shape (n, k) that are met for the first time, ascending; remembers them.

        Numbers are below 2¹⁵ in size, as in ``Population.rows``.
        """
        packed = np.ascontiguousarray(rows, np.int16)
        keys: list[bytes] = packed.view(f"V{2 * packed.shape[1]}").ravel().tolist()
        numbers = np.arange(self.rows, self.rows + len(keys))
        first = np.fromiter(map(self.first.setdefault, keys, numbers.tolist()), np.int64, len(keys))
        self.rows += len(keys)
        return np.flatnonzero(first == numbers)

    def _observe(self, counts: Complexity) -> None:
        for name in ("flops", *self.regime.windows):
            values = self.regime.values(name, counts)
            low, high = self.extremes.get(name, (values.min(), values.max()))
            self.extremes[name] = min(low, values.min()), max(high, values.max())

    def shortfall(self, n: int, drawn: int) -> InputError:
        """How many were found of how many drawn, what they had, and what to change."""
        start = f"{self.space.name}: {len(self.first):,} of {n:,} networks found in {drawn:,} draws"
        if not self.extremes:
            custom = ", ".join(each.name for each in self.space.custom)
            hint = f"loosen {custom}, or the ranges" if custom else "widen depth, width, w0, wa or wm"
            return InputError(f"{start}; no draw satisfied the ranges and constraints", hint)
        windows = self.regime.windows
        if not windows:
            what = f"{start}; there seem to be no more different ones"
            return InputError(what, "ask for fewer or widen the ranges")
        ranges = ", ".join(
            f"{name} {shown(float(f'{low:.3g}'))} to {shown(float(f'{high:.3g}'))}"
            for name, (low, high) in self.extremes.items()
            for shown in [windows.get(name, Window()).shown]
        )
        what = f"{start} at {self.regime.text}; what was drawn had {ranges}"
        return InputError(what, "widen or move the window, change the ranges, or ask for fewer")


def _key(space: DesignSpace, template: Template, seed: int, of: int | None = None) -> Words:
    """128 bits that differ between spaces, ranges, templates, seeds and, with ``of``, parts of a sample."""
    text = f"{space.lineage}|{space.ranges.text}|{template.text}|{seed}"
    text += "" if of is None else f"|{of}"
    return np.frombuffer(hashlib.sha256(text.encode()).digest()[:16], "<u8").astype(np.uint64)


def _words(key: Words, block: int, blocks: int, words: int) -> Words:
    """32-bit words of shape (words, blocks · _BLOCK) for the raw draws from ``block`` on."""
    size = _BLOCK * words // 2
    parts = [
        np.random.Philox(key=key, counter=np.array([0, k, 0, 0], np.uint64)).random_raw(size)
        for k in range(block, block + blocks)
    ]
    halves = np.concatenate(parts).astype("<u8", copy=False).view("<u4")
    return np.ascontiguousarray(halves.reshape(blocks * _BLOCK, words).T, np.uint64)
