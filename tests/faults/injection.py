"""kill -9 at random moments, and what a study is afterwards beside one that nothing happened to.

Every kind of fault is a function that injects so many kills into real runs and counts, over all studies
that it touched: trainings that were kept and are no longer there (or never came) as ``lost``, trials of
one identity beyond the first as ``doubled``, rows of trials.csv that differ from the undisturbed study's
as ``wrong``.
"""

import os
import random
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path

from regnetlab.study.plan_file import load_plan
from regnetlab.trials.store import open_store
from tests.study import processes
from tests.study.processes import SMALL, environment
from tests.study.running import rows_after

STUDY = SMALL.replace("n = 4", "n = 10")
_ENDS = 300.0  # seconds within which an undisturbed run must end


@dataclass
class Count:
    """What was injected and what was found."""

    injected: int = 0
    studies: int = 0
    lost: int = 0
    doubled: int = 0
    wrong: int = 0


@dataclass
class Site:
    """Where the studies of a suite are run; ``calm`` are the rows of the undisturbed one."""

    folder: Path
    data: Path
    draw: random.Random
    calm: list[dict[str, str]] = field(default_factory=list)
    made: int = 0

    def study(self, storage: str = "") -> Path:
        self.made += 1
        path = self.folder / f"study-{self.made}" / "study.toml"
        path.parent.mkdir(parents=True)
        path.write_text(STUDY + (f'[run]\nstorage = "{storage}"\n' if storage else ""))
        return path

    def environment(self, **more: str) -> dict[str, str]:
        """Trainings last half a second longer, so that kills come during them too."""
        return environment(first=processes.with_fault(self.folder / "slow", "time.sleep(0.5)"), **more)

    def words(self, *more: str) -> list[str]:
        return ["--data-dir", str(self.data), "--device", "cpu", "--workers", "2", *more]

    def learn_calm(self) -> None:
        self.calm = rows_after(self.study(), self.data)


def kept(study: Path) -> set[str]:
    location = load_plan(study).store
    return {row["identity"] for row in open_store(location).rows()} if location.exists() else set()


def judge(site: Site, study: Path, count: Count, seen: set[str]) -> None:
    """Let the study come to its end undisturbed, then compare."""
    rows = rows_after(study, site.data)
    identities = processes.identities_of(study)
    count.studies += 1
    count.lost += max(0, len(site.calm) - len(rows)) + len(seen - set(identities))
    count.doubled += len(identities) - len(set(identities))
    count.wrong += sum(row != other for row, other in zip(rows, site.calm, strict=False))


def kill_coordinators(site: Site, kills: int, storage: str = "") -> Count:
    """A run is killed at a moment from its start to well into its trainings, then begun again."""
    count = Count()
    env = site.environment()
    while count.injected < kills:
        study, seen = site.study(storage), set[str]()
        for _ in range(site.draw.randint(3, 6)):
            process = processes.start("run", str(study), *site.words(), env=env)
            with suppress(subprocess.TimeoutExpired):
                process.communicate(timeout=site.draw.uniform(0.2, 8))
            if process.poll() is not None:
                break
            process.kill()
            process.communicate()
            count.injected += 1
            seen |= kept(study)
            if count.injected == kills:
                break
        judge(site, study, count, seen)
    return count


def kill_workers(site: Site, kills: int) -> Count:
    """Children of a run are killed, at most five a study: a network that is lost three times is
    recorded as failed, by intention."""
    count = Count()
    env = site.environment()
    while count.injected < kills:
        study = site.study()
        process = processes.start("run", str(study), *site.words(), env=env)
        in_this = 0
        while process.poll() is None and in_this < min(5, kills - count.injected):
            time.sleep(site.draw.uniform(0.2, 2.5))
            children = [pid for pid in processes.children_of(process.pid) if _trains(pid)]
            if children:
                processes.kill(site.draw.choice(children))
                in_this += 1
                count.injected += 1
        process.communicate(timeout=_ENDS)
        judge(site, study, count, set())
    return count


def kill_cluster(site: Site, kills: int, of_scheduler: float) -> Count:
    """Schedulers (that share of the kills) and workers of a Dask cluster are killed and started again."""
    count = Count()
    env = site.environment()
    while count.injected < kills:
        study, port = site.study(), processes.free_port()
        address = f"tcp://127.0.0.1:{port}"
        with ExitStack() as held:

            def begin(words: list[str], held: ExitStack = held) -> "subprocess.Popen[bytes]":
                return held.enter_context(processes.background(*words, env=env))

            scheduler = begin(processes.scheduler_words(port))
            processes.wait_for(lambda port=port: processes.listens(port))  # type: ignore[misc]
            workers = [begin(processes.worker_words(address)) for _ in range(2)]
            words = site.words("--scheduler", address)
            run = processes.start("run", str(study), *words, env=env)
            processes.wait_for(lambda study=study, run=run: run.poll() is not None or bool(kept(study)))  # type: ignore[misc]
            for _ in range(min(4, kills - count.injected)):
                time.sleep(site.draw.uniform(0.2, 3))
                if run.poll() is not None:
                    break
                if site.draw.random() < of_scheduler:
                    scheduler.kill()
                    scheduler.wait()
                    scheduler = begin(processes.scheduler_words(port))
                else:
                    which = site.draw.randrange(2)
                    workers[which].kill()
                    workers[which] = begin(processes.worker_words(address))
                count.injected += 1
            run.communicate(timeout=_ENDS)
        judge(site, study, count, set())
    return count


def kill_databases(site: Site, kills: int, url: str, restart: Callable[[], None]) -> Count:
    """``restart`` kills the database and starts it again."""
    count = Count()
    env = site.environment(REGNETLAB_STORAGE=url)
    before = os.environ.get("REGNETLAB_STORAGE")
    os.environ["REGNETLAB_STORAGE"] = url
    try:
        while count.injected < kills:
            study = site.study()
            run = processes.start("run", str(study), *site.words(), env=env)
            processes.wait_for(lambda study=study, run=run: run.poll() is not None or bool(kept(study)))  # type: ignore[misc]
            for _ in range(min(5, kills - count.injected)):
                time.sleep(site.draw.uniform(0.05, 1.2))
                if run.poll() is not None:
                    break
                restart()
                count.injected += 1
            run.communicate(timeout=_ENDS)
            judge(site, study, count, set())
    finally:
        if before is None:
            del os.environ["REGNETLAB_STORAGE"]
        else:
            os.environ["REGNETLAB_STORAGE"] = before
    return count


def terminate_coordinators(site: Site, kills: int) -> Count:
    """SIGTERM, as a batch system sends it, at random moments of a run."""
    count = Count()
    env = site.environment()
    while count.injected < kills:
        study, seen = site.study(), set[str]()
        for _ in range(min(3, kills - count.injected)):
            process = processes.start("run", str(study), *site.words(), env=env)
            with suppress(subprocess.TimeoutExpired):
                process.communicate(timeout=site.draw.uniform(2, 8))
            if process.poll() is not None:
                break
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=60)
            count.injected += 1
            seen |= kept(study)
        judge(site, study, count, seen)
    return count


def _trains(pid: int) -> bool:
    with suppress(OSError):
        return b"execution.child" in Path(f"/proc/{pid}/cmdline").read_bytes()
    return False
