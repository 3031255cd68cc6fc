"""``regnetlab status NAME --watch``: the state of a study every few seconds, until it is complete.

With rate, time left, failures by kind and a table of the workers.
"""

import sys
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from regnetlab.cli.output import column_widths, columns, echo, print_table
from regnetlab.plain import duration

MOST_ROWS = 20  # workers in the table
_HEADERS = ("worker", "device", "trains", "for", "done", "last seen")
_RATE_OVER = 300.0  # seconds that the rate is taken over


def keep_watching(
    look: Callable[[], tuple[dict[str, Any], list[str]]],
    show: Callable[[dict[str, Any], list[str]], None],
    every: float,
) -> None:
    """Look and show until the study is complete.

    Args:
        look: Gives the status and the endings of failed trainings.
        show: Takes the status, and lines with rate, time left and failures by kind.
        every: Seconds between two looks.
    """
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
    return f"{left} left; {rate * 3600:,.0f} trainings/h, {duration(left / rate)} left"


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


def print_workers(workers: Sequence[dict[str, Any]], now: datetime) -> None:
    """Print where each worker is, what it trains and for how long; long names are shortened to fit."""
    if not workers:
        return
    rows = [_row(each, now) for each in workers[:MOST_ROWS]]
    widths = column_widths([_HEADERS, *rows])
    room = max(12, columns() - sum(widths[1:]) - 2 * len(_HEADERS) + 2)
    echo()
    print_table(_HEADERS, [(_shortened(row[0], room), *row[1:]) for row in rows], "lllrrr")
    if len(workers) > MOST_ROWS:
        echo(f"and {len(workers) - MOST_ROWS} more workers")


def lasted(since: str, now: datetime) -> str:
    """Time since an instant of the coordinator's clock; none where that is ahead of ours."""
    try:
        seconds = max(0.0, (now - datetime.fromisoformat(since)).total_seconds())
    except (ValueError, TypeError):
        return "–"
    return duration(round(seconds))


def _row(worker: dict[str, Any], now: datetime) -> tuple[str, ...]:
    training = sorted(worker["training"], key=lambda each: str(each["since"]))
    trains, since = "", ""
    if training:
        more = f" +{len(training) - 1}" if len(training) > 1 else ""
        trains = f"{_shortened(str(training[0]['space']), 16)} {training[0]['index']}{more}"
        since = lasted(training[0]["since"], now)
    device = str(worker["device"]).partition(" with ")[0]
    seen = lasted(worker["last_seen"], now)
    return (worker["worker"], _shortened(device, 12), trains, since, str(worker["done"]), f"{seen} ago")


def _shortened(text: str, most: int) -> str:
    """Its end matters most: a process, a port."""
    return text if len(text) <= most else f"…{text[1 - most :]}"
