"""``regnetlab status NAME --watch``: the state of a study every few seconds, until it is complete."""

import sys
import time
from collections import Counter, deque
from collections.abc import Callable
from typing import Any

_RATE_OVER = 300.0  # seconds that the rate is taken over


def watch(
    look: Callable[[], tuple[dict[str, Any], list[str]]],
    show: Callable[[dict[str, Any], list[str]], None],
    every: float,
) -> None:
    """Call ``look`` for a status and the endings of failed trainings, show them with rate and time left."""
    seen: deque[tuple[float, int]] = deque()
    while True:
        document, endings = look()
        done = document["complete"] + document["failed"]
        now = time.monotonic()
        seen.append((now, done))
        while now - seen[0][0] > _RATE_OVER:
            seen.popleft()
        show(document, [pace_line(seen, document["planned"] - done), *failure_lines(endings)])
        if done >= document["planned"]:
            return
        sys.stdout.flush()
        time.sleep(every)


def pace_line(seen: deque[tuple[float, int]], left: int) -> str:
    """Rate over what was seen, and the time that is left at that rate."""
    (first, before), (last, after) = seen[0], seen[-1]
    if after == before or last <= first:
        return f"{left} left; no rate yet"
    rate = (after - before) / (last - first)
    minutes = left / rate / 60
    ends = f"{minutes:.0f} min" if minutes >= 1.5 else f"{minutes * 60:.0f} s"
    return f"{left} left; {rate * 3600:,.0f} models/h, {ends} left"


def failure_lines(endings: list[str]) -> list[str]:
    """How many trainings failed in which way, the most frequent first."""
    kinds = Counter(_kind(each) for each in endings)
    return [
        f"{number} × {kind}" for kind, number in sorted(kinds.items(), key=lambda each: (-each[1], each[0]))
    ]


def _kind(ending: str) -> str:
    """An ending without what differs from network to network."""
    if ending.startswith("failed: its worker died"):
        return ending
    return ending.split(" by step ", maxsplit=1)[0]
