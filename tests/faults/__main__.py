"""The whole suite: ``python -m tests.faults [--seed S] [--part P] [--write docs/reliability.md]``.

Over 100 kills at moments drawn from the seed, and thousands of rounds of ``rounds``; up to one and a half
hours, after the machine. Ends with status 1 where anything was lost, doubled or wrong.
"""

import argparse
import os
import platform
import random
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.cluster import postgres
from tests.conftest import write_bars
from tests.faults import injection
from tests.faults.injection import Count, Site
from tests.faults.rounds import Result, result_of

BEGIN, END = "<!-- table: begin -->", "<!-- table: end -->"


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--part", type=float, default=1.0, help="share of the kills, for a shorter run")
    parser.add_argument("--write", type=Path, help="page whose table is replaced")
    given = parser.parse_args()
    print(f"seed {given.seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="regnetlab-faults-") as folder:
        data = Path(folder) / "data"
        data.mkdir()
        write_bars(data)
        site = Site(Path(folder), data, random.Random(given.seed))
        site.learn_calm()
        counts = _inject(site, given.part)
    lines = [
        "| fault | times injected | studies | lost | doubled | wrong |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for name, count in counts.items():
        facts = (count.injected, count.studies, count.lost, count.doubled, count.wrong)
        lines.append(f"| {name} | {' | '.join(map(str, facts))} |")
    rounds = _rounds(given.seed, max(1, round(2_000 * given.part)))
    lines += ["", sentence(rounds)]
    total = [sum(getattr(each, key) for each in counts.values()) for key in Count.__dataclass_fields__]
    lines.insert(-2, f"| **all** | {' | '.join(map(str, total))} |")
    print("\n".join(lines))
    if given.write:
        python = platform.python_version()
        measured = f"Seed {given.seed}, {os.cpu_count()} cores, {platform.system()}, Python {python}."
        text = given.write.read_text(encoding="utf-8")
        before, rest = text.split(BEGIN)
        after = rest.split(END)[1]
        body = "\n".join(lines)
        given.write.write_text(f"{before}{BEGIN}\n{measured}\n\n{body}\n{END}{after}", encoding="utf-8")
    return 1 if any(total[2:]) or rounds.broken or rounds.unexpected else 0


def _rounds(seed: int, count: int) -> Result:
    """In two processes, in memory where that can be."""
    place = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=place) as folder, ThreadPoolExecutor(2) as pool:
        halves = []
        for number in (0, 1):
            half = Path(folder) / str(number)
            half.mkdir()
            halves.append(pool.submit(result_of, half, seed + number * count, (count + 1) // 2))
        return halves[0].result() + halves[1].result()


def sentence(result: Result) -> str:
    """What the rounds came to, for the page."""
    endings = sorted(((int(status), count) for status, count in result.endings.items()), reverse=True)
    ended = ", ".join(
        f"{count:,} with status {status}" if status >= 0 else f"{count:,} by signal {-status}"
        for status, count in endings
    )
    return (
        f"In {result.rounds:,} rounds {result.calls:,} system calls failed, {result.signals:,} signals came"
        f" and {result.cuts:,} files were cut off. The runs ended: {ended}. Rounds that lost, doubled or"
        f" changed a training, or never came to an end: {len(result.broken)}."
    )


def _inject(site: Site, part: float) -> dict[str, Count]:
    def many(kills: int) -> int:
        return max(1, round(kills * part))

    kinds: dict[str, Callable[[], Count]] = {
        "kill -9 of a worker": lambda: injection.kill_workers(site, many(40)),
        "kill -9 of the coordinator, SQLite": lambda: injection.kill_coordinators(site, many(25)),
        "kill -9 of Dask's scheduler": lambda: injection.kill_cluster(site, many(12), 1.0),
        "kill -9 of a Dask worker": lambda: injection.kill_cluster(site, many(12), 0.0),
        "SIGTERM to the coordinator": lambda: injection.terminate_coordinators(site, many(6)),
    }
    counts = {}
    for name, inject in kinds.items():
        began = time.monotonic()
        counts[name] = inject()
        print(f"{name}: {counts[name]}, {time.monotonic() - began:.0f} s", flush=True)
    if (why := postgres.missing()) is not None:
        print(f"skipped: kill -9 of the database: {why}")
        return counts
    with postgres.server() as server:

        def restart() -> None:
            server.kill()
            server.start()

        counts["kill -9 of PostgreSQL"] = injection.kill_databases(site, many(15), server.url, restart)
    return counts


if __name__ == "__main__":
    sys.exit(main())
