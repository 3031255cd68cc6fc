"""pycls: the model's part of a YAML configuration, by law where the network has one, else by its stages.

Keys, types and defaults: ``pycls/core/config.py``; how they become a network: ``pycls/models/anynet.py`` and
``regnet.py``. Data and schedule (``TRAIN.DATASET``, ``OPTIM``, …) are left to the user. The way back is
``models.pycls_config``.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from regnetlab.errors import InputError
from regnetlab.models.export.network import Export, Network, multiplier
from regnetlab.spaces.law import RegNetLaw
from regnetlab.spaces.ranges import WIDTH_STEP

STEMS = {1: "res_stem_cifar", 2: "simple_stem_in"}
"""Stems by stride: both are a 3×3 convolution with batch norm and ReLU."""
BLOCK = "res_bottleneck_block"


def pycls(network: Network) -> Export:
    """The YAML; ``kwargs`` holds the same as nested dictionaries."""
    template, config = network.template, network.config
    if template.channels != 3 or template.height != template.width:
        raise InputError(
            f"pycls trains on square images of 3 channels, not {template.input}",
            f"give --input 3x{template.height}x{template.height}, or take --to pytorch",
        )
    if template.stem_stride not in STEMS:
        raise InputError(f"pycls' stems have stride 1 or 2, not {template.stem_stride}", "take --to pytorch")
    law = network.law
    by_law = law is not None and gives_the_same(law) and len(set(network.strides)) == 1
    common: dict[str, Any] = {
        "STEM_TYPE": STEMS[template.stem_stride],
        "STEM_W": template.stem_width,
        "BLOCK_TYPE": BLOCK,
        "SE_ON": config.se_ratio > 0,
    }
    if config.se_ratio:
        common["SE_R"] = float(config.se_ratio)
    if by_law:
        assert law is not None
        section = common | {
            "STRIDE": network.strides[0],
            "DEPTH": law.depth,
            "W0": int(law.w0),
            "WA": float(law.wa),
            "WM": float(law.wm),
            "GROUP_W": law.group_width,
            "BOT_MUL": multiplier(law.bottleneck_ratio),
        }
    else:
        section = common | {
            "DEPTHS": list(config.depths),
            "WIDTHS": list(config.widths),
            "STRIDES": list(network.strides),
            "BOT_MULS": network.multipliers,
            "GROUP_WS": list(config.group_widths),
        }
    kind = "regnet" if by_law else "anynet"
    document = {
        "MODEL": {"TYPE": kind, "NUM_CLASSES": template.classes},
        kind.upper(): section,
        "TRAIN": {"IM_SIZE": template.height},
    }
    return Export(network.comment + _yaml(document), document)


def gives_the_same(law: RegNetLaw) -> bool:
    """Whether pycls' arithmetic is exact: it wants w_0 in steps of 8, and multiplies by 1/b as a float."""
    numerator, _ = float(law.bottleneck_ratio).as_integer_ratio()
    exact = law.bottleneck_ratio < 1 or numerator & (numerator - 1) == 0
    return exact and law.w0 % WIDTH_STEP == 0


def _yaml(sections: Mapping[str, Mapping[str, Any]]) -> str:
    return "".join(
        f"{name}:\n" + "".join(f"  {key}: {_scalar(value)}\n" for key, value in section.items())
        for name, section in sections.items()
    )


def _scalar(value: Any) -> str:
    """A value of YAML 1.1, whose floats need a point and no exponent (pycls refuses a wrong type)."""
    if isinstance(value, list):
        return f"[{', '.join(map(_scalar, value))}]"
    if isinstance(value, float):
        text = format(Decimal(repr(value)), "f")
        return text if "." in text else f"{text}.0"
    return str(value)
