"""Networks as a data frame, from studies and files of many kinds.

Columns of the frame: ``name``, ``space``, ``index``, ``depths``, ``widths`` (tuples), ``group_widths``
and ``bottleneck_ratios`` (tuples; each ``None`` where the file has none), ``error``, ``flops``, ``params``
and ``acts`` (floats, NaN where unknown), ``ended`` and whatever else the file has.
"""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from regnetlab.analysis.csv_header import read_header
from regnetlab.analysis.error_units import (
    ACCURACY,
    ERRORS,
    ErrorReading,
    ErrorUnit,
    check_supposed,
    error_reading,
)
from regnetlab.analysis.imports import INCOMPLETE, Row, config_row, imported_rows
from regnetlab.analysis.network_rows import UNNAMED, network_of
from regnetlab.analysis.optuna_import import NO_SAMPLE, is_optuna, optuna_trials
from regnetlab.analysis.repeats import counted_twice, with_repeats
from regnetlab.errors import InputError
from regnetlab.models.pycls_config import is_config_file
from regnetlab.spaces.arrays import Floats, Ints
from regnetlab.spaces.space import REGNET
from regnetlab.study.outcome import outcome
from regnetlab.study.plan import DERIVED, Plan
from regnetlab.study.search_table import SIGNS
from regnetlab.study.store import open_store
from regnetlab.study.trials import COLUMNS, trials_csv

_MOST_BYTES = 2**31
_NETWORK = ["space", "index"]
"""The columns that say which network a training is of."""


def read_networks(files: Sequence[Path], errors: ErrorUnit | None = None) -> pd.DataFrame:
    """The networks in these files; an ``InputError`` names the file and place of a mistake.

    A file is a CSV of networks, the JSON of a pycls sweep or of nds, or a file with an Optuna study
    (``imports``, ``optuna_import``; ``FILE#STUDY`` where it has several). Where it names no spaces, it is
    one itself if there are several files. ``errors`` states the unit of all errors where the files don't.
    What a reader should know of how they were read is in the frame's ``attrs["notes"]``.
    """
    frames: list[pd.DataFrame] = []
    notes: list[str] = []
    configs = [path for path in files if is_config_file(str(path))]
    if configs:  # one network a file: they are of one space
        rows = [(i, config_row(path)) for i, path in enumerate(configs, start=1)]
        frames.append(_frame(rows, "configs", "file", error_reading(ERRORS[0], None, "a config")))
    others = [path for path in files if path not in configs]
    for path, name in zip(others, _names(others), strict=True):
        frame = _read(path, name, errors)
        notes += notes_of(frame)
        if len(files) > 1 and set(frame["space"]) == {UNNAMED}:
            frame = frame.assign(space=name)
        known = {space for other in frames for space in other["space"]}
        if twice := sorted(known & set(frame["space"])):
            raise InputError(f"space {twice[0]!r} is in {path} and in a file before it; name them apart")
        frames.append(frame)
    networks = pd.concat(frames, ignore_index=True)
    networks.attrs["notes"] = notes
    return networks


def notes_of(networks: pd.DataFrame) -> list[str]:
    """What a reader should know of how these networks were read."""
    return list(networks.attrs.get("notes", ()))


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


def _read(path: Path, name: str, errors: ErrorUnit | None) -> pd.DataFrame:
    file, study = _file_and_study(path)
    try:
        if file.stat().st_size > _MOST_BYTES:
            raise InputError(f"{file} is over 2 GiB; split it")
        if not file.is_file():  # a pipe would be waited for, a device never ends
            raise InputError(f"{file} can't be read: it is no regular file")
        if is_optuna(file):
            found = optuna_trials(file, study, errors)
            frame = _frame(found.rows, str(path), "trial", found.reading)
            trained = frame[frame["error"].notna()]
            frame.attrs["notes"] = [*found.notes, *([] if found.own else counted_twice(trained, str(path)))]
            return frame
        text = file.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(f"{path} can't be read: {error}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path} can't be read as text: {error}; save it as UTF-8") from error
    if file.suffix.lower() == ".json" or text.lstrip()[:1] in ("[", "{"):
        rows = list(enumerate(imported_rows(file, text, name), start=1))
        return _frame(rows, str(file), "network", error_reading(ERRORS[0], errors, str(file)))
    return parse_networks(text, str(file), errors)


def _file_and_study(path: Path) -> tuple[Path, str]:
    """The file, whose own name may have a ``#``, and the study that is named behind it."""
    parts = str(path).split("#")
    for count in range(len(parts), 0, -1):
        if (file := Path("#".join(parts[:count]))).exists():
            return file, "#".join(parts[count:])
    return Path(parts[0]), "#".join(parts[1:])


