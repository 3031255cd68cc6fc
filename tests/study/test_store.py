import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from regnetlab.errors import InputError
from regnetlab.study.jobs import planned_jobs
from regnetlab.study.lock import locked, running_models
from regnetlab.study.plan_file import load_plan
from regnetlab.study.store import open_store
from regnetlab.training.budget import CurvePoint, Score
from tests.conftest import STUDY
from tests.study.processes import environment

MakeStudy = Callable[..., Path]
GOOD = Score(12.5, (CurvePoint(64, 2.25, 80.0), CurvePoint(128, 1.5, 60.0, 12.5)), 1.5, 128, "complete")
BAD = Score(None, (), 0.5, 0, "diverged: the loss was not finite by step 3")


def test_scores_come_back_as_they_were_kept(make_study: MakeStudy) -> None:
    plan = load_plan(make_study())
    jobs = planned_jobs(plan)
    store = open_store(plan.store)
    store.add(jobs[0], GOOD)
    store.add(jobs[1], BAD)
    assert open_store(plan.store).scores() == {jobs[0].identity: GOOD, jobs[1].identity: BAD}


def test_the_store_opens_as_an_optuna_study(make_study: MakeStudy) -> None:
    import optuna

    plan = load_plan(make_study())
    job = planned_jobs(plan)[0]
    open_store(plan.store).add(job, GOOD)
    study = optuna.load_study(study_name="regnetlab", storage=f"sqlite:///{plan.store}")
    assert study.best_value == 12.5
    assert study.best_params["w1"] == job.config.widths[0]
    assert study.best_trial.user_attrs["model"] == job.model


def test_a_store_lies_where_its_study_does_whatever_the_folder_is_called(tmp_path: Path) -> None:
    folder = tmp_path / "50 %41?mode=memory#1"
    folder.mkdir()
    (folder / "study.toml").write_text(STUDY)
    plan = load_plan(folder / "study.toml")
    open_store(plan.store).add(planned_jobs(plan)[0], GOOD)
    assert plan.store.parent == folder
    assert sqlite3.connect(plan.store).execute("SELECT count(*) FROM trials").fetchone() == (1,)
    assert [path.name for path in tmp_path.iterdir()] == [folder.name]


def test_readers_do_not_wait_for_the_writer(make_study: MakeStudy) -> None:
    plan = load_plan(make_study())
    open_store(plan.store)
    mode = sqlite3.connect(plan.store).execute("PRAGMA journal_mode").fetchone()
    assert mode == ("wal",)


def test_a_store_from_a_newer_version_is_refused(make_study: MakeStudy) -> None:
    plan = load_plan(make_study())
    open_store(plan.store).study.set_user_attr("schema", 99)
    with pytest.raises(InputError, match=r"newer regnetlab \(schema 99"):
        open_store(plan.store)


@pytest.mark.parametrize("content", [b"this is no database" * 100, b"SQLite format 3\0" + bytes(5_000)])
def test_a_store_that_is_something_else_is_refused(make_study: MakeStudy, content: bytes) -> None:
    plan = load_plan(make_study())
    plan.store.write_bytes(content)
    with pytest.raises(InputError, match="can't be opened"):
        open_store(plan.store)
    assert plan.store.read_bytes() == content


def test_a_second_coordinator_is_told_who_holds_the_study(tmp_path: Path) -> None:
    path = tmp_path / "study.lock"
    assert running_models(path) == 0
    with locked(path) as lock:
        lock.say(2)
        assert running_models(path) == 2
        with pytest.raises(InputError, match="being run already"), locked(path):
            pass
    assert running_models(path) == 0


def test_derived_networks_belong_to_their_population(make_study: MakeStudy) -> None:
    plan = load_plan(make_study())
    configs = [job.config for job in planned_jobs(plan)[:2]]
    store = open_store(plan.store)
    assert store.derived("abc") is None
    store.keep_derived("abc", configs)
    assert store.derived("abc") == configs
    assert store.derived("other") is None


def test_several_processes_may_make_the_same_store_at_once(tmp_path: Path) -> None:
    path = tmp_path / "study.db"
    program = "import sys; from pathlib import Path; from regnetlab.study.store import open_store"
    words = [sys.executable, "-c", f"{program}; open_store(Path(sys.argv[1]))", str(path)]
    started = [
        subprocess.Popen(words, env=environment(), stderr=subprocess.PIPE, text=True) for _ in range(4)
    ]
    assert [process.communicate()[1] for process in started] == [""] * 4
    assert open_store(path).scores() == {}
