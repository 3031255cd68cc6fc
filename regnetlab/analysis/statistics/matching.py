"""Error distributions at equal complexity, so that a space is not better only for its larger networks.

Radosavovic et al. (2019), section 3.3: networks are put into bins of a complexity, and within each
population every bin gets the same total weight. Bins here are those of equally many networks (both
populations together) between the largest of the two least values and the least of the two largest; a
bin with fewer than five networks of either population is left out.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from regnetlab.analysis.statistics.differences import Difference
from regnetlab.analysis.statistics.intervals import LEVEL, Interval
from regnetlab.spaces.arrays import Floats, Ints

_BINS = 10
_FEWEST = 5
_MANY = 500
"""Networks of a population from which on resampled medians are sought by bisection, not made whole."""
_RESAMPLES = 2_000
_SEED = 20200330


@dataclass(frozen=True, slots=True, eq=False)
class Matched:
    """Two populations weighted to the same complexity.

    ``weights`` are those of each population's networks, with sum 1 and 0 for networks outside the
    ``bins`` bins; ``used`` how many are inside. ``estimate`` is the difference of the weighted medians, b
    − a, ``draws`` its bootstrap.
    """

    bins: int
    used: tuple[int, int]
    weights: tuple[Floats, Floats]
    estimate: float
    draws: Floats

    @property
    def of_medians(self) -> Difference:
        """The difference, for whatever interval; of as many networks as the smaller side has in the bins."""
        return Difference(self.estimate, float(np.std(self.draws)), self.draws, math.inf, min(self.used), 0.5)

    @property
    def difference(self) -> Interval:
        """The estimate with its 95% interval."""
        return self.of_medians.interval(LEVEL)

    @property
    def little_overlap(self) -> bool:
        """Whether less than half of either population is compared."""
        return any(n < len(each) / 2 for n, each in zip(self.used, self.weights, strict=True))

    @property
    def text(self) -> str:
        """The difference in words, with how many networks it is of."""
        few = "; little overlap: less than half of a space" if self.little_overlap else ""
        return f"{self.difference.points}, {self.used[0]} and {self.used[1]} networks{few}"


def matched(errors: tuple[Floats, Floats], complexity: tuple[Floats, Floats]) -> Matched | None:
    """Both populations at equal complexity; ``None`` where they have too little of it in common.

    The interval is a percentile bootstrap that resamples within bins (stratified; Davison & Hinkley
    1997, section 3.2).
    """
    bins = _bins(complexity)
    if bins is None:
        return None
    count = int(bins[0].max()) + 1
    weights = [_weights(each, count) for each in bins]
    medians = [_weighted_median(e, w) for e, w in zip(errors, weights, strict=True)]
    estimate = float(medians[1] - medians[0])
    random = np.random.default_rng(_SEED)
    draws = [_bootstrap_medians(e, b, count, random) for e, b in zip(errors, bins, strict=True)]
    used = [int((each >= 0).sum()) for each in bins]
    return Matched(count, (used[0], used[1]), (weights[0], weights[1]), estimate, draws[1] - draws[0])


def matched_weights(complexity: Sequence[Floats]) -> list[Floats] | None:
    """Weights that give any number of populations the same complexity; ``None`` where that can't be."""
    bins = _bins(complexity)
    if bins is None:
        return None
    count = int(bins[0].max()) + 1
    return [_weights(each, count) for each in bins]


