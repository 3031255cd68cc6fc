"""Runs with real trainings on the small data set; the killed ones in processes of their own."""

import json
import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from regnetlab.analysis.compare import compare
from regnetlab.models.native import engine
from regnetlab.models.native.build import libraries
from regnetlab.study.plan import Plan
from regnetlab.study.plan_file import load_plan
from regnetlab.study.results import study_trials
from regnetlab.study.status import status
from regnetlab.trials.store import open_store
from regnetlab.trials.table import trials_of
from tests.conftest import STUDY
from tests.study.processes import alive, children_of, identities_of, without_seconds
from tests.study.running import Heard, ran, rows_after, run_here, scores_of

MakeStudy = Callable[..., Path]
COMMAND = [sys.executable, "-m", "regnetlab"]


def test_a_run_trains_everything_once_and_a_second_run_nothing(make_study: MakeStudy, data_dir: Path) -> None:
    plan = load_plan(make_study())
    first, second = Heard(), Heard()
    state = ran(plan, data_dir, first)
    assert not state.missing
    assert len(state.jobs) == 22
    assert sorted(first.trained) == sorted({job.identity for job in state.jobs})
    again = ran(plan, data_dir, second)
    assert second.trained == []
    assert trials_of(again.jobs, again.scores).to_csv() == trials_of(state.jobs, state.scores).to_csv()
    document = status(plan, again, running=0)
    assert (document["planned"], document["complete"], document["failed"]) == (22, 22, 0)
    assert [each["space"] for each in document["spaces"]] == ["AnyNetA", "AnyNetE", "RegNet", "derived"]


