"""One trial of an Optuna study as a row of networks: from its user attributes, or else its parameters.

Parameters tell a network as d1, w1, g1, b1, d2, … (from 0 or from 1 on; g and b of all stages without a
number), or by the law of RegNets as d, w0, wa, wm, g. Others of these names, a dropout d, tell none.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from regnetlab.errors import InputError
from regnetlab.spaces.law import RegNetLaw, parse_config
from regnetlab.trials.rows import config_columns, spaced

_COLUMNS = {"d": "depths", "w": "widths", "g": "group_widths", "b": "bottleneck_ratios"}
_ONE_OF_ALL = {"group_widths": "group_width", "bottleneck_ratios": "bottleneck_ratio"}
_STAGE = re.compile(r"([dwgb])_?([0-9]{1,2})")
_LAW = {"d", "w0", "wa", "wm", "g"}
_FACTS = ("flops", "params", "acts", "ended", "seconds")


def has_stages(params: Sequence[Mapping[str, Any]]) -> bool:
    """Whether parameters d1, w1, … of a study can be depths and widths: all are whole numbers."""
    values = [
        value
        for each in params
        if not _has_law(each)
        for name, value in each.items()
        if (match := _STAGE.fullmatch(name.casefold())) and match[1] in "dw"
    ]
    return all(_is_number(value) and float(value).is_integer() for value in values)


def trial_row(trial: Any, study: str, drawn: bool) -> dict[str, str]:
    """What one finished trial says of its network; ``drawn`` is whether its parameters are asked."""
    known: Mapping[str, Any] = {key: value for key, value in trial.user_attrs.items() if value is not None}
    row = {"name": f"trial {trial.number}", "space": str(known.get("space", study))}
    if "index" in known:
        row["index"] = str(known["index"])
    if isinstance(known.get("model"), str) and known["model"].startswith(("anynet:", "regnet:")):
        row |= config_columns(parse_config(known["model"]))
    else:
        row |= _of_params(trial.params) if drawn and not {"depths", "widths"} <= known.keys() else {}
        for column in _COLUMNS.values():
            names = (each for each in (column, _ONE_OF_ALL.get(column)) if each in known)
            if name := next(names, None):
                row[column] = _listed(name, known[name])
    return row | {each: str(known[each]) for each in _FACTS if each in known}


def _of_params(params: Mapping[str, Any]) -> dict[str, str]:
    """The network that parameters tell; nothing where they tell none."""
    params = {name.casefold(): value for name, value in params.items()}
    if _has_law(params):
        if not params.keys() >= _LAW:
            return {}
        w0, wa, wm = (float(params[each]) for each in ("w0", "wa", "wm"))
        law = RegNetLaw(w0, wa, wm, int(params["d"]), int(params["g"]), float(params.get("b", 1)))
        return config_columns(law.config) | {"wm": str(wm)}
    stages: dict[str, dict[int, Any]] = {letter: {} for letter in _COLUMNS}
    for name, value in params.items():
        if match := _STAGE.fullmatch(name):
            stages[match[1]][int(match[2])] = value
    if not (stages["d"] and stages["w"]):
        return {}
    places = sorted(stages["d"])
    for letter, values in stages.items():
        if values and (sorted(values) != list(range(places[0], places[0] + len(places))) or places[0] > 1):
            names = ", ".join(f"{each}{i}" for each in dict.fromkeys(("d", letter)) for i in stages[each])
            raise InputError(
                f"its parameters are {names}",
                f"number those of d and {letter} alike, from 0 or 1 on, without gaps",
            )
    shared = {letter: {0: params[letter]} for letter in "gb" if letter in params and not stages[letter]}
    return {
        _COLUMNS[letter]: spaced([values[i] for i in sorted(values)])
        for letter, values in (stages | shared).items()
        if values
    }


def _has_law(params: Mapping[str, Any]) -> bool:
    """Whether w0 is a RegNet's and no stage's."""
    return bool({"wa", "wm"} & {name.casefold() for name in params})


def _listed(name: str, value: Any) -> str:
    """An attribute as a cell of a CSV."""
    if isinstance(value, str):
        return value
    values = value if isinstance(value, list | tuple) else [value]
    if not values or not all(map(_is_number, values)):
        raise InputError(
            f"attribute {name} is {str(value)[:40]!r}",
            "it must be a list of numbers, as in [1, 2, 4], or a text with spaces between, as in '1 2 4'",
        )
    return spaced(values)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
