"""Receptive fields: how large a square of the input one element of a feature map can depend on.

Layer by layer as the network runs (Dumoulin & Visin 2016, *A guide to convolution arithmetic*; Araujo et
al. 2019, *Computing Receptive Fields of Convolutional Neural Networks*, equation 2): a window of k
elements that lie j pixels apart widens the field by (k − 1) · j, a stride multiplies j.
"""

import torch
from torch import nn


class ReceptiveFields:
    """The field and spacing of every tensor seen so far in one run of a network.

    What no layer returned (a sum, a concatenation) can see as far as anything that ran before it with
    the same spacing: true of networks whose branches are joined before anything else runs.
    """

    def __init__(self, image: torch.Tensor) -> None:
        self._known: dict[int, tuple[int, int]] = {id(image): (1, 1)}
        self._kept = [image]  # an id stays that of one tensor while it lives
        self._widest = (1, 1)

    def behind(self, layer: nn.Module, input: torch.Tensor, output: torch.Tensor) -> int:
        """The field behind this layer, which has just run, in pixels of the image's height."""
        field, spacing = self._known.setdefault(id(input), self._widest)
        window, stride = _window(layer, input, output)
        field, spacing = field + (window - 1) * spacing, spacing * stride
        self._known[id(output)] = (field, spacing)
        self._kept += [input, output]
        self._widest = max(self._widest, (field, spacing))
        return field


def _window(layer: nn.Module, input: torch.Tensor, output: torch.Tensor) -> tuple[int, int]:
    """Kernel and stride of a layer over the height of its input."""
    if isinstance(layer, nn.Conv2d):
        return (layer.kernel_size[0] - 1) * layer.dilation[0] + 1, layer.stride[0]
    if isinstance(layer, nn.MaxPool2d | nn.AvgPool2d):
        return _first(layer.kernel_size), _first(layer.stride)
    if isinstance(layer, nn.AdaptiveAvgPool2d):
        return input.shape[2] // output.shape[2], 1  # what follows sees no more of the image
    if isinstance(layer, nn.Flatten) and input.ndim == 4:
        return input.shape[2], 1
    return 1, 1


def _first(value: int | tuple[int, ...]) -> int:
    return value if isinstance(value, int) else value[0]
