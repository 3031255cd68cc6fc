"""A network in the form that trains fastest on its device."""

from functools import partial

import torch
from torch import nn
from torch.nn.functional import conv2d

from regnetlab.models.flat import FlatParameters, flatten
from regnetlab.models.native.engine import native
from regnetlab.training.budget import Budget
from regnetlab.training.devices import TORCH, is_gpu

_MOST_PIXELS = 36 * 36  # see ``_overruns``


def prepared(model: nn.Module, budget: Budget, kernels: str) -> tuple[nn.Module, FlatParameters]:
    """The model in the form that trains fastest here, and its parameters.

    On a CPU that is this package's own kernels where they take the model (see ``models.native``), unless
    ``kernels`` is ``torch``; else torch's modules with weights in channels_last order.
    """
    if kernels != TORCH:
        flat = flatten(model)
        faster = native(model, flat, budget.images_per_step, budget.incomplete)
        if faster is not None:
            return faster, flat
    model = model.to(memory_format=torch.channels_last)
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d) and _overruns(layer):
            layer.forward = partial(_thinned_first, layer)  # type: ignore[method-assign]
    flat = flatten(model)
    return with_exact_heads(model) if is_gpu(flat.values.device) else model, flat


def _overruns(layer: nn.Conv2d) -> bool:
    """Whether oneDNN writes beyond the gradient of this layer's input where that is large.

    Seen with torch 2.14.1 on a CPU with AVX-512, which ends the process: backward through a dense 1×1
    convolution with a stride, in channels_last order, of fewer than 16 channels at 36×64 and more pixels
    (at 36×36 and fewer it is right).
    """
    return layer.kernel_size == (1, 1) and layer.stride != (1, 1) and layer.in_channels < 16


def _thinned_first(layer: nn.Conv2d, images: torch.Tensor) -> torch.Tensor:
    """The same numbers: a 1×1 convolution with a stride sees only the pixels that are left."""
    if images.is_cuda or images.shape[2] * images.shape[3] <= _MOST_PIXELS:
        return nn.Conv2d.forward(layer, images)
    rows, columns = layer.stride
    return conv2d(images[:, :, ::rows, ::columns], layer.weight, layer.bias)


def heads(model: nn.Module) -> list[nn.Linear | nn.Conv2d]:
    """The layers that give logits: the last one with weights, and linear ones with as many outputs."""
    layers = [each for each in model.modules() if isinstance(each, nn.Linear | nn.Conv2d)]
    return [
        each
        for each in layers
        if each is layers[-1] or (isinstance(each, nn.Linear) and len(each.weight) == len(layers[-1].weight))
    ]


def with_exact_heads(model: nn.Module) -> nn.Module:
    """The same with logits in float32 also where the rest is bfloat16, whose eight bits tie too often."""
    for layer in heads(model):
        layer.forward = partial(_in_float32, layer)  # type: ignore[method-assign]
    return model


def _in_float32(layer: nn.Linear | nn.Conv2d, values: torch.Tensor) -> torch.Tensor:
    with torch.autocast(values.device.type, enabled=False):
        return type(layer).forward(layer, values.float())  # type: ignore[arg-type]
