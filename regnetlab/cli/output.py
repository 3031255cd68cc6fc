"""How results are printed: one JSON document, or text and tables that fit, with verdicts in colour.

A terminal gets lines as wide as it is, and colours where it has any. Everything else gets 80 characters and
no colours, so that scripts and pages can rely on it.
"""

import json
import math
import os
import re
import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from textwrap import fill, wrap
from typing import Annotated, Any, TextIO

import typer

from regnetlab.errors import InputError, printable
from regnetlab.plain import duration, plain

_ELSEWHERE, _LEAST, _TEXT = 80, 40, 100  # columns: without a terminal; at least; of text at most
_HEADING = 3  # lines that a heading may take in a table that is too wide otherwise
COLOURS = {"better": (28, 32), "no worse": (30, 36), "worse": (161, 31), "undecided": (130, 33)}
"""Each verdict's colour among 256, readable on black and on white, and among 8."""
_VERDICT = re.compile(r"\b(no\s+worse|better|worse|undecided)\b")

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
Seed = Annotated[int, typer.Option(min=0, max=2**63 - 1, help="Seed of everything random.")]


class OutputError(InputError):
    """What was to be printed can't be: a full disk, say. What was kept before stays kept."""

    def __init__(self, error: OSError) -> None:
        super().__init__(
            f"the output can't be written: {error.strerror or error}", "what was saved before is still there"
        )


def echo(
    text: str = "",
    *,
    err: bool = False,
    file: TextIO | None = None,
    end: str = "\n",
    verdicts: bool = False,
) -> None:
    """Print a text as ``printable`` has it: on stdout, on stderr, or to a file. All output comes through
    here, but for control codes of our own. The ``verdicts`` in a text get their colours on stdout.
    """
    shown = _coloured(printable(text)) if verdicts else printable(text)
    try:
        print(shown, file=file or (sys.stderr if err else sys.stdout), end=end, flush=err)
    except BrokenPipeError:
        raise
    except OSError as error:
        if not err:  # a terminal that was closed is no reason to stop
            raise OutputError(error) from error


def print_json(document: Any) -> None:
    """One JSON document on stdout; numbers that are not finite become null."""
    try:
        text = json.dumps(document, allow_nan=False)
    except ValueError:
        text = json.dumps(plain(document))
    echo(text)


def print_notes(notes: Iterable[str]) -> None:
    """Notes on how files were read, on stderr."""
    for note in notes:
        tell(f"note: {note}")


def tell(text: str) -> None:
    """A line on stderr; on a terminal as many lines as it takes."""
    echo(_filled(text, shutil.get_terminal_size().columns) if sys.stderr.isatty() else text, err=True)


def print_next(commands: Iterable[str]) -> None:
    """The commands that usually follow, a line each, to copy."""
    for number, command in enumerate(commands):
        echo(f"{'      ' if number else 'next: '}regnetlab {command}")


def from_here(path: Path) -> Path:
    """The path as it is shown: without the current folder, where it lies in it."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


def columns() -> int:
    """How wide lines may be: as the terminal is, or 80 where stdout is none."""
    return max(shutil.get_terminal_size().columns, _LEAST) if sys.stdout.isatty() else _ELSEWHERE


def _coloured(text: str) -> str:
    """The text with its verdicts in colour, if stdout is a terminal that has any and ``NO_COLOR`` is not set.

    The words stay: a colour says nothing that its word doesn't.
    """
    terminal = os.environ.get("TERM", "dumb")
    if os.environ.get("NO_COLOR") or terminal in ("", "dumb") or not sys.stdout.isatty():
        return text
    many = "256" in terminal or bool(os.environ.get("COLORTERM"))

    def painted(match: re.Match[str]) -> str:
        of_256, of_8 = COLOURS[" ".join(match[0].split())]
        return f"\x1b[{f'38;5;{of_256}' if many else of_8}m{match[0]}\x1b[0m"

    return _VERDICT.sub(painted, text)


def print_table(
    headers: Sequence[str], rows: Iterable[Sequence[str]], right: str = "", verdicts: bool = False
) -> None:
    """Print columns as wide as they need to be.

    Where they don't fit, gaps become narrower, then headings and texts take several lines, then the table is
    printed in parts, which all have the first column.

    Args:
        headers: The titles of the columns.
        rows: The cells; rows that can be read twice are not kept in memory.
        right: A letter for each column: r aligns it right, l left.
        verdicts: Whether there are verdicts in the cells, which get their colours.
    """
    rows = list(rows) if isinstance(rows, Iterator) else rows

    def clean() -> Iterator[list[str]]:
        return ([printable(cell, kept="") for cell in row] for row in chain([headers], rows))

    parts = [(range(len(headers)), layout)] if (layout := _one_line(clean(), columns())) else []
    for number, (part, (gap, widths)) in enumerate(parts or _folded(list(clean()), right)):
        if number:
            echo()
        sides = [right[i : i + 1] for i in part]
        for row_number, row in enumerate(clean()):
            cells = [_wrapped(row[i], width) for i, width in zip(part, widths, strict=True)]
            for line in _levelled(cells, bottom=row_number == 0):
                padded = (
                    text.rjust(width) if side == "r" else text.ljust(width)
                    for text, width, side in zip(line, widths, sides, strict=True)
                )
                echo(gap.join(padded).rstrip(), verdicts=verdicts and row_number > 0)


def fits(cells: Iterable[Sequence[str]]) -> bool:
    """Whether a table of these cells has room for each of its rows on one line."""
    return _one_line(cells, columns()) is not None


_Layout = tuple[str, list[int]]
"""What stands between two columns, and the columns' widths."""


