"""How a run is watched: the log, lines for machines, and status again and again."""

import json
import os
import subprocess
import sys
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from regnetlab.cli import main
from regnetlab.cli.watch import MOST_ROWS, failure_lines, lasted, pace_line, print_workers
from tests.study.processes import SMALL, environment

MakeStudy = Callable[..., Path]


def test_a_run_tells_machines_what_happens_and_logs_it(make_study: MakeStudy, data_dir: Path) -> None:
    study = make_study(SMALL.replace("n = 4", "n = 2"))
    words = ["--data-dir", str(data_dir), "--device", "cpu", "--executor", "inline", "--progress", "json"]
    done = subprocess.run(
        [sys.executable, "-m", "regnetlab", "run", str(study), *words, "--json"],
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout)["complete"] == 2
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert [(line["event"], line["done"]) for line in lines] == [
        ("begin", 0),
        *[("note", 0)] * 3,  # of the data, guessing, and few steps
        ("finished", 1),
        ("finished", 2),
    ]
    log = [json.loads(line) for line in (study.parent / "study.log.jsonl").read_text().splitlines()]
    assert [line["event"] for line in log] == [
        *("run", "begin", *["note"] * 3),
        *("started", "finished") * 2,
        "end",
    ]
    assert all({"time", "host", "pid"} <= set(line) for line in log)
    assert {"model", "seed", "identity", "error", "ended"} <= set(log[6])
    assert {"worker", "device", "space", "index"} <= set(log[5])


def test_watching_ends_when_the_study_is_complete(
    make_study: MakeStudy, data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study = make_study(SMALL.replace("n = 4", "n = 1") + '[run]\nexecutor = "inline"\n')
    assert main(["run", str(study), "--data-dir", str(data_dir), "--device", "cpu"]) == 0
    capsys.readouterr()
    assert main(["status", str(study), "--watch", "--every", "0.2"]) == 0
    said = capsys.readouterr().out
    assert "1 of 1 complete" in said
    assert f"{os.uname().nodename}/{os.getpid()}" in said
    assert max(map(len, said.splitlines())) <= 80


def test_a_pace_is_what_was_done_over_the_time_it_took() -> None:
    assert pace_line(deque([(0.0, 0)]), 5) == "5 left; no rate yet"
    assert pace_line(deque([(0.0, 0), (10.0, 20)]), 60) == "60 left; 7,200 trainings/h, 30 s left"
    assert pace_line(deque([(0.0, 0), (60.0, 1)]), 10) == "10 left; 60 trainings/h, 10 min left"


def test_failures_are_counted_by_kind() -> None:
    diverged = [f"diverged: the loss was not finite by step {step}" for step in (3, 7)]
    assert failure_lines([*diverged, "out of memory"]) == [
        "2 × diverged: the loss was not finite",
        "1 × out of memory",
    ]


NOW = datetime(2026, 1, 2, 12, tzinfo=UTC)


def ago(seconds: float) -> str:
    return (NOW - timedelta(seconds=seconds)).isoformat(timespec="milliseconds")


def worker(name: str, device: str = "cpu with native kernels", **training: float) -> dict[str, Any]:
    """One that began so many seconds ago with these trainings."""
    trains = [{"space": space, "index": 12, "since": ago(seconds)} for space, seconds in training.items()]
    return {"worker": name, "device": device, "training": trains, "done": 345, "last_seen": ago(30)}


def test_workers_are_a_row_each_that_fits_the_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    address = "tls://node-1234.cluster.example.org:43521"
    workers = [
        worker(address, "cuda GPU-8c5d4f2e-3f0e", AnyNetE=4_000, a_space_with_a_long_name=9_000),
        worker("desk/4242"),
    ]
    for columns in (80, 100):
        for module in ("output", "watch"):
            monkeypatch.setattr(f"regnetlab.cli.{module}.columns", lambda width=columns: width)
        print_workers(workers, NOW)
        lines = capsys.readouterr().out.splitlines()
        assert max(map(len, lines)) <= columns
        assert len(lines) == 4
        assert lines[1].split() == ["worker", "device", "trains", "for", "done", "last", "seen"]
        assert "a_long_name 12 +1" in lines[2]
        assert " 2.5 h " in lines[2]
        assert "43521" in lines[2]
        assert lines[3].split() == ["desk/4242", "cpu", "345", "30", "s", "ago"]
    print_workers([worker(f"w/{i}") for i in range(MOST_ROWS + 5)], NOW)
    assert capsys.readouterr().out.splitlines()[-1] == "and 5 more workers"


def test_how_long_is_said_in_few_characters_and_never_below_zero() -> None:
    assert [lasted(ago(each), NOW) for each in (5, 99, 100, 7_200, 90_000)] == [
        "5 s",
        "99 s",
        "2 min",
        "2 h",
        "25 h",
    ]
    assert lasted(ago(-3_600), NOW) == "0 s"
    assert lasted("half a li", NOW) == "–"
