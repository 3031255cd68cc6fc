"""Where stores are, who holds them, and how they are copied, checked and mended."""

import gc
import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regnetlab.cli import main
from regnetlab.errors import InputError
from regnetlab.study.jobs import planned_jobs
from regnetlab.study.lock import locked
from regnetlab.study.plan_file import load_plan
from regnetlab.study.plan_text import plan_toml
from regnetlab.study.store import open_store
from regnetlab.study.stores import lease as leases
from regnetlab.study.stores.check import check_store, repair_store
from regnetlab.study.stores.copy import copy_store
from regnetlab.study.stores.lease import leased
from regnetlab.study.stores.location import Database, Journal, from_here, location_of, mask
from regnetlab.training.budget import CurvePoint, Score
from tests.study.processes import SMALL, environment

MakeStudy = Callable[..., Path]
GOOD = Score(12.5, (CurvePoint(64, 2.25, 80.0), CurvePoint(128, 1.5, 60.0, 12.5)), 1.5, 128, "complete")


def filled(study: Path) -> Path:
    """A study whose first three networks were trained, the first twice, and one more that nobody asks for."""
    plan = load_plan(study)
    jobs = planned_jobs(plan)
    store = open_store(plan.store)
    for number, job in enumerate([*jobs[:3], jobs[0]]):
        store.add(job, Score(12.5 + number, GOOD.curve, 1.5, 128, "complete"))
    study.write_text(SMALL.replace("n = 4", "n = 2"))
    store.keep_provenance({"data": "fashion-mnist"})
    return study


def files_of(study: Path) -> dict[str, bytes]:
    """What is in the study's folder once every store that nobody uses any more is closed, which folds
    SQLite's log into its file at a time of the collector's choosing; but for SQLite's shared memory."""
    gc.collect()
    return {each.name: each.read_bytes() for each in study.parent.iterdir() if each.suffix != ".db-shm"}


def test_a_storage_is_a_file_a_journal_or_a_database(tmp_path: Path) -> None:
    assert location_of(None, tmp_path, "s") == tmp_path / "study.db"
    assert location_of("x.db", tmp_path, "s") == tmp_path / "x.db"
    assert location_of("sqlite:////x/y.db", tmp_path, "s") == Path("/x/y.db")
    assert location_of("journal:j.log", tmp_path, "s") == Journal(tmp_path / "j.log")
    for scheme in ("postgresql", "postgres", "postgresql+psycopg"):
        database = location_of(f"{scheme}://u:secret@h/d", tmp_path, "s")
        assert isinstance(database, Database)
        assert database.study == "s"
        assert "secret" not in f"{database} {database!r}"
    for wrong in ("mysql://u:secret@h/d", "journal:", "", "sqlite:x"):
        with pytest.raises(InputError, match="is not known") as caught:
            location_of(wrong, tmp_path, "s")
        assert "secret" not in str(caught.value)


@given(st.text(st.characters(codec="ascii", exclude_characters="@/ \n#?&", min_codepoint=33), min_size=1))
def test_no_password_is_ever_shown(password: str) -> None:
    marked = f"<<{password}>>"
    for text in (f"postgresql://me:{marked}@host:5432/db", f"postgresql://host/db?password={marked}&x=1"):
        assert marked not in mask(f"error in {text}: no")
        assert "host" in mask(text)


def test_a_password_in_a_study_file_is_refused_and_one_in_the_environment_never_shown(
    make_study: MakeStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InputError, match="has a password in a file that is shared") as caught:
        load_plan(make_study(SMALL + '[run]\nstorage = "postgresql://me:secret@h/d"\n'))
    assert "secret" not in str(caught.value)
    monkeypatch.setenv("REGNETLAB_STORAGE", "postgresql://me:secret@h/d")
    plan = load_plan(make_study(SMALL))
    assert isinstance(plan.store, Database)
    assert "secret" not in plan_toml(plan) + str(plan.store)
    monkeypatch.setenv("REGNETLAB_STORAGE", "here.db")
    assert load_plan(make_study(SMALL)).store == Path.cwd() / "here.db"
    assert from_here("journal:x") == f"journal:{Path.cwd() / 'x'}"


def test_a_copy_has_the_same_count_and_hash_on_any_kind_of_store(
    make_study: MakeStudy, tmp_path: Path
) -> None:
    source = load_plan(filled(make_study(SMALL))).store
    journal, file = Journal(tmp_path / "copy.log"), tmp_path / "back.db"
    there, back = copy_store(source, journal), copy_store(journal, file)
    assert (there.trials, there.hash) == (back.trials, back.hash)
    assert there.trials == 4
    assert open_store(file).scores() == open_store(source).scores() == open_store(journal).scores()
    with pytest.raises(InputError, match="has a study already"):
        copy_store(source, journal)
    with pytest.raises(InputError, match="is not there"):
        copy_store(tmp_path / "none.db", tmp_path / "other.db")


