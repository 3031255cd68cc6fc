"""AlexNet: Krizhevsky et al. 2012, *ImageNet Classification with Deep Convolutional Neural Networks*.

Section 3.5 and figure 2, on one device: no grouping, no local response normalisation, padding 1 in
the first layer.
"""

from torch import nn

from regnetlab.models.initialisation import he_initialised
from regnetlab.models.parts import numbered
from regnetlab.models.scale import ORIGINAL, Scale
from regnetlab.models.shapes import Shape
from regnetlab.spaces.template import Template

# Width, kernel, stride and padding of a convolution, and whether a pooling follows: the first two, then those
# of the third group but its last, and that.
_FIRST = ((96, 11, 4, 1, True), (256, 5, 1, 2, True))
_INNER = (384, 3, 1, 1, False)
_LAST = (256, 3, 1, 1, True)
_HIDDEN = 4096


def alexnet(depth: int, template: Template, scale: Scale = ORIGINAL) -> nn.Module:
    """Convolutions, ``depth`` of them (the original: 3) behind the second pooling, and three fully connected
    layers with dropout; 224×224 becomes 6,400 features.
    """
    shape = Shape.of_input("alexnet", template)
    layers: dict[str, nn.Module] = {}
    convolutions = (*_FIRST, *[_INNER] * (depth - 1), _LAST)
    for i, (original, kernel, stride, padding, pooled) in enumerate(convolutions):
        width = scale.width(original)
        window = (kernel, stride, padding) if i else scale.stem(kernel, stride, padding)
        layers[f"block{i + 1}.conv"] = nn.Conv2d(shape.channels, width, *window)
        layers[f"block{i + 1}.relu"] = nn.ReLU(inplace=True)
        shape = shape.conv(width, *window)
        if pooled and (i or not scale.small):
            behind = scale.pooled(shape, 3, 2)
            if behind is not None:
                layers[f"block{i + 1}.pool"] = nn.MaxPool2d(3, 2)
                shape = behind
    return he_initialised(numbered(layers | classifier(shape.features, template.classes, scale)))


def classifier(features: int, classes: int, scale: Scale) -> dict[str, nn.Module]:
    """Three fully connected layers with dropout behind the flattened map, which VGG has too."""
    hidden = scale.width(_HIDDEN)
    return {
        "flatten": nn.Flatten(),
        "fc1": nn.Linear(features, hidden),
        "relu1": nn.ReLU(inplace=True),
        "dropout1": nn.Dropout(0.5),
        "fc2": nn.Linear(hidden, hidden),
        "relu2": nn.ReLU(inplace=True),
        "dropout2": nn.Dropout(0.5),
        "fc3": nn.Linear(hidden, classes),
    }
