"""The store: finished trainings in one table, facts about their study in another.

A training is one row, inserted when it is over, so a killed run leaves no half one, and a unique key makes a
doubled one impossible. A file (SQLite) holds one study; a database (PostgreSQL) holds many by name. The
coordinator is the only writer (``lease``).
"""

import gc
import json
import math
import os
import sqlite3
import time
import weakref
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import closing
from dataclasses import asdict
from datetime import UTC, datetime
from itertools import starmap
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sql
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError

from regnetlab.errors import InputError
from regnetlab.files import sqlite_uri
from regnetlab.training.budget import COMPLETE, WORST, CurvePoint, Score
from regnetlab.trials.convert import drop_older, has_older, has_others, read_older
from regnetlab.trials.facts import mistake
from regnetlab.trials.job import Trial
from regnetlab.trials.location import Database, Location, mask
from regnetlab.trials.sqlite_file import ERRORS, check_file, check_plain, foreign, inode, reader

T = TypeVar("T")
Row = Mapping[str, Any]

SCHEMA = 5
"""Of the tables: 1 and 2 were Optuna's (``convert``), 3 had no ``correct`` and 4 no ``ran``; higher ones are
refused."""
PATIENCE = 300.0
"""Seconds to wait for a database that went away."""

_TABLES = sql.MetaData()
_LATER = ("correct", "ran")  # columns that came later; in rows of before they are empty
_NUMBER = sql.BigInteger().with_variant(sql.Integer, "sqlite")  # where only INTEGER numbers rows by itself
TRIALS = sql.Table(
    "regnetlab_trials",
    _TABLES,
    sql.Column("number", _NUMBER, primary_key=True),
    sql.Column("study", sql.Text, nullable=False),
    sql.Column("identity", sql.Text, nullable=False),
    sql.Column("data", sql.Text, nullable=False),
    *(sql.Column(name, sql.Text) for name in ("space", "model", "recipe")),
    *(sql.Column(name, sql.BigInteger) for name in ("index", "seed", "flops", "params", "acts")),
    *(sql.Column(name, sql.Double) for name in ("error", "test_error", "seconds")),
    sql.Column("images", sql.BigInteger),
    *(sql.Column(name, sql.Text) for name in ("ended", "curve", "device", "worker", "finished")),
    *(sql.Column(name, sql.Text) for name in _LATER),
    sql.UniqueConstraint("study", "identity", "data", "device"),
)
_FACTS = sql.Table(
    "regnetlab_facts",
    _TABLES,
    sql.Column("study", sql.Text, primary_key=True),
    sql.Column("name", sql.Text, primary_key=True),
    sql.Column("value", sql.Text, nullable=False),
)
_SCORE = tuple(
    TRIALS.c[name] for name in ("error", "seconds", "images", "ended", "test_error", "correct", "ran")
)


