"""What keeping and reading trainings costs: the first and the 3,000th kept, 100,000 read back.

    python tests/benchmarks/store.py [--folder FOLDER]

The scores are synthetic, with a curve of ten points. A training is on the disk when ``add`` returns; how
long the disk takes, a bare insert in the same folder says.
"""

import argparse
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from regnetlab.spaces.template import SMALL
from regnetlab.training.budget import Budget, CurvePoint, Recipe, Score
from regnetlab.trials.job import Job, Trial
from regnetlab.trials.store import open_store, row_of

MODEL = "anynet:d=1,2,3,4;w=16,32,64,128;g=8;b=1"
DATA = "0" * 64
KEPT, READ = 3_000, 100_000


def trial(seed: int) -> Trial:
    """A training that says it is none."""
    points = [CurvePoint(640 * i, 2.30258 / i, 90.125 - i, None) for i in range(1, 11)]
    score = Score(20.66, (*points[:9], replace(points[9], error=20.66)), 1.25, 6_400, "complete")
    job = Job(MODEL, SMALL, "synthetic", Budget(), Recipe(), seed, space="synthetic", index=seed)
    return Trial(job, score, DATA, "none", "synthetic")


def timed(call: Callable[[], object]) -> tuple[float, float]:
    """Milliseconds by the wall clock and of this process's CPU."""
    wall, cpu = time.perf_counter(), time.process_time()
    call()
    return (time.perf_counter() - wall) * 1e3, (time.process_time() - cpu) * 1e3


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument(
        "--folder", type=Path, help="where the store is made; default the system's for such files"
    )
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        path = Path(folder) / "study.db"
        keep(path)
        print(f"{path.stat().st_size / READ:.0f} bytes a training")
        read(path)


def keep(path: Path) -> None:
    """Keep 3,000 one after the other, then the others at once."""
    store, trials = open_store(path), [trial(seed) for seed in range(KEPT)]
    times = [timed(partial(store.add, each)) for each in trials]
    for name, some in (("first 100", times[:100]), ("last 100 of 3,000", times[-100:])):
        wall, cpu = (statistics.median(values) for values in zip(*some, strict=True))
        print(f"keeping a training, median of the {name}: {wall:.2f} ms, {cpu:.2f} ms of CPU")
    bare = sqlite3.connect(path.with_name("bare.db"), isolation_level=None)
    for text in ("pragma journal_mode=wal", "pragma synchronous=full", "create table t (a)"):
        bare.execute(text)
    waits = [timed(lambda: insert(bare))[0] for _ in range(100)]
    print(f"one bare insert there: {statistics.median(waits):.2f} ms")
    bare.close()
    row = row_of(trials[0])
    store.add_rows({**row, "identity": f"{seed:024x}"} for seed in range(KEPT, READ))


def read(path: Path) -> None:
    store = open_store(path)
    wall, cpu = timed(lambda: store.scores(DATA))
    assert len(store.scores(DATA)) == READ
    print(f"reading {READ:,}: {wall / 1e3:.2f} s, {cpu / 1e3:.2f} s of CPU")


def insert(connection: sqlite3.Connection) -> None:
    connection.execute("insert into t values (?)", ["x" * 500])


if __name__ == "__main__":
    main()
