"""LeNet with batch normalisation, on torch's and on a batch norm written out.

LeCun et al. 1998, *Gradient-Based Learning Applied to Document Recognition*, figure 2: two 5×5
convolutions with average pooling, three fully connected layers, sigmoid. Batch normalisation after
every layer but the last: Ioffe & Szegedy 2015, *Batch Normalization: Accelerating Deep Network
Training by Reducing Internal Covariate Shift*.
"""

from collections.abc import Callable

import torch
from torch import nn

from regnetlab.models.parts import numbered
from regnetlab.models.scale import ORIGINAL, Scale
from regnetlab.models.shapes import Shape
from regnetlab.spaces.template import Template


class BatchNorm(nn.Module):
    """Batch normalisation written out, for (n, features) and (n, channels, height, width).

    In training it normalises with the batch's mean and biased variance (Ioffe & Szegedy 2015,
    algorithm 1) and moves the averages by ``momentum`` towards the mean and the unbiased variance;
    in evaluation it uses the averages. The same function as ``torch.nn.BatchNorm1d`` and ``2d``.
    """

    def __init__(self, features: int, momentum: float = 0.1, eps: float = 1e-5) -> None:
        super().__init__()
        self.momentum, self.eps = momentum, eps
        self.weight = nn.Parameter(torch.ones(features))
        self.bias = nn.Parameter(torch.zeros(features))
        self.running_mean: torch.Tensor
        self.running_var: torch.Tensor
        self.register_buffer("running_mean", torch.zeros(features))
        self.register_buffer("running_var", torch.ones(features))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if x.ndim not in (2, 4):
            raise ValueError(f"batch norm takes 2 or 4 dimensions, not {x.ndim}")
        others = (0,) if x.ndim == 2 else (0, 2, 3)
        shape = (1, -1) if x.ndim == 2 else (1, -1, 1, 1)
        if self.training:
            count = x.numel() // x.shape[1]
            mean = x.mean(others)
            variance = ((x - mean.view(shape)) ** 2).mean(others)
            with torch.no_grad():
                unbiased = variance * count / max(1, count - 1)
                self.running_mean.lerp_(mean, self.momentum)
                self.running_var.lerp_(unbiased, self.momentum)
        else:
            mean, variance = self.running_mean, self.running_var
        scaled = (x - mean.view(shape)) / torch.sqrt(variance.view(shape) + self.eps)
        return self.weight.view(shape) * scaled + self.bias.view(shape)


def bn_lenet(depth: int, template: Template, scale: Scale = ORIGINAL) -> nn.Module:
    """LeNet with torch's batch norm, and ``depth`` convolutions (the original: 1) before each pooling."""
    return _lenet(depth, template, scale, nn.BatchNorm2d, nn.BatchNorm1d)


def bn_lenet_scratch(template: Template, scale: Scale = ORIGINAL) -> nn.Module:
    """LeNet with the batch norm written out above."""
    return _lenet(1, template, scale, BatchNorm, BatchNorm)


Norm = Callable[[int], nn.Module]


def _lenet(depth: int, template: Template, scale: Scale, norm2d: Norm, norm1d: Norm) -> nn.Module:
    *maps, third, fourth = scale.widths((6, 16, 120, 84))
    shape = Shape.of_input("bn_lenet", template)
    layers: dict[str, nn.Module] = {}
    for i, width in enumerate(maps, start=1):
        for j in range(depth):
            padding, number = (2, str(j + 1)) if j else (0, "")  # an added one keeps the map
            layers |= {
                f"block{i}.conv{number}": nn.Conv2d(shape.channels, width, 5, padding=padding),
                f"block{i}.norm{number}": norm2d(width),
                f"block{i}.sigmoid{number}": nn.Sigmoid(),
            }
            shape = shape.conv(width, 5, padding=padding)
        layers[f"block{i}.pool"] = nn.AvgPool2d(2, 2)
        shape = shape.pool(2, 2)
    return numbered(
        layers
        | {
            "flatten": nn.Flatten(),
            "fc1": nn.Linear(shape.features, third),
            "norm1": norm1d(third),
            "sigmoid1": nn.Sigmoid(),
            "fc2": nn.Linear(third, fourth),
            "norm2": norm1d(fourth),
            "sigmoid2": nn.Sigmoid(),
            "fc3": nn.Linear(fourth, template.classes),
        }
    )
