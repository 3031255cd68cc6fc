"""pycls configs: the network that a YAML file or a job of a sweep describes, and the template around it.

Keys and defaults: ``pycls/core/config.py``; how they become a network: ``pycls/models/anynet.py`` and
``regnet.py``. What would be another network here than there is refused. Data, schedule and the model's
initial weights (``BN``) are not read. The way back is ``export.pycls``.
"""

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from regnetlab.errors import InputError, unknown
from regnetlab.files import read_foreign
from regnetlab.models.export.pycls import BLOCK, STEMS, gives_the_same
from regnetlab.spaces.config import SE_RATIO, Config
from regnetlab.spaces.law import RegNetLaw
from regnetlab.spaces.ratio import bottleneck_ratio
from regnetlab.spaces.template import Template

NAME = "pycls"
"""The name of a template that a config brings."""
_ENDINGS = (".yaml", ".yml")
_MOST_BYTES = 2**20
_MODEL = {
    "TYPE": "",
    "DEPTH": 0,
    "NUM_CLASSES": 10,
    "LOSS_FUN": "cross_entropy",
    "ACTIVATION_FUN": "relu",
    "ACTIVATION_INPLACE": True,
    "SCALING_TYPE": "",  # for a tool that writes another config; training ignores both
    "SCALING_FACTOR": 1.0,
}
_COMMON = {
    "STEM_TYPE": "simple_stem_in",
    "STEM_W": 32,
    "BLOCK_TYPE": BLOCK,
    "SE_ON": False,
    "SE_R": SE_RATIO,
    "HEAD_W": 0,
}
_SECTIONS: Mapping[str, Mapping[str, Any]] = {
    "anynet": _COMMON | {"DEPTHS": [], "WIDTHS": [], "STRIDES": [], "BOT_MULS": [], "GROUP_WS": []},
    "regnet": _COMMON
    | {"STRIDE": 2, "DEPTH": 10, "W0": 32, "WA": 5.0, "WM": 2.5, "GROUP_W": 16, "BOT_MUL": 1.0},
}
_STRIDES = {stem: stride for stride, stem in STEMS.items()}


@dataclass(frozen=True, slots=True)
class PyclsNetwork:
    """A network of pycls; ``law`` is there where the config gives one."""

    config: Config
    template: Template
    law: RegNetLaw | None = None


def is_config_file(text: str) -> bool:
    """Whether this names a YAML file."""
    return text.lower().endswith(_ENDINGS)


def read_config_file(path: Path) -> PyclsNetwork:
    """The network of a YAML file; raises ``InputError`` that names the file."""
    try:
        return network_of_config(_document(path))
    except InputError as error:
        raise error.at(path) from None


def network_of_config(cfg: Any) -> PyclsNetwork:
    """The network of a config, as nested dictionaries; raises ``InputError`` where we can't build it."""
    kind, section = _sections(cfg)
    template = _template(cfg, kind, section)
    activation = str(_model(cfg)["ACTIVATION_FUN"]).lower()
    if activation != "relu":
        raise InputError(f"MODEL.ACTIVATION_FUN is {activation!r}", "only networks with relu can be read")
    if section["BLOCK_TYPE"] != BLOCK:
        raise InputError(
            f"{kind.upper()}.BLOCK_TYPE is {section['BLOCK_TYPE']!r}", f"only {BLOCK} can be read"
        )
    se_ratio = se_ratio_of_config(cfg)
    if kind == "anynet":
        return PyclsNetwork(_anynet(section, se_ratio), template)
    law = _law(section, se_ratio)
    return PyclsNetwork(law.config, template, law)


def template_of_config(cfg: Any) -> Template:
    """Input, stem, strides and classes of a config; raises ``InputError`` where they are none of ours."""
    return _template(cfg, *_sections(cfg))


def se_ratio_of_config(cfg: Any) -> float:
    """The squeeze-and-excitation ratio of a config, 0 for none."""
    kind, section = _sections(cfg)
    if not isinstance(section["SE_ON"], bool):
        raise InputError(
            f"{kind.upper()}.SE_ON is {str(section['SE_ON'])[:40]!r}", "it must be True or False"
        )
    return _real(f"{kind.upper()}.SE_R", section["SE_R"]) if section["SE_ON"] else 0.0


def _document(path: Path) -> Any:
    import yaml

    try:
        return yaml.safe_load(read_foreign(path, _MOST_BYTES))
    except OSError as error:
        raise InputError(f"it can't be read: {error.strerror or error}") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        if isinstance(error, InputError):
            raise
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise InputError(f"it can't be read as YAML: {' '.join(reason.split())[:200]}") from None


def _sections(cfg: Any) -> tuple[str, Mapping[str, Any]]:
    """The type of a config's network, and its section with the defaults filled in."""
    if not isinstance(cfg, Mapping) or not isinstance(cfg.get("MODEL"), Mapping):
        raise InputError(
            "it is no config of pycls: it has no section MODEL with a TYPE", "give a YAML config of pycls"
        )
    kind = str(_model(cfg)["TYPE"])
    if kind not in _SECTIONS:
        raise InputError(f"MODEL.TYPE is {kind!r}", "of pycls' networks only anynet and regnet can be read")
    return kind, _filled(kind.upper(), cfg.get(kind.upper()) or {}, _SECTIONS[kind])


def _model(cfg: Mapping[str, Any]) -> Mapping[str, Any]:
    return _filled("MODEL", cfg["MODEL"], _MODEL)


