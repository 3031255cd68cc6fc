"""Writing files whole or not at all, and reading SQLite's without writing."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from regnetlab.errors import InputError


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write a file whole or not at all; raises ``InputError`` where it can't be written."""
    with open_atomically(path) as file:
        file.write(content.encode() if isinstance(content, str) else content)


@contextmanager
def open_atomically(path: Path) -> Iterator[BinaryIO]:
    """A file to write in pieces, which is there only once all are written; errors as above."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as file:
            yield file
        part.replace(path)
    except OSError as error:
        raise InputError(f"{path} can't be written: {error.strerror or error}") from error
    finally:
        part.unlink(missing_ok=True)


def cache_folder() -> Path:
    """Where downloads and decoded images are kept: ``REGNETLAB_CACHE``, else ``~/.cache/regnetlab``."""
    return Path(os.environ.get("REGNETLAB_CACHE") or Path.home() / ".cache" / "regnetlab")


def check_output(path: Path, endings: tuple[str, ...]) -> None:
    """Raise ``InputError`` before any work is done for a file that could not be written."""
    if path.suffix not in endings:
        raise InputError(f"output {path}: end the name in {' or '.join(endings)}")
    if path.is_dir():
        raise InputError(f"output {path} is a folder", "name a file in it, or another")
    if not path.parent.is_dir() or not os.access(path.parent, os.W_OK):
        raise InputError(f"output {path} can't be written: {path.parent} must be a folder to write in")


def sqlite_uri(path: Path) -> str:
    """The address by which SQLite reads this file and leaves nothing beside it.

    A reader of a file in WAL mode makes the log where there is none; without a log there is no writer
    either, and the file can be read as one that stays as it is (sqlite.org/uri.html, ``immutable``).
    """
    settled = not path.with_name(path.name + "-wal").exists()
    return f"{path.absolute().as_uri()}?mode=ro{'&immutable=1' if settled else ''}"
