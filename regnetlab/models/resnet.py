"""ResNet and ResNeXt: He et al. 2016, *Deep Residual Learning for Image Recognition* (table 1), and Xie
et al. 2017, *Aggregated Residual Transformations for Deep Neural Networks* (table 1).

With the stride on the 3×3 convolution, as everywhere today. The bottleneck block is AnyNet's: a
ResNet-50 is one whose group width is the whole inner width.
"""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import nn

from regnetlab.models.blocks import BottleneckBlock
from regnetlab.models.parts import Parts, under
from regnetlab.models.scale import ORIGINAL, Scale
from regnetlab.models.shapes import Shape
from regnetlab.spaces.compatibility import make_compatible
from regnetlab.spaces.template import Template

_WIDTHS = (64, 128, 256, 512)
_EXPANSION = 4


@dataclass(frozen=True, slots=True)
class _Sizes:
    """Blocks of each stage; of bottleneck blocks also groups, and the width of one in the first stage."""

    depths: tuple[int, ...]
    groups: int | None = None
    base: int = 0


_RESNETS: Mapping[str, _Sizes] = {
    "resnet18": _Sizes((2, 2, 2, 2)),
    "resnet34": _Sizes((3, 4, 6, 3)),
    "resnet50": _Sizes((3, 4, 6, 3), 1, 64),
    "resnet101": _Sizes((3, 4, 23, 3), 1, 64),
    "resnet152": _Sizes((3, 8, 36, 3), 1, 64),
}
_RESNEXTS: Mapping[str, _Sizes] = {
    "resnext50_32x4d": _Sizes((3, 4, 6, 3), 32, 4),
    "resnext101_32x8d": _Sizes((3, 4, 23, 3), 32, 8),
}


class BasicBlock(nn.Module):
    """relu(shortcut(x) + f(x)), f = 3×3 with the stride, 3×3, each with batch norm."""

    def __init__(self, w_in: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(w_in, width, 3, stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(width)
        self.relu1 = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(width)
        self.shortcut = (
            nn.Sequential(nn.Conv2d(w_in, width, 1, stride, bias=False), nn.BatchNorm2d(width))
            if w_in != width or stride != 1
            else None
        )
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.norm2(self.conv2(self.relu1(self.norm1(self.conv1(x)))))
        return self.relu(y + (x if self.shortcut is None else self.shortcut(x)))


def resnet(sizes: _Sizes, template: Template, scale: Scale = ORIGINAL) -> nn.Module:
    """7×7 stem with pooling, four stages of residual blocks, global average pooling and a classifier."""
    stem = scale.width(_WIDTHS[0])
    window = scale.stem(7, 2, 3)
    shape = Shape.of_input("resnet", template).conv(stem, *window)
    parts: OrderedDict[str, nn.Module] = OrderedDict(
        conv=nn.Conv2d(template.channels, stem, *window, bias=False),
        norm=nn.BatchNorm2d(stem),
        relu=nn.ReLU(inplace=True),
    )
    if not scale.small:
        parts["pool"] = nn.MaxPool2d(3, 2, padding=1)
        shape = shape.pool(3, 2, 1)
    for i, depth in enumerate(sizes.depths):
        blocks: OrderedDict[str, nn.Module] = OrderedDict()
        for j in range(depth):
            stride = scale.strided(shape) if i and not j else 1
            block, width = _block(sizes, i, shape.channels, stride, scale)
            blocks[f"block{j + 1}"] = block
            shape = shape.conv(width, 3, stride, 1)
        parts[f"stage{i + 1}"] = nn.Sequential(blocks)
    parts["head"] = nn.Sequential(
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(shape.channels, template.classes)
    )
    model = Parts(parts, under("stem", "conv", "norm", "relu", "pool"))
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    return model


def _block(sizes: _Sizes, stage: int, w_in: int, stride: int, scale: Scale) -> tuple[nn.Module, int]:
    """A block of this stage (from 0) and its width."""
    if sizes.groups is None:
        width = scale.width(_WIDTHS[stage])
        return BasicBlock(w_in, width, stride), width
    width = scale.width(_WIDTHS[stage] * _EXPANSION)
    group_width = sizes.base * 2**stage
    inner = scale.width(sizes.groups * group_width)
    if sizes.groups == 1:
        group_width = inner
    elif scale.small:  # fewer groups of the same width
        fitted, capped = make_compatible(np.array([inner]), np.array([group_width]), np.array([1]))
        inner, group_width = int(fitted[0]), int(capped[0])
    return BottleneckBlock(w_in, width, inner, group_width, stride), width


def _of_depth(groups: int | None, base: int, depth: int, template: Template, scale: Scale) -> nn.Module:
    return resnet(_Sizes((depth,) * len(_WIDTHS), groups, base), template, scale)


RESNETS = {name: partial(resnet, sizes) for name, sizes in _RESNETS.items()}
RESNEXTS = {name: partial(resnet, sizes) for name, sizes in _RESNEXTS.items()}
RESNETS_OF_DEPTH = {"resnet": partial(_of_depth, None, 0), "resnet_bottleneck": partial(_of_depth, 1, 64)}
RESNEXTS_OF_DEPTH = {"resnext": partial(_of_depth, 32, 4)}
