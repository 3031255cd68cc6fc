"""Populations of others: the JSON of pycls' sweeps and of nds as rows of networks.

A row is what a line of a CSV of networks is: texts by column (``networks``). What a layout does not say is
left out; docs/exchange.md lists what is taken from where. Optuna's studies: ``optuna_file``.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any

import numpy as np

from regnetlab.errors import InputError
from regnetlab.models.pycls_config import read_config_file, se_ratio_of_config, template_of_config
from regnetlab.spaces.config import Config
from regnetlab.spaces.law import RegNetLaw
from regnetlab.spaces.ratio import bottleneck_ratio, inner_widths
from regnetlab.spaces.template import Template
from regnetlab.trials.rows import Row, config_columns, spaced

INCOMPLETE = "stopped"
"""What ``ended`` begins with for a training that is not at its end."""
_OF_A_RUN = {"RNG_SEED", "DESC", "OUT_DIR", "CFG_DEST", "LOG_DEST", "LOG_PERIOD", "HOST", "PORT_RANGE"}
_TABLE = "a table of pandas is read as a CSV: table.to_csv(FILE, index=False)"
_CIFAR = 3, 32, 32, 10
"""Channels, height, width and classes of nds' data, but for files that end in _in (ImageNet)."""


def imported_rows(path: Path, text: str, name: str = "") -> list[Row]:
    """The networks in a JSON file of pycls or nds, which are a space of this name; the file's by default."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise InputError(f"{path} can't be read as JSON: {reason}", _TABLE) from None
    reruns = isinstance(document, dict)
    if reruns:  # nds' repeated trainings of a network near the top, and of one in the middle
        parts = [document[part] for part in ("top", "mid") if isinstance(document.get(part), list)]
        document = [job for part in parts for job in part]
    if not isinstance(document, list) or not document or not all(isinstance(job, dict) for job in document):
        raise InputError(
            f"{path} is JSON, but no list of networks as pycls' sweep_collect or nds write it", _TABLE
        )
    name = name or path.stem
    stems = _have_stems(document)
    rows = []
    for i, job in enumerate(document):
        try:
            if "cfg" in job:
                rows.append(_pycls(job, name))
            elif "log_file" in job and "net" not in job:  # its log ends before the config
                row = {"space": name, "name": PurePath(str(job["log_file"])).parent.name or name}
                rows.append(row | {"error": "", "ended": f"{INCOMPLETE} before its config was logged"})
            else:
                rows.append(_nds(job, name, stems))
        except InputError as error:
            raise error.at(f"{path}, network {i + 1}") from None
        except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
            reason = f"{error} is missing" if isinstance(error, KeyError) else str(error)
            raise InputError(f"{path}, network {i + 1}: {' '.join(reason.split())[:200]}") from None
    return [{**row, "index": str(index)} for row, index in zip(rows, _indexes(document, reruns), strict=True)]


def config_row(path: Path) -> Row:
    """The network of a YAML config of pycls; it has no error."""
    found = read_config_file(path)
    return {"name": path.stem, **config_columns(found.config), "se_ratio": found.config.se_ratio}


def _indexes(jobs: Sequence[Mapping[str, Any]], reruns: bool) -> list[int]:
    """Which network each job trains: jobs that differ in nothing but their seed train one network.

    A draw can hit a network twice; where no seeds say that a training was repeated, these stay two.
    """
    texts = [json.dumps(_without_seed(job), sort_keys=True) for job in jobs]
    seeds: dict[str, set[str]] = {}
    for job, text in zip(jobs, texts, strict=True):
        seeds.setdefault(text, set()).add(
            str(job["cfg"].get("RNG_SEED") if "cfg" in job else job.get("rng_seed"))
        )
    first: dict[str, int] = {}
    return [
        first.setdefault(text, i) if reruns or len(seeds[text]) > 1 else i for i, text in enumerate(texts)
    ]


def _without_seed(job: Mapping[str, Any]) -> Any:
    if "cfg" in job:
        return {key: value for key, value in job["cfg"].items() if key not in _OF_A_RUN}
    return [job.get("net"), job.get("optim")]


def _pycls(job: Mapping[str, Any], name: str) -> Row:
    """One job of pycls' sweep.json (tools/sweep_collect.py): cfg, complexity, test_ema_epoch.

    The error is the one that pycls' own analysis takes, the least over epochs of the averaged weights'
    (``min_top1_err``); a job that did not reach its last epoch has none. tools/sweep_setup.py writes the
    stages of a sampled RegNet into ANYNET, and what it sampled into DESC.
    """
    cfg = job["cfg"]
    row: dict[str, Any] = {"space": name, "name": PurePath(str(job.get("log_file", ""))).parent.name or name}
    kind = str(cfg["MODEL"]["TYPE"])
    if kind == "regnet":
        law = cfg["REGNET"]
        ratio = _ratio(law.get("BOT_MUL", 1.0))
        config = _regnet(law, ratio or 1)
        row |= config_columns(config) | {"wm": str(law["WM"])}
        if not ratio:
            del row["bottleneck_ratios"]
    elif kind == "anynet":
        net = cfg["ANYNET"]
        row |= {"depths": spaced(net["DEPTHS"]), "widths": spaced(net["WIDTHS"])}
        row |= {"group_widths": spaced(net["GROUP_WS"])} if net.get("GROUP_WS") else {}
        ratios = [_ratio(each) for each in net.get("BOT_MULS") or ()]
        row |= {"bottleneck_ratios": spaced(ratios)} if ratios and all(ratios) else {}
        if "REGNET." in str(cfg.get("DESC")):
            row["wm"] = str(cfg["REGNET"]["WM"])
    if kind in ("regnet", "anynet"):
        try:
            row |= {"template": template_of_config(cfg), "se_ratio": se_ratio_of_config(cfg)}
        except InputError as reason:
            row["template"] = reason
    complexity = job.get("complexity", {})
    row |= {each: str(complexity[each]) for each in ("flops", "params", "acts") if each in complexity}
    epochs = job.get("test_ema_epoch") or job.get("test_epoch") or {}
    done, planned = _epochs(cfg, epochs)
    if done < planned:
        return row | {"error": "", "ended": f"{INCOMPLETE} at epoch {done:g} of {planned:g}"}
    errors = epochs.get("min_top1_err") or epochs.get("top1_err")
    return row | {"error": str(min(map(float, errors))) if errors else ""}


def _epochs(cfg: Mapping[str, Any], epochs: Mapping[str, Any]) -> tuple[float, float]:
    """How many epochs a job has done, and how many it was to do; both 0 where that is not known."""
    done = max(map(float, epochs.get("epoch_ind") or [0]))
    last = max(map(float, epochs.get("epoch_max") or [0]))
    planned = float((cfg.get("OPTIM") or {}).get("MAX_EPOCH", last))
    return (done, planned) if "epoch_ind" in epochs or not epochs else (0, 0)


def _regnet(law: Mapping[str, Any], ratio: float) -> Config:
    w0, wa, wm = (float(law[each]) for each in ("W0", "WA", "WM"))
    return RegNetLaw(w0, wa, wm, int(law["DEPTH"]), int(law["GROUP_W"]), ratio).config


def _have_stems(jobs: Sequence[Mapping[str, Any]]) -> bool:
    """Whether nds' nets without ``bot_muls`` (of basic and plain blocks) begin with the stem.

    As published all do: one block, of one width in all nets of a file, and the first stage has its stride
    too. A first stage that was drawn would vary.
    """
    nets = [net for job in jobs if isinstance(net := job.get("net"), dict) and not net.get("bot_muls")]
    firsts = {json.dumps([_first(net, "ds", 1), _first(net, "ws", 1), _first(net, "ss", 2)]) for net in nets}
    return len(firsts) == 1 and all(
        _first(net, "ds", 1) == [1] and _first(net, "ss", 2) == [1, 1] for net in nets
    )


def _first(net: Mapping[str, Any], key: str, count: int) -> list[Any]:
    values = net.get(key)
    return values[:count] if isinstance(values, list) else []


def _nds(job: Mapping[str, Any], name: str, stems: bool) -> Row:
    """One job of nds' data: net (ds, ws, ss, bot_muls, num_gs), flops, params, min_test_top1.

    As published, the first entry of a net is its stem: its ``bot_muls`` is 0, or ``stems`` says so.
    """
    net = job.get("net") or {}
    row: dict[str, Any] = {"space": name}
    if "ds" in net and "ws" in net:
        multipliers = net.get("bot_muls") or ()
        skip = 1 if (float(multipliers[0]) == 0 if multipliers else stems) else 0
        depths, widths = net["ds"][skip:], net["ws"][skip:]
        row |= {"depths": spaced(depths), "widths": spaced(widths)}
        ratios = [_ratio(each) for each in multipliers[skip:]]
        groups = [int(each) for each in (net.get("num_gs") or ())[skip:]]
        if ratios and all(ratios) and groups and all(groups):
            inner = inner_widths(np.array(widths, np.int64), np.array(ratios, np.float64)).tolist()
            row |= {"bottleneck_ratios": spaced(ratios)}
            row |= {"group_widths": spaced([v // n for v, n in zip(inner, groups, strict=True)])}
        if skip and net.get("ss") and not name.endswith("_in"):
            stem, *strides = map(int, net["ss"])
            row["template"] = Template("nds", *_CIFAR, int(net["ws"][0]), stem, tuple(strides))
    row |= {each: str(job[each]) for each in ("flops", "params", "acts") if each in job}
    if "min_test_top1" in job and job["min_test_top1"] is None:
        return row | {"error": "", "ended": f"{INCOMPLETE} before its first test"}
    if "min_test_top1" in job:
        return row | {"error": str(float(job["min_test_top1"]))}
    if job.get("test_ep_top1"):
        return row | {"error": str(float(job["test_ep_top1"][-1]))}
    raise InputError("it has neither cfg (pycls) nor min_test_top1 or test_ep_top1 (nds)", _TABLE)


def _ratio(multiplier: Any) -> float:
    """b of pycls' bottleneck multiplier 1 / b; 0 where neither of the two is a whole number."""
    if float(multiplier) <= 0:
        raise ValueError(f"a bottleneck multiplier is {multiplier}; it must be above 0")
    try:
        return bottleneck_ratio(1 / float(multiplier))
    except InputError:
        return 0