class Store:
    """An open store. Make one with ``open_store``."""

    def __init__(self, location: Location, engine: sql.Engine) -> None:
        self.location = location
        self._engine = engine
        self._study = study_name(location)
        self._last = 0  # number of the row read last; a finished training never changes
        self._scores: dict[tuple[str, str], dict[str, Score]] = defaultdict(dict)  # by data and device
        self._file = _inode_of(location)
        weakref.finalize(self, engine.dispose)

    def check_there(self) -> None:
        """Raise ``InputError`` where the file was removed or replaced since it was opened: what is written
        to it then is lost."""
        if self._file is not None and _inode_of(self.location) != self._file:
            raise InputError(
                f"store {self.location} was removed or replaced while the study ran",
                "put it back if it was moved, then run again; where it is gone, trials.csv is taken in",
            )

    def scores(self, data: str, device: str | None = None) -> dict[str, Score]:
        """By identity the score of every training on these data, and on this device if one is given.

        ``data`` is a checksum, ``device`` what computes (``execution.worker.computed_on``). Trainings of
        which one or the other is not known count, too. Only what is new since the last call is read.
        """
        self._read()
        found: dict[str, Score] = {}
        for known, scores in sorted(self._scores.items(), key=lambda item: item[0]):
            if known[0] in ("", data) and (device is None or known[1] in ("", device)):
                found |= scores
        return found

    def devices(self, data: str, identities: Collection[str] | None = None) -> set[str]:
        """What computed these trainings, or all on these data, as far as that is known."""
        self._read()
        asked = None if identities is None else set(identities)
        return {
            device
            for (known, device), scores in self._scores.items()
            if device and known in ("", data) and (asked is None or not asked.isdisjoint(scores))
        }

    def add(self, trial: Trial) -> None:
        """Keep one finished training; one that is there already stays as it is.

        Raises:
            InputError: The store can't be written.
        """
        self.add_all([trial])

    def add_all(self, trials: Iterable[Trial]) -> None:
        """The same of many, all of them or none."""
        self.add_rows(map(row_of, trials))

    def fact(self, name: str) -> dict[str, Any]:
        """What was kept under this name; empty where nothing was."""
        where = (_FACTS.c.study == self._study, _FACTS.c.name == name)
        value = self._call(
            "read", lambda connection: connection.scalar(sql.select(_FACTS.c.value).where(*where))
        )
        return {} if value is None else _facts_of(self.location, name, value)

    def keep(self, name: str, facts: Mapping[str, Any]) -> None:
        """Keep these facts about the study under a name, in place of what was there."""
        self._call("written", lambda connection: _keep(connection, self._study, name, facts))

    def count(self) -> int:
        """How many trainings there are, on whatever data."""
        query = sql.select(sql.func.count()).where(TRIALS.c.study == self._study)
        return self._call("read", lambda connection: connection.scalar(query)) or 0

    def rows(self) -> list[dict[str, Any]]:
        """Everything that is kept of every training, in the order in which they ended."""
        columns = [column for column in TRIALS.c if column.name not in ("number", "study")]
        query = sql.select(*columns).where(TRIALS.c.study == self._study).order_by(TRIALS.c.number)
        return self._call(
            "read", lambda connection: [dict(row) for row in connection.execute(query).mappings()]
        )

    def add_rows(self, rows: Iterable[Row]) -> None:
        """Keep these trainings, all of them or none; those that are there already stay as they are."""
        kept = list(rows)
        self._call("written", lambda connection: _add(connection, self._study, kept))

    def facts(self) -> dict[str, dict[str, Any]]:
        """All facts by name, but for the schema and who runs the study just now."""
        query = sql.select(_FACTS.c.name, _FACTS.c.value).where(_FACTS.c.study == self._study)
        found = self._call("read", lambda connection: connection.execute(query).all())
        kept = sorted((name, value) for name, value in found if name not in ("schema", "lease"))
        return {name: _facts_of(self.location, name, value) for name, value in kept}

    def numbers(self, wanted: Callable[[Row], object]) -> list[int]:
        """The numbers of the rows for which this is true, which is given all that is kept of a training."""
        query = sql.select(TRIALS).where(TRIALS.c.study == self._study).order_by(TRIALS.c.number)
        rows = self._call("read", lambda connection: connection.execute(query).mappings().all())
        return [row["number"] for row in rows if wanted(dict(row))]

    def remove(self, numbers: Collection[int]) -> None:
        """Take these trainings out; the next run trains them again."""
        where = (TRIALS.c.study == self._study, TRIALS.c.number.in_(numbers))
        self._call("written", lambda connection: connection.execute(sql.delete(TRIALS).where(*where)))

    def _read(self) -> None:
        columns = (
            TRIALS.c.number,
            TRIALS.c.data,
            TRIALS.c.identity,
            TRIALS.c.device,
            TRIALS.c.curve,
            *_SCORE,
        )
        new = (TRIALS.c.study == self._study, TRIALS.c.number > self._last)
        query = sql.select(*columns).where(*new).order_by(TRIALS.c.number)
        rows = self._call("read", lambda connection: connection.execute(query).all())
        collecting = gc.isenabled()
        gc.disable()  # nothing made here is garbage: looking for it takes half of the time
        try:
            for number, data, identity, device, curve, error, *others in rows:
                score = Score(error, _points(curve), *others)
                if _mistake(score, (data, identity, device)):
                    raise ValueError
                self._scores[data, device][identity] = score
                self._last = number
        except (ValueError, TypeError, RecursionError):
            raise InputError(
                f"store {self.location}: training {number} ({str(identity)[:24]}) can't be read",
                "regnetlab store check names all such; store repair takes them out and keeps a backup",
            ) from None
        finally:
            if collecting:
                gc.enable()

    def _call(self, verb: str, call: Callable[[sql.Connection], T]) -> T:
        """Call in a transaction, again where a database went away, for up to ``PATIENCE`` seconds.

        Whether a broken connection kept its transaction is not known: ``call`` must do no harm twice.
        """
        end = time.monotonic() + PATIENCE
        while True:
            try:
                with self._engine.begin() as connection:
                    return call(connection)
            except UnicodeDecodeError as error:
                raise InputError(f"the store can't be {verb} (its file is damaged)", _DAMAGED) from error
            except DBAPIError as error:
                if not _gone(error) or time.monotonic() > end:
                    hint = "fix that, then run again: what was trained is kept"
                    hint = _DAMAGED if _is_damaged(error) else hint
                    raise InputError(f"the store can't be {verb} ({why(error)})", hint) from error
                time.sleep(0.5)


