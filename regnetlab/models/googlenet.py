"""GoogLeNet: Szegedy et al. 2015, *Going Deeper with Convolutions*.

Table 1: nine Inception blocks. Without local response normalisation and without the auxiliary
classifiers of section 5, which only training would use.
"""

import torch
from torch import nn

from regnetlab.models.shapes import Shape
from regnetlab.spaces.template import Template

# Per block: 1×1; 1×1 before 3×3, 3×3; 1×1 before 5×5, 5×5; 1×1 behind the pooling.
_INCEPTIONS = (
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


def googlenet(template: Template) -> nn.Module:
    """A stem that divides the resolution by 8, nine Inception blocks in three stages, average pooling."""
    shape = Shape.of_input("googlenet", template)
    layers: list[nn.Module] = [
        _conv(shape.channels, 64, 7, stride=2),
        nn.MaxPool2d(3, 2, padding=1),
        _conv(64, 64, 1),
        _conv(64, 192, 3),
    ]
    shape = shape.conv(64, 7, 2, 3).pool(3, 2, 1).conv(192, 3, padding=1)
    for stage in _INCEPTIONS:
        layers.append(nn.MaxPool2d(3, 2, padding=1))
        shape = shape.pool(3, 2, 1)
        for one, three_in, three, five_in, five, pooled in stage:
            layers.append(Inception(shape.channels, one, three_in, three, five_in, five, pooled))
            shape = shape.conv(one + three + five + pooled, 1)
    return nn.Sequential(
        *layers,
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(shape.channels, template.classes),
    )


def _conv(w_in: int, width: int, kernel: int, stride: int = 1) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(w_in, width, kernel, stride, padding=kernel // 2),
        nn.ReLU(inplace=True),
    )
