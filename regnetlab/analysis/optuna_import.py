"""Optuna studies as populations: the finished trials of a study as rows of networks (``imports``).

A study is in an SQLite file or in a journal. Both are only read, through Optuna's public classes: SQLite
is asked for nothing but reading, a journal's backend locks and writes only where something is appended, and
neither unpickles (what Optuna pickles are snapshots of a journal in Redis).
"""

import json
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from math import isfinite
from pathlib import Path
from shlex import quote
from typing import Any

from regnetlab.analysis.csv_header import column_of
from regnetlab.analysis.error_units import ACCURACY, ERRORS, ErrorReading, ErrorUnit, error_reading
from regnetlab.analysis.imports import Row
from regnetlab.errors import InputError, unknown
from regnetlab.files import sqlite_uri
from regnetlab.spaces.law import parse_config
from regnetlab.spaces.ratio import ratio_text
from regnetlab.study.search_store import MARK
from regnetlab.study.stores.backends import sqlite_storage, why

_SQLITE = b"SQLite format 3\x00"
_LONGEST_LINE = 2**16
NO_SAMPLE = (
    "{source} holds a search, whose networks are no random sample of a space and can't be compared as one;"
    " its result: regnetlab search, and the report of its study"
)
"""Why a search is refused wherever a population is wanted."""
_ENDED = {"PRUNED": "pruned", "FAIL": "failed", "COMPLETE": "no finite value"}
"""Why a trial earned no error, by its state."""


@dataclass(frozen=True, slots=True)
class OptunaTrials:
    """The finished trials of a study by number, how their errors are read, and what to know of it."""

    rows: list[tuple[int, Row]]
    reading: ErrorReading
    notes: tuple[str, ...] = ()


def is_optuna(path: Path) -> bool:
    """Whether this file is an SQLite database, or begins as a journal of Optuna does."""
    with path.open("rb") as file:
        first = file.readline(_LONGEST_LINE)
    return first.startswith(_SQLITE) or _is_journal(first)


def optuna_trials(path: Path, which: str = "", errors: ErrorUnit | None = None) -> OptunaTrials:
    """The finished trials of an Optuna study in this file, which is not written to.

    ``which`` names the study where the file has several, and ``STUDY#N`` the N-th of several objectives.
    Depths and widths are in user attributes ``depths`` and ``widths``, in ``model`` (our own stores), or in
    parameters d1, w1, g1, b1, d2, … A maximised study's values are accuracies.
    """
    with _quiet(), _read_from(path) as storage:
        study, number = _chosen(path, storage, which)
        trials = [each for each in study.get_trials(deepcopy=False) if each.state.is_finished()]
        directions = [each.name.lower() for each in study.directions]
        metrics = study.metric_names or [""] * len(directions)
    if not trials:
        raise InputError(f"study {study.study_name} in {path} has no finished trial")
    objective = _objective(f"{path}#{study.study_name}", number, directions, metrics)
    what = f"study {study.study_name!r} of {path}"
    own = any("identity" in each.user_attrs for each in trials)
    reading, notes = _reading(what, directions[objective], metrics[objective], errors, own)
    shapes = {frozenset(each.params) for each in trials if each.state.name == "COMPLETE"}
    rows: list[tuple[int, Row]] = []
    for trial in trials:
        try:
            row = _row(trial, study.study_name, whole=frozenset(trial.params) in shapes)
            value = trial.values[objective] if trial.state.name == "COMPLETE" else None
        except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
            raise InputError(f"{path}, trial {trial.number}: {' '.join(str(error).split())[:200]}") from None
        if value is not None and isfinite(value):
            rows.append((trial.number, row | {reading.column: repr(float(value))}))
        else:
            rows.append((trial.number, {"ended": _ENDED[trial.state.name], **row, reading.column: ""}))
    return OptunaTrials(rows, reading, notes)


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

    with path.open("rb") as file:
        if file.read(len(_SQLITE)) != _SQLITE:
            try:
                journal = JournalStorage(JournalFileBackend(str(path)))
            except (LookupError, TypeError, ValueError, AttributeError, AssertionError) as error:
                reason = " ".join(str(error).split())[:200] or type(error).__name__
                raise InputError(f"{path} is no whole journal of Optuna: {reason}") from None
            yield journal
            return
    storage: Any = None
    try:
        storage = sqlite_storage(sqlite_uri(path.resolve()), skip=True, uri=True)
        yield storage
    except (SQLAlchemyError, optuna.exceptions.StorageInternalError) as error:
        raise _unreadable(path, storage, why(error)) from None


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
            f"{path} was written by a newer Optuna (schema {schema}) than the {optuna.__version__} installed"
            " here; update it: pip install -U optuna"
        )
    copy = path.with_name(f"{path.stem}-upgraded{path.suffix}")
    return InputError(
        f"{path} was written by an older Optuna (schema {schema}); upgrade a copy of it, and read that:"
        f" cp {quote(str(path))} {quote(str(copy))} && optuna storage upgrade --storage"
        f" {quote(f'sqlite:///{copy}')}"
    )


