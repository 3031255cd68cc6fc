"""SQLite files that may have come from elsewhere: looked at before anything is written to them."""

import sqlite3
from pathlib import Path

import sqlalchemy as sql

from regnetlab.errors import InputError
from regnetlab.files import sqlite_uri


def reader(path: Path) -> sql.Engine:
    """An engine that only reads the file, and leaves nothing beside it."""
    return sql.create_engine(
        "sqlite://", creator=lambda: sqlite3.connect(sqlite_uri(path), uri=True), poolclass=sql.pool.NullPool
    )


def check_no_link(path: Path) -> None:
    """Raise ``InputError`` for a link, which may lead to any file of ours."""
    if path.is_symlink():
        raise InputError(
            f"{path} is a link", "name the file that it leads to, by --storage or storage in [run]"
        )


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
