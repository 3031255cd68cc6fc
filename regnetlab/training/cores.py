"""How many cores there are to use; apart from ``devices``, so that asking needs no torch."""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from typing import TypeVar

_T = TypeVar("_T")
_R = TypeVar("_R")


def usable_cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def on_all_cores(do: Callable[[_T], _R], things: Sequence[_T], chunk: int = 64) -> Iterator[_R]:
    """``do`` for each thing, in their order, by a thread per core: for work that leaves Python's lock.

    A ``chunk`` goes to a thread at once: a future costs as much as looking at a file.
    """
    chunks = [things[at : at + chunk] for at in range(0, len(things), chunk)]
    with ThreadPoolExecutor(usable_cores()) as pool:
        yield from chain.from_iterable(pool.map(lambda part: list(map(do, part)), chunks))