@pytest.mark.skipif(not libraries(), reason="no compiler")
def test_kernels_that_differ_between_networks_are_said_once(
    make_study: MakeStudy, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alike, mixed = Heard(), Heard()
    jobs = ran(load_plan(make_study()), data_dir, alike).jobs
    middle = statistics.median(job.acts for job in jobs)
    monkeypatch.setattr(engine, "_MOST_BYTES", 16 * 32 * middle)  # half of the networks need more
    ran(load_plan(make_study(name="mixed")), data_dir, mixed)
    assert not [note for note in alike.notes if "kernels and networks before it" in note]
    assert len([note for note in mixed.notes if "--kernels torch trains all alike" in note]) == 1


def test_trials_are_sorted_and_complete(make_study: MakeStudy, data_dir: Path) -> None:
    plan = load_plan(make_study())
    ran(plan, data_dir, Heard())
    rows = without_seconds(study_trials(plan).to_csv())
    assert [(r["space"], int(r["index"])) for r in rows] == sorted(
        (r["space"], int(r["index"])) for r in rows
    )
    assert all(0 <= float(row["error"]) <= 100 for row in rows)
    assert all(row["ended"] == "complete" and row["images"] == "128" for row in rows)


def test_a_larger_plan_trains_only_what_is_new(make_study: MakeStudy, data_dir: Path) -> None:
    plan = load_plan(make_study())
    before = {job.identity for job in ran(plan, data_dir, Heard()).jobs}
    larger = replace(plan, draws=tuple(replace(draw, n=draw.n + 1) for draw in plan.draws))
    progress = Heard()
    after = {job.identity for job in ran(larger, data_dir, progress).jobs}
    assert sorted(progress.trained) == sorted(after - before)
    assert 3 <= len(progress.trained) <= 5  # one of each space; the law may derive others


def arguments(study: Path, data_dir: Path) -> list[str]:
    return [*COMMAND, "run", str(study), "--data-dir", str(data_dir), "--device", "cpu", "--workers", "2"]


def kept(plan: Plan) -> int:
    return len(scores_of(plan)) if plan.store.exists() else 0


def has_kept(plan: Plan, wanted: int) -> bool:
    return kept(plan) >= wanted


def all_gone(pids: list[int]) -> bool:
    return not any(map(alive, pids))


def wait_for(condition: Callable[[], bool], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "this took too long"
        time.sleep(0.05)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
def test_killed_and_run_again_a_study_yields_the_same_trials(make_study: MakeStudy, data_dir: Path) -> None:
    disturbed, calm = make_study(name="disturbed"), make_study(name="calm")
    plan = load_plan(disturbed)
    for wanted in (2, 7):
        process = subprocess.Popen(
            arguments(disturbed, data_dir), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            wait_for(partial(has_kept, plan, wanted))
            workers = children_of(process.pid)
        finally:
            process.kill()
            process.wait()
        before = kept(plan)
        assert before >= wanted
        wait_for(partial(all_gone, workers), 20)
        assert kept(plan) == before
    rows = rows_after(disturbed, data_dir)
    assert rows == rows_after(calm, data_dir)
    assert len(rows) == 22
    identities = identities_of(disturbed)
    assert len(identities) == len(set(identities))


def test_ctrl_c_finishes_what_is_in_flight_and_exits_130(make_study: MakeStudy, data_dir: Path) -> None:
    # Long enough trainings that there is something in flight whenever the signal comes.
    study = make_study(STUDY.replace("images = 128", "images = 128\nepochs = 100"))
    plan = load_plan(study)
    process = subprocess.Popen(
        arguments(study, data_dir), stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    wait_for(partial(has_kept, plan, 1))
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to the workers too
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "finished first" in errors
    assert "run again to go on" in errors
    assert "Traceback" not in errors
    assert kept(plan) == len(without_seconds((study.parent / "trials.csv").read_text())) >= 1


def test_changed_data_are_refused_before_anything_is_trained(make_study: MakeStudy, data_dir: Path) -> None:
    study = make_study()
    store = open_store(load_plan(study).store)
    store.keep("changes", {"began": {"data.checksum": "f" * 64}})
    done = run_here(study, "--data-dir", str(data_dir))
    assert done.returncode == 2
    assert "changed since it began: data.checksum was ffffffffffff…, is " in done.stderr
    assert store.count() == 0


def test_the_end_state_records_versions_machine_git_and_data(make_study: MakeStudy, data_dir: Path) -> None:
    study = make_study()
    ran(load_plan(study), data_dir)
    facts = open_store(load_plan(study).store).fact("provenance")
    assert {"regnetlab", "torch", "optuna", "machine", "processor", "git", "device", "recorded"} <= set(facts)
    assert len(facts["data_checksum"]) == 64
    assert json.loads((study.parent / "provenance.json").read_text()) == facts
    # A run that trains nothing says nothing of the errors.
    store = open_store(load_plan(study).store)
    store.keep("provenance", {**facts, "machine": "that trained it"})
    ran(load_plan(study), data_dir)
    assert store.fact("provenance")["machine"] == "that trained it"


def test_planned_looks_end_the_populations_where_every_step_has_a_verdict(
    make_study: MakeStudy, data_dir: Path
) -> None:
    text = (
        STUDY.rpartition("[[spaces]]")[0].replace("n = 6", "n = 25").replace("n = 12", "n = 25")
    )  # AnyNetA and E alone
    plan = load_plan(make_study(text + "[compare]\nmargin = 99.0\nsequential = true\n"))
    state = ran(plan, data_dir, heard := Heard())
    assert not state.missing
    drawn = study_trials(plan).frame.query("space in ['AnyNetA', 'AnyNetE']")
    assert drawn.groupby("space")["index"].max().tolist() == [9, 9]  # the look at 40% of 25
    assert any("every step has a verdict after 40% of the networks" in note for note in heard.notes)
    again = ran(plan, data_dir, second := Heard())
    assert second.trained == []
    assert len(again.jobs) == len(state.jobs)
    (step,) = compare(study_trials(plan), plan.terms).steps
    assert (step.verdict, step.provisional) == ("no worse", False)


def test_a_number_of_networks_that_is_changed_after_errors_are_known_is_recorded(
    make_study: MakeStudy, data_dir: Path
) -> None:
    plan = load_plan(make_study())
    ran(plan, data_dir, Heard())
    assert study_trials(plan).extended == frozenset()
    first, *others = plan.draws
    larger = replace(plan, draws=(replace(first, n=first.n + 1), *others))
    assert study_trials(larger).extended == {first.space.name}  # at once; a run records it
    ran(larger, data_dir, heard := Heard())
    assert any("from now on intervals hold at any number" in note for note in heard.notes)
    facts = json.loads(plan.provenance.read_text())
    (extended,) = facts["extended"]
    assert facts["planned"][first.space.name] == extended["n"][first.space.name] == first.n
    assert extended["planned"][first.space.name] == first.n + 1
    assert study_trials(larger).extended == {first.space.name}
