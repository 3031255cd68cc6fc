"""All output comes through one door, which lets no control character out."""

import ast
from pathlib import Path

import pytest

from regnetlab.cli import main
from regnetlab.cli.output import echo
from regnetlab.errors import printable
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