def open_store(location: Location, snapshot: bool = False) -> Store:
    """The store at this place, made where there is none; one of an older version is converted.

    Args:
        location: A file, or a study in a database.
        snapshot: Only read, from a copy of the file in memory, so that nothing is left beside it. A file
            that can't be written is opened like that anyway.

    Raises:
        InputError: It is something else, of a newer version, or does not answer.
    """
    if isinstance(location, Database):
        engine, snapshot = _database(location), False
    else:
        try:
            _again(lambda: _check_ours(location))
        except ERRORS as error:
            raise _refused(location, error) from None
        snapshot = snapshot or not _writable(location)
        engine = _file(location, snapshot)
    try:
        # Of two who make the same store at once, such as a run and a status, one may find it half made.
        schema = _again(lambda: _opened(engine, location, snapshot))
    except ERRORS as error:
        engine.dispose()
        if isinstance(location, Path) and not snapshot and location.exists():
            return open_store(location, snapshot=True)  # a full disk: what is kept can be read all the same
        raise _refused(location, error) from None
    if schema > SCHEMA:
        engine.dispose()
        raise InputError(
            f"store {location} was written by a newer regnetlab (schema {schema}, this one knows {SCHEMA})",
            "upgrade regnetlab, or move the store away to begin again",
        )
    if snapshot:
        with engine.connect() as connection:  # what would be lost is refused
            connection.exec_driver_sql("PRAGMA query_only = ON")
    return Store(location, engine)


def has_study(location: Database) -> bool:
    """Whether the database answers and has this study."""
    engine = _database(location)
    try:
        with engine.connect() as connection:
            found = _schema(connection, location) is not None
            return found or has_older(connection, location.study)
    except DBAPIError as error:
        raise _refused(location, error) from None


def study_name(location: Location) -> str:
    """The name of the study; a file holds one, a database as many as there are names."""
    return location.study if isinstance(location, Database) else "regnetlab"


def row_of(trial: Trial) -> dict[str, Any]:
    """The row that keeps this training."""
    job, score = trial.job, trial.score
    return {
        "identity": job.identity,
        "data": trial.data,
        "space": job.space,
        "index": job.index,
        "model": job.model,
        "seed": job.seed,
        "flops": job.flops,
        "params": job.params,
        "acts": job.acts,
        "recipe": json.dumps(asdict(job.recipe)),
        "error": score.error,
        "test_error": score.test_error,
        "ended": score.ended,
        "seconds": score.seconds,
        "images": score.images,
        "curve": json.dumps(
            [[each.images, each.train_loss, each.train_error, each.error] for each in score.curve]
        ),
        "device": trial.device,
        "worker": trial.worker,
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "correct": score.correct,
        "ran": score.ran,
    }


def _inode_of(location: Location) -> tuple[int, int] | None:
    return inode(location) if isinstance(location, Path) else None


_LONGEST_CURVE = 10_000_000  # characters
_NUMBER_OR_NONE = (int, float, type(None))


def problem(row: Row) -> str:
    """What can't be read of a training's row (``Store.rows``); empty where all can."""
    try:
        score = Score(row["error"], _points(row["curve"]), *(row[each.name] for each in _SCORE[1:]))
    except (ValueError, TypeError, RecursionError):
        curve = row["curve"]
        return f"its curve is {curve[:40]!r}" if isinstance(curve, str) else "its curve is no text"
    return _mistake(score, tuple(row[name] for name in ("data", "identity", "device")))


def _points(curve: str) -> tuple[CurvePoint, ...]:
    if not isinstance(curve, str) or len(curve) > _LONGEST_CURVE:
        raise TypeError("no text, or far too long")
    points = json.loads(curve)
    if not all(isinstance(value, _NUMBER_OR_NONE) for point in points for value in point):
        raise ValueError("not numbers")
    return tuple(starmap(CurvePoint, points))


def _mistake(score: Score, texts: tuple[object, ...]) -> str:
    """What a training can't have earned, or be called: what was damaged seldom can."""
    if not all(isinstance(each, str) for each in texts):
        return "data, identity or device are no texts"
    if not all(each is None or isinstance(each, str) for each in (score.correct, score.ran)):
        return "which images are correct, or what ran, is no text"
    return "" if _possible(score) else f"error, seconds or ending can't be: {score.error}, {score.ended!r}"


