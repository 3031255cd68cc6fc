"""``regnetlab store check``, ``copy`` and ``repair``, as typed."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import optuna
import pytest

from regnetlab.cli import main
from regnetlab.errors import InputError
from regnetlab.study.plan_file import load_plan
from regnetlab.study.stages import planned_jobs
from regnetlab.trials.job import Trial
from regnetlab.trials.store import open_store
from tests.cli.asked import Capture, MakeStudy, answer, complaint
from tests.conftest import STUDY
from tests.trials.test_convert import OLD
from tests.trials.trainings import DATA, GOOD


def filled(study: Path) -> Path:
    """A study all of whose 20 networks were trained."""
    plan = load_plan(study)
    store = open_store(plan.store)
    for job in planned_jobs(plan):
        store.add(Trial(job, GOOD, DATA))
    return study


def test_a_sound_store_is_said_to_be(capsys: Capture, make_study: MakeStudy) -> None:
    study = filled(make_study())
    document = answer(capsys, "store", "check", str(study))
    counts = ("unreadable", "doubled", "conflicting", "orphans")
    assert (document["sound"], document["trials"]) == (True, 20)
    assert [document[name] for name in counts] == [0, 0, 0, 0]
    assert main(["store", "check", str(study)]) == 0
    assert "20 trials, 0 that the study does not ask for" in capsys.readouterr().out
    study.write_text(study.read_text().replace("n = 6", "n = 5").replace("n = 12", "n = 11"))
    assert answer(capsys, "store", "check", str(study))["orphans"] == 2


def test_a_check_of_a_study_that_never_ran_makes_no_store(capsys: Capture, make_study: MakeStudy) -> None:
    study = make_study()
    for command in ("check", "repair"):
        said = complaint(capsys, ["store", command, str(study)])
        assert "is not there; run its study, or name a file" in said
    assert [path.name for path in study.parent.iterdir() if path.suffix == ".db"] == []


def test_a_copy_says_what_it_copied_and_a_repair_that_there_is_nothing_to_do(
    capsys: Capture, make_study: MakeStudy, tmp_path: Path
) -> None:
    study, copy = filled(make_study()), tmp_path / "copy.db"
    document = answer(capsys, "store", "copy", str(study), str(copy))
    assert (document["trials"], document["target"]) == (20, str(copy))
    assert answer(capsys, "store", "check", str(copy))["hash"] == document["hash"]
    repaired = answer(capsys, "store", "repair", str(copy))
    assert (repaired["removed"], repaired["backup"]) == (0, None)
    assert main(["store", "repair", str(copy)]) == 0
    assert "nothing to repair" in capsys.readouterr().out
    assert "has a study already" in complaint(capsys, ["store", "copy", str(study), str(copy)])
    assert "name one: postgresql" in complaint(capsys, ["store", "check", "postgresql://me@host/lab"])


def test_a_damaged_file_is_found_and_not_repaired(capsys: Capture, make_study: MakeStudy) -> None:
    study = filled(make_study())
    path = study.parent / "study.db"
    content = bytearray(path.read_bytes())
    content[4096 * 3 : 4096 * 7] = bytes([255]) * 4096 * 4
    path.write_bytes(content)
    assert main(["store", "check", str(study), "--json"]) == 1
    capsys.readouterr()
    assert "is damaged" in complaint(capsys, ["store", "repair", str(study)])
    assert path.read_bytes() == bytes(content)


@pytest.mark.parametrize(
    "change",
    [
        "curve = '[[1,2'",
        "curve = '[[1,2,3,4,5,6,7]]'",
        "curve = 'null'",
        "error = 250.0",
        "error = NULL",
        "seconds = 'x'",
        "seconds = 9e999",
        "images = -5",
        "device = x'00'",
    ],
)
def test_a_training_that_cant_be_read_is_named_and_taken_out_with_a_backup(
    capsys: Capture, make_study: MakeStudy, change: str
) -> None:
    study = filled(make_study())
    path = study.parent / "study.db"
    with closing(sqlite3.connect(path)) as damaged, damaged:
        damaged.execute(f"update regnetlab_trials set {change} where number = 2")
    for command in ("status", "run", "report", "compare", "fit-regnet"):
        assert "training 2 (" in complaint(capsys, [command, str(study)])
    assert main(["store", "check", str(study)]) == 1
    assert capsys.readouterr().out.count("damaged: ") == 1
    repaired = answer(capsys, "store", "repair", str(study))
    assert repaired["removed"] == 1
    assert open_store(path).count() == 19
    assert main(["store", "check", str(study)]) == 0
    assert open_store(Path(repaired["backup"])).count() == 20


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("provenance", "{"),
        ("provenance", "[1]"),
        ("provenance", '{"planned": {"AnyNetA": "x"}}'),
        ("provenance", '{"extended": [{"when": "today"}]}'),
        ("provenance", '{"survey": {"lines": 5}}'),
        ("changes", '{"began": []}'),
        ("changes", '{"began": {"data.checksum": 5}}'),
        ("changes", '{"began": {}, "accepted": [{"when": "today", "changes": {"lr": 1}}]}'),
        ("derived", '{"configs": [5]}'),
        ("contest", '{"contenders": [{"name": "x"}]}'),
        ("contest", '{"chosen": {"x": "y"}}'),
        ("latencies", '{"x": {"1": []}}'),
        ("ended", '{"share": 0, "of": "x"}'),
        ("schema", '{"version": "x"}'),
        ("schema", "{}" * 2),
        ("lease", '{"holder": 5}'),
    ],
)
def test_what_a_store_keeps_beside_trainings_is_named_where_it_cant_be_read(
    capsys: Capture, make_study: MakeStudy, name: str, value: str
) -> None:
    study = filled(make_study(STUDY + "[compare]\nsequential = true\n"))
    store = open_store(study.parent / "study.db")
    store.keep(name, {})
    with closing(sqlite3.connect(study.parent / "study.db")) as damaged, damaged:
        damaged.execute("update regnetlab_facts set value = ? where name = ?", (value, name))
    with pytest.raises(InputError, match=f"keeps as '{name}' can't be read"):
        open_store(study.parent / "study.db").fact(name)
    for command in (["status"], ["compare"], ["report"], ["store", "check"], ["store", "repair"]):
        assert main([*command, str(study)]) in (0, 2)
        assert "unexpected" not in capsys.readouterr().err


def test_a_journal_of_an_earlier_version_is_copied(capsys: Capture, tmp_path: Path) -> None:
    journal = shutil.copy(OLD / "schema2.journal", tmp_path / "study.journal")
    copied = answer(capsys, "store", "copy", f"journal:{journal}", str(tmp_path / "study.db"))
    assert copied["trials"] == open_store(tmp_path / "study.db").count() == 4
    said = complaint(capsys, ["store", "check", f"journal:{journal}"])
    assert "regnetlab store copy journal:" in said


def test_trainings_are_shown_in_an_optuna_storage(
    capsys: Capture, make_study: MakeStudy, tmp_path: Path
) -> None:
    study, url = filled(make_study()), f"sqlite:///{tmp_path / 'shown.db'}"
    for _ in range(2):
        assert answer(capsys, "store", "copy", str(study), f"optuna:{url}")["trials"] == 20
    shown = optuna.load_study(study_name=load_plan(study).name, storage=url)
    assert len(shown.trials) == 20
    assert shown.best_value == GOOD.error
