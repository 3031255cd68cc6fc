"""ResNet and ResNeXt: He et al. 2016, *Deep Residual Learning for Image Recognition* (table 1), and Xie
et al. 2017, *Aggregated Residual Transformations for Deep Neural Networks* (table 1).

With the stride on the 3×3 convolution, as everywhere today. The bottleneck block is AnyNet's: a
ResNet-50 is one whose group width is the whole inner width.
"""

from collections import OrderedDict
from collections.abc import Mapping
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

_BASIC: Mapping[str, tuple[int, ...]] = {"resnet18": (2, 2, 2, 2), "resnet34": (3, 4, 6, 3)}
# Depths, groups and the width of a group in the first stage.
_BOTTLENECK: Mapping[str, tuple[tuple[int, ...], int, int]] = {
    "resnet50": ((3, 4, 6, 3), 1, 64),
    "resnet101": ((3, 4, 23, 3), 1, 64),
    "resnet152": ((3, 8, 36, 3), 1, 64),
    "resnext50_32x4d": ((3, 4, 6, 3), 32, 4),
    "resnext101_32x8d": ((3, 4, 23, 3), 32, 8),
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


def resnet(name: str, template: Template, scale: Scale = ORIGINAL) -> nn.Module:
    """7×7 stem with pooling, four stages of residual blocks, global average pooling and a classifier."""
    stem = scale.width(_WIDTHS[0])
    window = scale.stem(7, 2, 3)
    shape = Shape.of_input(name, template).conv(stem, *window)
    parts: OrderedDict[str, nn.Module] = OrderedDict(
        conv=nn.Conv2d(template.channels, stem, *window, bias=False),
        norm=nn.BatchNorm2d(stem),
        relu=nn.ReLU(inplace=True),
    )
    if not scale.small:
        parts["pool"] = nn.MaxPool2d(3, 2, padding=1)
        shape = shape.pool(3, 2, 1)
    depths = _BASIC[name] if name in _BASIC else _BOTTLENECK[name][0]
    for i, depth in enumerate(depths):
        blocks: OrderedDict[str, nn.Module] = OrderedDict()
        for j in range(depth):
            stride = scale.strided(shape) if i and not j else 1
            block, width = _block(name, i, shape.channels, stride, scale)
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


def _block(name: str, stage: int, w_in: int, stride: int, scale: Scale) -> tuple[nn.Module, int]:
    """A block of this stage (from 0) and its width."""
    if name in _BASIC:
        width = scale.width(_WIDTHS[stage])
        return BasicBlock(w_in, width, stride), width
    _, groups, base = _BOTTLENECK[name]
    width = scale.width(_WIDTHS[stage] * _EXPANSION)
    group_width = base * 2**stage
    inner = scale.width(groups * group_width)
    if groups == 1:
        group_width = inner
    elif scale.small:  # fewer groups of the same width
        fitted, capped = make_compatible(np.array([inner]), np.array([group_width]), np.array([1]))
        inner, group_width = int(fitted[0]), int(capped[0])
    return BottleneckBlock(w_in, width, inner, group_width, stride), width


RESNETS = {name: partial(resnet, name) for name in (*_BASIC, *_BOTTLENECK) if name.startswith("resnet")}
RESNEXTS = {name: partial(resnet, name) for name in _BOTTLENECK if name.startswith("resnext")}
