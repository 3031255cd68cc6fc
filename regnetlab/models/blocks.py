"""The parts of an AnyNet: stem, blocks, squeeze-and-excitation, head.

Which block has which parameters, and what it costs in closed form, is in ``spaces.blocks``: the same layers
in the same order. A change of one is a change of both, and ``tests/models/test_counts.py`` compares them
with fvcore. All maps shrink to ⌈side / stride⌉.

All blocks are called alike: ``Block(w_in, width, inner, group_width, stride, squeezed, activation, **own)``
with the width between their layers ``inner``, w / b; ``squeezed`` 0 leaves squeeze-and-excitation out.
"""

import math

import torch
from torch import nn


def activation_named(name: str) -> nn.Module:
    """A new module of this activation: relu, silu or gelu."""
    if name == "gelu":
        return nn.GELU()
    return nn.SiLU(inplace=True) if name == "silu" else nn.ReLU(inplace=True)


class Stem(nn.Module):
    """Convolution with stride, batch norm, activation: (n, channels, H, W) → (n, width, ⌈H/s⌉, ⌈W/s⌉).

    ``kind`` is ``3x3``, ``patch`` (a window as large as its stride) or ``7x7-pool`` (7×7, and a 3×3 max
    pooling behind, which halves the map again).
    """

    def __init__(
        self, channels: int, width: int, stride: int, kind: str = "3x3", activation: str = "relu"
    ) -> None:
        super().__init__()
        if kind == "patch":
            self.conv: nn.Conv2d = PatchConv(channels, width, stride, stride, bias=False)
        else:
            kernel = 7 if kind == "7x7-pool" else 3
            self.conv = nn.Conv2d(channels, width, kernel, stride, padding=kernel // 2, bias=False)
        self.norm = nn.BatchNorm2d(width)
        self.relu = activation_named(activation)
        self.pool = nn.MaxPool2d(3, 2, padding=1) if kind == "7x7-pool" else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.relu(self.norm(self.conv(x)))
        return y if self.pool is None else self.pool(y)


class PatchConv(nn.Conv2d):
    """A convolution over patches side by side; a last row or column that is not full ends in zeros."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        rows, columns = (-side % stride for side, stride in zip(x.shape[2:], self.stride, strict=True))
        if rows or columns:
            x = nn.functional.pad(x, (0, columns, 0, rows))
        return super().forward(x)


class SqueezeExcitation(nn.Module):
    """x · sigmoid(W₂ relu(W₁ mean(x))), per channel (Hu et al. 2018, section 3)."""

    def __init__(self, width: int, squeezed: int, activation: str = "relu") -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.reduce = nn.Conv2d(width, squeezed, 1)
        self.relu = activation_named(activation)
        self.expand = nn.Conv2d(squeezed, width, 1)
        self.gate = nn.Sigmoid()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.gate(self.expand(self.relu(self.reduce(self.pool(x)))))


def shortcut(w_in: int, width: int, stride: int) -> nn.Module | None:
    """A 1×1 convolution with its norm where width or resolution change, else nothing."""
    if w_in == width and stride == 1:
        return None
    return nn.Sequential(nn.Conv2d(w_in, width, 1, stride, bias=False), nn.BatchNorm2d(width))


class BottleneckBlock(nn.Module):
    """relu(shortcut(x) + f(x)), f = 1×1, grouped 3×3 with the stride, [SE,] 1×1, each with batch norm.

    X (Radosavovic et al. 2020, section 3.2 and figure 4) and, with squeeze-and-excitation, Y (section 4); R
    without groups.
    """

    def __init__(
        self,
        w_in: int,
        width: int,
        inner: int,
        group_width: int,
        stride: int,
        squeezed: int = 0,
        activation: str = "relu",
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(w_in, inner, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(inner)
        self.relu1 = activation_named(activation)
        self.conv2 = nn.Conv2d(inner, inner, 3, stride, padding=1, groups=inner // group_width, bias=False)
        self.norm2 = nn.BatchNorm2d(inner)
        self.relu2 = activation_named(activation)
        self.se = SqueezeExcitation(inner, squeezed, activation) if squeezed else None
        self.conv3 = nn.Conv2d(inner, width, 1, bias=False)
        self.norm3 = nn.BatchNorm2d(width)
        self.shortcut = shortcut(w_in, width, stride)
        self.relu = activation_named(activation)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.relu1(self.norm1(self.conv1(x)))
        y = self.relu2(self.norm2(self.conv2(y)))
        if self.se is not None:
            y = self.se(y)
        y = self.norm3(self.conv3(y))
        return self.relu(y + (x if self.shortcut is None else self.shortcut(x)))


class VanillaBlock(nn.Module):
    """relu(f(x)), f = 3×3 with the stride and batch norm (V of Radosavovic et al. 2020, section 3.4)."""

    def __init__(
        self,
        w_in: int,
        width: int,
        inner: int,
        group_width: int,
        stride: int,
        squeezed: int = 0,
        activation: str = "relu",
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(w_in, width, 3, stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(width)
        self.relu = activation_named(activation)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.relu(self.norm1(self.conv1(x)))


class VanillaResidualBlock(nn.Module):
    """relu(shortcut(x) + f(x)), f = 3×3 with the stride and batch norm (VR, as V)."""

    def __init__(
        self,
        w_in: int,
        width: int,
        inner: int,
        group_width: int,
        stride: int,
        squeezed: int = 0,
        activation: str = "relu",
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(w_in, width, 3, stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(width)
        self.shortcut = shortcut(w_in, width, stride)
        self.relu = activation_named(activation)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.norm1(self.conv1(x))
        return self.relu(y + (x if self.shortcut is None else self.shortcut(x)))


class BasicBlock(nn.Module):
    """relu(shortcut(x) + f(x)), f = 3×3 with the stride, 3×3, each with batch norm.

    He et al. 2016, Deep Residual Learning, figure 5.
    """

    def __init__(
        self,
        w_in: int,
        width: int,
        inner: int,
        group_width: int,
        stride: int,
        squeezed: int = 0,
        activation: str = "relu",
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(w_in, width, 3, stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(width)
        self.relu1 = activation_named(activation)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(width)
        self.shortcut = shortcut(w_in, width, stride)
        self.relu = activation_named(activation)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.norm2(self.conv2(self.relu1(self.norm1(self.conv1(x)))))
        return self.relu(y + (x if self.shortcut is None else self.shortcut(x)))


class MBConv(nn.Module):
    """x + f(x), f = 1×1 that widens, depthwise k×k with the stride, SE, 1×1, each with batch norm.

    No activation behind the last one, and x only where width and resolution stay (Sandler et al. 2018,
    MobileNetV2, figure 3; with squeeze-and-excitation and SiLU as in Tan & Le 2019, EfficientNet). Where the
    width inside is that of the input, nothing widens.
    """

    def __init__(
        self,
        w_in: int,
        width: int,
        inner: int,
        group_width: int,
        stride: int,
        squeezed: int = 0,
        activation: str = "silu",
        k: int = 3,
    ) -> None:
        super().__init__()
        wider: list[nn.Module] = []
        if inner != w_in:
            wider = [
                nn.Conv2d(w_in, inner, 1, bias=False),
                nn.BatchNorm2d(inner),
                activation_named(activation),
            ]
        self.wider = nn.Sequential(*wider)
        self.conv = nn.Conv2d(inner, inner, k, stride, padding=k // 2, groups=inner, bias=False)
        self.norm = nn.BatchNorm2d(inner)
        self.act = activation_named(activation)
        self.se = SqueezeExcitation(inner, squeezed, activation) if squeezed else None
        self.narrower = nn.Sequential(nn.Conv2d(inner, width, 1, bias=False), nn.BatchNorm2d(width))
        self.residual = w_in == width and stride == 1

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.act(self.norm(self.conv(self.wider(x))))
        if self.se is not None:
            y = self.se(y)
        y = self.narrower(y)
        return x + y if self.residual else y


class ChannelNorm(nn.LayerNorm):
    """Layer norm over the channels of every pixel, (n, c, h, w)."""

    def __init__(self, width: int) -> None:
        super().__init__(width, eps=1e-6)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class ConvNeXtBlock(nn.Module):
    """x + f(x), f = depthwise k×k, layer norm, 1×1 that widens, GELU, 1×1 (Liu et al. 2022, figure 4).

    Where width or resolution change, layer norm and a convolution over patches of stride × stride pixels
    come first (there section 2.2). f is multiplied by a weight a channel that starts at 1e-6 (layer scale;
    Touvron et al. 2021, CaiT, equation 1), so that the block starts as the identity.
    """

    def __init__(
        self,
        w_in: int,
        width: int,
        inner: int,
        group_width: int,
        stride: int,
        squeezed: int = 0,
        activation: str = "gelu",
        k: int = 7,
    ) -> None:
        super().__init__()
        changes = w_in != width or stride != 1
        smaller = [ChannelNorm(w_in), PatchConv(w_in, width, stride, stride)] if changes else []
        self.smaller = nn.Sequential(*smaller)
        self.conv1 = nn.Conv2d(width, width, k, padding=k // 2, groups=width)
        self.norm = ChannelNorm(width)
        self.conv2 = nn.Conv2d(width, inner, 1)
        self.act = activation_named(activation)
        self.conv3 = nn.Conv2d(inner, width, 1)
        self.scale = nn.Parameter(torch.full((width, 1, 1), 1e-6))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.smaller(x)
        return x + self.scale * self.conv3(self.act(self.conv2(self.norm(self.conv1(x)))))


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
        if module.bias is not None:
            nn.init.zeros_(module.bias)
