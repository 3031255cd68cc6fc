"""Networks to evaluate only: batch norms become part of the convolutions before them."""

from collections.abc import Mapping
from copy import deepcopy
from itertools import pairwise

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from regnetlab.models.blocks import (
    BasicBlock,
    BottleneckBlock,
    MBConv,
    Stem,
    VanillaBlock,
    VanillaResidualBlock,
)

_PAIRS: Mapping[type[nn.Module], tuple[tuple[str, str], ...]] = {
    Stem: (("conv", "norm"),),
    BottleneckBlock: tuple((f"conv{i}", f"norm{i}") for i in (1, 2, 3)),
    BasicBlock: tuple((f"conv{i}", f"norm{i}") for i in (1, 2)),
    VanillaBlock: (("conv1", "norm1"),),
    VanillaResidualBlock: (("conv1", "norm1"),),
    MBConv: (("conv", "norm"),),
}
"""Where in our own modules a norm follows a convolution; in a plain ``nn.Sequential`` the order says it."""


def folded(network: nn.Module) -> nn.Module:
    """A copy of the network on the CPU for evaluation, with equal outputs up to rounding, and faster.

    Norms elsewhere than behind a convolution stay as they are.
    """
    copy = deepcopy(network).to("cpu").eval()
    for module in copy.modules():
        for conv, norm in _pairs(module):
            before, after = getattr(module, conv), getattr(module, norm)
            if isinstance(before, nn.Conv2d) and isinstance(after, nn.BatchNorm2d) and _has_statistics(after):
                setattr(module, conv, fuse_conv_bn_eval(before, after))
                setattr(module, norm, nn.Identity())
    return copy.requires_grad_(False).to(memory_format=torch.channels_last)


def _pairs(module: nn.Module) -> tuple[tuple[str, str], ...]:
    """Names of a convolution and what follows it directly, in this module."""
    if type(module) is nn.Sequential:
        names = [name for name, _ in module.named_children()]
        return tuple(pairwise(names))
    return _PAIRS.get(type(module), ())


def _has_statistics(norm: nn.BatchNorm2d) -> bool:
    return norm.running_mean is not None and norm.running_var is not None
