"""Files of others, which are read with care, and our own, which are written whole or not at all."""

import errno
import os
import secrets
import shlex
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from regnetlab.errors import InputError


def open_foreign(path: Path, most: int | None = None) -> BinaryIO:
    """A file that someone else may have written, to read.

    Args:
        path: Of the file, or of a link to it.
        most: The bytes that it may have.

    Raises:
        OSError: It is not there, or a folder, or not ours to read.
        InputError: It is a pipe, which would be waited for, or a device, which may never end; or too large.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        facts = os.fstat(descriptor)
        if stat.S_ISDIR(facts.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        if not stat.S_ISREG(facts.st_mode):
            raise InputError(f"{path} can't be read: it is no regular file", "give a file, or a copy of it")
        if most is not None and facts.st_size > most:
            raise _too_large(path, most)
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def read_foreign(path: Path, most: int) -> bytes:
    """The content of such a file; raises as above, also where it grows beyond ``most`` while it is read."""
    with open_foreign(path, most) as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise _too_large(path, most)
    return content


def read_foreign_text(path: Path, most: int, encoding: str = "utf-8") -> str:
    """Its text, with lines that end as Python's do; raises as above, and ``UnicodeDecodeError``."""
    return read_foreign(path, most).decode(encoding).replace("\r\n", "\n").replace("\r", "\n")


def _too_large(path: Path, most: int) -> InputError:
    for size, unit in ((2**30, "GiB"), (2**20, "MiB"), (1, "bytes")):
        if most >= size:
            return InputError(f"{path} is over {most / size:g} {unit}", "it is no such file, or split it")
    raise ValueError(most)


def open_own(path: Path, flags: int) -> int:
    """The descriptor of a file that we keep, such as a lock or a log; it is made where it is missing.

    Args:
        path: Of the file. It may lie in a folder that came from elsewhere, so a link is not followed.
        flags: As for ``os.open``, beside these.

    Raises:
        OSError: It can't be opened, or is a link.
    """
    usual = os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    descriptor = os.open(path, flags | usual, 0o666)
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return descriptor
    os.close(descriptor)
    raise OSError(errno.EINVAL, "it is no regular file", str(path))


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write a file whole or not at all; raises ``InputError`` where it can't be written.

    Names of files that are no UTF-8 are in a text as Python has them, and are written with escapes.
    """
    data = content.encode("utf-8", "backslashreplace") if isinstance(content, str) else content
    with open_atomically(path) as file:
        file.write(data)


@contextmanager
def open_atomically(path: Path) -> Iterator[BinaryIO]:
    """A file to write in pieces, which is there only once all are written; errors as above."""
    part = path.with_name(f".{os.getpid()}-{secrets.token_hex(4)}.part")
    try:
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
        with os.fdopen(descriptor, "wb") as file:
            yield file
        part.replace(path)
    except OSError as error:
        raise InputError(f"{path} can't be written: {error.strerror or error}") from error
    finally:
        with suppress(OSError):
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
        raise InputError(
            f"output {path} can't be written: {path.parent} must be a folder to write in",
            "name one that you may write in"
            if path.parent.exists()
            else f"make it first: mkdir -p {shlex.quote(str(path.parent))}",
        )


def sqlite_uri(path: Path) -> str:
    """The address by which SQLite reads this file and leaves nothing beside it.

    A reader of a file in WAL mode makes the log where there is none; without a log there is no writer
    either, and the file can be read as one that stays as it is (sqlite.org/uri.html, ``immutable``). A
    journal is of a change that was broken off, or is being made: SQLite takes it back first, or waits.
    """
    changing, logged = (path.with_name(path.name + ending).exists() for ending in ("-journal", "-wal"))
    how = "mode=rw" if changing else "mode=ro" if logged else "mode=ro&immutable=1"
    return f"{path.absolute().as_uri()}?{how}"
