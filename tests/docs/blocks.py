"""The code blocks of README.md and docs/: where each stands, what it says, what a console shows."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
_FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
_INDENTED = re.compile(r"^    (regnetlab .*)$", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A fenced block: its page, the line at which its text begins, its language and text."""

    page: str
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


@dataclass(frozen=True)
class Shown:
    """A command of regnetlab's on a page, and the lines that are shown below it."""

    place: str
    words: tuple[str, ...]
    output: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.place} {' '.join(self.words)[:60]}"


def blocks(language: str) -> list[Block]:
    """All blocks in this language."""
    return [each for page in PAGES for each in _of_page(page) if each.language == language]


def commands() -> list[Shown]:
    """Every command of regnetlab's in a console block, or alone on an indented line."""
    found = [shown for block in blocks("console") for shown in _of_console(block)]
    for page in PAGES:
        text = _FENCE.sub(lambda match: "\n" * match[0].count("\n"), page.read_text(encoding="utf-8"))
        for match in _INDENTED.finditer(text):
            line = text.count("\n", 0, match.start()) + 1
            found.append(Shown(f"{page.relative_to(ROOT)}:{line}", _words(match[1]), ()))
    return found


def _of_page(page: Path) -> Iterator[Block]:
    text = page.read_text(encoding="utf-8")
    for match in _FENCE.finditer(text):
        yield Block(str(page.relative_to(ROOT)), text.count("\n", 0, match.start(2)) + 1, match[1], match[2])


def _of_console(block: Block) -> Iterator[Shown]:
    lines = block.text.splitlines()
    starts = [i for i, line in enumerate(lines) if line.startswith("$ ")]
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=False):
        if lines[start].startswith("$ regnetlab "):
            output = tuple(line.rstrip() for line in lines[start + 1 : end])
            while output and not output[-1]:
                output = output[:-1]
            place = f"{block.page}:{block.line + start}"
            yield Shown(place, _words(lines[start].removeprefix("$ ")), output)


def _words(command: str) -> tuple[str, ...]:
    return tuple(shlex.split(command.rstrip("&").strip(), comments=True)[1:])
