"""Populations of others: the JSON of pycls' sweeps and of nds as rows of networks.

A row is what a line of a CSV of networks is: texts by column (``networks``). What a layout does not say is
left out; docs/exchange.md lists what is taken from where. Optuna's studies: ``optuna_import``.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from regnetlab.errors import InputError
from regnetlab.spaces.law import regnet_config
from regnetlab.spaces.ratio import bottleneck_ratio, inner_widths, ratio_text

Row = Mapping[str, str]


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


def _ratio(multiplier: Any) -> float:
    """b of pycls' bottleneck multiplier 1 / b; 0 where neither of the two is a whole number."""
    try:
        return bottleneck_ratio(1 / float(multiplier))
    except InputError:
        return 0


def _spaced(values: Sequence[Any]) -> str:
    """Numbers with spaces between; depths, widths and group widths are cut to whole ones by the reader."""
    return " ".join(ratio_text(float(each)) for each in values)
