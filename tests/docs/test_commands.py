"""What README.md and docs/ tell to type: every command is one, and shows what the page says it shows."""

import shutil
from pathlib import Path

import pytest
import typer
from PIL import Image

from regnetlab.cli import main
from regnetlab.cli.app import app
from tests.committed import committed_studies, copy_committed_studies
from tests.docs.blocks import Shown, commands

COMMANDS = commands()
STORED = Path(__file__).parent / "stored"
"""The studies that the tutorials make, as a run of each left them; ``studies/`` has none of them."""
_COMMITTED = {str(path) for path in committed_studies()}
_COMMITTED |= {f"studies/{path.relative_to(STORED)}" for path in STORED.rglob("*.*")}
_CHEAP = (
    "bands",
    "sample",
    "summary",
    "models",
    "count",
    "export",
    "compare",
    "compare-baselines",
    "fit-regnet",
    "plan",
    "new",
    "status",
)
_DRY = {"run": "--dry-run"}


def _named(shown: Shown) -> list[str]:
    """The studies and files that a command reads."""
    words = shown.words
    read = [words[i + 1] for i, word in enumerate(words[:-1]) if word == "--from" and words[0] != "new"]
    takes_study = ("bands", "compare", "compare-baselines", "fit-regnet", "plan", "run", "status")
    read += [words[i + 1] for i, word in enumerate(words[:-1]) if word == "--study"]
    if words[0] in takes_study and len(words) > 1 and not words[1].startswith("-"):
        read.append(words[1])
    return read


def _can_run(shown: Shown) -> bool:
    """Whether it is cheap, and all that it reads is committed."""
    there = all({each, f"studies/{each}/study.toml"} & _COMMITTED for each in _named(shown))
    dry = _DRY.get(shown.words[0])
    dear = {"--data", "--weights", "--watch", "onnx", "tokens"} & set(shown.words)
    return there and not dear and (shown.words[0] in _CHEAP or dry in shown.words)


def test_the_pages_show_commands() -> None:
    assert len(COMMANDS) > 40
    assert sum(map(_can_run, COMMANDS)) > 12


@pytest.mark.parametrize("shown", COMMANDS, ids=str)
def test_the_command_line_accepts_it(shown: Shown) -> None:
    """Command, options and kinds of values are those of the real parser; nothing is run."""
    group = typer.main.get_command(app)
    json = ["--json"] if "--json" in shown.words else []
    words = [word for word in shown.words if word not in ("--json", "--debug")] + json
    with group.make_context("regnetlab", words[:1]) as top:
        command = group.get_command(top, words[0])  # type: ignore[attr-defined]
        assert command is not None, words[0]
        rest = words[1:]
        if hasattr(command, "get_command"):  # store copy, store check
            with command.make_context(words[0], rest[:1], parent=top) as inner:
                command, rest = command.get_command(inner, rest[0]), rest[1:]
                assert command is not None, words
        command.make_context(words[0], list(rest), parent=top)


@pytest.mark.parametrize("shown", [each for each in COMMANDS if _can_run(each)], ids=str)
def test_it_shows_what_the_page_says(
    shown: Shown, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if shown.words[0] != "new":
        copy_committed_studies(tmp_path)
        shutil.copytree(STORED, tmp_path / "studies", dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    capsys.readouterr()
    status = main(list(shown.words))
    captured = capsys.readouterr()
    expects_error = any(line.startswith("regnetlab: ") for line in shown.output)
    assert status == (2 if expects_error else 0), captured.err
    if shown.output:
        check_shown(shown.output, (captured.out + captured.err).splitlines())


@pytest.mark.parametrize(
    "shown",
    [each for each in COMMANDS if each.words[:3] == ("data", "show", "pets") and each.output],
    ids=str,
)
def test_data_show_shows_what_the_page_says(
    shown: Shown, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, n in (("cat", 60), ("dog", 90)):
        folder = tmp_path / "pets" / name
        folder.mkdir(parents=True)
        for i in range(n):
            Image.new("RGB", (100, 80), (i, n, 0)).save(folder / f"{name}{i // 3}-{i}.png")
    (tmp_path / "pets" / "dog" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nxx")
    (tmp_path / "pets" / "notes.txt").write_text("two kinds of pets")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("REGNETLAB_CACHE", str(tmp_path / "cache"))
    assert main(list(shown.words)) == 0
    check_shown(shown.output, capsys.readouterr().out.splitlines())


def check_shown(expected: tuple[str, ...], real: list[str]) -> None:
    """Each line of the page stands in the output, in order; … alone stands for any lines, or for the end."""
    lines, gap, at = [line.rstrip() for line in real], False, 0
    while lines and not lines[-1]:
        lines.pop()
    for line in expected:
        if line == "…":
            gap = True
            continue
        if gap:
            assert line in lines[at:], f"not shown (any more): {line}"
            at += lines[at:].index(line)
        assert at < len(lines), f"not shown (any more): {line}"
        assert lines[at] == line
        at, gap = at + 1, False
    assert gap or at == len(lines), f"left out without a …: {lines[at:]}"
