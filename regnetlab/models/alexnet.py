"""AlexNet: Krizhevsky et al. 2012, *ImageNet Classification with Deep Convolutional Neural Networks*.

Section 3.5 and figure 2, on one device: no grouping, no local response normalisation, padding 1 in
the first layer.
"""

from torch import nn

from regnetlab.models.shapes import Shape
from regnetlab.spaces.template import Template

# Width, kernel, stride and padding of each convolution, and whether a pooling follows.
_CONVOLUTIONS = (
    (96, 11, 4, 1, True),
    (256, 5, 1, 2, True),
    (384, 3, 1, 1, False),
    (384, 3, 1, 1, False),
    (256, 3, 1, 1, True),
)
_HIDDEN = 4096


def alexnet(template: Template) -> nn.Module:
    """Five convolutions, three fully connected layers with dropout; 224×224 becomes 6,400 features."""
    shape = Shape.of_input("alexnet", template)
    layers: list[nn.Module] = []
    for width, kernel, stride, padding, pooled in _CONVOLUTIONS:
        layers += [nn.Conv2d(shape.channels, width, kernel, stride, padding), nn.ReLU(inplace=True)]
        shape = shape.conv(width, kernel, stride, padding)
        if pooled:
            layers.append(nn.MaxPool2d(3, 2))
            shape = shape.pool(3, 2)
    return nn.Sequential(*layers, nn.Flatten(), *classifier(shape.features, template.classes))


def classifier(features: int, classes: int) -> list[nn.Module]:
    """Three fully connected layers with dropout, which VGG has too."""
    return [
        nn.Linear(features, _HIDDEN),
        nn.ReLU(inplace=True),
        nn.Dropout(0.5),
        nn.Linear(_HIDDEN, _HIDDEN),
        nn.ReLU(inplace=True),
        nn.Dropout(0.5),
        nn.Linear(_HIDDEN, classes),
    ]