def parse_networks(text: str, source: str, errors: ErrorUnit | None = None) -> pd.DataFrame:
    """The networks in this CSV text; ``source`` names it in messages, ``errors`` the unit of errors."""
    reader = csv.DictReader(io.StringIO(text), skipinitialspace=True)
    rows: list[tuple[int, Row]] = []
    try:
        names = reader.fieldnames or []
        if names and names[0].casefold().startswith("sep="):
            raise InputError(f"{source} begins with the line sep=, which Excel alone reads; remove that line")
        if set(names) >= SIGNS:
            raise InputError(NO_SAMPLE.format(source=source))
        header = read_header(names, source, accuracies=bool(errors and errors.startswith(ACCURACY)))
        reader.fieldnames = header.columns
        for row in reader:
            rows.append((reader.line_num, row))
    except csv.Error as error:
        raise InputError(f"{source}, line {reader.line_num}: no CSV: {error}") from error
    if not rows:
        raise InputError(f"{source} has no networks; it ends after its first line")
    column = header.scores or ERRORS[0]
    what = f"column {names[header.columns.index(column)] if header.scores else column!r} of {source}"
    own = set(names) >= set(COLUMNS)
    reading = error_reading(column, errors if header.scores else None, what, header.share, own=own)
    frame = _frame(rows, source, "line", reading, header.powers)
    notes = [f"{source} has {reading.note}"] if reading.accuracy else []
    if not header.scores and header.others:
        others = ", ".join(map(repr, header.others))
        notes = [f"{source} has no column error or accuracy; if {others} holds one, rename it to error"]
    if not own:  # a space of a study may have drawn a network twice
        frame, repeated = with_repeats(frame, names, source)
        notes += repeated
    frame.attrs["notes"] = notes
    return frame


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
            raise InputError(f"{source}, {place} {number}: {error}") from None
    if not networks or any(each.keys() != networks[0].keys() for each in networks):
        frame = pd.DataFrame(networks)
    else:  # from columns: half the time, and half the memory
        frame = pd.DataFrame({name: [each[name] for each in networks] for name in networks[0]})
    if len(frame) and frame.duplicated(_NETWORK).any():
        _check_indexes(frame, [f"{source}, {place} {number}" for number, _ in rows])
    check_supposed(frame, reading, source)
    return frame


def _check_indexes(networks: pd.DataFrame, places: Sequence[str]) -> None:
    """Raise ``InputError`` where two networks share an index, so that they would be averaged as one."""
    known: dict[tuple[str, int], tuple[Any, Any]] = {}
    columns = (networks[name].tolist() for name in (*_NETWORK, "depths", "widths"))
    for place, space, index, depths, widths in zip(places, *columns, strict=True):
        config = (depths, widths)
        if isinstance(widths, tuple) and known.setdefault((space, index), config) != config:
            raise InputError(
                f"{place}: space {space!r} has another network of index {index} before; rows of one space"
                " and index are trainings of one network"
            )


def with_widths(networks: pd.DataFrame) -> pd.DataFrame:
    """These networks without the failed ones that stopped before their depths and widths were known.

    Raises ``InputError`` where one with an error has none.
    """
    known = networks["widths"].map(lambda widths: isinstance(widths, tuple))
    if not known.any() or networks.loc[~known, "error"].notna().any():
        raise InputError("a width law needs the depths and widths of every network; these have errors only")
    return networks if known.all() else networks[known].reset_index(drop=True)


def counted(networks: pd.DataFrame) -> pd.DataFrame:
    """The trainings that a population is judged by: as many of every network as the one with the fewest
    has, its first. So errors of networks with one seed and with several are never mixed."""
    if not networks.duplicated(_NETWORK).any():
        return networks
    seeds = networks.groupby(_NETWORK, sort=False)["error"]
    return networks[seeds.cumcount() < seeds.size().min()]


def incomplete(networks: pd.DataFrame) -> pd.DataFrame:
    """The networks that earned no error yet, because a training was stopped before its end."""
    stopped = networks[networks["ended"].astype(str).str.startswith(INCOMPLETE)].drop_duplicates(_NETWORK)
    keys = [pd.MultiIndex.from_frame(each[_NETWORK]) for each in (stopped, complete(networks))]
    return stopped[~keys[0].isin(keys[1])]


def complete(networks: pd.DataFrame) -> pd.DataFrame:
    """The networks that earned an error, several seeds of one network averaged into one row."""
    trainings = counted(networks)
    scored = trainings[trainings["error"].notna()]
    if not scored.duplicated(_NETWORK).any():
        return scored.reset_index(drop=True)
    means = scored.groupby(_NETWORK, sort=False)["error"].mean()
    firsts = scored.drop_duplicates(_NETWORK).set_index(_NETWORK)
    return firsts.assign(error=means).reset_index()


def spaces_of(networks: pd.DataFrame) -> Sequence[str]:
    """The spaces, in the order in which they first appear."""
    return list(dict.fromkeys(networks["space"].tolist()))


def study_networks(plan: Plan) -> pd.DataFrame:
    """The trainings that a study has finished: from its store, or from trials.csv without one."""
    if plan.store.exists():
        text = trials_csv(plan, outcome(plan, open_store(plan.store)))
        if text.count("\n") > 1:  # more than its columns
            return parse_networks(text, f"study {plan.name}", "percent")
    elif plan.trials.exists():
        return read_networks([plan.trials], "percent")
    raise InputError(f"study {plan.name} has no trainings yet; begin with: regnetlab run {plan.name}")


def by_stages(networks: pd.DataFrame, columns: Sequence[str]) -> Iterator[tuple[Ints, list[Floats]]]:
    """For every number of stages: the places of its networks, and each column as an array (n, stages).

    Networks of which one of the columns is not known are left out.
    """
    lists = [networks[column].tolist() for column in columns]
    stages = np.array([len(row[0]) if all(row) else 0 for row in zip(*lists, strict=True)], np.int64)
    for count in np.unique(stages[stages > 0]):
        places = np.flatnonzero(stages == count)
        yield places, [np.array([values[i] for i in places], np.float64) for values in lists]


def records(networks: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows as dictionaries by column."""
    return [{str(key): value for key, value in row.items()} for row in networks.to_dict("records")]


def without_law(networks: pd.DataFrame) -> pd.DataFrame:
    """The networks whose widths were free: those of RegNet spaces already follow the law."""
    follow = networks["space"].isin([REGNET.name, DERIVED])
    if "wm" in networks:  # drawn from the law's parameters, in a space of a user's too
        follow |= networks["wm"].fillna("").astype(str) != ""
    free = networks[~follow]
    return free if len(free) else networks
