"""Optuna's storages for our locations, and what is done when a database does not answer.

A connection that breaks raises ``ConnectionGoneError`` instead of what Optuna tries again by itself:
whether a commit came through is then not known, and only the caller can look before it writes a second
time. New connections wait for a database that is being restarted.
"""

import sqlite3
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from regnetlab.errors import InputError
from regnetlab.study.stores.location import Database, Journal, Location, mask

T = TypeVar("T")

PATIENCE = 300.0
"""Seconds to wait for a database that went away."""

_STUDY = "regnetlab"


class ConnectionGoneError(Exception):
    """The connection to the database broke; what was under way may or may not have been kept."""


def study_name(location: Location) -> str:
    """The name of the Optuna study; a file holds one, a database as many as there are studies."""
    return location.study if isinstance(location, Database) else _STUDY


def open_storage(location: Location) -> Any:
    """The Optuna storage; raises ``InputError`` where it can't be opened."""
    if isinstance(location, Journal):
        return _journal(location)
    if isinstance(location, Database):
        return _database(location)
    return _sqlite(location)


def has_study(location: Database) -> bool:
    """Whether the database answers and has this study."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return location.study in optuna.get_all_study_names(storage=_database(location))


def patiently(call: Callable[[], T], again: Callable[[], T | None] = lambda: None) -> T:
    """Call, and where the connection broke meanwhile call again, unless ``again`` says with a value
    that what was under way had been kept."""
    end = time.monotonic() + PATIENCE
    while True:
        try:
            return call()
        except ConnectionGoneError as error:
            if time.monotonic() > end:
                raise InputError(
                    f"the database does not answer: {error}", "what was trained is kept"
                ) from None
            time.sleep(0.5)
            kept = patiently(again)
            if kept is not None:
                return kept


def again_if(errors: tuple[type[Exception], ...], call: Callable[[], T], tries: int = 4) -> T:
    """Call, and after one of these errors up to ``tries`` times in all, half a second apart."""
    for _ in range(tries - 1):
        try:
            return call()
        except errors:
            time.sleep(0.5)
    return call()


def written(call: Callable[[], object], again: Callable[[], object | None] = lambda: None) -> None:
    """Write to the store as ``patiently`` does; raises ``InputError`` where it can't be written."""
    import optuna
    from sqlalchemy.exc import SQLAlchemyError

    try:
        patiently(call, again)
    except (optuna.exceptions.StorageInternalError, SQLAlchemyError, OSError) as error:
        raise InputError(
            f"the store can't be written ({why(error)})",
            "mend that, then run again: what was trained is kept",
        ) from error


def why(error: BaseException) -> str:
    """The database's own words, in one line and without secrets."""
    cause: BaseException | None = error
    while cause is not None:
        original = getattr(cause, "orig", None)
        if original is not None or isinstance(cause, sqlite3.Error):
            return mask((str(original or cause).strip().splitlines() or [""])[0])
        cause = cause.__cause__
    return mask((str(error).splitlines() or [type(error).__name__])[0])


def _sqlite(path: Path) -> Any:
    _use_write_ahead_log(path)
    return sqlite_storage(path, timeout=60)


def sqlite_storage(database: Path | str, skip: bool = False, **how: Any) -> Any:
    """Optuna's storage in an SQLite file; ``how`` goes to ``sqlite3.connect``, ``skip`` makes no tables.

    Not by its address, in which a ? or a % of the path would mean something.
    """
    import optuna

    connect = partial(sqlite3.connect, database, check_same_thread=False, **how)
    return optuna.storages.RDBStorage(
        "sqlite:///study.db",
        engine_kwargs={"creator": connect},
        skip_compatibility_check=skip,
        skip_table_creation=skip,
    )


def _use_write_ahead_log(path: Path) -> None:
    """Readers then never wait for the writer; the setting stays in the file."""
    connection = sqlite3.connect(path)
    try:
        connection.execute("PRAGMA journal_mode=WAL")
    finally:
        connection.close()


def _journal(location: Journal) -> Any:
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock

    # The lock file is made with O_EXCL, which NFS 3 and later do atomically.
    try:
        lock = JournalFileOpenLock(str(location.path))
        return JournalStorage(JournalFileBackend(str(location.path), lock_obj=lock))
    except (OSError, ValueError, KeyError) as error:
        raise InputError(
            f"store {location} can't be opened ({error})", "move it away to begin anew"
        ) from None


def _database(location: Database) -> Any:
    import optuna
    from sqlalchemy import event
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError, SQLAlchemyError
    from sqlalchemy.pool import (
        NullPool,  # none is left open; connecting takes milliseconds, a training seconds
    )

    try:
        import psycopg
    except ImportError:
        raise InputError(
            "PostgreSQL needs psycopg", "install it: pip install 'regnetlab[postgres]'"
        ) from None
    try:
        make_url(location.url)
    except (ArgumentError, ValueError):  # its message may quote the password
        raise InputError(
            f"storage {location} is no URL", "write postgresql://USER@HOST:PORT/DATABASE"
        ) from None
    patient: list[bool] = []
    target = location.url.replace("postgresql+psycopg:", "postgresql:", 1)

    def connect() -> Any:
        end = time.monotonic() + (PATIENCE if patient else 0.0)
        while True:
            try:
                return psycopg.connect(target, connect_timeout=10)
            except psycopg.OperationalError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.5)

    try:
        storage = optuna.storages.RDBStorage(
            location.url, engine_kwargs={"creator": connect, "poolclass": NullPool}
        )
    except (SQLAlchemyError, psycopg.Error, optuna.exceptions.StorageInternalError) as error:
        raise InputError(
            f"store {location} does not answer ({why(error)})", "is it running, and does the user exist?"
        ) from None
    patient.append(True)

    @event.listens_for(storage.engine, "handle_error")
    def _broken(context: Any) -> None:
        if context.is_disconnect:
            raise ConnectionGoneError(why(context.sqlalchemy_exception or context.original_exception))

    return storage
