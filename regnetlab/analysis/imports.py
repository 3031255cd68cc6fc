"""Populations of others: the JSON of pycls' sweeps and of nds, and Optuna studies, as rows of networks.

A row is what a line of a CSV of networks is: texts by column (``networks``). What a layout does not say is
left out; docs/exchange.md lists what is taken from where.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from regnetlab.errors import InputError, unknown
from regnetlab.files import sqlite_uri
from regnetlab.spaces.law import parse_config, regnet_config
from regnetlab.spaces.ratio import bottleneck_ratio, inner_widths, ratio_text
from regnetlab.study.search_store import MARK
from regnetlab.study.stores.backends import sqlite_storage

Row = Mapping[str, str]
_SQLITE = b"SQLite format 3\x00"
NO_SAMPLE = (
    "{source} holds a search, whose networks are no random sample of a space and can't be compared as one;"
    " its result: regnetlab search, and the report of its study"
)
"""Why a search is refused wherever a population is wanted."""


def imported_rows(path: Path, text: str) -> list[Row]:
    """The networks in a JSON file of pycls or nds."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise InputError(f"{path} can't be read as JSON: {reason}") from None
    if isinstance(document, dict):  # nds' searched cells come in two parts
        parts = [document[part] for part in ("top", "mid") if isinstance(document.get(part), list)]
        document = [job for part in parts for job in part]
    if not isinstance(document, list) or not document or not all(isinstance(job, dict) for job in document):
        raise InputError(f"{path} is JSON, but no list of networks as pycls' sweep_collect or nds write it")
    rows = []
    for i, job in enumerate(document):
        try:
            rows.append(_pycls(job, path.stem) if "cfg" in job else _nds(job, path.stem))
        except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
            reason = f"{error} is missing" if isinstance(error, KeyError) else str(error)
            raise InputError(f"{path}, network {i + 1}: {' '.join(reason.split())[:200]}") from None
    return rows


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


def _pycls(job: Mapping[str, Any], name: str) -> Row:
    """One job of pycls' sweep.json (tools/sweep_collect.py): cfg, complexity, test_ema_epoch.

    The error is the one that pycls' own analysis takes, the least over epochs of the averaged weights'
    (``min_top1_err``); a job that reached no epoch has none.
    """
    cfg = job["cfg"]
    row = {"space": str(cfg.get("DESC") or name), "name": str(job.get("log_file", "")) or name}
    kind = str(cfg["MODEL"]["TYPE"])
    if kind == "regnet":
        law = cfg["REGNET"]
        ratio = _ratio(law.get("BOT_MUL", 1.0))
        config = regnet_config(
            float(law["W0"]),
            float(law["WA"]),
            float(law["WM"]),
            int(law["DEPTH"]),
            int(law["GROUP_W"]),
            ratio or 1,
        )
        row |= {"depths": _spaced(config.depths), "widths": _spaced(config.widths), "wm": str(law["WM"])}
        row |= {"group_widths": _spaced(config.group_widths)}
        row |= {"bottleneck_ratios": ratio_text(ratio)} if ratio else {}
    elif kind == "anynet":
        net = cfg["ANYNET"]
        row |= {"depths": _spaced(net["DEPTHS"]), "widths": _spaced(net["WIDTHS"])}
        row |= {"group_widths": _spaced(net["GROUP_WS"])} if net.get("GROUP_WS") else {}
        ratios = [_ratio(each) for each in net.get("BOT_MULS") or ()]
        row |= {"bottleneck_ratios": _spaced(ratios)} if ratios and all(ratios) else {}
    complexity = job.get("complexity", {})
    row |= {each: str(complexity[each]) for each in ("flops", "params", "acts") if each in complexity}
    epochs = job.get("test_ema_epoch") or job.get("test_epoch") or {}
    errors = epochs.get("min_top1_err") or epochs.get("top1_err")
    return row | {"error": str(min(map(float, errors))) if errors else ""}


def _nds(job: Mapping[str, Any], name: str) -> Row:
    """One job of nds' data: net (ds, ws, bot_muls, num_gs), flops, params, min_test_top1."""
    net = job.get("net") or {}
    row = {"space": name}
    if "ds" in net and "ws" in net:
        row |= {"depths": _spaced(net["ds"]), "widths": _spaced(net["ws"])}
        ratios = [_ratio(each) for each in net.get("bot_muls") or ()]
        groups = [int(each) for each in net.get("num_gs") or ()]
        if ratios and all(ratios) and groups and all(groups):
            inner = inner_widths(np.array(net["ws"], np.int64), np.array(ratios, np.float64)).tolist()
            row |= {"bottleneck_ratios": _spaced(ratios)}
            row |= {"group_widths": _spaced([v // n for v, n in zip(inner, groups, strict=True)])}
    row |= {each: str(job[each]) for each in ("flops", "params", "acts") if each in job}
    if "min_test_top1" in job:
        return row | {"error": str(float(job["min_test_top1"]))}
    if job.get("test_ep_top1"):
        return row | {"error": str(float(job["test_ep_top1"][-1]))}
    raise ValueError("it has neither cfg (pycls) nor min_test_top1 or test_ep_top1 (nds)")


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


def _ratio(multiplier: Any) -> float:
    """b of pycls' bottleneck multiplier 1 / b; 0 where neither of the two is a whole number."""
    try:
        return bottleneck_ratio(1 / float(multiplier))
    except InputError:
        return 0


def _spaced(values: Sequence[Any]) -> str:
    """Numbers with spaces between; depths, widths and group widths are cut to whole ones by the reader."""
    return " ".join(ratio_text(float(each)) for each in values)