def _possible(score: Score) -> bool:
    errors = [each for each in (score.error, score.test_error) if each is not None]
    return (
        isinstance(score.ended, str)
        and (score.ended != COMPLETE or score.error is not None)
        and all(isinstance(each, int | float) and 0 <= each <= WORST for each in errors)
        and isinstance(score.seconds, int | float)
        and 0 <= score.seconds < math.inf
        and isinstance(score.images, int)
        and score.images >= 0
    )


def why(error: BaseException) -> str:
    """The database's own words, in one line and without secrets."""
    cause = error
    while getattr(cause, "orig", None) is None and cause.__cause__ is not None:
        cause = cause.__cause__
    text = str(getattr(cause, "orig", None) or cause).strip()
    return mask((text.splitlines() or [type(error).__name__])[0])


def _refused(location: Location, error: Exception) -> InputError:
    if isinstance(location, Database):
        hint = "is it running, and does the user exist?"
        return InputError(f"store {location} does not answer ({why(error)})", hint)
    hint = _DAMAGED if _is_damaged(error) else "check that its disk is not full and that it may be written"
    return InputError(f"store {location} can't be opened ({why(error)})", hint)


_DAMAGED = "bring a backup back, or move the file away: run takes in what trials.csv has"


def _is_damaged(error: Exception) -> bool:
    """Whether SQLite says that a file is not as it wrote it, and not that it can't be had now."""
    code = getattr(getattr(error, "orig", error), "sqlite_errorcode", None)
    damaged = code is not None and code & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
    return damaged or isinstance(error, UnicodeDecodeError)


def _schema(connection: sql.Connection, location: Location) -> int | None:
    """The version of the study's tables, ``None`` where there is no such study."""
    if not sql.inspect(connection).has_table(_FACTS.name):
        return None
    where = (_FACTS.c.study == study_name(location), _FACTS.c.name == "schema")
    value = connection.scalar(sql.select(_FACTS.c.value).where(*where))
    return None if value is None else int(_facts_of(location, "schema", value)["version"])


