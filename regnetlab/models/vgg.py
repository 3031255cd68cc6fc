"""VGG: Simonyan & Zisserman 2015, *Very Deep Convolutional Networks for Large-Scale Image Recognition*.

Table 1, columns A, B, D and E; the slim form has a quarter of the channels of a smaller column A.
"""

from functools import partial

from torch import nn

from regnetlab.models.alexnet import classifier
from regnetlab.models.shapes import Shape
from regnetlab.spaces.template import Template

# Convolutions and width of each stage; a pooling halves the resolution behind each.
_WIDTHS = (64, 128, 256, 512, 512)
_STAGES = {
    "vgg11": tuple(zip((1, 1, 2, 2, 2), _WIDTHS, strict=True)),
    "vgg13": tuple(zip((2, 2, 2, 2, 2), _WIDTHS, strict=True)),
    "vgg16": tuple(zip((2, 2, 3, 3, 3), _WIDTHS, strict=True)),
    "vgg19": tuple(zip((2, 2, 4, 4, 4), _WIDTHS, strict=True)),
    "vgg11_slim": ((1, 16), (1, 32), (2, 64), (2, 128), (2, 128)),
}


def vgg(name: str, template: Template) -> nn.Module:
    """3×3 convolutions in five stages, then three fully connected layers with dropout."""
    shape = Shape.of_input(name, template)
    layers: list[nn.Module] = []
    for convolutions, width in _STAGES[name]:
        for _ in range(convolutions):
            layers += [nn.Conv2d(shape.channels, width, 3, padding=1), nn.ReLU(inplace=True)]
            shape = shape.conv(width, 3, padding=1)
        layers.append(nn.MaxPool2d(2, 2))
        shape = shape.pool(2, 2)
    return nn.Sequential(*layers, nn.Flatten(), *classifier(shape.features, template.classes))


VGGS = {name: partial(vgg, name) for name in _STAGES}