def _one_line(cells: Iterable[Sequence[str]], room: int) -> _Layout | None:
    """Columns as wide as their longest cells, if they fit."""
    widths = column_widths(cells)
    return next(((gap, widths) for gap in ("  ", " ") if _fits(gap, widths, room)), None)


def _folded(cells: list[list[str]], right: str) -> list[tuple[Sequence[int], _Layout]]:
    """The parts of a table that does not fit on one line a row, each with its columns and their layout."""
    parts: list[tuple[Sequence[int], _Layout]] = []
    last, start, room = len(cells[0]), 1, columns()
    while start < last:
        end = last
        while (layout := _narrow(cells, right, [0, *range(start, end)], room)) is None and end > start + 1:
            end -= 1
        part = [0, *range(start, end)]
        parts.append((part, layout or (" ", column_widths([[row[i] for i in part] for row in cells]))))
        start = end
    return parts or [([0], ("", column_widths(cells)))]


def _narrow(cells: list[list[str]], right: str, part: Sequence[int], room: int) -> _Layout | None:
    """A layout in which headings, and if need be texts, take several lines; ``None`` if nothing fits."""
    heads, rows = [cells[0][i] for i in part], [[row[i] for i in part] for row in cells[1:]]
    whole = column_widths(rows) or [0] * len(part)
    for lines in range(1, _HEADING + 1):
        widths = [max(width, _narrowest(head, lines)) for head, width in zip(heads, whole, strict=True)]
        for gap in ("  ", " "):
            if _fits(gap, widths, room):
                return gap, widths
    least = [
        max(
            _narrowest(head, _HEADING),
            width if right[i : i + 1] == "r" else max(_narrowest(row[at], len(row[at])) for row in rows),
        )
        for at, (i, head, width) in enumerate(zip(part, heads, whole, strict=True))
    ]
    while not _fits("  ", widths, room):
        widest = max(range(len(part)), key=lambda at: (widths[at] > least[at]) * widths[at])
        if widths[widest] <= least[widest]:
            return None
        widths[widest] -= 1
    return "  ", widths


def _fits(gap: str, widths: Sequence[int], room: int) -> bool:
    return sum(widths) + len(gap) * (len(widths) - 1) <= room


def _narrowest(text: str, lines: int) -> int:
    """The least width at which a text takes no more lines than these, with no word broken."""
    width = max(map(len, _held(text).split(" ")))
    while len(_wrapped(text, width)) > max(lines, 1):
        width += 1
    return width


def _wrapped(text: str, width: int) -> list[str]:
    """The lines of a cell."""
    if len(text) <= width:
        return [text]
    lines = wrap(_held(text), width, break_long_words=False, break_on_hyphens=False)
    return [line.replace("\xa0", " ") for line in lines]


def _held(text: str) -> str:
    """The text with a verdict of two words held together."""
    return text.replace("no worse", "no\xa0worse")


def _levelled(cells: list[list[str]], bottom: bool) -> Iterator[tuple[str, ...]]:
    """The lines of a row whose cells have several, those of short ones at the top or at the bottom."""
    most = max(map(len, cells))
    empty = [[""] * (most - len(each)) for each in cells]
    pairs = zip(cells, empty, strict=True)
    return zip(*(rest + cell if bottom else cell + rest for cell, rest in pairs), strict=True)


def print_guessing(
    majority_error: float | None, not_learned: Sequence[str], majority_error_test: float | None = None
) -> None:
    """What guessing gives, where that is known (on the test split too), and what is not clearly better."""
    if majority_error is not None:
        tested = "" if majority_error_test is None else f", on the test split {majority_error_test:.2f}%"
        echo(f"\nalways answering the commonest class: {majority_error:.2f}% error{tested}")
    for sentence in not_learned:
        echo(filled(sentence))


def filled(text: str) -> str:
    """Lines that fit, without a break inside a name or number."""
    return _filled(text, columns())


def _filled(text: str, room: int) -> str:
    return fill(text, max(min(room, _TEXT), _LEAST), break_long_words=False, break_on_hyphens=False)


def column_widths(cells: Iterable[Sequence[str]]) -> list[int]:
    """The width of each column's longest cell."""
    widths: list[int] = []
    for row in cells:
        lengths = list(map(len, row))
        widths = list(map(max, widths, lengths)) if widths else lengths
    return widths


def count(value: float) -> str:
    """A count in at most six characters: 397.7M, 5.16M, 12.3K, 999."""
    for suffix, power in (("G", 1e9), ("M", 1e6), ("K", 1e3)):
        if value >= 0.9995 * power:
            scaled = value / power
            return f"{scaled:.{2 if scaled < 9.995 else 1 if scaled < 999.95 else 0}f}{suffix}"
    return f"{value:.0f}"


def bar(share: float, width: int) -> str:
    """A bar of that share of ``width`` characters, to an eighth of one."""
    eighths = round(max(0.0, min(1.0, share)) * width * 8)
    return "█" * (eighths // 8) + " ▏▎▍▌▋▊▉"[eighths % 8].strip()


def number(value: float | None, decimals: int = 2) -> str:
    """A number, or a dash where there is none."""
    return "–" if value is None or not math.isfinite(value) else f"{value:.{decimals}f}"


def lasting(seconds: float | None) -> str:
    """A duration, or a dash where none is known."""
    return "–" if seconds is None or not math.isfinite(seconds) else duration(seconds)


def signed(value: float, decimals: int = 2) -> str:
    """A difference with its sign; ∞ where it is infinite."""
    text = f"{value:+.{decimals}f}" if math.isfinite(value) else "+∞" if value > 0 else "-∞"
    return text.replace("-", "−")


def stages(values: Sequence[float]) -> str:
    """Numbers of stages with spaces between."""
    return " ".join([f"{value:.6g}" for value in values])
