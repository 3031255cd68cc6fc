"""How a run is watched: the log, lines for machines, and status again and again."""

import json
import subprocess
import sys
from collections import deque
from collections.abc import Callable
from pathlib import Path

import pytest

from regnetlab.cli import main
from regnetlab.cli.watch import failure_lines, pace_line
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
        ("finished", 1),
        ("finished", 2),
    ]
    log = [json.loads(line) for line in (study.parent / "study.log.jsonl").read_text().splitlines()]
    assert [line["event"] for line in log] == ["run", "begin", "finished", "finished", "end"]
    assert all({"time", "host", "pid"} <= set(line) for line in log)
    assert {"model", "seed", "identity", "error", "ended"} <= set(log[2])


def test_watching_ends_when_the_study_is_complete(
    make_study: MakeStudy, data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study = make_study(SMALL.replace("n = 4", "n = 1") + '[run]\nexecutor = "inline"\n')
    assert main(["run", str(study), "--data-dir", str(data_dir), "--device", "cpu"]) == 0
    capsys.readouterr()
    assert main(["status", str(study), "--watch", "--every", "0.2"]) == 0
    said = capsys.readouterr().out
    assert "1 of 1 complete" in said
    assert max(map(len, said.splitlines())) <= 80


def test_a_pace_is_what_was_done_over_the_time_it_took() -> None:
    assert pace_line(deque([(0.0, 0)]), 5) == "5 left; no rate yet"
    assert pace_line(deque([(0.0, 0), (10.0, 20)]), 60) == "60 left; 7,200 models/h, 30 s left"
    assert pace_line(deque([(0.0, 0), (60.0, 1)]), 10) == "10 left; 60 models/h, 10 min left"


def test_failures_are_counted_by_kind() -> None:
    diverged = [f"diverged: the loss was not finite by step {step}" for step in (3, 7)]
    assert failure_lines([*diverged, "out of memory"]) == [
        "2 × diverged: the loss was not finite",
        "1 × out of memory",
    ]