def test_a_check_finds_what_is_doubled_unreadable_or_nobodys_and_writes_nothing(
    make_study: MakeStudy, capsys: pytest.CaptureFixture[str]
) -> None:
    study = filled(make_study(SMALL))
    path = load_plan(study).store
    assert isinstance(path, Path)
    open_store(path).study.add_trial(__import__("optuna").trial.create_trial(value=1.0))
    before = files_of(study)
    capsys.readouterr()
    assert main(["store", "check", str(study), "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    expected = {"trials": 5, "doubled": 1, "conflicting": 1, "unreadable": 1, "orphans": 1, "sound": False}
    assert expected.items() <= found.items()
    assert before == files_of(study)


@pytest.mark.parametrize("kind", ["file", "journal"])
def test_a_repair_makes_a_backup_and_keeps_the_first_of_what_is_doubled(
    make_study: MakeStudy, tmp_path: Path, kind: str
) -> None:
    source = load_plan(filled(make_study(SMALL))).store
    place = tmp_path / "copy.db" if kind == "file" else Journal(tmp_path / "copy.log")
    copy_store(source, place)
    scores = open_store(place).scores()
    backup, removed = repair_store(place)
    assert removed == 1
    found = check_store(place)
    assert (found.trials, found.doubled, found.sound) == (3, 0, True)
    assert open_store(place).scores() == scores
    assert check_store(backup).trials == 4
    assert repair_store(place)[1] == 0


def test_a_damaged_file_is_found_and_not_mended(make_study: MakeStudy) -> None:
    study = filled(make_study(SMALL))
    path = load_plan(study).store
    assert isinstance(path, Path)
    content = bytearray(files_of(study)[path.name])
    content[4096 * 3 : 4096 * 12] = bytes([255]) * 4096 * 9
    path.write_bytes(content)
    for more in ("-wal", "-shm"):
        path.with_name(path.name + more).unlink(missing_ok=True)
    assert not check_store(path).sound
    with pytest.raises(InputError, match="is damaged"):
        repair_store(path)
    assert path.read_bytes() == bytes(content)


def test_a_store_of_schema_1_is_migrated_and_keeps_its_trainings(make_study: MakeStudy) -> None:
    study = filled(make_study(SMALL))
    store = open_store(load_plan(study).store)
    scores = store.scores()
    store.study.set_user_attr("schema", 1)
    store.keep_provenance({"data": "fashion-mnist", "data_checksum": "c" * 64})
    migrated = open_store(load_plan(study).store)
    assert migrated.study.user_attrs["schema"] == 2
    assert migrated.changes["began"] == {"data.checksum": "c" * 64}
    assert migrated.scores() == scores


def test_a_study_runs_on_a_journal_file(make_study: MakeStudy, data_dir: Path) -> None:
    study = make_study(SMALL + '[run]\nstorage = "journal:study.log"\nexecutor = "inline"\n')
    assert main(["run", str(study), "--data-dir", str(data_dir), "--device", "cpu"]) == 0
    assert len(open_store(Journal(study.parent / "study.log")).scores()) == 4
    assert not (study.parent / "study.db").exists()
    assert open_store(load_plan(study).store).lease() == {}


def test_the_second_coordinator_of_a_shared_store_is_told_who_holds_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "BEAT", 0.2)
    place = Journal(tmp_path / "study.log")
    notes: list[str] = []
    with locked(tmp_path / "a") as first, locked(tmp_path / "b") as second:
        with leased(open_store(place), first, notes.append) as lease:
            lease.say(3)
            held = pytest.raises(InputError, match=f"being run already \\(process {os.getpid()} on ")
            with held, leased(open_store(place), second, notes.append):
                pass
            lease.check()
        with leased(open_store(place), second, notes.append):
            pass
    assert len(notes) == 1


def test_a_lease_whose_holder_is_gone_or_silent_is_taken_over_and_the_old_holder_stops(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "STALE", 1.0)
    monkeypatch.setattr(leases, "BEAT", 3_600.0)
    store = open_store(Journal(tmp_path / "study.log"))
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    store.keep_lease({"holder": "x", "host": os.uname().nodename, "pid": dead.pid, "beat": 7})
    notes: list[str] = []
    again = open_store(Journal(tmp_path / "study.log"))
    with locked(tmp_path / "a") as first, leased(store, first, notes.append) as old:
        assert notes == []
        with locked(tmp_path / "b") as second, leased(again, second, notes.append) as new:
            assert "watching up to" in notes[0]
            with pytest.raises(InputError, match="took this study over"):
                old.check()
            new.check()


def test_who_is_held_up_between_looking_and_writing_lets_the_other_notice_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, seconds in (("STALE", 1.0), ("BEAT", 3_600.0), ("_SETTLE", 0.1)):
        monkeypatch.setattr(leases, name, seconds)
    store, quick = (open_store(Journal(tmp_path / "study.log")) for _ in range(2))
    with ExitStack() as held:
        locks = [held.enter_context(locked(tmp_path / name)) for name in "ab"]
        came: list[leases.Lease] = []

        class HeldUp:
            """A store that another coordinator comes to between this one's look and its write."""

            def lease(self) -> Mapping[str, Any]:
                return store.lease()

            def keep_lease(self, facts: Mapping[str, Any]) -> None:
                if not came:
                    came.append(held.enter_context(leased(quick, locks[0], lambda _: None)))
                store.keep_lease(facts)

        slow = held.enter_context(leased(HeldUp(), locks[1], lambda _: None))
        with pytest.raises(InputError, match="took this study over"):
            came[0].check()
        slow.check()


def test_two_runs_of_a_study_in_a_journal_never_run_together(make_study: MakeStudy, data_dir: Path) -> None:
    text = SMALL + '[run]\nstorage = "journal:../study.log"\nexecutor = "inline"\n'
    studies = [make_study(text, name) for name in ("one", "two")]  # the same store from two folders
    words = ["--data-dir", str(data_dir), "--device", "cpu"]
    started = [
        subprocess.Popen(
            [sys.executable, "-m", "regnetlab", "run", str(study), *words],
            env=environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for study in studies
    ]
    said = [process.communicate(timeout=200)[1] for process in started]
    codes = sorted(process.returncode for process in started)
    assert codes in ([0, 0], [0, 2]), said  # both, where one began when the other had ended
    if codes == [0, 2]:
        assert any("being run already" in text or "took this study over" in text for text in said)
    found = check_store(Journal(studies[0].parent.parent / "study.log"))
    assert (found.trials, found.doubled, found.sound) == (4, 0, True)