def _bins(complexity: Sequence[Floats]) -> list[Ints] | None:
    """The bin of every network, numbered from 0 without gaps; −1 for those in none."""
    if min(map(len, complexity)) < 2 * _FEWEST:
        return None
    low, high = max(each.min() for each in complexity), min(each.max() for each in complexity)
    if not low < high:
        return None
    pooled = np.concatenate(list(complexity))
    common = pooled[(pooled >= low) & (pooled <= high)]
    count = min(_BINS, min(map(len, complexity)) // (2 * _FEWEST))
    edges = np.unique(np.quantile(common, np.linspace(0, 1, count + 1)))
    last = len(edges) - 2
    places = [
        np.where(
            (each >= low) & (each <= high), np.clip(np.searchsorted(edges, each, "right") - 1, 0, last), -1
        )
        for each in complexity
    ]
    sizes = np.array([np.bincount(each[each >= 0], minlength=last + 1) for each in places])
    full = np.flatnonzero(sizes.min(axis=0) >= _FEWEST)
    if not len(full):
        return None
    numbers = np.full(last + 2, -1)  # the last entry is for those outside, whose place is −1
    numbers[full] = np.arange(len(full))
    return [numbers[each] for each in places]


def _weights(bins: Ints, count: int) -> Floats:
    sizes = np.bincount(bins[bins >= 0], minlength=count)
    return np.where(bins >= 0, 1 / (count * sizes[bins]), 0.0)


def _weighted_median(errors: Floats, weights: Floats) -> float:
    """The least error at which half of the weight is reached; halfway to the next where exactly half is."""
    order = np.argsort(errors, kind="stable")
    return float(_medians_of_rows(errors[order], weights[order][None])[0])


def _bootstrap_medians(errors: Floats, bins: Ints, count: int, random: np.random.Generator) -> Floats:
    """Weighted medians of resamples within bins."""
    inside = np.flatnonzero(bins >= 0)
    order = inside[np.argsort(errors[inside], kind="stable")]
    if len(order) > _MANY:
        return _bisected_medians(errors[order], bins[order], count, random)
    return _resampled_medians(errors[order], bins[order], count, random)


def _resampled_medians(ordered: Floats, bins: Ints, count: int, random: np.random.Generator) -> Floats:
    """How often each network is drawn, written out: (resamples, n) weights."""
    weights = np.zeros((_RESAMPLES, len(ordered)))
    for each in (np.flatnonzero(bins == place) for place in range(count)):
        shares = np.full(len(each), 1 / len(each))
        weights[:, each] = random.multinomial(len(each), shares, size=_RESAMPLES) / (len(each) * count)
    return _medians_of_rows(ordered, weights)


def _bisected_medians(ordered: Floats, bins: Ints, count: int, random: np.random.Generator) -> Floats:
    """The same distribution in log n steps of one binomial number a bin.

    How many of a bin's draws fall below the middle of a stretch of networks, of those inside the stretch,
    is binomial with the share of the bin's networks there; so a resample is made only as far as its
    median asks.
    """
    members = np.zeros((len(ordered) + 1, count), np.int64)  # of each bin among the first k
    np.add.at(members, (np.arange(1, len(ordered) + 1), bins), 1)
    members = np.cumsum(members, axis=0)
    sizes = members[-1]
    low = np.zeros(_RESAMPLES, np.int64)
    drawn_low = np.zeros((_RESAMPLES, count), np.int64)  # draws of each bin among the first ``low``
    first, drawn = _bisect(members, low, drawn_low, 0.5 - 1e-9, random)
    after = first.copy()
    tied = np.flatnonzero((drawn / sizes).mean(axis=1) <= 0.5 + 1e-9)  # half of the weight exactly
    after[tied], _ = _bisect(members, first[tied], drawn[tied], 0.5 + 1e-9, random)
    return np.asarray((ordered[first - 1] + ordered[after - 1]) / 2)


def _bisect(
    members: Ints, low: Ints, drawn_low: Ints, half: float, random: np.random.Generator
) -> tuple[Ints, Ints]:
    """The least number of networks whose draws weigh ``half`` or more, and the draws of each bin among them.

    Below ``half`` is the weight of the first ``low``, of which the draws are known.
    """
    sizes = members[-1]
    low, drawn_low = low.copy(), drawn_low.copy()
    high, drawn_high = np.full_like(low, len(members) - 1), np.tile(sizes, (len(low), 1))
    while (open_ := np.flatnonzero(high - low > 1)).size:
        middle = (low[open_] + high[open_]) // 2
        below = members[middle] - members[low[open_]]
        stretch = members[high[open_]] - members[low[open_]]
        waiting = drawn_high[open_] - drawn_low[open_]
        found = drawn_low[open_] + random.binomial(waiting, below / np.maximum(stretch, 1))
        enough = (found / sizes).mean(axis=1) >= half
        high[open_[enough]], drawn_high[open_[enough]] = middle[enough], found[enough]
        low[open_[~enough]], drawn_low[open_[~enough]] = middle[~enough], found[~enough]
    return high, drawn_high


def _medians_of_rows(ordered: Floats, weights: Floats) -> Floats:
    """The weighted median of ascending errors for each row of weights with sum 1."""
    total = np.cumsum(weights, axis=1)
    half = 0.5 - 1e-9
    first = np.argmax(total >= half, axis=1)
    after = np.argmax(total > 0.5 + 1e-9, axis=1)
    return np.asarray((ordered[first] + ordered[after]) / 2)