def _facts_of(place: object, name: str, text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
        wrong = mistake(name, value)
    except (ValueError, TypeError, RecursionError):
        wrong = "it is no JSON"
    if wrong:
        raise InputError(
            f"store {place}: what it keeps as {name[:40]!r} can't be read ({wrong})", "bring a backup back"
        )
    return dict(value)


def _opened(engine: sql.Engine, location: Location, snapshot: bool) -> int:
    """The version of the study's tables, which are made where there are none."""
    with engine.connect() as connection:
        found = _schema(connection, location)
    if found is not None and 3 <= found < SCHEMA:
        return _widen(engine, study_name(location))
    return _make(engine, location, snapshot) if found is None else found


def _check_ours(path: Path) -> None:
    """Raise ``InputError`` unless this file, where there is one, may be written to as a store."""
    check_file(path)
    if not path.exists():
        return
    with reader(path).connect() as connection:
        check_plain(connection, path)
        _check_tables(connection, path)
        ours = _schema(connection, path) is not None or has_older(connection, study_name(path))
        if not ours and has_others(connection):
            raise foreign(path)


def _check_tables(connection: sql.Connection, path: Path) -> None:
    """Raise ``InputError`` where our tables have more columns or keys, which could change what is kept."""
    for table in _TABLES.sorted_tables:
        columns = connection.exec_driver_sql(f"PRAGMA table_xinfo({table.name})").mappings().all()
        indexes = connection.exec_driver_sql(f"PRAGMA index_list({table.name})").mappings().all()
        keys = [each["name"] for each in indexes]
        plain = all(each["hidden"] == 0 and each["name"] in table.c for each in columns)
        if not plain or any(not name.startswith("sqlite_autoindex_") for name in keys) or len(keys) > 1:
            raise InputError(
                f"store {path}: its table {table.name} is not one that regnetlab makes",
                "it could change what is kept: name another file, or bring a backup back",
            )


def _widen(engine: sql.Engine, study: str) -> int:
    """Give a study of an older schema the columns that its table lacks."""
    with engine.begin() as connection:
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql("BEGIN IMMEDIATE")  # a second process that does it waits
        _add_later_columns(connection)
        _keep(connection, study, "schema", {"version": SCHEMA})
    return SCHEMA


def _add_later_columns(connection: sql.Connection) -> None:
    """Add them to a table of before; in a database any study of this version may have done so."""
    there = {each["name"] for each in sql.inspect(connection).get_columns(TRIALS.name)}
    for name in _LATER:
        if name not in there:
            connection.exec_driver_sql(f"ALTER TABLE {TRIALS.name} ADD COLUMN {name} TEXT")


def _make(engine: sql.Engine, location: Location, snapshot: bool) -> int:
    """Make the tables, and fill them with what an older version kept here."""
    study = study_name(location)
    with engine.begin() as connection:
        file = connection.dialect.name == "sqlite"
        if file:
            connection.exec_driver_sql("BEGIN IMMEDIATE")  # a second process that makes it waits
        if (found := _schema(connection, location)) is not None:
            return found
        older = has_older(connection, study)
        if older and isinstance(location, Path) and not snapshot:
            back_up(location)
        for table in _TABLES.sorted_tables:
            connection.execute(sql.schema.CreateTable(table, if_not_exists=True))
        _add_later_columns(connection)
        if older:
            try:
                facts, rows = read_older(connection, study)
            except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
                line = str(error).splitlines()[0][:100] if str(error) else type(error).__name__
                raise InputError(f"store {location} can't be converted ({line})", _DAMAGED) from None
            _add(connection, study, rows)
            for name, value in facts.items():
                _keep(connection, study, name, value)
            if file:
                drop_older(connection)
        _keep(connection, study, "schema", {"version": SCHEMA})
    if older and file:
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("VACUUM")
    return SCHEMA


def back_up(path: Path) -> Path:
    """A copy of the file beside it, named after this moment."""
    stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S-%f")
    backup = path.with_name(f"{path.stem}.backup-{stamp}{path.suffix}")
    with (
        closing(sqlite3.connect(sqlite_uri(path), uri=True)) as source,
        closing(sqlite3.connect(backup)) as target,
    ):
        source.backup(target)
    return backup


def _add(connection: sql.Connection, study: str, rows: Iterable[Row]) -> None:
    if new := [{**row, "study": study} for row in rows]:
        same = ["study", "identity", "data", "device"]  # another clash is an error
        connection.execute(_insert(connection)(TRIALS).on_conflict_do_nothing(index_elements=same), new)


def _keep(connection: sql.Connection, study: str, name: str, facts: Mapping[str, Any]) -> None:
    new = _insert(connection)(_FACTS).values(study=study, name=name, value=json.dumps(dict(facts)))
    connection.execute(
        new.on_conflict_do_update(index_elements=["study", "name"], set_={"value": new.excluded.value})
    )


def _insert(connection: sql.Connection) -> Any:
    return sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert


def _file(path: Path, snapshot: bool) -> sql.Engine:
    """An SQLite file. Not by its address, in which a ? or a % of the path would mean something."""

    def connect() -> sqlite3.Connection:
        connection = sqlite3.connect(path, timeout=60, check_same_thread=False)
        connection.execute("PRAGMA journal_mode=WAL")  # readers never wait for the writer
        connection.execute("PRAGMA synchronous=FULL")
        return connection

    def copy() -> sqlite3.Connection:
        connection = sqlite3.connect(":memory:", check_same_thread=False)
        with closing(sqlite3.connect(sqlite_uri(path), uri=True)) as source:
            source.backup(connection)
        return connection

    if not snapshot:
        return sql.create_engine("sqlite://", creator=connect, poolclass=sql.pool.QueuePool)
    return sql.create_engine("sqlite://", creator=copy, poolclass=sql.pool.StaticPool)


def _writable(path: Path) -> bool:
    """Whether the file can be written; one that is not there yet may turn out not to be."""
    return not path.exists() or (os.access(path, os.W_OK) and os.access(path.parent, os.W_OK))


def _database(location: Database) -> sql.Engine:
    try:
        import psycopg
    except ImportError:
        hint = "install it: pip install 'regnetlab[postgres]'"
        raise InputError("PostgreSQL needs psycopg", hint) from None
    # No connection is left open: connecting takes milliseconds, a training seconds.
    return sql.create_engine(
        "postgresql+psycopg://",
        creator=lambda: psycopg.connect(location.url, connect_timeout=10),
        poolclass=sql.pool.NullPool,
    )


def _gone(error: DBAPIError) -> bool:
    """Whether a server does not answer, was stopped or is starting; a file never is."""
    state = getattr(error.orig, "sqlstate", None)
    silent = state is None or state[:2] in ("08", "57")  # connection exception, operator intervention
    return silent and not isinstance(error.orig, sqlite3.Error)


def _again(call: Callable[[], T], tries: int = 4) -> T:
    for _ in range(tries - 1):
        try:
            return call()
        except (IntegrityError, OperationalError):
            time.sleep(0.5)
    return call()
