"""timm: the arguments of its ``RegNet`` and ``RegNetCfg``, which knows networks by their law alone.

So there is a set only for a RegNet, of four stages that each halve the resolution, and only where timm's
single precision gives the same widths.
"""

import math
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from regnetlab.errors import InputError
from regnetlab.models.export.network import Export, Network, multiplier, se_ratio_of
from regnetlab.spaces.law import RegNetLaw
from regnetlab.spaces.ranges import WIDTH_STEP

if TYPE_CHECKING:
    import torch

_STRIDES = (2, 2, 2, 2)
_NAMES = (
    (r"^stem\.norm", "stem.bn"),
    (r"^stage(\d+)\.block(\d+)", r"s\1.b\2"),
    (r"\.conv([123])\.", r".conv\1.conv."),
    (r"\.norm([123])\.", r".conv\1.bn."),
    (r"\.se\.reduce", ".se.fc1"),
    (r"\.se\.expand", ".se.fc2"),
    (r"\.shortcut\.0", ".downsample.conv"),
    (r"\.shortcut\.1", ".downsample.bn"),
)
"""Parts of our names and timm's, from one to the next."""


def timm(network: Network) -> Export:
    """A snippet that builds the network; ``kwargs``: ``cfg``, ``in_chans``, ``num_classes``."""
    template, config, law = network.template, network.config, network.law
    if template.stem_stride != 2 or network.strides != _STRIDES:
        raise InputError(
            f"timm's RegNet has a stem and four stages of stride 2, this network stage strides"
            f" {', '.join(map(str, network.strides))} behind a stem of stride {template.stem_stride}",
            "take --to pytorch or --to torchvision",
        )
    if law is None:
        raise InputError(
            "timm knows a RegNet by its law w0, wa, wm, and no law gives exactly the widths and depths of"
            f" {config.text}",
            "take --to torchvision or --to pytorch",
        )
    if law.w0 % WIDTH_STEP:
        raise InputError(
            f"timm's RegNet needs a w0 that is a multiple of {WIDTH_STEP}, not {law.w0:g}",
            "take --to torchvision or --to pytorch",
        )
    built = _built_by_timm(law)
    ours = tuple(zip(config.widths, config.depths, config.inner_widths, config.group_widths, strict=True))
    if built != ours:
        raise InputError(
            "timm rounds this law to other stages,"
            f" depths {', '.join(str(depth) for _, depth, *_ in built)}"
            f" and widths {', '.join(str(width) for width, *_ in built)}",
            "take --to torchvision or --to pytorch",
        )
    cfg = {
        "depth": law.depth,
        "w0": int(law.w0),
        "wa": float(law.wa),  # a fitted law's may be NumPy's, whose text is no literal
        "wm": float(law.wm),
        "group_size": law.group_width,
        "bottle_ratio": multiplier(law.bottleneck_ratio),
        "se_ratio": se_ratio_of(network, "timm"),
        "stem_width": template.stem_width,
    }
    sizes = "".join(f"        {name}={value!r},\n" for name, value in cfg.items())
    text = (
        "from timm.models.regnet import RegNet, RegNetCfg\n"
        "\n"
        f"{network.comment}"
        "model = RegNet(\n"
        f"    RegNetCfg(\n{sizes}    ),\n"
        f"    in_chans={template.channels},\n"
        f"    num_classes={template.classes},\n"
        ")\n"
    )
    return Export(text, {"cfg": cfg, "in_chans": template.channels, "num_classes": template.classes})


def timm_state(state: "Mapping[str, torch.Tensor]") -> "dict[str, torch.Tensor]":
    """The same weights under timm's names, for the network that ``timm`` describes."""
    found = {}
    for name, tensor in state.items():
        for ours, theirs in _NAMES:
            name = re.sub(ours, theirs, name)  # noqa: PLW2901
        found[name] = tensor
    return found


def _built_by_timm(law: RegNetLaw) -> tuple[tuple[int, int, int, int], ...]:
    """Width, depth, inner width and group width of each stage as timm 1.0 finds them from the law.

    The law in torch's single precision, then inner widths rounded to whole groups; where b is one over a
    whole number, the width is cut to an integer where we choose the groups so that it is one.
    """
    import torch

    line = torch.arange(law.depth, dtype=torch.float32) * law.wa + int(law.w0)
    steps = torch.round(torch.log(line / int(law.w0)) / math.log(law.wm))
    blocks = torch.round(int(law.w0) * torch.pow(law.wm, steps) / WIDTH_STEP) * WIDTH_STEP
    stages = []
    times = multiplier(law.bottleneck_ratio)
    for width, depth in zip(*torch.unique(blocks.int(), return_counts=True), strict=True):
        inner = int(int(width) * times)
        group_width = min(law.group_width, inner)
        inner = int(round(inner / group_width) * group_width)
        out = int(inner / times)
        stages.append((out, int(depth), round(out * times), group_width))
    return tuple(stages)
