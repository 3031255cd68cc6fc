import os
import subprocess
import sys
from pathlib import Path

import pytest

from regnetlab.errors import InputError
from regnetlab.trials.location import Database
from regnetlab.trials.store import open_store
from tests.study.processes import environment
from tests.trials.trainings import BAD, CPU, DATA, GOOD, OTHER_DATA, job, trial


def test_scores_come_back_as_they_were_kept(tmp_path: Path) -> None:
    path = tmp_path / "study.db"
    store = open_store(path)
    store.add(trial(0))
    store.add(trial(1, BAD))
    assert open_store(path).scores(DATA) == {job(0).identity: GOOD, job(1).identity: BAD}
    assert (store.count(), open_store(path).count()) == (2, 2)


def test_a_training_is_kept_once_and_stays_as_it_is(tmp_path: Path) -> None:
    store = open_store(tmp_path / "study.db")
    for score in (GOOD, BAD):
        store.add(trial(0, score))
    store.add(trial(0, BAD, OTHER_DATA))
    assert store.count() == 2
    assert store.scores(DATA) == {job(0).identity: GOOD}
    assert store.scores(OTHER_DATA) == {job(0).identity: BAD}


def test_trainings_count_on_their_own_data_or_where_their_data_are_not_known(tmp_path: Path) -> None:
    store = open_store(tmp_path / "study.db")
    store.add(trial(0))
    store.add(trial(1, data="", device=""))
    store.add(trial(2, data=OTHER_DATA, device="cuda"))
    assert store.scores(DATA).keys() == {job(0).identity, job(1).identity}
    assert store.scores("").keys() == {job(1).identity}
    assert store.devices(DATA) == {CPU}
    assert store.devices(OTHER_DATA) == {"cuda"}
    assert store.devices(OTHER_DATA, [job(0).identity, job(1).identity]) == set()


def test_a_reader_sees_what_is_added_later(tmp_path: Path) -> None:
    writer, reader = (open_store(tmp_path / "study.db") for _ in range(2))
    for seed in range(3):
        writer.add(trial(seed))
        assert len(reader.scores(DATA)) == len(writer.scores(DATA)) == seed + 1


def test_facts_are_kept_by_name_and_replaced_as_a_whole(tmp_path: Path) -> None:
    store = open_store(tmp_path / "study.db")
    assert store.fact("notes") == {}
    store.keep("notes", {"data": "fashion-mnist", "images": 128})
    store.keep("notes", {"data": "ü", "list": [1, None]})
    assert store.fact("notes") == {"data": "ü", "list": [1, None]}
    assert open_store(tmp_path / "study.db").facts() == {"notes": {"data": "ü", "list": [1, None]}}


def test_a_store_lies_where_it_was_asked_for_whatever_the_folder_is_called(tmp_path: Path) -> None:
    folder = tmp_path / "50 %41?mode=memory#1"
    folder.mkdir()
    open_store(folder / "study.db").add(trial(0))
    assert open_store(folder / "study.db", snapshot=True).count() == 1
    assert [path.name for path in folder.iterdir()] == ["study.db"]
    assert [path.name for path in tmp_path.iterdir()] == [folder.name]


def test_readers_do_not_wait_for_the_writer_and_what_is_kept_is_on_the_disk(tmp_path: Path) -> None:
    store = open_store(tmp_path / "study.db")
    with store._engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2  # FULL


def test_a_closed_store_leaves_one_file(tmp_path: Path) -> None:
    store = open_store(tmp_path / "study.db")
    store.add(trial(0))
    del store
    assert [path.name for path in tmp_path.iterdir()] == ["study.db"]


def test_a_snapshot_writes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "study.db"
    open_store(path).add(trial(0))
    before = path.read_bytes()
    copy = open_store(path, snapshot=True)
    for write in (lambda: copy.add(trial(1)), lambda: copy.keep("provenance", {})):
        with pytest.raises(InputError, match="the store can't be written"):
            write()
    assert copy.count() == 1
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == ["study.db"]


def test_a_store_in_a_folder_that_is_only_read_is_read_and_nothing_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "study.db"
    open_store(path).add(trial(0))
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK)  # the tests may run as root
    store = open_store(path)
    assert store.scores(DATA) == {job(0).identity: GOOD}
    with pytest.raises(InputError, match="the store can't be written"):
        store.add(trial(1))
    assert [each.name for each in tmp_path.iterdir()] == ["study.db"]


def test_a_store_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    open_store(tmp_path / "study.db").keep("schema", {"version": 99})
    with pytest.raises(InputError, match=r"newer regnetlab \(schema 99"):
        open_store(tmp_path / "study.db")


@pytest.mark.parametrize("content", [b"this is no database" * 100, b"SQLite format 3\0" + bytes(5_000)])
def test_a_store_that_is_something_else_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "study.db"
    path.write_bytes(content)
    with pytest.raises(InputError, match="can't be opened"):
        open_store(path)
    assert path.read_bytes() == content


def test_a_store_without_its_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="can't be opened"):
        open_store(tmp_path / "none" / "study.db")


def test_a_database_that_does_not_answer_is_refused_without_its_password() -> None:
    place = Database("postgresql://me:s3cret@127.0.0.1:1/lab", "mine")
    for call in (place.exists, lambda: open_store(place)):
        with pytest.raises(InputError, match="does not answer") as caught:
            call()
        assert "s3cret" not in str(caught.value)


def test_several_processes_may_make_the_same_store_at_once(tmp_path: Path) -> None:
    path = tmp_path / "study.db"
    program = "import sys; from pathlib import Path; from regnetlab.trials.store import open_store"
    words = [sys.executable, "-c", f"{program}; open_store(Path(sys.argv[1]))", str(path)]
    started = [
        subprocess.Popen(words, env=environment(), stderr=subprocess.PIPE, text=True) for _ in range(4)
    ]
    assert [process.communicate()[1] for process in started] == [""] * 4
    assert open_store(path).scores(DATA) == {}


def test_the_database_of_another_program_is_refused_and_left_alone(tmp_path: Path) -> None:
    import sqlite3

    path = tmp_path / "study.db"
    with sqlite3.connect(path) as connection:
        connection.execute("create table t (x)")
    connection.close()
    with pytest.raises(InputError, match="another program's database"):
        open_store(path)
    with sqlite3.connect(path) as connection:
        assert connection.execute("select name from sqlite_master").fetchall() == [("t",)]
    connection.close()
