"""``regnetlab store check``, ``copy`` and ``repair``, as typed."""

from pathlib import Path

from regnetlab.study.store import open_store
from tests.study.test_search import scored

from regnetlab.cli import main
from regnetlab.study.plan_file import load_plan
from tests.cli.asked import Capture, MakeStudy, answer, complaint


def test_a_sound_store_is_said_to_be(capsys: Capture, make_study: MakeStudy) -> None:
    study = make_study()
    scored(study)
    document = answer(capsys, "store", "check", str(study))
    assert (document["sound"], document["trials"], document["orphans"]) == (True, 14, 0)
    assert main(["store", "check", str(study)]) == 0
    assert (
        "14 trials, 0 doubled (0 with another error), 0 unreadable, 0 that the study"
        in capsys.readouterr().out
    )


def test_a_check_of_a_study_that_never_ran_makes_no_store(capsys: Capture, make_study: MakeStudy) -> None:
    study = make_study()
    for command in ("check", "repair"):
        assert "is not there; run its study, or name a file" in complaint(
            capsys, ["store", command, str(study)]
        )
    assert [path.name for path in study.parent.iterdir() if path.suffix == ".db"] == []
    open_store(load_plan(study).store)  # begun, and stopped before its first training
    assert "has no trainings yet; begin with: regnetlab run" in complaint(capsys, ["compare", str(study)])


def test_a_copy_and_a_repair_say_where_things_are(
    capsys: Capture, make_study: MakeStudy, tmp_path: Path
) -> None:
    study, copy = make_study(), tmp_path / "copy.db"
    scored(study)
    document = answer(capsys, "store", "copy", str(study), str(copy))
    assert (document["trials"], document["target"]) == (14, str(copy))
    assert main(["store", "copy", str(study), f"journal:{tmp_path / 'again.log'}"]) == 0
    assert f"both have hash {document['hash'][:16]}" in capsys.readouterr().out
    repaired = answer(capsys, "store", "repair", str(copy))
    assert repaired["removed"] == 0
    assert Path(repaired["backup"]).is_file()
    assert main(["store", "repair", str(copy)]) == 0
    assert "0 trials taken out; as it was: " in capsys.readouterr().out
    assert "name one: postgresql" in complaint(capsys, ["store", "check", "postgresql://me@host/lab"])
