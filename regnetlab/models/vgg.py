"""VGG: Simonyan & Zisserman 2015, *Very Deep Convolutional Networks for Large-Scale Image Recognition*.

Table 1, columns A, B, D and E; the slim form has a quarter of the channels of a smaller column A. The
networks ``…_bn`` have batch norm (Ioffe & Szegedy 2015) behind each convolution, as torchvision's.
"""

from collections.abc import Mapping, Sequence
from functools import partial

from torch import nn

from regnetlab.models.alexnet import classifier
from regnetlab.models.initialisation import he_initialised
from regnetlab.models.parts import numbered
from regnetlab.models.scale import ORIGINAL, Scale
from regnetlab.models.shapes import Shape
from regnetlab.spaces.template import Template

# Convolutions and width of each block; a pooling halves the resolution behind each.
_WIDTHS = (64, 128, 256, 512, 512)
_COLUMNS: Mapping[str, tuple[int, ...]] = {
    "vgg11": (1, 1, 2, 2, 2),
    "vgg13": (2, 2, 2, 2, 2),
    "vgg16": (2, 2, 3, 3, 3),
    "vgg19": (2, 2, 4, 4, 4),
}
_SLIM = (16, 32, 64, 128, 128)


def vgg(
    depths: Sequence[int],
    norm: bool,
    template: Template,
    scale: Scale = ORIGINAL,
    widths: Sequence[int] = _WIDTHS,
) -> nn.Module:
    """3×3 convolutions in five blocks, then three fully connected layers with dropout."""
    shape = Shape.of_input("vgg", template)
    layers: dict[str, nn.Module] = {}
    for i, (convolutions, original) in enumerate(zip(depths, widths, strict=True)):
        width = scale.width(original)
        for j in range(convolutions):
            window = (3, 1, 1) if i or j else scale.stem(3, 1, 1)
            layers[f"block{i + 1}.conv{j + 1}"] = nn.Conv2d(shape.channels, width, *window)
            if norm:
                layers[f"block{i + 1}.norm{j + 1}"] = nn.BatchNorm2d(width)
            layers[f"block{i + 1}.relu{j + 1}"] = nn.ReLU(inplace=True)
            shape = shape.conv(width, *window)
        behind = scale.pooled(shape, 2, 2) if i or not scale.small else None
        if behind is not None:
            layers[f"block{i + 1}.pool"] = nn.MaxPool2d(2, 2)
            shape = behind
    return he_initialised(numbered(layers | classifier(shape.features, template.classes, scale)))


def _of_depth(norm: bool, depth: int, template: Template, scale: Scale) -> nn.Module:
    return vgg((depth,) * len(_WIDTHS), norm, template, scale)


VGGS = {
    **{name: partial(vgg, depths, False) for name, depths in _COLUMNS.items()},
    "vgg11_slim": partial(vgg, _COLUMNS["vgg11"], False, widths=_SLIM),
    **{f"{name}_bn": partial(vgg, depths, True) for name, depths in _COLUMNS.items()},
}
VGGS_OF_DEPTH = {"vgg": partial(_of_depth, False), "vgg_bn": partial(_of_depth, True)}
