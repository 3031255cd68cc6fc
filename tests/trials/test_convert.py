"""Stores that earlier versions wrote, as they wrote them (``stores/``).

Each has two trainings on the data ``a…``; in those of schema 2 the change to the data ``b…`` was accepted,
and three came after: the first network once more, and the third twice. That of schema 3 has the third on
other data, with a test error.
"""

import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from regnetlab.trials.convert import read_journal
from regnetlab.trials.store import Store, open_store
from tests.trials.trainings import CPU, DATA, GOOD, OTHER_DATA, job, trial

OLD = Path(__file__).parent / "stores"
FIRST, SECOND, THIRD = ("7ba3ef0fb9c2e4ed29d4de13", "27b5d4d5ac8a320428d9f9ec", "d6e08ab90b58cd7d39f61a51")


def copied(tmp_path: Path, schema: int) -> Path:
    return Path(shutil.copy(OLD / f"schema{schema}.db", tmp_path / "study.db"))


def errors(store: Store, data: str) -> dict[str, float | None]:
    return {identity: score.error for identity, score in store.scores(data).items()}


def test_a_store_of_schema_2_counts_what_it_counted(tmp_path: Path) -> None:
    store = open_store(copied(tmp_path, 2))
    assert errors(store, OTHER_DATA) == {FIRST: 17.5, THIRD: 14.5}
    assert errors(store, DATA) == {FIRST: 12.5, SECOND: None}
    assert store.devices(OTHER_DATA) == {CPU}
    assert store.count() == 4
    score = store.scores(OTHER_DATA)[THIRD]
    assert (score.images, score.ended, score.curve[-1].error) == (128, "complete", 12.5)
    assert store.rows()[-1]["finished"].startswith("2026-")


def test_a_store_of_schema_1_counts_what_it_counted(tmp_path: Path) -> None:
    store = open_store(copied(tmp_path, 1))
    assert errors(store, DATA) == {FIRST: 12.5, SECOND: None, THIRD: 14.5}
    assert store.fact("changes")["began"] == {"data.checksum": DATA}
    assert store.devices(DATA) == set()


def test_a_store_of_schema_3_gains_the_bits_of_test_images_and_loses_nothing(tmp_path: Path) -> None:
    path = copied(tmp_path, 3)
    with closing(sqlite3.connect(path)) as connection:
        before = connection.execute("select * from regnetlab_trials").fetchall()
        facts = connection.execute("select * from regnetlab_facts where name != 'schema'").fetchall()
    store = open_store(path)
    assert errors(store, DATA) == {job(0).identity: 12.5, job(1).identity: None}
    store.add(trial(3, replace(GOOD, test_error=50.0, correct="2:eJwDAAAAAAE=", ran="torch")))
    again = open_store(path)
    assert [row["correct"] for row in again.rows()] == [None, None, None, "2:eJwDAAAAAAE="]
    assert again.scores(DATA)[job(3).identity].correct == "2:eJwDAAAAAAE="
    assert [row["ran"] for row in again.rows()] == [None, None, None, "torch"]
    with closing(sqlite3.connect(path)) as connection:
        assert [row[:-2] for row in connection.execute("select * from regnetlab_trials")][:3] == before
        kept = "select * from regnetlab_facts where name != 'schema'"
        assert connection.execute(kept).fetchall() == facts


def test_a_snapshot_of_schema_3_leaves_it_as_it_is(tmp_path: Path) -> None:
    path = copied(tmp_path, 3)
    before = path.read_bytes()
    assert errors(open_store(path, snapshot=True), OTHER_DATA) == {job(2).identity: 14.5}
    assert path.read_bytes() == before


def test_the_facts_come_along(tmp_path: Path) -> None:
    store = open_store(copied(tmp_path, 2))
    assert store.facts().keys() == {"changes", "contest", "derived", "latencies", "provenance"}
    assert store.fact("changes")["counts_from"] == 2
    assert store.fact("derived")["population"] == "abc"
    assert store.fact("latencies") == {"lenet5": {"1": [1.0, 0.9, 1.1]}}


def test_a_backup_is_left_and_a_store_is_converted_once(tmp_path: Path) -> None:
    path = copied(tmp_path, 2)
    before = sqlite3.connect(path).execute("select * from trial_user_attributes").fetchall()
    rows = open_store(path).rows()
    assert open_store(path).rows() == rows
    (backup,) = tmp_path.glob("study.backup-*.db")
    assert sqlite3.connect(backup).execute("select * from trial_user_attributes").fetchall() == before
    tables = {name for (name,) in sqlite3.connect(path).execute("select name from sqlite_master")}
    assert {name for name in tables if "autoindex" not in name} == {"regnetlab_trials", "regnetlab_facts"}


def test_a_conversion_that_breaks_off_leaves_the_store_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = copied(tmp_path, 2)
    monkeypatch.setattr("regnetlab.trials.store.drop_older", lambda connection: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        open_store(path)
    monkeypatch.undo()
    assert errors(open_store(path), OTHER_DATA) == {FIRST: 17.5, THIRD: 14.5}


def test_other_studies_in_the_file_stay(tmp_path: Path) -> None:
    import optuna

    path = copied(tmp_path, 2)
    optuna.create_study(storage=f"sqlite:///{path}", study_name="other").enqueue_trial({"x": 1})
    assert open_store(path).count() == 4
    assert optuna.get_all_study_names(storage=f"sqlite:///{path}") == ["regnetlab", "other"]


def test_a_snapshot_of_an_old_store_leaves_it_as_it_is(tmp_path: Path) -> None:
    path = copied(tmp_path, 2)
    before = path.read_bytes()
    assert errors(open_store(path, snapshot=True), OTHER_DATA) == {FIRST: 17.5, THIRD: 14.5}
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == ["study.db"]


def test_trainings_before_several_changes_of_the_data_count_on_none(tmp_path: Path) -> None:
    path = copied(tmp_path, 2)
    with sqlite3.connect(path) as connection:
        where = "from study_user_attributes where key = 'changes'"
        (text,) = connection.execute(f"select value_json {where}").fetchone()
        twice = text.replace(
            '"accepted": [', f'"accepted": [{{"changes": {{"data.checksum": ["c", "{DATA}"]}}}}, '
        )
        assert twice != text
        connection.execute("update study_user_attributes set value_json = ? where key = 'changes'", [twice])
    connection.close()
    store = open_store(path)
    assert errors(store, OTHER_DATA) == {FIRST: 17.5, THIRD: 14.5}
    assert errors(store, DATA) == errors(store, "c") == {}
    assert store.count() == 4


def test_a_journal_is_read_as_its_store_was(tmp_path: Path) -> None:
    facts, rows = read_journal(OLD / "schema2.journal")
    store = open_store(copied(tmp_path, 2))

    def seen(rows: list[dict[str, object]]) -> list[tuple[object, ...]]:
        return [(row["identity"], row["data"], row["error"], row["device"], row["curve"]) for row in rows]

    assert seen(rows) == seen(store.rows())
    assert facts.keys() == store.facts().keys()
