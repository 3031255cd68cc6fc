"""Rows met before: the same answer as a Python set gives, whatever the hashes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regnetlab.spaces import seen
from regnetlab.spaces.seen import Seen


def by_set(batches: list[np.ndarray]) -> list[list[int]]:
    """Indexes of new rows, batch by batch, found one row at a time."""
    known: set[tuple[int, ...]] = set()
    found = []
    for rows in batches:
        new = []
        for index, row in enumerate(map(tuple, rows.tolist())):
            if row not in known:
                known.add(row)
                new.append(index)
        found.append(new)
    return found


def batches_of(random: np.random.Generator, largest: int) -> list[np.ndarray]:
    return [random.integers(-3, largest, (random.integers(0, 60), 8)) for _ in range(random.integers(1, 9))]


@given(st.integers(0, 2**32), st.sampled_from([-2, 0, 30_000]))
@settings(max_examples=60, deadline=None)
def test_new_rows_are_those_that_a_set_finds(seed: int, largest: int) -> None:
    batches = batches_of(np.random.default_rng(seed), largest)
    known = Seen()
    assert [known.add(rows).tolist() for rows in batches] == by_set(batches)
    assert len(known) == len({tuple(row) for rows in batches for row in rows.tolist()})


@pytest.mark.parametrize("bits", [0, 3, 60])
def test_rows_with_equal_hashes_are_told_apart(monkeypatch: pytest.MonkeyPatch, bits: int) -> None:
    usual = seen._hashes
    monkeypatch.setattr(seen, "_hashes", lambda packed: usual(packed) & np.uint64(2**bits - 1))
    random = np.random.default_rng(1)
    for largest in (-2, 2, 1_000):
        batches = batches_of(random, largest)
        known = Seen()
        assert [known.add(rows).tolist() for rows in batches] == by_set(batches)


def test_rows_that_come_twice_at_once_are_told_apart_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seen, "_hashes", lambda packed: np.zeros(len(packed), np.uint64))
    random = np.random.default_rng(2)
    batches = [random.integers(0, 2, (30, 4)) for _ in range(4)]
    known = Seen()
    assert [known.add(rows).tolist() for rows in batches] == by_set(batches)


@pytest.mark.parametrize("column", range(8))
def test_every_number_of_a_row_counts_in_its_hash(column: int) -> None:
    """Else different rows would meet, and be told apart one by one."""
    rows = np.full((60_000, 8), 7, np.int16)
    rows[:, column] = np.arange(60_000) - 30_000
    assert len(np.unique(seen._hashes(rows.view(np.uint64)))) == len(rows)


def test_many_batches_leave_few_arrays() -> None:
    known = Seen()
    for start in range(0, 4_000, 10):
        rows = np.arange(start, start + 10)[:, None] * np.ones(4, np.int64)
        assert len(known.add(rows)) == 10
        assert len(known.add(rows)) == 0
    assert len(known._runs) < 12
