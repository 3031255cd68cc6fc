"""Which networks were met before, over millions of them and without a loop in Python.

Rows are packed exactly and found again by a 64-bit hash: hashes lie in sorted arrays, the smaller ones
merged as they grow (as in a log-structured merge tree, O'Neil et al. 1996), so that every row is
sorted a logarithmic number of times. Equal hashes are only a hint; rows decide.
"""

import numpy as np

from regnetlab.spaces.arrays import Ints, Words

_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)  # 2⁶⁴ over the golden ratio (Knuth 1998, section 6.4)


class Seen:
    """The different rows met so far, numbered in the order in which they came."""

    def __init__(self) -> None:
        self._packed: list[Words] = []
        self._starts = [0]
        self._runs: list[tuple[Words, Ints]] = []  # hashes, ascending, and the numbers of their rows

    def __len__(self) -> int:
        return self._starts[-1]

    def add(self, rows: Ints) -> Ints:
        """Indexes of the rows of shape (n, k) met for the first time, ascending; remembers them.

        Numbers are below 2¹⁵ in size, and k is a multiple of four, as ``Population.rows`` are.
        """
        packed = np.ascontiguousarray(rows, np.int16).view(np.uint64)  # (n, k / 4)
        hashes = _hashes(packed)
        new = self._unseen(packed, hashes)
        if new is None:
            new = self._unseen_one_by_one(packed)
        if len(new):
            self._remember(packed[new], hashes[new])
        return new

    def _unseen(self, packed: Words, hashes: Words) -> Ints | None:
        """The new rows by their hashes; ``None`` where different rows turn out to have the same one."""
        order = np.argsort(hashes, kind="stable")
        ordered = hashes[order]
        repeats = np.flatnonzero(ordered[1:] == ordered[:-1]) + 1
        if (packed[order[repeats]] != packed[order[repeats - 1]]).any():
            return None
        fresh = np.ones(len(hashes), np.bool_)
        fresh[order[repeats]] = False
        for known, numbers in self._runs:
            at = np.minimum(np.searchsorted(known, ordered), len(known) - 1)
            met = np.flatnonzero(known[at] == ordered)
            if (self._rows(numbers[at[met]]) != packed[order[met]]).any():
                return None
            fresh[order[met]] = False
        return np.flatnonzero(fresh)

    def _unseen_one_by_one(self, packed: Words) -> Ints:
        """The same without hashes, however long it takes."""
        known = {row.tobytes() for part in self._packed for row in part}
        fresh = []
        for index, row in enumerate(packed):
            key = row.tobytes()
            if key not in known:
                known.add(key)
                fresh.append(index)
        return np.array(fresh, np.int64)

    def _rows(self, numbers: Ints) -> Words:
        """The packed rows of these numbers."""
        found = np.empty((len(numbers), self._packed[0].shape[1]), np.uint64)
        parts = np.searchsorted(self._starts, numbers, side="right") - 1
        for part in np.unique(parts):
            inside = parts == part
            found[inside] = self._packed[part][numbers[inside] - self._starts[part]]
        return found

    def _remember(self, packed: Words, hashes: Words) -> None:
        first = len(self)
        self._packed.append(packed)
        self._starts.append(first + len(packed))
        order = np.argsort(hashes, kind="stable")
        self._runs.append((hashes[order], first + order))
        while len(self._runs) > 1 and len(self._runs[-2][0]) <= 2 * len(self._runs[-1][0]):
            last, before = self._runs.pop(), self._runs.pop()
            merged = np.concatenate([before[0], last[0]])
            order = np.argsort(merged, kind="stable")  # linear: it finds two ascending runs
            self._runs.append((merged[order], np.concatenate([before[1], last[1]])[order]))


def _hashes(packed: Words) -> Words:
    """64 bits of each packed row: multiplied and folded word after word."""
    hashes = np.zeros(len(packed), np.uint64)
    for word in packed.T:
        hashes ^= word
        hashes *= _MULTIPLIER
        hashes ^= hashes >> np.uint64(32)
    return hashes
