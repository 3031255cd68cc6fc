"""Optuna studies as populations: the finished trials of a study as rows of networks (``files``).

A study is in an SQLite file or in a journal. Both are only read, through Optuna's public classes: SQLite
is asked for nothing but reading, a journal's backend locks and writes only where something is appended, and
neither unpickles (what Optuna pickles are snapshots of a journal in Redis).
"""

import json
import sqlite3
import warnings
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from math import isfinite
from pathlib import Path
from shlex import quote
from typing import Any

from regnetlab.errors import InputError, unknown
from regnetlab.files import open_foreign, sqlite_uri
from regnetlab.trials.csv_header import NETWORK, column_of, score_of
from regnetlab.trials.error_units import ACCURACY, ERRORS, ErrorReading, ErrorUnit, error_reading
from regnetlab.trials.optuna_trials import has_stages, trial_row
from regnetlab.trials.rows import Row

_SQLITE = b"SQLite format 3\x00"
_LONGEST_LINE = 2**16
NO_SAMPLE = (
    "{source} holds a search, whose networks are no random sample of a space and can't be compared as one;"
    " its result: regnetlab search, and the report of its study"
)
"""Why a search is refused wherever a population is wanted."""
SEARCH_MARK = "search"
"""The user attribute of an Optuna study that is a search; it holds the search's facts."""
_ENDED = {"PRUNED": "pruned", "FAIL": "failed", "COMPLETE": "no finite value"}
"""Why a trial earned no error, by its state."""


@dataclass(frozen=True, slots=True)
class OptunaTrials:
    """The finished trials of a study by number, how their errors are read, and what to know of it.

    ``own`` is whether regnetlab wrote the study.
    """

    rows: list[tuple[int, Row]]
    reading: ErrorReading
    notes: tuple[str, ...] = ()
    own: bool = False


def is_optuna(path: Path) -> bool:
    """Whether this file is an SQLite database, or begins as a journal of Optuna does."""
    with open_foreign(path) as file:
        first = file.readline(_LONGEST_LINE)
    return first.startswith(_SQLITE) or _is_journal(first)


def optuna_trials(path: Path, which: str = "", errors: ErrorUnit | None = None) -> OptunaTrials:
    """The finished trials of an Optuna study in this file, which is not written to.

    ``which`` names the study where the file has several, and ``STUDY#N`` the N-th of several objectives.
    A maximised study's values are accuracies. Trials of equal parameters are trainings of one network.
    """
    with _quiet(), _read_from(path) as storage:
        study, number = _chosen(path, storage, which)
        trials = [each for each in study.get_trials(deepcopy=False) if each.state.is_finished()]
        directions = [each.name.lower() for each in study.directions]
        metrics = study.metric_names or [""] * len(directions)
    if not trials:
        raise InputError(
            f"study {study.study_name} in {path} has no finished trial", "wait for one, or name another"
        )
    objective = _objective(f"{path}#{study.study_name}", number, directions, metrics)
    what = f"study {study.study_name!r} of {path}"
    own = any("identity" in each.user_attrs for each in trials)
    reading, notes = _reading(what, directions[objective], metrics[objective], errors, own)
    shapes = {frozenset(each.params) for each in trials if each.state.name == "COMPLETE"}
    staged = has_stages([each.params for each in trials])
    rows: list[tuple[int, Row]] = []
    for trial in trials:
        try:
            row = trial_row(trial, study.study_name, staged and frozenset(trial.params) in shapes)
            value = trial.values[objective] if trial.state.name == "COMPLETE" else None
        except InputError as error:
            raise error.at(f"{path}, trial {trial.number}") from None
        except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
            raise InputError(f"{path}, trial {trial.number}: {' '.join(str(error).split())[:200]}") from None
        if value is not None and isfinite(value):
            rows.append((trial.number, row | {reading.column: repr(float(value))}))
        else:
            rows.append((trial.number, {"ended": _ENDED[trial.state.name], **row, reading.column: ""}))
    if not any({"depths", "widths"} & row.keys() for _, row in rows):
        notes += (f"{what}: no attributes or parameters are depths and widths; only its errors are read",)
    if not any("index" in row for _, row in rows):
        rows, merged = _repeated(rows, [trial.params for trial in trials], reading, what)
        notes += merged
    return OptunaTrials(rows, reading, notes, own)


