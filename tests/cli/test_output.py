"""All output comes through one door, which lets no control character out; it fits the terminal."""

import ast
import io
import sys
from pathlib import Path

import pytest

from regnetlab.cli import main
from regnetlab.cli.output import COLOURS, columns, echo, filled, from_here, print_table
from regnetlab.errors import printable
from regnetlab.plain import duration, plural
from tests.cli.asked import Capture

ESC = "A\x1b]0;owned\x07\u202eX"


def test_nothing_is_printed_but_by_echo() -> None:
    """But for the names of functions that end in print."""
    for path in sorted(Path("regnetlab").rglob("*.py")):
        calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
        printed = [
            node.lineno for node in calls if isinstance(node.func, ast.Name) and node.func.id == "print"
        ]
        allowed = {"regnetlab/cli/output.py": 1, "regnetlab/study/session.py": 1}.get(str(path), 0)
        assert len(printed) == allowed, (path, printed)


def test_what_could_steer_a_terminal_is_written_out(capsys: Capture) -> None:
    echo(f"{ESC}\ttab\nline é ✓")
    assert capsys.readouterr().out == "A\\x1b]0;owned\\x07\\u202eX\ttab\nline é ✓\n"
    assert printable("plain") == "plain"


@pytest.mark.parametrize("command", ["compare", "fit-regnet", "plan", "bands"])
def test_names_in_a_file_reach_the_terminal_written_out(
    capsys: Capture, tmp_path: Path, command: str
) -> None:
    path = tmp_path / "networks.csv"
    rows = [f"{space},1 1,8 {8 + 8 * (i % 4)},{30 + i % 7}" for space in (ESC, "B") for i in range(20)]
    path.write_text("space,depths,widths,error\n" + "\n".join(rows) + "\n")
    main([command, "--from", str(path)])
    printed = capsys.readouterr()
    assert not {"\x1b", "\x07", "\u202e"} & set(printed.out + printed.err)


class Terminal(io.StringIO):
    """A stdout that is one."""

    def isatty(self) -> bool:
        return True


def _terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """A terminal of 40 columns with 256 colours."""
    shown = Terminal()
    monkeypatch.setattr(sys, "stdout", shown)
    for name, value in (("COLUMNS", "40"), ("TERM", "xterm-256color"), ("NO_COLOR", "")):
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("COLORTERM", raising=False)
    return shown


STEPS = [["AnyNetA → AnyNetB", "−0.68 … +0.73", "no worse, alike"], ["B → C", "−1 … +2", "undecided *"]]


def test_lines_are_as_wide_as_the_terminal_and_80_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    _terminal(monkeypatch)
    text = "word " * 50
    assert max(map(len, filled(text).split("\n"))) <= 40
    monkeypatch.setenv("COLUMNS", "300")
    assert 80 < max(map(len, filled(text).split("\n"))) <= 100  # longer lines are hard to read
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    assert columns() == 80


def test_a_table_that_is_too_wide_takes_several_lines_a_row_and_breaks_no_word(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    terminal = _terminal(monkeypatch)
    print_table(("step", "95% interval", "verdict"), STEPS, "lrl")
    assert terminal.getvalue().splitlines() == [
        "step          95% interval  verdict",
        "AnyNetA →    −0.68 … +0.73  no worse,",
        "AnyNetB                     alike",
        "B → C              −1 … +2  undecided *",
    ]


def test_headings_take_several_lines_before_texts_do(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = _terminal(monkeypatch)
    print_table(("network", "median error %", "latency, ms, batch 1"), [["resnet18", "13.41", "0.72"]], "lrr")
    assert terminal.getvalue().splitlines() == [
        "           median     latency,",
        "network   error %  ms, batch 1",
        "resnet18    13.41         0.72",
    ]


def test_a_table_of_too_many_columns_is_printed_in_parts_with_the_first_column(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    terminal = _terminal(monkeypatch)
    print_table(("images", *"ABCDE"), [["1,600", *["65.6 (60–71)"] * 5]], "rrrrrr")
    parts = terminal.getvalue().split("\n\n")
    assert [part.split("\n")[0].split() for part in parts] == [
        ["images", "A", "B"],
        ["images", "C", "D"],
        ["images", "E"],
    ]
    assert all(len(line) <= 40 for line in terminal.getvalue().splitlines())


def test_verdicts_have_colours_on_a_terminal_and_keep_their_words(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = _terminal(monkeypatch)
    for verdict, (of_256, _) in COLOURS.items():
        echo(f"it is {verdict}", verdicts=True)
        assert terminal.getvalue().splitlines()[-1] == f"it is \x1b[38;5;{of_256}m{verdict}\x1b[0m"
    print_table(("step", "95% interval", "verdict"), STEPS, "lrl", verdicts=True)
    assert "\x1b[38;5;30mno worse\x1b[0m,\n" in terminal.getvalue()


@pytest.mark.parametrize("setting", [("NO_COLOR", "1"), ("TERM", "dumb"), ("TERM", "")])
def test_there_are_no_colours_where_they_are_not_wanted(
    monkeypatch: pytest.MonkeyPatch, setting: tuple[str, str]
) -> None:
    terminal = _terminal(monkeypatch)
    monkeypatch.setenv(*setting)
    echo("better", verdicts=True)
    assert terminal.getvalue() == "better\n"


def test_there_are_no_colours_in_a_pipe(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    echo("better", verdicts=True)
    assert capsys.readouterr().out == "better\n"


def test_colours_are_readable_on_black_and_on_white() -> None:
    """By the contrast ratio of WCAG, at least 4 to 1 on both."""
    steps = (0, 95, 135, 175, 215, 255)  # of each channel in the cube of 216 colours

    def linear(value: float) -> float:
        return value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4

    for of_256, _ in COLOURS.values():
        at = of_256 - 16
        red, green, blue = (linear(steps[each] / 255) for each in (at // 36, at // 6 % 6, at % 6))
        luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue
        assert min(1.05 / (luminance + 0.05), (luminance + 0.05) / 0.05) >= 4


def test_a_path_is_shown_from_the_current_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "studies").mkdir()
    monkeypatch.chdir(tmp_path)
    assert from_here(tmp_path / "reports" / "a.html") == Path("reports/a.html")
    assert from_here(Path("reports/a.html")) == Path("reports/a.html")
    monkeypatch.chdir(tmp_path / "studies")
    assert from_here(tmp_path / "reports" / "a.html") == tmp_path / "reports" / "a.html"


def test_one_of_something_is_called_as_one() -> None:
    assert [plural(n, "training") for n in (0, 1, 2, 1_200)] == [
        *("0 trainings", "1 training", "2 trainings", "1,200 trainings")
    ]
    assert [plural(n, "study", "studies") for n in (1, 2)] == ["1 study", "2 studies"]


def test_durations_have_the_unit_that_suits() -> None:
    seconds = (0, 0.42, 5, 45, 99, 660, 5_900, 6_000, 9_000, 40_000, 300_000, 40_000_000)
    assert [duration(each) for each in seconds] == [
        *("0 s", "0.4 s", "5 s", "45 s", "99 s", "11 min", "98 min", "1.7 h", "2.5 h", "11 h", "3 days"),
        "463 days",
    ]
