"""DenseNet: Huang et al. 2017, *Densely Connected Convolutional Networks*.

Table 1 with bottleneck layers and compression 1/2 (DenseNet-BC), and a small one of plain 3×3 layers.
"""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import torch
from torch import nn

from regnetlab.models.parts import Parts, under
from regnetlab.models.scale import ORIGINAL, Scale
from regnetlab.models.shapes import Shape
from regnetlab.spaces.template import Template


@dataclass(frozen=True, slots=True)
class _Size:
    """Layers of each dense block, channels that a layer adds, width of the stem, bottleneck or not."""

    layers: tuple[int, ...]
    growth: int = 32
    stem: int = 64
    bottleneck: bool = True


_SIZES: Mapping[str, _Size] = {
    "densenet_small": _Size((4, 4, 4, 4), bottleneck=False),
    "densenet121": _Size((6, 12, 24, 16)),
    "densenet161": _Size((6, 12, 36, 24), growth=48, stem=96),
    "densenet169": _Size((6, 12, 32, 32)),
    "densenet201": _Size((6, 12, 48, 32)),
}
_BOTTLENECK = 4  # a layer's 1×1 convolution has this many times its growth


class DenseBlock(nn.Sequential):
    """Layers of which each sees the input and the outputs of all before it: w_in + layers · growth out."""

    def __init__(self, layers: int, w_in: int, growth: int, bottleneck: bool) -> None:
        super().__init__(
            OrderedDict(
                (f"layer{i + 1}", _layer(w_in + i * growth, growth, bottleneck)) for i in range(layers)
            )
        )

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        for layer in self:
            input = torch.cat([input, layer(input)], dim=1)
        return input


def densenet(size: _Size, template: Template, scale: Scale = ORIGINAL) -> nn.Module:
    """7×7 stem with pooling, dense blocks with halving transitions between them, average pooling."""
    stem, growth = scale.width(size.stem), scale.width(size.growth, step=1)
    window = scale.stem(7, 2, 3)
    shape = Shape.of_input("densenet", template).conv(stem, *window)
    parts: OrderedDict[str, nn.Module] = OrderedDict(
        conv=nn.Conv2d(template.channels, stem, *window, bias=False),
        norm=nn.BatchNorm2d(stem),
        relu=nn.ReLU(inplace=True),
    )
    if not scale.small:
        parts["pool"] = nn.MaxPool2d(3, 2, padding=1)
        shape = shape.pool(3, 2, 1)
    for i, layers in enumerate(size.layers, start=1):
        if i > 1:
            behind = scale.pooled(shape, 2, 2)
            parts[f"transition{i - 1}"] = _transition(
                shape.channels, shape.channels // 2, pooled=behind is not None
            )
            shape = (behind or shape).conv(shape.channels // 2, 1)
        parts[f"block{i}"] = DenseBlock(layers, shape.channels, growth, size.bottleneck)
        shape = shape.conv(shape.channels + layers * growth, 1)
    parts["head"] = nn.Sequential(
        nn.BatchNorm2d(shape.channels),
        nn.ReLU(inplace=True),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(shape.channels, template.classes),
    )
    model = Parts(parts, under("stem", "conv", "norm", "relu", "pool"))
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight)
        elif isinstance(module, nn.Linear):
            nn.init.zeros_(module.bias)
    return model


def _layer(w_in: int, growth: int, bottleneck: bool) -> nn.Module:
    inner = _BOTTLENECK * growth
    before: list[nn.Module] = (
        [nn.BatchNorm2d(w_in), nn.ReLU(inplace=True), nn.Conv2d(w_in, inner, 1, bias=False)]
        if bottleneck
        else []
    )
    width = inner if bottleneck else w_in
    return nn.Sequential(
        *before,
        nn.BatchNorm2d(width),
        nn.ReLU(inplace=True),
        nn.Conv2d(width, growth, 3, padding=1, bias=False),
    )


def _transition(w_in: int, width: int, pooled: bool) -> nn.Module:
    layers = [nn.BatchNorm2d(w_in), nn.ReLU(inplace=True), nn.Conv2d(w_in, width, 1, bias=False)]
    return nn.Sequential(*layers, *([nn.AvgPool2d(2, 2)] if pooled else []))


def _of_depth(bottleneck: bool, depth: int, template: Template, scale: Scale) -> nn.Module:
    return densenet(_Size((depth,) * 4, bottleneck=bottleneck), template, scale)


DENSENETS = {name: partial(densenet, size) for name, size in _SIZES.items()}
DENSENETS_OF_DEPTH = {"densenet": partial(_of_depth, True), "densenet_small": partial(_of_depth, False)}