def _repeated(
    rows: Sequence[tuple[int, Row]], params: Sequence[dict[str, Any]], reading: ErrorReading, what: str
) -> tuple[list[tuple[int, Row]], tuple[str, ...]]:
    """The rows with an index, one for all trials with a value of one network and equal parameters."""
    first: dict[str, int] = {}
    indexed: list[tuple[int, Row]] = []
    for i, ((number, row), known) in enumerate(zip(rows, params, strict=True)):
        told = {key: value for key, value in row.items() if key in NETWORK}
        same = bool(row[reading.column] and (told or known))
        key = repr((row["space"], told, sorted(known.items()))) if same else f"trial {number}"
        indexed.append((number, {**row, "index": str(first.setdefault(key, i))}))
    if len(first) == len(rows):
        return indexed, ()
    return indexed, (
        f"{what}: {len(rows)} trials are of {len(first)} networks, as equal parameters are trainings of one;"
        " as many of each are counted as all have",
    )


def _is_journal(line: bytes) -> bool:
    """Whether a line is an entry of a journal of Optuna."""
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return False
    return isinstance(entry, dict) and {"op_code", "worker_id"} <= entry.keys()


@contextmanager
def _quiet() -> Iterator[None]:
    """Without Optuna's own words on stderr, which say in ten lines of SQL what an error says in one."""
    import optuna

    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of distributions that older versions wrote
            yield
    finally:
        optuna.logging.set_verbosity(before)


@contextmanager
def _read_from(path: Path) -> Iterator[Any]:
    """The storage in this file; what Optuna raises where it can't be read becomes one line."""
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend
    from sqlalchemy.exc import SQLAlchemyError

    from regnetlab.trials.sqlite_file import ERRORS, check_file, check_plain, reader

    with open_foreign(path) as file:
        if file.read(len(_SQLITE)) != _SQLITE:
            try:
                journal = JournalStorage(JournalFileBackend(str(path)))
            except (LookupError, TypeError, ValueError, AttributeError, AssertionError) as error:
                reason = " ".join(str(error).split())[:200] or type(error).__name__
                raise InputError(f"{path} is no whole journal of Optuna: {reason}") from None
            yield journal
            return
    check_file(path.resolve())
    with suppress(*ERRORS), reader(path.resolve()).connect() as connection:  # damage is told of below
        check_plain(connection, path)
    if kept := _kept_by_us(path.resolve()):
        yield kept
        return
    storage: Any = None
    try:
        storage = sqlite_storage(sqlite_uri(path.resolve()), skip=True, uri=True)
        yield storage
    except InputError:
        raise
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:  # Optuna's, of damage
        raise _unreadable(path, storage, " ".join(str(error).split())[:100]) from None
    except (SQLAlchemyError, optuna.exceptions.StorageInternalError) as error:
        from regnetlab.trials.store import why

        raise _unreadable(path, storage, why(error)) from None


def _kept_by_us(path: Path) -> Any:
    """The trainings in a store of regnetlab's (``store``), as an Optuna storage in memory; else ``None``."""
    from regnetlab.trials.optuna_mirror import mirror
    from regnetlab.trials.store import TRIALS, open_store

    with closing(sqlite3.connect(sqlite_uri(path), uri=True)) as connection:
        try:
            if not connection.execute("select 1 from sqlite_master where name = ?", [TRIALS.name]).fetchone():
                return None
        except sqlite3.DatabaseError:
            return None
    import optuna

    storage = optuna.storages.InMemoryStorage()
    mirrored, store = mirror(storage, "regnetlab"), open_store(path, snapshot=True)
    data = store.fact("changes").get("began", {}).get("data.checksum")
    for row in store.rows():
        if data is None or row["data"] in ("", data):
            mirrored.add_row(row)
    return storage


