"""The parts of an AnyNet: stem, residual bottleneck block, squeeze-and-excitation, head.

Source: Radosavovic et al. 2020, section 3.1 and figure 3. The same layers in the same order as
``spaces.complexity``, which counts them in closed form; a change of one is a change of both, and
``tests/models/test_counts.py`` compares them with fvcore.
"""

import math

import torch
from torch import nn


class Stem(nn.Module):
    """3×3 convolution with stride, batch norm, ReLU: (n, channels, H, W) → (n, width, ⌈H/s⌉, ⌈W/s⌉)."""

    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, width, 3, stride, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.relu(self.norm(self.conv(x)))


class SqueezeExcitation(nn.Module):
    """x · sigmoid(W₂ relu(W₁ mean(x))), per channel (Hu et al. 2018, section 3)."""

    def __init__(self, width: int, squeezed: int) -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.reduce = nn.Conv2d(width, squeezed, 1)
        self.relu = nn.ReLU(inplace=True)
        self.expand = nn.Conv2d(squeezed, width, 1)
        self.gate = nn.Sigmoid()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.gate(self.expand(self.relu(self.reduce(self.pool(x)))))


class BottleneckBlock(nn.Module):
    """relu(shortcut(x) + f(x)), f = 1×1, grouped 3×3 with the stride, [SE,] 1×1, each with batch norm.

    The shortcut is a 1×1 convolution only where width or resolution changes. ``inner`` is the
    width between the 1×1 convolutions, w / b; ``squeezed`` 0 leaves squeeze-and-excitation out.
    """

    def __init__(
        self, w_in: int, width: int, inner: int, group_width: int, stride: int, squeezed: int = 0
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(w_in, inner, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(inner)
        self.relu1 = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(inner, inner, 3, stride, padding=1, groups=inner // group_width, bias=False)
        self.norm2 = nn.BatchNorm2d(inner)
        self.relu2 = nn.ReLU(inplace=True)
        self.se = SqueezeExcitation(inner, squeezed) if squeezed else None
        self.conv3 = nn.Conv2d(inner, width, 1, bias=False)
        self.norm3 = nn.BatchNorm2d(width)
        self.shortcut = (
            nn.Sequential(
                nn.Conv2d(w_in, width, 1, stride, bias=False),
                nn.BatchNorm2d(width),
            )
            if w_in != width or stride != 1
            else None
        )
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.relu1(self.norm1(self.conv1(x)))
        y = self.relu2(self.norm2(self.conv2(y)))
        if self.se is not None:
            y = self.se(y)
        y = self.norm3(self.conv3(y))
        return self.relu(y + (x if self.shortcut is None else self.shortcut(x)))


class Head(nn.Module):
    """Global average pooling and a linear classifier: (n, width, H, W) → (n, classes)."""

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.fc = nn.Linear(width, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(self.flatten(self.pool(x)))


@torch.no_grad()
def initialise(module: nn.Module) -> None:
    """The published initialisation, on one module (use with ``Module.apply``).

    Convolutions: normal with variance 2 / (k² · output channels), whatever the groups (He et al.
    2015, equation 14 for the backward case, as pycls writes it); batch norm 1 and 0; the classifier
    normal with standard deviation 0.01 and bias 0.
    """
    if isinstance(module, nn.Conv2d):
        fan_out = module.kernel_size[0] * module.kernel_size[1] * module.out_channels
        nn.init.normal_(module.weight, std=math.sqrt(2 / fan_out))
        # Squeeze-and-excitation keeps torch's default for its biases, as the published code does.
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.ones_(module.weight)
        nn.init.zeros_(module.bias)
    elif isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, std=0.01)
        nn.init.zeros_(module.bias)
