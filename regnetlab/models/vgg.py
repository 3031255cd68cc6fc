"""VGG: Simonyan & Zisserman 2015, *Very Deep Convolutional Networks for Large-Scale Image Recognition*.

Table 1, columns A, B, D and E; the slim form has a quarter of the channels of a smaller column A.
"""

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
_BLOCKS = {
    "vgg11": tuple(zip((1, 1, 2, 2, 2), _WIDTHS, strict=True)),
    "vgg13": tuple(zip((2, 2, 2, 2, 2), _WIDTHS, strict=True)),
    "vgg16": tuple(zip((2, 2, 3, 3, 3), _WIDTHS, strict=True)),
    "vgg19": tuple(zip((2, 2, 4, 4, 4), _WIDTHS, strict=True)),
    "vgg11_slim": ((1, 16), (1, 32), (2, 64), (2, 128), (2, 128)),
}


def vgg(name: str, template: Template, scale: Scale = ORIGINAL) -> nn.Module:
    """3×3 convolutions in five blocks, then three fully connected layers with dropout."""
    shape = Shape.of_input(name, template)
    layers: dict[str, nn.Module] = {}
    for i, (convolutions, original) in enumerate(_BLOCKS[name]):
        width = scale.width(original)
        for j in range(convolutions):
            window = (3, 1, 1) if i or j else scale.stem(3, 1, 1)
            layers[f"block{i + 1}.conv{j + 1}"] = nn.Conv2d(shape.channels, width, *window)
            layers[f"block{i + 1}.relu{j + 1}"] = nn.ReLU(inplace=True)
            shape = shape.conv(width, *window)
        behind = scale.pooled(shape, 2, 2) if i or not scale.small else None
        if behind is not None:
            layers[f"block{i + 1}.pool"] = nn.MaxPool2d(2, 2)
            shape = behind
    return he_initialised(numbered(layers | classifier(shape.features, template.classes, scale)))


VGGS = {name: partial(vgg, name) for name in _BLOCKS}
