"""SQLite files that may have come from elsewhere: looked at before anything is written to them."""

import os
import sqlite3
import stat
from pathlib import Path

import sqlalchemy as sql
from sqlalchemy.exc import DBAPIError

from regnetlab.errors import InputError
from regnetlab.files import open_foreign, sqlite_uri

ERRORS = (DBAPIError, sqlite3.Error, UnicodeDecodeError)
"""What reading a file raises that is damaged, or no database: also of SQLite's own words about it."""
_JOURNAL = bytes.fromhex("d9d505f920a163d7")
"""How a journal begins, and how the name of another file in it ends."""


def reader(path: Path) -> sql.Engine:
    """An engine that only reads the file; SQLite itself takes a change back that was broken off."""
    return sql.create_engine(
        "sqlite://", creator=lambda: sqlite3.connect(sqlite_uri(path), uri=True), poolclass=sql.pool.NullPool
    )


def check_file(path: Path) -> None:
    """Raise ``InputError`` for what SQLite must not open, of this file and of those that it has beside it.

    A link may lead to any file of ours, and a pipe is waited for. A journal of several databases names a file
    that SQLite deletes (sqlite.org/fileformat2.html, section 3); those of one database don't.
    """
    if path.is_symlink():
        raise InputError(
            f"{path} is a link", "put the file itself there, or name it (of study.db: --storage FILE)"
        )
    for each in (path, *(path.with_name(path.name + ending) for ending in ("-journal", "-wal", "-shm"))):
        try:
            regular = stat.S_ISREG(each.lstat().st_mode)
            named = regular and each.name.endswith("-journal") and _names_a_file(each)
        except FileNotFoundError:  # or gone meanwhile: another process has finished its change
            continue
        except OSError as error:
            raise InputError(f"{each} can't be read: {error.strerror}") from None
        if not regular:
            raise InputError(f"{each} is no regular file", "check what it is, and move it away")
        if named:
            raise InputError(
                f"{each} would have SQLite delete another file", "it is none of ours: move it away"
            )


def _names_a_file(journal: Path) -> bool:
    with open_foreign(journal) as file:
        file.seek(-min(len(_JOURNAL), journal.stat().st_size), os.SEEK_END)
        return file.read() == _JOURNAL


def check_plain(connection: sql.Connection, path: Path) -> None:
    """Raise ``InputError`` where a file has more than tables: a view or trigger would run as a program."""
    query = "SELECT name FROM sqlite_master WHERE type IN ('view', 'trigger') LIMIT 1"
    if (found := connection.exec_driver_sql(query).scalar()) is not None:
        raise InputError(
            f"store {path} has a view or trigger ({str(found)[:40]}), which no store has",
            "it could change what is kept: name another file",
        )


def foreign(path: Path) -> InputError:
    """What to say of a file that another program keeps."""
    return InputError(f"store {path} is another program's database", "name another file, or move it away")


def inode(path: Path) -> tuple[int, int] | None:
    """Which file lies there, if one does."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
