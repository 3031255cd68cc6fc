"""Rounds of a study under faults that don't know where the code looks for them.

A round runs one study several times. In each run system calls fail at random (``syscalls.c``), a signal comes
at random, or a random file is cut off before it; then one more run is left alone. Whatever happened: a run
that ends with status 0 has the tables of a run without faults, another one has lost nothing, and the last one
ends well.

``python -m tests.faults.rounds FOLDER SEED ROUNDS`` in a process that ``syscalls.c`` is preloaded into, which
forks for every run; trainings are pretended (an error from the seed), everything else is real. Prints JSON.
"""

import ctypes
import faulthandler
import hashlib
import json
import os
import random
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
import traceback
from collections import Counter
from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from regnetlab.cli import main
from regnetlab.models.native.build import find_compiler
from tests.study.processes import environment

STUDY = """
seed = 5
template = { stem_width = 8, strides = [2, 2] }
[regime]
flops = "0.02M:0.4M"
[ranges]
depth = [1, 2]
width = [8, 32]
[budget]
images = 128
batch_size = 32
validation = 100
[derive]
n = 2
force = true
[baselines]
names = ["bn_lenet"]
lr = [0.05, 0.2]
regnets = 1
[[spaces]]
space = "AnyNetA"
n = 12
[[spaces]]
space = "AnyNetE"
n = 4
"""
LONGEST = 60.0
"""Seconds that a run may take; it takes about one."""
_SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGSTOP)
_SUMMED = ("rounds", "runs", "calls", "signals", "cuts", "interrupted", "unexpected", "broken")
_RAISED, _HANGS = 99, 999
_TABLES = ("trials.csv", "baselines.csv")


@dataclass
class Result:
    """What the rounds injected, how runs under faults ended, and what should not have happened."""

    rounds: int = 0
    runs: int = 0
    calls: int = 0
    signals: int = 0
    cuts: int = 0
    interrupted: int = 0  # runs that kept something and did not end with 0
    endings: dict[str, int] = field(default_factory=dict)
    unexpected: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)

    def __add__(self, other: "Result") -> "Result":
        return Result(
            **{name: getattr(self, name) + getattr(other, name) for name in _SUMMED},
            endings=dict(Counter(self.endings) + Counter(other.endings)),
        )


def preloaded(folder: Path) -> dict[str, str]:
    """An environment whose processes have ``syscalls.c``; compiles it into the folder."""
    library = folder / "syscalls.so"
    source = Path(__file__).with_name("syscalls.c")
    words = [str(find_compiler()), "-shared", "-fPIC", "-O1", "-o", str(library), str(source), "-ldl"]
    subprocess.run(words, check=True)
    return {"LD_PRELOAD": str(library), "FAULTS": str(library), "OMP_NUM_THREADS": "1"}


