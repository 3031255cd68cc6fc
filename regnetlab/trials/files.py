"""Trials from files of many kinds: CSV, the JSON of a pycls sweep or of nds, files with an Optuna study."""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

import pandas as pd

from regnetlab.errors import InputError, unknown
from regnetlab.files import read_foreign_text
from regnetlab.models.pycls_config import is_config_file
from regnetlab.trials.csv_header import read_header
from regnetlab.trials.csv_tables import RETRAINED_COLUMNS, SEARCH_COLUMNS, TRIALS
from regnetlab.trials.error_units import (
    ACCURACY,
    ERRORS,
    ErrorReading,
    ErrorUnit,
    check_supposed,
    error_reading,
)
from regnetlab.trials.foreign import config_row, imported_rows
from regnetlab.trials.optuna_file import NO_SAMPLE, is_optuna, optuna_trials
from regnetlab.trials.rows import UNNAMED, Row, counted_twice, network_of, with_repeats
from regnetlab.trials.table import NETWORK, Trials, own_columns

_MOST_BYTES = 2**31
_MOST_COLUMNS = 10_000


def read_trials(files: Sequence[Path], errors: ErrorUnit | None = None) -> Trials:
    """The networks in these files; an ``InputError`` names the file and place of a mistake.

    A file is a CSV of networks, the JSON of a pycls sweep or of nds, or a file with an Optuna study
    (``foreign``, ``optuna_file``; ``FILE#STUDY`` where it has several). Where it names no spaces, it is
    one itself if there are several files. ``errors`` states the unit of all errors where the files don't.
    """
    if errors is not None and errors not in get_args(ErrorUnit):
        raise unknown("errors", str(errors), get_args(ErrorUnit))
    frames: list[pd.DataFrame] = []
    notes: list[str] = []
    configs = [path for path in files if is_config_file(str(path))]
    if configs:  # one network a file: they are of one space
        rows = [(i, config_row(path)) for i, path in enumerate(configs, start=1)]
        frames.append(_frame(rows, "configs", "file", error_reading(ERRORS[0], None, "a config")))
    others = [path for path in files if path not in configs]
    for path, name in zip(others, _names(others), strict=True):
        found = _read(path, name, errors)
        frame, notes = found.frame, [*notes, *found.notes]
        if len(files) > 1 and set(frame["space"]) == {UNNAMED}:
            frame = frame.assign(space=name)
        known = {space for other in frames for space in other["space"]}
        if twice := sorted(known & set(frame["space"])):
            raise InputError(f"space {twice[0]!r} is in {path} and in a file before it", "name them apart")
        frames.append(frame)
    return Trials(pd.concat(frames, ignore_index=True), notes=tuple(notes))


def _names(files: Sequence[Path]) -> list[str]:
    """A name for each file: its own without the ending, that of its folder for one called sweep.json, as
    pycls names them all; with as many folders before it as it takes to tell them apart."""
    parts = [
        whole.parts[:-1]
        if path.name == "sweep.json" and len(whole.parts) > 2
        else (*whole.parts[:-1], path.stem)
        for path in files
        for whole in [path.parent.resolve() / path.name]
    ]
    for depth in range(1, max(map(len, parts), default=1)):
        names = ["/".join(each[-depth:]) for each in parts]
        if len(set(names)) == len(names):
            return names
    return ["/".join(each[-1:]) for each in parts]


def _read(path: Path, name: str, errors: ErrorUnit | None) -> Trials:
    file, study = _file_and_study(path)
    try:
        if is_optuna(file):
            found = optuna_trials(file, study, errors)
            frame = _frame(found.rows, str(path), "trial", found.reading)
            trained = frame[frame["error"].notna()]
            notes = [*found.notes, *([] if found.own else counted_twice(trained, str(path)))]
            return Trials(frame, notes=tuple(notes))
        text = read_foreign_text(file, _MOST_BYTES, "utf-8-sig")
    except OSError as error:
        hint = "give a CSV file of trainings, a JSON file of results, or the database of an Optuna study"
        raise InputError(f"{path} can't be read: {error.strerror or error}", hint) from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path} can't be read as text: {error}", "save it as UTF-8") from error
    if file.suffix.lower() == ".json" or text.lstrip()[:1] in ("[", "{"):
        rows = list(enumerate(imported_rows(file, text, name), start=1))
        return Trials(_frame(rows, str(file), "network", error_reading(ERRORS[0], errors, str(file))))
    return parse_trials(text, str(file), errors)


