"""How results are printed: one JSON document, or a table of plain text."""

import json
import math
import sys
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from textwrap import fill
from typing import Annotated, Any, TextIO

import typer

from regnetlab.errors import InputError, printable
from regnetlab.plain import plain

COLUMNS = 80
"""What tables fit into."""

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
Seed = Annotated[int, typer.Option(min=0, max=2**63 - 1, help="Seed of everything random.")]


class OutputError(InputError):
    """What was to be printed can't be: a full disk, say. What was kept before stays kept."""

    def __init__(self, error: OSError) -> None:
        super().__init__(
            f"the output can't be written: {error.strerror or error}", "what was kept before stays kept"
        )


def echo(text: str = "", *, err: bool = False, file: TextIO | None = None, end: str = "\n") -> None:
    """Print a text as ``printable`` has it: on stdout, on stderr, or to a file. All output comes through
    here, but for control codes of our own.
    """
    try:
        print(printable(text), file=file or (sys.stderr if err else sys.stdout), end=end, flush=err)
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
        echo(f"note: {note}", err=True)


def print_next(commands: Iterable[str]) -> None:
    """The commands that usually follow, a line each, to copy."""
    for number, command in enumerate(commands):
        echo(f"{'      ' if number else 'next: '}regnetlab {command}")


def print_table(headers: Sequence[str], rows: Iterable[Sequence[str]], right: str = "") -> None:
    """Print columns as wide as they need to be.

    Args:
        headers: The titles of the columns.
        rows: The cells; rows that can be read twice are not kept in memory.
        right: A letter for each column: r aligns it right, l left.
    """
    rows = list(rows) if isinstance(rows, Iterator) else rows

    def clean() -> Iterator[list[str]]:
        return ([printable(cell, kept="") for cell in row] for row in chain([headers], rows))

    sides = right.ljust(len(headers), "l")
    widths = column_widths(clean())
    gap = "  " if sum(widths) + 2 * len(widths) - 2 <= COLUMNS else " "
    for row in clean():
        padded = (
            cell.rjust(width) if side == "r" else cell.ljust(width)
            for cell, width, side in zip(row, widths, sides, strict=True)
        )
        echo(gap.join(padded).rstrip())


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
    return fill(text, COLUMNS, break_long_words=False, break_on_hyphens=False)


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


def signed(value: float, decimals: int = 2) -> str:
    """A difference with its sign; ∞ where it is infinite."""
    text = f"{value:+.{decimals}f}" if math.isfinite(value) else "+∞" if value > 0 else "-∞"
    return text.replace("-", "−")


def stages(values: Sequence[float]) -> str:
    """Numbers of stages with spaces between."""
    return " ".join([f"{value:.6g}" for value in values])
