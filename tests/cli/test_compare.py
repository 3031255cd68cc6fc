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
    assert second["failures_as_worst"]["interval"] == second["interval"]
    assert second["without_failures"]["median_difference"] < second["median_difference"]


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


def _accuracies(tmp_path: Path) -> tuple[Path, Path]:
    """The pilot's errors as fractions, and as accuracies in percent."""
    header, *rows = pilot(tmp_path).read_text().splitlines()
    files = tmp_path / "fractions.csv", tmp_path / "accuracies.csv"
    for path, unit in zip(files, ("error", "accuracy"), strict=True):
        lines = [header.replace("error", unit)]
        for row in rows:
            *network, error, seconds = row.split(",")
            value = "" if not error else f"{float(error) / 100:.5f}"
            value = f"{100 - float(error):.3f}" if error and unit == "accuracy" else value
            lines.append(",".join([*network, value, seconds]))
        path.write_text("\n".join(lines) + "\n")
    return files


@pytest.mark.parametrize("command", ["compare", "plan", "fit-regnet", "report"])
def test_every_command_reads_errors_in_the_unit_that_is_said(
    capsys: Capture, tmp_path: Path, command: str
) -> None:
    fractions, accuracies = _accuracies(tmp_path)
    output = ["-o", str(tmp_path / "page.html")] if command == "report" else []
    words = [command, "--from", str(fractions), *output]
    assert "give --errors fraction" in complaint(capsys, words)
    assert not (tmp_path / "page.html").exists()
    expected = answer(capsys, command, "--from", str(pilot(tmp_path)), *output)
    document = answer(capsys, *words, "--errors", "fraction")
    if command == "plan":
        assert document | {"notes": []} == expected | {"notes": []}  # which name the file
    if command == "compare":
        verdicts = [[each["verdict"] for each in found["comparisons"]] for found in (document, expected)]
        assert verdicts[0] == verdicts[1]

    assert main([command, "--from", str(accuracies), *output]) == 0
    assert "note: " in (said := capsys.readouterr().err)
    assert "accuracies.csv has accuracies (in percent; error = 100% − accuracy)" in said
    if command == "report":
        assert "has accuracies (in percent" in (tmp_path / "page.html").read_text()


def test_a_unit_without_a_file_is_refused(capsys: Capture) -> None:
    for words in (["compare", "quick"], ["plan", "--spread", "3"], ["report"], ["fit-regnet", "quick"]):
        assert "--errors says how --from FILE is read" in complaint(capsys, [*words, "--errors", "fraction"])


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["compare", "--from", "nowhere.csv"], "nowhere.csv"),
        (["compare", "quick", "--from", "x.csv"], "not both"),
        (["compare", "quick", "--margin", "-1"], "margin is -1"),
        (["compare", "quick", "--margin", "0"], "it must be above 0"),
        (["compare", "quick", "--statistic", "modes"], "statistic 'modes' is not known"),
        (["compare", "quick", "--matched", "flop"], "matched 'flop' is not known"),
        (["compare", "quick", "--planned", "20"], "are for --from FILE"),
        (["compare", "--from", "x.csv", "--sequential"], "needs --planned N"),
        (["compare", "quick", "--pair", "AnyNetA"], "write two spaces"),
        (["compare", "quick", "--pair", "AnyNetA:AnyNetX"], "is not known"),
        (["plan", "--spread", "0"], "spread is 0"),
        (["plan", "--spread", "4", "--power", "1"], "power is 1"),
        (["plan", "quick", "--spread", "4"], "give one of"),
        (["sample", "--space", "AnyNetC", "--n", "2", "--where", "w[j] > 1"], "column 3"),
        (["report", "--from", "nowhere.csv"], "nowhere.csv"),
    ],
)
def test_a_comparison_that_can_not_be_is_refused(capsys: Capture, words: list[str], reason: str) -> None:
    assert reason in complaint(capsys, words)


def test_a_margin_changed_after_the_first_training_is_refused(capsys: Capture, make_study: MakeStudy) -> None:
    path = make_study(STUDY)
    assert main(["run", str(path), "--executor", "inline"]) == 0
    path.write_text(STUDY + "[compare]\nmargin = 20.0\n")
    assert "began with margin 1 and now states 20" in complaint(capsys, ["compare", str(path)])
    document = answer(capsys, "compare", str(path), "--margin", "20")
    assert document["margin"] == 20