def _file_and_study(path: Path) -> tuple[Path, str]:
    """The file, whose own name may have a ``#``, and the study that is named behind it."""
    parts = str(path).split("#")
    for count in range(len(parts), 0, -1):
        if (file := Path("#".join(parts[:count]))).exists():
            return file, "#".join(parts[count:])
    return Path(parts[0]), "#".join(parts[1:])


def parse_trials(text: str, source: str, errors: ErrorUnit | None = None) -> Trials:
    """The networks in this CSV text; ``source`` names it in messages, ``errors`` the unit of errors."""
    reader = csv.DictReader(io.StringIO(text), skipinitialspace=True)
    rows: list[tuple[int, Row]] = []
    try:
        names = reader.fieldnames or []
        if names and names[0].casefold().startswith("sep="):
            raise InputError(
                f"{source} begins with the line sep=, which only Excel understands", "remove that line"
            )
        if set(names) >= SEARCH_COLUMNS:
            raise InputError(NO_SAMPLE.format(source=source))
        if set(names) >= RETRAINED_COLUMNS:
            raise InputError(
                f"{source} holds the best networks trained again, which are no random sample of a space",
                "its result: regnetlab retrain, and the report of its study",
            )
        if len(names) > _MOST_COLUMNS:
            raise InputError(f"{source} has {len(names):,} columns", f"give {_MOST_COLUMNS:,} at most")
        header = read_header(names, source, accuracies=bool(errors and errors.startswith(ACCURACY)))
        reader.fieldnames = header.columns
        for row in reader:
            rows.append((reader.line_num, row))
    except csv.Error as error:
        raise InputError(f"{source}, line {reader.line_num}: no CSV: {error}") from error
    if not rows:
        raise InputError(f"{source} has no networks", "it ends after its first line")
    column = header.scores or ERRORS[0]
    what = f"column {names[header.columns.index(column)] if header.scores else column!r} of {source}"
    own = set(names) >= set(TRIALS.columns)
    reading = error_reading(column, errors if header.scores else None, what, header.share, own=own)
    frame = _frame(rows, source, "line", reading, header.powers)
    notes = [f"{source} has {reading.note}"] if reading.accuracy else []
    if not header.scores and header.others:
        others = ", ".join(map(repr, header.others))
        notes = [f"{source} has no column error or accuracy; if {others} holds one, rename it to error"]
    if not own:  # a space of a study may have drawn a network twice
        frame, repeated = with_repeats(frame, names, source)
        notes += repeated
    else:
        frame = own_columns(frame)
    return Trials(frame, notes=tuple(notes))


def _frame(
    rows: Sequence[tuple[int, Row]],
    source: str,
    place: str,
    reading: ErrorReading,
    powers: Mapping[str, float] | None = None,
) -> pd.DataFrame:
    networks: list[dict[str, Any]] = []
    for number, row in rows:
        try:
            networks.append(network_of(row, len(networks), reading, powers or {}))
        except InputError as error:
            raise error.at(f"{source}, {place} {number}") from None
    if not networks or any(each.keys() != networks[0].keys() for each in networks):
        frame = pd.DataFrame(networks)
    else:  # from columns: half the time, and half the memory
        frame = pd.DataFrame({name: [each[name] for each in networks] for name in networks[0]})
    if len(frame) and frame.duplicated(NETWORK).any():
        _check_indexes(frame, [f"{source}, {place} {number}" for number, _ in rows])
    check_supposed(frame, reading, source)
    return frame


def _check_indexes(networks: pd.DataFrame, places: Sequence[str]) -> None:
    """Raise ``InputError`` where two networks share an index, so that they would be averaged as one."""
    known: dict[tuple[str, int], tuple[Any, Any]] = {}
    columns = (networks[name].tolist() for name in (*NETWORK, "depths", "widths"))
    for place, space, index, depths, widths in zip(places, *columns, strict=True):
        config = (depths, widths)
        if isinstance(widths, tuple) and known.setdefault((space, index), config) != config:
            raise InputError(
                f"{place}: space {space!r} has another network of index {index} before",
                "rows of one space and index are trainings of one network",
            )