def sqlite_storage(database: Path | str, skip: bool = False, **how: Any) -> Any:
    """Optuna's storage in an SQLite file; ``how`` goes to ``sqlite3.connect``, ``skip`` makes no tables.

    Not by its address, in which a ? or a % of the path would mean something.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    connect = partial(sqlite3.connect, database, check_same_thread=False, **how)
    return optuna.storages.RDBStorage(
        "sqlite:///study.db",
        engine_kwargs={"creator": connect},
        skip_compatibility_check=skip,
        skip_table_creation=skip,
    )


def _unreadable(path: Path, storage: Any, reason: str) -> InputError:
    """Why Optuna can't read this database, most often that another version wrote it."""
    import optuna
    from sqlalchemy.exc import SQLAlchemyError

    if storage is None:  # a database without Optuna's tables
        return InputError(f"{path} is no Optuna storage: {reason}")
    try:
        schema = storage.get_current_version()
        known = storage.get_all_versions()
    except (SQLAlchemyError, AssertionError):
        return InputError(f"{path} is no Optuna storage: {reason}")
    if schema == storage.get_head_version():
        return InputError(f"{path} can't be read: {reason}")
    if schema not in known:
        return InputError(
            f"{path} was written by a newer Optuna (schema {schema}) than the"
            f" {optuna.__version__} installed here",
            "update it: pip install -U optuna",
        )
    copy = path.with_name(f"{path.stem}-upgraded{path.suffix}")
    return InputError(
        f"{path} was written by an older Optuna (schema {schema})",
        f"upgrade a copy of it, and read that:"
        f" cp {quote(str(path))} {quote(str(copy))} && optuna storage upgrade --storage"
        f" {quote(f'sqlite:///{copy}')}",
    )


def _chosen(path: Path, storage: Any, which: str) -> tuple[Any, str]:
    """The study that is meant, and its objective as far as one is named."""
    import optuna

    summaries = optuna.get_all_study_summaries(storage)
    known = {each.study_name for each in summaries}
    name, _, number = (which, "", "") if which in known else which.partition("#")
    searches = {each.study_name for each in summaries if SEARCH_MARK in each.user_attrs}
    if summaries and (name in searches or len(searches) == len(summaries)):
        raise InputError(NO_SAMPLE.format(source=path))
    names = [each.study_name for each in summaries if each.study_name not in searches]
    if not name and "regnetlab" in names:
        name = "regnetlab"
    if not name and len(names) > 1:
        raise InputError(
            f"{path} has the studies {', '.join(names)}", f"add one's name, as in {path}#{names[0]}"
        )
    if not names:
        raise InputError(f"{path} has no study")
    if name and name not in names:
        raise unknown("study", name, names)
    return optuna.load_study(study_name=name or names[0], storage=storage), number


def _objective(source: str, wanted: str, directions: Sequence[str], metrics: Sequence[str]) -> int:
    """The place of the objective that is the error or the accuracy."""
    places = range(len(directions))
    numbered = [i for i in places if wanted in (str(i + 1), metrics[i])] if wanted else []
    named = [i for i in places if column_of(metrics[i]) in (*ERRORS, ACCURACY)]
    named = named or [i for i in places if score_of(metrics[i])]
    found = numbered if wanted else list(places) if len(places) == 1 else named
    if len(found) == 1:
        return found[0]
    listed = ", ".join(" ".join(filter(None, (str(i + 1), metrics[i], f"({directions[i]})"))) for i in places)
    raise InputError(
        f"{source} has the objectives {listed}", f"say which is the error or the accuracy, as in {source}#1"
    )


def _reading(
    what: str, direction: str, metric: str, errors: ErrorUnit | None, own: bool
) -> tuple[ErrorReading, tuple[str, ...]]:
    """How the values of a study are read, and what to say of it."""
    maximised = direction == "maximize"
    way = "maximised" if maximised else "minimised"
    meant = score_of(metric) or ("error" if "loss" in metric.casefold() else "")
    contradictory = bool(meant) and maximised != (meant == ACCURACY)
    if contradictory and not errors:
        raise InputError(
            f"{what} is {way}, and its metric is called {metric!r}",
            "say what the values are: --errors"
            " accuracy or --errors percent (accuracy-fraction or fraction, where they are at most 1)",
        )
    told = errors is not None and errors.startswith(ACCURACY)
    column = ACCURACY if told or (maximised and not contradictory) else ERRORS[0]
    reading = error_reading(column, errors, f"{what} is maximised, so it" if maximised else what, own=own)
    kind = "an accuracy" if column == ACCURACY else "an error"
    as_maximised = ", as the study is maximised" if maximised and not errors else ""
    reading = replace(
        reading,
        label=f"value ({kind}{as_maximised})",
        otherwise="or the networks come as a CSV with a column error (docs/exchange.md)",
    )
    note = f"{what} is {way}; its values are read as {reading.note}"
    return reading, () if own else (note,)