def _filled(name: str, given: Any, defaults: Mapping[str, Any]) -> Mapping[str, Any]:
    """A section with its defaults; like pycls' own reader, it takes a text for the value that it spells."""
    if not isinstance(given, Mapping):
        raise InputError(f"section {name} is {str(given)[:40]!r}", "it must hold KEY: value")
    for key in given:
        if key not in defaults:
            raise unknown(f"key of {name}", str(key), defaults)
    return {**defaults, **{key: _spelt(value) for key, value in given.items()}}


def _spelt(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return ast.literal_eval(value)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return value


def _template(cfg: Mapping[str, Any], kind: str, section: Mapping[str, Any]) -> Template:
    name = kind.upper()
    if str(section["STEM_TYPE"]) not in _STRIDES:  # it may be a list
        raise InputError(
            f"{name}.STEM_TYPE is {section['STEM_TYPE']!r}", f"only {' and '.join(_STRIDES)} can be built"
        )
    if section["HEAD_W"] != 0:
        raise InputError(f"{name}.HEAD_W is {section['HEAD_W']}", "a convolution in the head can't be built")
    if kind == "regnet":
        strides: tuple[int, ...] = (_whole("REGNET.STRIDE", section["STRIDE"]),) * _law(section).config.stages
    else:
        strides = _wholes("ANYNET.STRIDES", section["STRIDES"])
    train = cfg.get("TRAIN") or {}
    if not isinstance(train, Mapping):
        raise InputError(f"section TRAIN is {str(train)[:40]!r}", "it must hold KEY: value")
    size = _whole("TRAIN.IM_SIZE", _spelt(train.get("IM_SIZE", 224)))
    return Template(
        NAME,
        3,
        size,
        size,
        _whole("MODEL.NUM_CLASSES", _model(cfg)["NUM_CLASSES"]),
        _whole(f"{name}.STEM_W", section["STEM_W"]),
        _STRIDES[section["STEM_TYPE"]],
        strides,
    )


def _law(section: Mapping[str, Any], se_ratio: float = 0.0) -> RegNetLaw:
    multiplier = _real("REGNET.BOT_MUL", section["BOT_MUL"])
    law = RegNetLaw(
        _whole("REGNET.W0", section["W0"]),
        _real("REGNET.WA", section["WA"]),
        _real("REGNET.WM", section["WM"]),
        _whole("REGNET.DEPTH", section["DEPTH"]),
        _whole("REGNET.GROUP_W", section["GROUP_W"]),
        _ratio("REGNET.BOT_MUL", multiplier),
        se_ratio,
    )
    if not gives_the_same(law):
        raise InputError(
            f"REGNET.W0 is {law.w0:g} and BOT_MUL {multiplier:g}",
            "pycls needs a W0 that is a multiple of 8,"
            " and rounds by a BOT_MUL that is neither a whole number nor 1/2, 1/4, …: write it as ANYNET",
        )
    return law


def _anynet(section: Mapping[str, Any], se_ratio: float) -> Config:
    """pycls builds the stages as they are written: nothing is made compatible, nothing may be missing."""
    depths, widths, groups = (
        _wholes(f"ANYNET.{key}", section[key]) for key in ("DEPTHS", "WIDTHS", "GROUP_WS")
    )
    multipliers = [_real("ANYNET.BOT_MULS", each) for each in _list("ANYNET.BOT_MULS", section["BOT_MULS"])]
    stages = len(depths)
    for key, values in (
        ("WIDTHS", widths),
        ("STRIDES", section["STRIDES"]),
        ("BOT_MULS", multipliers),
        ("GROUP_WS", groups),
    ):
        if len(values) != stages:
            raise InputError(
                f"ANYNET.{key} has {len(values)} entries and DEPTHS {stages}", "each needs one a stage"
            )
    ratios = tuple(_ratio("ANYNET.BOT_MULS", each) for each in multipliers)
    group_widths = []
    for width, multiplier, group_width in zip(widths, multipliers, groups, strict=True):
        inner = round(width * multiplier)
        number = inner // group_width  # of groups, rounded down: 24 channels by 16 are one group
        if not number or inner % number:
            raise InputError(
                f"ANYNET.GROUP_WS has {group_width} for {inner} channels (width {width} times"
                f" {multiplier:g}), which pycls can't group"
            )
        group_widths.append(inner // number)
    config = Config(depths, widths, tuple(group_widths), ratios, se_ratio)
    if config.inner_widths != tuple(round(w * each) for w, each in zip(widths, multipliers, strict=True)):
        raise InputError(
            f"ANYNET.BOT_MULS {multipliers} round the widths {list(widths)} as only pycls does",
            "choose widths that the bottleneck multipliers divide evenly",
        )
    return config


def _ratio(name: str, multiplier: float) -> float:
    """b = 1 / multiplier."""
    try:
        return bottleneck_ratio(1 / multiplier)
    except (InputError, ZeroDivisionError):
        raise InputError(f"{name} has {multiplier:g}", "it must be a whole number, or 1 over one") from None


def _list(name: str, value: Any) -> list[Any]:
    if not isinstance(value, list | tuple) or not value:
        raise InputError(f"{name} is {str(value)[:40]!r}", "it must be a list with one number a stage")
    return list(value)


def _wholes(name: str, value: Any) -> tuple[int, ...]:
    return tuple(_whole(name, each) for each in _list(name, value))


def _whole(name: str, value: Any) -> int:
    number = _real(name, value)
    if number != int(number) or number < 1:
        raise InputError(f"{name} has {str(value)[:40]!r}", "it must be a whole number of 1 or more")
    return int(number)


def _real(name: str, value: Any) -> float:
    """A finite number that is not absurd."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e9:
        raise InputError(f"{name} has {str(value)[:40]!r}", "it must be a number")
    return float(value)
