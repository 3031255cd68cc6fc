"""Help: every command in a panel, with an example that the parser takes and a page that exists."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from regnetlab.cli import completion, main
from regnetlab.cli.app import app
from regnetlab.models.registry import named_models
from tests.cli.asked import Capture

PANELS = ("Design", "Study", "Answers", "Networks", "Data", "Store")


def _commands(group: Any, *before: str) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, command in group.commands.items():
        yield (*before, name), command
        if hasattr(command, "commands"):
            yield from _commands(command, *before, name)


COMMANDS = dict(_commands(typer.main.get_command(app)))


def _help(capsys: Capture, *words: str) -> str:
    capsys.readouterr()
    assert main([*words, "--help"]) == 0
    return capsys.readouterr().out


def test_commands_stand_in_panels_and_the_docs_have_an_address(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    shown = _help(capsys)
    assert [*re.findall(r"╭─ (\w+) ─", shown)] == ["Options", *PANELS]
    assert Path(re.search(r"Documentation: (\S+)", shown)[1]).exists()  # type: ignore[index]


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_help_has_an_example_and_a_page_and_no_types_of_flags(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    shown = _help(capsys, *words)
    assert "<bool>" not in shown
    assert max(map(len, shown.splitlines())) <= 80
    found = re.search(r"Example: regnetlab (.*)\n *Explained in (\S+)", re.sub(r" +\n", "\n", shown))
    assert found is not None
    assert Path(found[2]).exists()
    typed = shlex.split(found[1])
    assert tuple(typed[: len(words)]) == words
    if (command := COMMANDS[words]) and not hasattr(command, "commands"):
        command.make_context(words[-1], typed[len(words) :])  # raises where it does not take them


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_no_name_or_value_of_an_option_is_broken_at_80_columns(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    shown = _help(capsys, *words)
    for each in COMMANDS[words].params:
        for name in (*each.opts, *each.secondary_opts) if each.param_type_name == "option" else ():
            assert name in shown
        assert (each.metavar or "") in shown


@pytest.mark.parametrize("columns", [40, 79])
def test_help_in_a_narrow_terminal_cuts_no_word(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    for words, command in {(): typer.main.get_command(app), **COMMANDS}.items():
        shown = _help(capsys, *words)
        assert max(map(len, shown.splitlines())) <= columns, words
        plain = " ".join(shown.split())
        options = (each for each in command.params if each.param_type_name == "option" and not each.hidden)
        assert all(name in plain for each in options for name in each.opts), words
        said = [each.help for each in getattr(command, "commands", {}).values()]
        assert all(" ".join(text.split("\n\n")[0].split()) in plain for text in said), words


@pytest.mark.parametrize("option", ["--version", "-V"])
def test_the_version_has_a_short_option(capsys: Capture, option: str) -> None:
    assert main([option]) == 0
    assert capsys.readouterr().out.startswith("regnetlab ")


def _completes(command: Any, option: str) -> bool:
    [found] = [each for each in command.params if option in (each.name, *each.opts)]
    return found._custom_shell_complete is not None


def test_studies_data_sets_and_formats_complete_wherever_they_are_taken() -> None:
    named = {"study", "store", "source", "target", "targets", "data", "what", "to", "space", "executor"}
    for words, command in COMMANDS.items():
        for each in command.params:
            other = (words, each.name) in {(("bands",), "space"), (("data", "pack"), "store")}
            if each.name in named and not other:
                assert _completes(command, each.name), (words, each.name)


def test_every_model_that_has_a_name_completes() -> None:
    assert sorted(completion.models()) == sorted(each.text for each in named_models())


def test_folders_complete_as_data_by_path_and_by_kind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos" / "cats").mkdir(parents=True)
    (tmp_path / "photos" / ".hidden").mkdir()
    assert {"fashion-mnist", "photos"} <= set(completion.data_sets(""))
    assert "photos/cats" in completion.data_sets("photos/")
    assert completion.data_sets("folder:ph") == ["folder:photos"]
    assert completion.data_sets("pack:photos/") == ["pack:photos/cats"]
    assert completion.data_sets("nowhere:") == []


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("compare fa", "fashion-mnist"),
        ("store check fa", "fashion-mnist"),
        ("train resnet18 --data cif", "cifar-10"),
        ("export resnet18 --to ti", "timm"),
        ("train regnetx_40", "regnetx_400mf"),
        ("summary dense", "densenet121"),
        ("export resn", "resnet18"),
        ("latency resnet18 fa", "fashion-mnist"),
        ("latency resnet18 vgg11_s", "vgg11_slim"),
    ],
)
def test_the_shell_completes_without_torch_or_pandas(tmp_path: Path, typed: str, expected: str) -> None:
    (tmp_path / "studies" / "fashion-mnist").mkdir(parents=True)
    (tmp_path / "studies" / "fashion-mnist" / "study.toml").write_text("")
    code = (
        "import sys\n"
        "for name in ('torch', 'pandas', 'scipy', 'optuna'): sys.modules[name] = None\n"
        "from regnetlab.cli import main; main([])"
    )
    line = f"regnetlab {typed}"
    asked = {"COMP_WORDS": line, "COMP_CWORD": str(len(line.split()) - 1)}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | asked | {"_REGNETLAB_COMPLETE": "complete_bash", "PYTHONPATH": str(Path.cwd())},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert expected in done.stdout.split(), done.stderr