def _chosen(path: Path, storage: Any, which: str) -> tuple[Any, str]:
    """The study that is meant, and its objective as far as one is named."""
    import optuna

    summaries = optuna.get_all_study_summaries(storage)
    known = {each.study_name for each in summaries}
    name, _, number = (which, "", "") if which in known else which.partition("#")
    searches = {each.study_name for each in summaries if MARK in each.user_attrs}
    if summaries and (name in searches or len(searches) == len(summaries)):
        raise InputError(NO_SAMPLE.format(source=path))
    names = [each.study_name for each in summaries if each.study_name not in searches]
    if not name and "regnetlab" in names:
        name = "regnetlab"
    if not name and len(names) > 1:
        raise InputError(
            f"{path} has the studies {', '.join(names)}; add one's name, as in {path}#{names[0]}"
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
    found = numbered if wanted else list(places) if len(places) == 1 else named
    if len(found) == 1:
        return found[0]
    listed = ", ".join(" ".join(filter(None, (str(i + 1), metrics[i], f"({directions[i]})"))) for i in places)
    raise InputError(
        f"{source} has the objectives {listed}; say which is the error or the accuracy, as in {source}#1"
    )


def _reading(
    what: str, direction: str, metric: str, errors: ErrorUnit | None, own: bool
) -> tuple[ErrorReading, tuple[str, ...]]:
    """How the values of a study are read, and what to say of it."""
    told = errors is not None and errors.startswith(ACCURACY)
    maximised = direction == "maximize"
    if not (maximised or errors) and column_of(metric) == ACCURACY:
        raise InputError(f"{what} minimises what it calls {metric!r}; say what it is: --errors accuracy")
    column = ACCURACY if maximised or told else ERRORS[0]
    reading = error_reading(column, errors, f"{what} is maximised, so it" if maximised else what, own=own)
    reading = replace(
        reading,
        label="value (an accuracy, as the study is maximised)" if maximised else f"value (an {column})",
        otherwise="or the networks come as a CSV with a column error (docs/exchange.md)",
    )
    way = "maximised" if maximised else "minimised"
    note = f"{what} is {way}; its values are read as {reading.note}"
    return reading, () if own else (note,)


def _row(trial: Any, study: str, whole: bool) -> dict[str, str]:
    """What one finished trial says of its network.

    A trial that ended before it drew all parameters, which is not ``whole``, has no network.
    """
    known: Mapping[str, Any] = trial.user_attrs
    row = {"name": f"trial {trial.number}", "space": str(known.get("space", study))}
    if "index" in known:
        row["index"] = str(known["index"])
    if isinstance(known.get("model"), str) and known["model"].startswith(("anynet:", "regnet:")):
        config = parse_config(known["model"])
        row |= {
            "depths": _spaced(config.depths),
            "widths": _spaced(config.widths),
            "group_widths": _spaced(config.group_widths),
            "bottleneck_ratios": _spaced(config.bottleneck_ratios),
        }
    else:
        for column, letter in _letters():
            values = known.get(column) or (list(_numbered(trial.params, letter)) if whole else ())
            row |= {column: _spaced(values)} if values else {}
    facts = ("flops", "params", "acts", "ended", "seconds")
    return row | {each: str(known[each]) for each in facts if each in known}


def _letters() -> Iterable[tuple[str, str]]:
    return zip(("depths", "widths", "group_widths", "bottleneck_ratios"), "dwgb", strict=True)


def _numbered(params: Mapping[str, Any], letter: str) -> Iterator[Any]:
    """The parameters d1, d2, … as far as they go; one without a number, for g and b, is of all stages."""
    if letter in params:
        yield params[letter]
        return
    stage = 1
    while f"{letter}{stage}" in params:
        yield params[f"{letter}{stage}"]
        stage += 1


def _spaced(values: Sequence[Any]) -> str:
    return " ".join(ratio_text(float(each)) for each in values)
