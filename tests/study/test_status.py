"""Which worker trains what: told by the executors, kept in the log, read by who watches."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from regnetlab.cli import main
from regnetlab.execution.base import Setting, Task, WorkerInfo
from regnetlab.execution.inline import Inline
from regnetlab.spaces.template import TEMPLATES
from regnetlab.study.plan_file import load_plan
from regnetlab.study.stages import planned_jobs
from regnetlab.study.status import LogReader
from regnetlab.training.budget import Budget, Recipe, Score
from regnetlab.trials.job import Job
from tests.study import processes
from tests.study.processes import SMALL, environment, with_fault

MakeStudy = Callable[..., Path]
HELD = "while seed == {seed} and not (here / 'go').exists(): time.sleep(0.05)"


def event(kind: str, identity: str = "", worker: str = "", time: str = "09:00") -> str:
    more = {"worker": worker, "device": "cpu", "space": "A", "index": 7} if kind == "started" else {}
    return json.dumps({"time": time, "event": kind, "identity": identity, **more}) + "\n"


def rows(log: Path, running: bool = True) -> list[tuple[str, int, int, str]]:
    """Worker, trainings now, trainings done and when it was last heard of."""
    found = LogReader(log).look().documents(running)
    return [(each["worker"], len(each["training"]), each["done"], each["last_seen"]) for each in found]


def test_a_training_is_where_it_began_last_until_it_is_over(tmp_path: Path) -> None:
    log = tmp_path / "study.log.jsonl"
    log.write_text(event("run") + event("started", "x", "a") + event("started", "y", "b", "09:01"))
    assert rows(log) == [("a", 1, 0, "09:00"), ("b", 1, 0, "09:01")]
    with log.open("a") as file:
        file.write(event("lost", "y") + event("started", "y", "a", "09:02") + event("finished", "x"))
        file.write(event("finished", "y", time="09:03"))
    assert rows(log) == [("a", 0, 2, "09:03"), ("b", 0, 0, "09:01")]


def test_word_of_a_beginning_that_comes_after_the_end_changes_nothing(tmp_path: Path) -> None:
    log = tmp_path / "study.log.jsonl"
    began, over = event("started", "x", "a"), event("finished", "x")
    log.write_text(event("run") + began + over + began)
    assert rows(log) == [("a", 0, 1, "09:00")]


def test_only_the_last_run_counts_and_without_a_coordinator_nothing_trains(tmp_path: Path) -> None:
    log = tmp_path / "study.log.jsonl"
    log.write_text(event("run") + event("started", "x", "old") + event("run") + event("started", "x", "new"))
    assert rows(log) == [("new", 1, 0, "09:00")]
    assert rows(log, running=False) == [("new", 0, 0, "09:00")]
    with log.open("a") as file:
        file.write(event("end"))
    assert rows(log) == [("new", 0, 0, "09:00")]
    assert rows(tmp_path / "none") == []


def test_a_reader_goes_on_where_it_was_across_a_log_that_is_begun_again(tmp_path: Path) -> None:
    log = tmp_path / "study.log.jsonl"
    log.write_text(event("run") + event("started", "x", "a") + event("started", "y", "a")[:20])
    reader = LogReader(log)
    reader.look()
    with log.open("a") as file:
        file.write(event("started", "y", "a")[20:] + event("finished", "x"))
    log.replace(tmp_path / "study.log.jsonl.1")
    log.write_text("no JSON\n" + event("finished", "y"))
    assert [each["done"] for each in reader.look().documents(running=True)] == [2]
    assert rows(log) == [("a", 0, 2, "09:00")]  # of whom comes now, too


def test_inline_tells_where_before_it_trains(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[WorkerInfo] = []
    setting = Setting(data_dir, "cpu", "torch")
    budget = Budget(images=64, validation=100)
    task = Task(Job("bn_lenet", TEMPLATES["small"], "fashion-mnist", budget, Recipe(), 0))
    score = Score(10.0, (), 1.0, 64, "complete")
    begun: list[list[WorkerInfo]] = []
    monkeypatch.setattr("regnetlab.execution.worker.train", lambda *_: begun.append(list(heard)) or score)
    report = Inline().train(setting, task, heard.append).result()
    assert heard == [WorkerInfo(f"{os.uname().nodename}/{os.getpid()}", "cpu with torch kernels")]
    assert begun == [heard]
    assert (report.score, report.worker) == (score, heard[0].name)


def test_another_terminal_sees_local_workers_and_what_they_train(
    make_study: MakeStudy, data_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study = make_study(SMALL)
    plan = load_plan(study)
    held = planned_jobs(plan)[1]
    fault = with_fault(tmp_path / "fault", HELD.format(seed=held.seed))
    words = ["--data-dir", str(data_dir), "--device", "cpu", "--workers", "2"]
    process = processes.start("run", str(study), *words, env=environment(first=fault))
    reader = LogReader(plan.log)

    def others_are_over() -> bool:
        return sum(each["done"] for each in reader.look().documents(running=True)) == 3

    processes.wait_for(others_are_over)
    capsys.readouterr()
    assert main(["status", str(study), "--json"]) == 0
    workers = json.loads(capsys.readouterr().out)["workers"]
    assert [len(each["training"]) for each in workers] == [1, 0]
    assert workers[0]["training"][0] | {"since": ""} == {"space": "AnyNetE", "index": held.index, "since": ""}
    assert {each["worker"] for each in workers} <= {
        f"{os.uname().nodename}/{pid}" for pid in processes.children_of(process.pid)
    }
    assert {each["device"].split()[0] for each in workers} == {"cpu"}
    (tmp_path / "fault" / "go").touch()
    process.communicate(timeout=100)
    assert main(["status", str(study), "--json"]) == 0
    workers = json.loads(capsys.readouterr().out)["workers"]
    assert sum(each["done"] for each in workers) == 4
    assert not any(each["training"] for each in workers)
