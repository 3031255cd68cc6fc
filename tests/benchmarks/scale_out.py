"""How far one coordinator reaches: jobs through Dask whose training is a labelled, synthetic score.

    python tests/benchmarks/scale_out.py [--jobs 100000] [--workers 8] [--store sqlite|none]

No network is trained: each job returns a score that says so (``synthetic``), at once. What is measured is
all the rest: handing out, collecting, keeping. Prints jobs/s, coordinator CPU per job, its largest memory,
and bytes of store per training, every tenth of the way. The figures of docs/scaling-out.md are from here.
"""

import argparse
import logging
import resource
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from regnetlab.execution.base import OnStart, Report, Setting, Task, TrainingExecutor, ignore
from regnetlab.spaces.template import SMALL
from regnetlab.study.dispatch import Dispatch, Stop
from regnetlab.study.observer import Observer
from regnetlab.training.budget import Budget, CurvePoint, Recipe, Score
from regnetlab.trials.job import Job, Trial
from regnetlab.trials.store import Store, open_store


def synthetic(seed: int) -> Report:
    """A score without a training, labelled as such."""
    point = CurvePoint(6_400, 0.8, 30.0, seed % 1_000 / 10)
    curve = (*(CurvePoint(640 * i, 2.0, 60.0) for i in range(1, 10)), point)
    return Report(Score(point.error, curve, 0.001, 6_400, "complete"), "synthetic", "cpu")


class Synthetic(TrainingExecutor):
    """A Dask client whose workers return synthetic scores."""

    def __init__(self, client: Any, workers: int, ahead: int) -> None:
        self._executor, self._room = client.get_executor(pure=False), workers * ahead

    def capacity(self) -> int:
        return self._room

    def submit(self, fn: Callable[..., Any], /, *args: Any, **more: Any) -> Future[Any]:
        future: Future[Any] = self._executor.submit(fn, *args, **more)
        return future

    def train(self, setting: Setting, task: Task, on_start: OnStart = ignore) -> Future[Report]:
        return self.submit(synthetic, task.job.seed)


def jobs_of(count: int) -> list[Job]:
    model = "anynet:d=1,2,3,4;w=16,32,64,128;g=8;b=1"
    counts = {"flops": 10**6, "params": 10**5, "acts": 10**5}
    return [
        Job(model, SMALL, "synthetic", Budget(), Recipe(), i, space="synthetic", index=i, **counts)
        for i in range(count)
    ]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--jobs", type=int, default=100_000)
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--ahead", type=int, default=4, help="jobs in flight for each worker")
    parser.add_argument("--store", choices=("sqlite", "none"), default="none")
    given = parser.parse_args()
    from distributed import Client, LocalCluster

    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "study.db"
        store = open_store(path) if given.store == "sqlite" else None
        # Workers are threads of two processes: what is measured is the coordinator, and cores are few.
        with (
            LocalCluster(
                n_workers=2, threads_per_worker=given.workers // 2, host="127.0.0.1", dashboard_address=None
            ) as cluster,
            Client(cluster) as client,
        ):
            _run(given.jobs, Synthetic(client, given.workers, given.ahead), store, path)


def _run(count: int, executor: Synthetic, store: Store | None, path: Path) -> None:
    began, cpu, kept = time.monotonic(), time.process_time(), 0
    last = [began, cpu, 0.0]

    def keep(job: Job, report: Report) -> None:
        nonlocal kept
        kept += 1
        if store is not None:
            store.add(Trial(job, report.score, "synthetic", report.device))
        if kept % max(1, count // 10) == 0:
            _print(kept, last, max(1, count // 10), path)

    Dispatch(executor, Setting(), keep, Observer(), Stop()).train(jobs_of(count))
    seconds = time.monotonic() - began
    print(
        f"{count} jobs in {seconds:.0f} s: {count / seconds:.0f} jobs/s,"
        f" {(time.process_time() - cpu) / count * 1e3:.2f} ms CPU of the coordinator and scheduler each"
    )


def _print(kept: int, last: list[float], step: int, path: Path) -> None:
    now, cpu = time.monotonic(), time.process_time()
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    size = sum(each.stat().st_size for each in path.parent.glob(f"{path.name}*")) if path.exists() else 0
    print(
        f"{kept:>8} kept: {step / (now - last[0]):7.0f} jobs/s,"
        f" {(cpu - last[1]) / step * 1e3:6.2f} ms CPU/job,"
        f" {memory:6.0f} MiB, store {size / 1e6:7.1f} MB, {size / max(1, kept):6.0f} B/job",
        flush=True,
    )
    last[:2] = [now, cpu]


if __name__ == "__main__":
    main()
