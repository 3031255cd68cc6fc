"""Optuna studies as populations: the finished trials of a study as rows of networks (``imports``)."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from regnetlab.analysis.imports import Row
from regnetlab.errors import InputError, unknown
from regnetlab.files import sqlite_uri
from regnetlab.spaces.law import parse_config
from regnetlab.spaces.ratio import ratio_text
from regnetlab.study.search_store import MARK
from regnetlab.study.stores.backends import sqlite_storage

_SQLITE = b"SQLite format 3\x00"
NO_SAMPLE = (
    "{source} holds a search, whose networks are no random sample of a space and can't be compared as one;"
    " its result: regnetlab search, and the report of its study"
)
"""Why a search is refused wherever a population is wanted."""


def is_optuna(path: Path) -> bool:
    """Whether this file is an SQLite database."""
    with path.open("rb") as file:
        return file.read(len(_SQLITE)) == _SQLITE


def optuna_rows(path: Path, study: str = "") -> list[Row]:
    """The finished trials of an Optuna study in this SQLite file, which is opened read-only.

    ``study`` names it where the file has several. Depths and widths are in user attributes ``depths`` and
    ``widths``, in ``model`` (our own stores), or in parameters d1, w1, g1, b1, d2, …
    """
    import optuna
    from sqlalchemy.exc import SQLAlchemyError

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        storage = sqlite_storage(sqlite_uri(path.resolve()), skip=True, uri=True)
        summaries = optuna.get_all_study_summaries(storage)
        searches = {each.study_name for each in summaries if MARK in each.user_attrs}
        if summaries and (study in searches or len(searches) == len(summaries)):
            raise InputError(NO_SAMPLE.format(source=path))
        names = [each.study_name for each in summaries if each.study_name not in searches]
        if not study and "regnetlab" in names:
            study = "regnetlab"
        if not study and len(names) > 1:
            raise InputError(
                f"{path} has the studies {', '.join(names)}; add one's name, as in {path}#{names[0]}"
            )
        if not names:
            raise InputError(f"{path} has no study")
        if study and study not in names:
            raise unknown("study", study, names)
        found = optuna.load_study(study_name=study or names[0], storage=storage)
        trials = found.get_trials(deepcopy=False)
    except (SQLAlchemyError, optuna.exceptions.StorageInternalError) as error:
        reason = str(error.__cause__ or error).splitlines()[0]
        raise InputError(f"{path} is no Optuna storage: {reason}") from None
    rows = []
    for trial in (each for each in trials if each.state.is_finished()):
        try:
            rows.append(_trial(trial, found.study_name))
        except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
            raise InputError(f"{path}, trial {trial.number}: {' '.join(str(error).split())[:200]}") from None
    if not rows:
        raise InputError(f"study {found.study_name} in {path} has no finished trial")
    return rows


def _trial(trial: Any, study: str) -> Row:
    """One finished trial; a failed or pruned one has no error."""
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
            values = known.get(column) or list(_numbered(trial.params, letter))
            row |= {column: _spaced(values)} if values else {}
    row |= {
        each: str(known[each]) for each in ("flops", "params", "acts", "ended", "seconds") if each in known
    }
    complete = trial.state.name == "COMPLETE"
    return row | {"error": str(float(trial.values[0])) if complete and trial.values else ""}


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
