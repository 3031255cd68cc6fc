"""AlexNet: Krizhevsky et al. 2012, *ImageNet Classification with Deep Convolutional Neural Networks*.

Section 3.5 and figure 2, on one device: no grouping, no local response normalisation, padding 1 in
the first layer.
"""

from torch import nn

from regnetlab.models.initialisation import he_initialised
from regnetlab.models.scale import ORIGINAL, Scale
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


def alexnet(template: Template, scale: Scale = ORIGINAL) -> nn.Module:
    """Five convolutions, three fully connected layers with dropout; 224×224 becomes 6,400 features."""
    shape = Shape.of_input("alexnet", template)
    layers: list[nn.Module] = []
    for i, (original, kernel, stride, padding, pooled) in enumerate(_CONVOLUTIONS):
        width = scale.width(original)
        window = (kernel, stride, padding) if i else scale.stem(kernel, stride, padding)
        layers += [nn.Conv2d(shape.channels, width, *window), nn.ReLU(inplace=True)]
        shape = shape.conv(width, *window)
        if pooled and (i or not scale.small):
            behind = scale.pooled(shape, 3, 2)
            if behind is not None:
                layers.append(nn.MaxPool2d(3, 2))
                shape = behind
    model = nn.Sequential(*layers, nn.Flatten(), *classifier(shape.features, template.classes, scale))
    return he_initialised(model)


def classifier(features: int, classes: int, scale: Scale) -> list[nn.Module]:
    """Three fully connected layers with dropout, which VGG has too."""
    hidden = scale.width(_HIDDEN)
    return [
        nn.Linear(features, hidden),
        nn.ReLU(inplace=True),
        nn.Dropout(0.5),
        nn.Linear(hidden, hidden),
        nn.ReLU(inplace=True),
        nn.Dropout(0.5),
        nn.Linear(hidden, classes),
    ]
