"""The workers of a study as a table on a terminal: a row each."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from regnetlab.cli.output import COLUMNS, column_widths, print_table

MOST_ROWS = 20
_HEADERS = ("worker", "device", "trains", "for", "done", "last seen")


def print_workers(workers: Sequence[dict[str, Any]], now: datetime, columns: int = COLUMNS) -> None:
    """Where each is, what it trains and for how long; long names are shortened to fit into ``columns``."""
    if not workers:
        return
    rows = [_row(each, now) for each in workers[:MOST_ROWS]]
    widths = column_widths([_HEADERS, *rows])
    room = max(12, columns - sum(widths[1:]) - 2 * len(_HEADERS) + 2)
    print()
    print_table(_HEADERS, [(_shortened(row[0], room), *row[1:]) for row in rows], "lllrrr")
    if len(workers) > MOST_ROWS:
        print(f"and {len(workers) - MOST_ROWS} more workers")


def lasted(since: str, now: datetime) -> str:
    """Time since an instant of the coordinator's clock; none where that is ahead of ours."""
    try:
        seconds = max(0.0, (now - datetime.fromisoformat(since)).total_seconds())
    except (ValueError, TypeError):
        return "–"
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 99.5 * 60 else f"{seconds / 3600:.0f} h"


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
