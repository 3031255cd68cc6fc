"""The whole suite: ``python -m tests.faults [--seed S] [--part P] [--write docs/reliability.md]``.

Over 100 kills at moments drawn from the seed; minutes to half an hour, after the machine. Ends with
status 1 where anything was lost, doubled or wrong.
"""

import argparse
import os
import platform
import random
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.cluster import postgres
from tests.conftest import write_bars
from tests.faults import injection
from tests.faults.injection import Count, Site

BEGIN, END = "<!-- table: begin -->", "<!-- table: end -->"


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--part", type=float, default=1.0, help="share of the kills, for a shorter run")
    parser.add_argument("--write", type=Path, help="page whose table is written anew")
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
    total = [sum(getattr(each, key) for each in counts.values()) for key in Count.__dataclass_fields__]
    lines.append(f"| **all** | {' | '.join(map(str, total))} |")
    print("\n".join(lines))
    if given.write:
        python = platform.python_version()
        measured = f"Seed {given.seed}, {os.cpu_count()} cores, {platform.system()}, Python {python}."
        text = given.write.read_text(encoding="utf-8")
        before, rest = text.split(BEGIN)
        after = rest.split(END)[1]
        body = "\n".join(lines)
        given.write.write_text(f"{before}{BEGIN}\n{measured}\n\n{body}\n{END}{after}", encoding="utf-8")
    return 1 if any(total[2:]) else 0


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
