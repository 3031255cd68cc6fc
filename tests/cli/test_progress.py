"""What workers and libraries write never stands inside the live table, or inside a line of JSON."""

import json
import os
import pty
import re
import subprocess
import sys
from textwrap import wrap

import pytest

_PROGRAM = """
import subprocess, sys, warnings
from regnetlab.cli.progress import make_progress
noise = "import sys, warnings; warnings.warn('hot');"
noise += "sys.stderr.write('50%\\\\r100%\\\\n\\\\x1b[31mred\\\\x1b[0m\\\\n')"
with make_progress("quiet", sys.argv[1]) as shown:
    shown.on_begin([], {}, 3)
    workers = [subprocess.Popen([sys.executable, "-c", noise], stdout=2) for _ in range(3)]
    warnings.warn("mine")
    assert [each.wait() for each in workers] == [0, 0, 0]
print("after", file=sys.stderr)
"""


def _shown_on_a_terminal(program: str, *words: str) -> list[str]:
    """The lines that a terminal gets of a program's stderr, without control codes."""
    master, slave = pty.openpty()
    with subprocess.Popen([sys.executable, "-c", program, *words], stderr=slave, env=os.environ) as process:
        os.close(slave)
        said = b""
        try:
            while some := os.read(master, 65_536):
                said += some
        except OSError:  # the end
            pass
    os.close(master)
    assert process.returncode == 0
    return _screen(said.decode())


def _screen(text: str) -> list[str]:
    """The lines that stand there in the end: what is erased or written over is gone."""
    lines, row, column = [""], 0, 0
    for code, times, kind, plain in re.findall(r"(\x1b\[\??([0-9;]*)([A-Za-z]))|([^\x1b])", text):
        if plain == "\n":
            row, column = row + 1, 0
            lines += [""] * (row == len(lines))
        elif plain == "\r":
            column = 0
        elif plain:
            lines[row] = lines[row][:column].ljust(column) + plain + lines[row][column + 1 :]
            column += 1
        elif code and kind == "A":
            row -= int(times or 1)
        elif kind == "K":
            lines[row] = ""
    return lines


def test_what_workers_write_stands_above_the_live_table_a_line_each() -> None:
    lines = _shown_on_a_terminal(_PROGRAM, "auto")
    for part, times in (("UserWarning: hot", 3), ("100%", 3), ("red", 3), ("UserWarning: mine", 1)):
        found = [line for line in lines if part in line]
        assert len(found) >= times, (part, lines)
        assert not any("trainings" in line for line in found), lines
    assert not any("50%" in line for line in lines), lines
    assert sum("0/3 trainings" in line for line in lines) == 1, lines
    assert [line for line in lines if line][-1] == "after"


def test_what_workers_write_is_a_note_among_lines_of_json() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore:mine", "-c", _PROGRAM, "json"],
        capture_output=True,
        text=True,
        check=True,
    )
    *lines, last = done.stderr.splitlines()
    events = [json.loads(line) for line in lines]
    assert last == "after"
    assert [each["event"] for each in events].count("begin") == 1
    texts = [each["text"] for each in events if each["event"] == "note"]
    assert sorted(text for text in texts if text in ("100%", "red")) == ["100%"] * 3 + ["red"] * 3


_NOTE = "resnet18 is left out: no multiplier comes within 10% of these flops; the smallest form has 1.02M"
_LONG = f"""
from regnetlab.cli.progress import make_progress
with make_progress("quiet") as shown:
    shown.on_begin([], {{}}, 3)
    shown.on_note({_NOTE!r})
"""


def test_a_note_above_the_live_table_is_broken_between_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    lines = _shown_on_a_terminal(_LONG)
    first = next(i for i, line in enumerate(lines) if "resnet18" in line)
    assert [line.rstrip() for line in lines[first : first + 2]] == wrap(_NOTE, 80)
