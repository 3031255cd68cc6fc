"""``regnetlab retrain`` as a user or a script meets it, and its part of the page."""

from pathlib import Path

from regnetlab.cli import main
from tests.cli.asked import Capture, MakeStudy, answer, complaint
from tests.cli.test_contract import keys


def test_the_best_are_trained_again_and_shown(capsys: Capture, make_study: MakeStudy, data_dir: Path) -> None:
    study, where = str(make_study()), ["--data-dir", str(data_dir), "--device", "cpu", "--executor", "inline"]
    assert "has no trainings yet" in complaint(capsys, ["retrain", study, *where])
    assert "top is 0" in complaint(capsys, ["retrain", study, *where, "--top", "0"])
    assert "seeds is 1; 2 to 100 trainings each" in complaint(
        capsys, ["retrain", study, *where, "--seeds", "1"]
    )
    answer(capsys, "run", study, *where)
    before = Path(answer(capsys, "report", study)["report"]).read_text()
    assert 'id="again"' not in before
    assert "Trained again" not in before
    document = answer(capsys, "retrain", study, *where, "--top", "1", "--seeds", "2")
    assert keys(document) == (
        "{retrained{again{errors mean sd} first index interval model of rank space} study}"
    )
    assert document["study"] == "tiny"
    assert [each["space"] for each in document["retrained"]] == ["AnyNetA", "AnyNetE", "RegNet", "derived"]
    assert [each["of"] for each in document["retrained"]] == [12, 6, 2, 2]
    first = document["retrained"][0]
    assert first["interval"][0] <= first["again"]["mean"] <= first["interval"][1]
    capsys.readouterr()
    assert main(["retrain", study, *where, "--top", "1", "--seeds", "2"]) == 0
    text = capsys.readouterr().out
    assert "1 of 12" in text
    assert "On average the" in text
    assert f"next: regnetlab report {study}" in text
    assert max(len(line) for line in text.splitlines() if not line.startswith(("wrote", "next"))) <= 80
    page = Path(answer(capsys, "report", study)["report"]).read_text()
    sentence = (
        f"Best of 12 networks of AnyNetA: {first['first']:.2f}% in its study, {first['again']['mean']:.2f} ± "
    )
    assert sentence in page
    assert '<a href="#again">Trained again</a>' in page
    (study_db := Path(study).with_name("study.db")).unlink()
    assert Path(answer(capsys, "report", study)["report"]).read_text() == page  # from the tables alone
    assert not study_db.exists()