class Rounds:
    """The studies of one process, and what they must come to."""

    def __init__(self, folder: Path, data: Path) -> None:
        self.folder, self.data = folder, data
        self.library = ctypes.CDLL(os.environ["FAULTS"])
        self.library.faults_injected.restype = ctypes.c_long
        self.result = Result()
        self.printed = folder / "printed"
        calm = self.study("calm")
        assert main(self._words(calm)) == 0  # here, so that what is forked has imported everything
        self.calm = tables(calm)

    def study(self, name: str) -> Path:
        path = self.folder / name / "study.toml"
        path.parent.mkdir()
        path.write_text(STUDY)
        return path

    def _words(self, study: Path) -> list[str]:
        return ["run", str(study), "--executor", "inline", "--device", "cpu", "--data-dir", str(self.data)]

    def run(
        self, study: Path, faults: tuple[int, int, str] | None = None, strike: tuple[int, float] | None = None
    ) -> int:
        """The exit status of ``regnetlab run`` in a process of its own, below 0 where a signal ended it."""
        child = os.fork()
        if child == 0:
            self._in_child(study, faults)
        end, struck = time.monotonic() + LONGEST, strike is None
        began = time.monotonic()
        while True:
            done, status = os.waitpid(child, os.WNOHANG)
            if done:
                return os.waitstatus_to_exitcode(status)
            if strike is not None and not struck and time.monotonic() - began > strike[1]:
                struck = True
                self.result.signals += 1
                os.kill(child, strike[0])
                if strike[0] == signal.SIGSTOP:
                    time.sleep(0.2)
                    os.kill(child, signal.SIGCONT)
            if time.monotonic() > end:
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
                return _HANGS
            time.sleep(0.002)

    def _in_child(self, study: Path, faults: tuple[int, int, str] | None) -> None:
        code = _RAISED
        try:
            out = os.open(self.printed, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(out, 1)
            os.dup2(out, 2)
            faulthandler.dump_traceback_later(LONGEST - 5)
            if faults is not None:
                seed, one_in, below = faults
                self.library.faults_arm(ctypes.c_ulonglong(seed), one_in, below.encode())
            sys.argv[1:] = self._words(study)
            code = main()
            try:
                sys.stdout.flush()
                sys.stderr.flush()
            except OSError:
                code = code or 120  # as Python itself ends where its output finds no place
        except KeyboardInterrupt:
            code = 130  # before, or after, ``main`` looks after it
        except BaseException:
            traceback.print_exc()
            sys.stderr.flush()
        finally:
            os._exit(code)

    def round(self, seed: int) -> None:
        """One study, from its first run to its end."""
        draw, result = random.Random(seed), self.result
        study = self.study(f"round-{seed}")
        result.rounds += 1
        seen: Kept = {}
        cut = ""
        for attempt in range(draw.randint(1, 3)):
            kind = draw.choice(("calls", "calls", "signal", "both", "cut"))
            if kind == "cut" and (path := one_of(draw, study.parent)) is not None:
                cut = path.name
                with path.open("r+b") as file:
                    file.truncate(draw.randrange(max(1, path.stat().st_size)))
                result.cuts += 1
                there = kept(study)  # what is gone by the cut is not lost by the run
                seen = {key: row for key, row in seen.items() if there.get(key) == row}
            below = draw.choice((str(study.parent),) * 4 + (str(self.folder), ""))
            faults = (draw.getrandbits(60), draw.choice((8, 30, 100, 300, 1000)), below)
            strike = (draw.choice(_SIGNALS), draw.uniform(0, 1.2))
            before, had = self.library.faults_injected(), files(study)
            status = self.run(
                study,
                faults if kind in ("calls", "both") else None,
                strike if kind in ("signal", "both") else None,
            )
            result.runs += 1
            result.calls += self.library.faults_injected() - before
            where = f"seed {seed}, run {attempt} ({kind} {faults[1:] if kind != 'signal' else strike})"
            self._judge(study, status, where, seen, had, cut)
            seen = kept(study)
            result.interrupted += bool(seen) and status != 0
        had = files(study)
        status = self.run(study)
        damaged = re.search("move the file away|store repair", self.printed.read_text(errors="replace"))
        if status != 0 and cut.startswith("study.db") and damaged:  # as the message says
            for ending in ("", "-wal", "-shm", "-journal"):
                path = study.parent / f"study.db{ending}"
                if path.exists():
                    path.rename(study.parent / f"put-aside{ending}")
            seen = {}
            status = self.run(study)
        self._judge(study, status, f"seed {seed}, at last, cut {cut!r}", seen, had, cut)
        if status != 0:
            self._tell(f"seed {seed}: the last run ended with {status}: {self.printed.read_text()[-3_000:]}")
        if not result.broken or f"seed {seed}" not in result.broken[-1]:
            shutil.rmtree(study.parent)

    def _judge(
        self, study: Path, status: int, where: str, seen: "Kept", had: dict[str, list[str]], cut: str
    ) -> None:
        endings = Counter(self.result.endings)
        endings[str(status)] += 1
        self.result.endings = dict(endings)
        printed = self.printed.read_text(errors="replace")
        if status in (_RAISED, _HANGS):
            self._tell(f"{where}: {'hangs' if status == _HANGS else 'raised'}: {printed[-3_000:]}")
        if "unexpected" in printed:
            self.result.unexpected.append(f"{where}: {printed[-1_800:]}")
        now, there = tables(study), kept(study)
        if status == 0 and now != self.calm:
            self._tell(f"{where}: status 0, and other tables")
        if lost := [key for key, row in seen.items() if there.get(key) != row]:
            self._tell(f"{where}: {len(lost)} of {len(seen)} trainings are lost")
        for name, rows in now.items():
            if name != cut and (others := set(rows) - set(self.calm[name])):
                self._tell(f"{where}: {name} has rows that a run without faults has not: {min(others)}")
        for name in _TABLES:
            before, after = had.get(name, []), files(study).get(name, [])
            aside = [each for each in files(study) if each.startswith(f"{name.partition('.')[0]}.backup-")]
            new = [each for each in aside if each not in had]
            if name != cut and len(after) < len(before) and not new:
                self._tell(f"{where}: {name} had {len(before)} lines, has {len(after)}")

    def _tell(self, what: str) -> None:
        self.result.broken.append(what)
        print(what, file=sys.stderr, flush=True)


def tables(study: Path) -> dict[str, list[str]]:
    """The rows of the tables, without what differs from run to run (seconds and latencies) or is empty."""
    import csv
    import io

    found = {}
    for name in _TABLES:
        path = study.parent / name
        if path.exists():
            rows = csv.DictReader(io.StringIO(path.read_text(errors="replace")))
            found[name] = [
                json.dumps({k: v for k, v in row.items() if v and not k.startswith(("seconds", "latency"))})
                for row in rows
            ]
    return found


Kept = dict[str, tuple[object, ...]]
"""What a store has of its trainings, by identity: also when they were kept."""


def files(study: Path) -> dict[str, list[str]]:
    """The lines of all tables, and of those put aside."""
    found = study.parent.glob("*.csv")
    return {each.name: each.read_text(errors="replace").splitlines() for each in found}


def kept(study: Path) -> Kept:
    """Read from a copy of the store; empty where it can't be read."""
    copy = study.parent.parent / "copy"
    shutil.rmtree(copy, ignore_errors=True)
    copy.mkdir()
    for path in study.parent.glob("study.db*"):
        shutil.copy(path, copy / path.name)
    if not (copy / "study.db").exists():
        return {}
    query = "select identity, number, finished, error, ended, test_error, curve from regnetlab_trials"
    try:
        with closing(sqlite3.connect(copy / "study.db")) as connection:
            rows = connection.execute(query).fetchall()
    except (sqlite3.Error, UnicodeDecodeError):
        return {}
    return {row[0]: row[1:] for row in rows}


def one_of(draw: random.Random, folder: Path) -> Path | None:
    """A file of the study that a run reads or writes, but for the study file itself."""
    files = sorted(each for each in folder.iterdir() if each.is_file() and each.name != "study.toml")
    return draw.choice(files) if files else None


def pretend(forgetful: bool = False) -> None:
    """Trainings and latencies that take no time and come from the seed alone.

    A ``forgetful`` program begins each run by losing all trainings: what the rounds must notice.
    """
    from regnetlab.cli import app
    from regnetlab.execution import worker
    from regnetlab.study import run as studies
    from regnetlab.study import session
    from regnetlab.training.budget import COMPLETE, CurvePoint, Score
    from regnetlab.training.correctness import pack
    from regnetlab.training.latency import Latency

    def train(build: Any, data: Any, budget: Any, recipe: Any, seed: int, *others: Any) -> Score:
        time.sleep(0.004)
        number = int(hashlib.sha256(f"{seed} {recipe.lr}".encode()).hexdigest()[:8], 16)
        error = 10 + number % 5_000 / 100
        if data.test is None:
            return Score(error, (CurvePoint(128, 1.0, 50.0, error),), 0.01, 128, COMPLETE)
        correct = [(number >> i % 24) % 3 > 0 for i in range(len(data.test))]
        test = 100 - 100 * sum(correct) / len(correct)
        import numpy as np

        packed = pack(np.array(correct))
        return Score(error, (CurvePoint(128, 1.0, 50.0, error),), 0.01, 128, COMPLETE, test, packed)

    def latency(build: Any, template: Any, device: Any, batch: int) -> Latency:
        return Latency(batch, 1.0, 0.9, 1.1, 5)

    complain = app._complain

    def traced(what: str, hint: str = "") -> None:
        complain(what, hint)
        print(traceback.format_exc()[-1_500:], file=sys.stderr)

    app._complain = traced
    if forgetful:
        open_store = session.open_store

        def emptied(location: Any) -> Any:
            store = open_store(location)
            store.remove(store.numbers(lambda row: True))
            return store

        session.open_store = emptied  # type: ignore[assignment]
    worker.train = train  # type: ignore[assignment]
    studies.latency = latency  # type: ignore[assignment]


def result_of(folder: Path, seed: int, count: int, forgetful: bool = False) -> Result:
    """What so many rounds come to, in a process of their own; ``folder`` is on a fast disk at best."""
    words = [sys.executable, "-m", "tests.faults.rounds", str(folder), str(seed), str(count)]
    words += ["forgetful"] * forgetful
    more = preloaded(folder)
    done = subprocess.run(words, env=environment(**more), stdout=subprocess.PIPE, text=True, check=True)
    return Result(**json.loads(done.stdout.splitlines()[-1]))


def run_rounds() -> None:
    folder, seed, count = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    from tests.conftest import write_bars

    data = folder / "data"
    data.mkdir()
    write_bars(data)
    pretend(forgetful="forgetful" in sys.argv)
    rounds = Rounds(folder, data)
    for number in range(count):
        rounds.round(seed + number)
    print(json.dumps(asdict(rounds.result)))


if __name__ == "__main__":
    run_rounds()
