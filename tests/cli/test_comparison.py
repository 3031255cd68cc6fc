"""``regnetlab compare``, ``plan`` and ``report`` on a file of networks."""

from pathlib import Path

import pytest

from regnetlab.cli import main
from tests.cli.asked import Capture, MakeStudy, answer, complaint, pilot
from tests.conftest import STUDY


def test_compare_answers_in_json(capsys: Capture, tmp_path: Path) -> None:
    document = answer(capsys, "compare", "--from", str(pilot(tmp_path)), "--margin", "1.5")
    first, second = document["comparisons"]
    assert (first["a"], first["b"], first["n_a"], first["n_b"]) == ("A", "B", 40, 40)
    assert (first["verdict"], second["verdict"]) == ("better", "no worse")
    assert first["interval"][0] < first["median_difference"] < first["interval"][1]
    assert (second["failed_a"], second["failed_b"]) == (0, 2)
    assert second["failures_as_worst"]["verdict"] in ("no worse", "undecided")


def test_compare_prints_a_table_that_fits(capsys: Capture, tmp_path: Path) -> None:
    assert main(["compare", "--from", str(pilot(tmp_path)), "--pair", "A:C"]) == 0
    text = capsys.readouterr().out
    assert "A → C" in text
    assert "0 and 2 failed" in text
    assert max(len(line) for line in text.splitlines() if "→ C:" not in line) <= 100


def test_plan_answers_in_json(capsys: Capture, tmp_path: Path) -> None:
    document = answer(capsys, "plan", "--from", str(pilot(tmp_path)), "--margin", "1", "--workers", "2")
    assert [each["step"] for each in document["steps"]] == ["A → B", "B → C"]
    for each in document["steps"]:
        assert each["hours"] == pytest.approx(2 * each["n"] * 5.0 / 2 / 3600)


def test_a_file_of_networks_is_reported(capsys: Capture, tmp_path: Path) -> None:
    output = tmp_path / "page.html"
    document = answer(capsys, "report", "--from", str(pilot(tmp_path)), "-o", str(output))
    assert document["report"] == str(output)
    assert output.stat().st_size > 1e6


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["compare", "--from", "nowhere.csv"], "nowhere.csv"),
        (["compare", "quick", "--from", "x.csv"], "not both"),
        (["compare", "quick", "--margin", "-1"], "0 to 100"),
        (["compare", "quick", "--pair", "AnyNetA"], "write two spaces"),
        (["compare", "quick", "--pair", "AnyNetA:AnyNetX"], "is not known"),
        (["plan", "--spread", "0"], "spread is 0"),
        (["plan", "--spread", "4", "--power", "1"], "power is 1"),
        (["plan", "quick", "--spread", "4"], "give one of"),
        (["sample", "--space", "AnyNetC", "--n", "2", "--where", "w[j] > 1"], "column 3"),
        (["report", "--from", "nowhere.csv"], "nowhere.csv"),
    ],
)
def test_a_comparison_that_can_not_be_is_one_line(capsys: Capture, words: list[str], reason: str) -> None:
    assert reason in complaint(capsys, words)


def test_a_margin_changed_after_the_first_training_is_refused(capsys: Capture, make_study: MakeStudy) -> None:
    path = make_study(STUDY)
    assert main(["run", str(path), "--executor", "inline"]) == 0
    path.write_text(STUDY + "[compare]\nmargin = 20.0\n")
    assert "began with margin 1 and now states 20" in complaint(capsys, ["compare", str(path)])
    document = answer(capsys, "compare", str(path), "--margin", "20")
    assert document["margin"] == 20
