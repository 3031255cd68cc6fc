"""NiN: Lin et al. 2014, *Network In Network*.

Section 3 and figure 2, with the widths and kernels of AlexNet's convolutions; the last block has a
channel per class, and global average pooling in place of fully connected layers.
"""

from torch import nn

from regnetlab.models.initialisation import he_initialised
from regnetlab.models.parts import numbered
from regnetlab.models.scale import ORIGINAL, Scale
from regnetlab.models.shapes import Shape
from regnetlab.spaces.template import Template

# Width, kernel, stride and padding of each block; a pooling follows.
_BLOCKS = ((96, 11, 4, 0), (256, 5, 1, 2), (384, 3, 1, 1))
_ADDED = (3, 1, 1)


def nin(depth: int, template: Template, scale: Scale = ORIGINAL) -> nn.Module:
    """Blocks of a convolution and two 1×1 convolutions, ``depth`` of them (the original: 1) before each
    pooling, the added ones 3×3; the last has as many channels as classes.
    """
    shape = Shape.of_input("nin", template)
    layers: dict[str, nn.Module] = {}
    for i, (original, *first) in enumerate(_BLOCKS):
        width = scale.width(original)
        windows = [tuple(first) if i else scale.stem(*first), *[_ADDED] * (depth - 1)]
        for j, window in enumerate(windows, start=i * depth + 1):
            layers[f"block{j}"] = _block(shape.channels, width, *window)
            shape = shape.conv(width, *window)
        behind = scale.pooled(shape, 3, 2) if i or not scale.small else None
        if behind is not None:
            layers[f"pool{(i + 1) * depth}"] = nn.MaxPool2d(3, 2)
            shape = behind
    last = len(_BLOCKS) * depth + 1
    layers |= {
        "dropout": nn.Dropout(0.5),
        f"block{last}": _block(shape.channels, template.classes, 3, 1, 1),
        f"pool{last}": nn.AdaptiveAvgPool2d(1),
        "flatten": nn.Flatten(),
    }
    return he_initialised(numbered(layers))


def _block(w_in: int, width: int, kernel: int, stride: int, padding: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(w_in, width, kernel, stride, padding),
        nn.ReLU(inplace=True),
        nn.Conv2d(width, width, 1),
        nn.ReLU(inplace=True),
        nn.Conv2d(width, width, 1),
        nn.ReLU(inplace=True),
    )
