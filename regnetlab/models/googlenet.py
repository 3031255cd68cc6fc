"""GoogLeNet: Szegedy et al. 2015, *Going Deeper with Convolutions*.

Table 1: nine Inception blocks, without local response normalisation. ``googlenet_aux`` trains with the
two auxiliary classifiers of section 5; evaluated, it is ``googlenet``.
"""

from collections.abc import Mapping
from functools import partial
from string import ascii_lowercase

import torch
from torch import nn

from regnetlab.models.initialisation import he_initialised
from regnetlab.models.parts import Parts, numbered
from regnetlab.models.scale import ORIGINAL, Scale
from regnetlab.models.shapes import Shape
from regnetlab.spaces.template import Template

# Per block: 1×1; 1×1 before 3×3, 3×3; 1×1 before 5×5, 5×5; 1×1 behind the pooling.
_Stages = tuple[tuple[tuple[int, ...], ...], ...]
_INCEPTIONS: _Stages = (
    ((64, 96, 128, 16, 32, 32), (128, 128, 192, 32, 96, 64)),
    (
        (192, 96, 208, 16, 48, 64),
        (160, 112, 224, 24, 64, 64),
        (128, 128, 256, 24, 64, 64),
        (112, 144, 288, 32, 64, 64),
        (256, 160, 320, 32, 128, 128),
    ),
    ((256, 160, 320, 32, 128, 128), (384, 192, 384, 48, 128, 128)),
)
# Stage and block of the Inceptions that an auxiliary classifier stands behind: 4a and 4d.
_AUXILIARY = ((1, 0), (1, 3))


class Inception(nn.Module):
    """Four paths side by side, their outputs stacked: 1×1, 1×1–3×3, 1×1–5×5, 3×3 pooling–1×1."""

    def __init__(
        self, w_in: int, one: int, three_in: int, three: int, five_in: int, five: int, pooled: int
    ) -> None:
        super().__init__()
        self.one = _conv(w_in, one, 1)
        self.three = nn.Sequential(_conv(w_in, three_in, 1), _conv(three_in, three, 3))
        self.five = nn.Sequential(_conv(w_in, five_in, 1), _conv(five_in, five, 5))
        self.pooled = nn.Sequential(nn.MaxPool2d(3, 1, padding=1), _conv(w_in, pooled, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([self.one(x), self.three(x), self.five(x), self.pooled(x)], dim=1)


class GoogLeNet(Parts):
    """The network as a sequence of parts, with classifiers behind some of them for training.

    Evaluated it returns logits (n, classes), in training with auxiliary classifiers a tuple of such, the
    network's own first.
    """

    def __init__(self, parts: Mapping[str, nn.Module], auxiliary: Mapping[int, nn.Module]) -> None:
        sequence = numbered(parts)
        super().__init__(dict(sequence.named_children()), sequence.labels)
        self._behind = {place: f"auxiliary{i}" for i, place in enumerate(auxiliary, start=1)}
        self._parts = len(parts)
        for place, name in self._behind.items():
            self.add_module(name, auxiliary[place])

    def forward(self, input: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, ...]:
        others: list[torch.Tensor] = []
        for place, part in enumerate(list(self)[: self._parts]):
            input = part(input)
            if self.training and place in self._behind:
                others.append(self.get_submodule(self._behind[place])(input))
        return (input, *others) if others else input


def googlenet(
    auxiliary: bool, template: Template, scale: Scale = ORIGINAL, stages: _Stages = _INCEPTIONS
) -> nn.Module:
    """A stem that divides the resolution by 8, Inception blocks in three stages, average pooling."""
    shape = Shape.of_input("googlenet", template)
    kernel, stride, padding = scale.stem(7, 2, 3)
    narrow, wide = scale.widths((64, 192))
    parts: dict[str, nn.Module] = {"b1.conv": _conv(shape.channels, narrow, kernel, stride)}
    shape = shape.conv(narrow, kernel, stride, padding)
    if not scale.small:
        parts["b1.pool"] = nn.MaxPool2d(3, 2, padding=1)
        shape = shape.pool(3, 2, 1)
    parts |= {"b2.conv1": _conv(narrow, narrow, 1), "b2.conv2": _conv(narrow, wide, 3)}
    shape = shape.conv(wide, 3, padding=1)
    classifiers: dict[int, nn.Module] = {}
    for i, stage in enumerate(stages):  # 3, 4 and 5 of table 1, a pooling before each
        behind = scale.pooled(shape, 3, 2, 1)
        if behind is not None:
            parts[f"b{i + 2}.pool"] = nn.MaxPool2d(3, 2, padding=1)
            shape = behind
        for j, originals in enumerate(stage):
            one, three_in, three, five_in, five, pooled = scale.widths(originals)
            inception = Inception(shape.channels, one, three_in, three, five_in, five, pooled)
            parts[f"b{i + 3}.{i + 3}{_letters(j)}"] = inception
            shape = shape.conv(one + three + five + pooled, 1)
            if auxiliary and (i, j) in _AUXILIARY:
                classifiers[len(parts) - 1] = _classifier(shape, template.classes, scale)
    parts |= {
        "b5.pool": nn.AdaptiveAvgPool2d(1),
        "b5.flatten": nn.Flatten(),
        "fc": nn.Linear(shape.channels, template.classes),
    }
    return he_initialised(GoogLeNet(parts, classifiers))


def _letters(index: int) -> str:
    """a to z, then aa, bb and so on."""
    return ascii_lowercase[index % 26] * (index // 26 + 1)


def _of_depth(depth: int, template: Template, scale: Scale) -> nn.Module:
    """``depth`` blocks in each stage: its published ones in their order, its last one again behind them."""
    stages = tuple((*stage[:depth], *[stage[-1]] * (depth - len(stage))) for stage in _INCEPTIONS)
    return googlenet(False, template, scale, stages)


def _classifier(shape: Shape, classes: int, scale: Scale) -> nn.Module:
    """Section 5: average pooling to 4×4 or less, 1×1 convolution, two linear layers with dropout."""
    side = min(4, shape.height, shape.width)
    width, hidden = scale.widths((128, 1024))
    return nn.Sequential(
        nn.AdaptiveAvgPool2d(side),
        _conv(shape.channels, width, 1),
        nn.Flatten(),
        nn.Linear(width * side**2, hidden),
        nn.ReLU(inplace=True),
        nn.Dropout(0.7),
        nn.Linear(hidden, classes),
    )


def _conv(w_in: int, width: int, kernel: int, stride: int = 1) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(w_in, width, kernel, stride, padding=kernel // 2),
        nn.ReLU(inplace=True),
    )


GOOGLENETS = {"googlenet": partial(googlenet, False), "googlenet_aux": partial(googlenet, True)}
GOOGLENETS_OF_DEPTH = {"googlenet": _of_depth}
