"""An AnyNet that runs on ``kernels.c``: the same parameters, buffers and outputs, several times faster.

Measured on one core of an AMD EPYC (Zen 4), batches of 64, networks near 1 MF at 28 px: see
docs/benchmarks.md. The order of all sums is fixed, so results are reproducible bit for bit; they differ
from torch's as torch's differ from exact arithmetic (``tests/models/test_native.py``).
"""

import ctypes
import weakref
from typing import Any

import numpy as np
import torch
from torch import nn

from regnetlab.models.anynet import AnyNet, activation_of
from regnetlab.models.blocks import BottleneckBlock
from regnetlab.models.flat import FlatParameters, together
from regnetlab.models.native.build import LANES, libraries
from regnetlab.spaces.complexity import config_complexity

_MOST_BYTES = 2**32


def native(
    model: nn.Module, flat: FlatParameters, batch_size: int, incomplete: int = 0
) -> "NativeAnyNet | None":
    """This model on the kernels for batches of that size, or ``None`` where they can't take it.

    They take AnyNets of the paper's X block and stem on a CPU, and batches that are a multiple of 16, also
    the ``incomplete`` one that ends an epoch.
    """
    lanes = next((each for each in LANES if batch_size % each == incomplete % each == 0), None)
    if lanes is None or not isinstance(model, AnyNet) or not _known(model) or flat.values.is_cuda:
        return None
    # Convolutions' outputs, those behind norm and ReLU, and as much again at most for gradients.
    acts = config_complexity(model.config, model.template)["acts"]
    if 4 * 4 * acts * batch_size > _MOST_BYTES or lanes not in libraries():
        return None
    return NativeAnyNet(model, flat, batch_size, lanes)


def _known(net: AnyNet) -> bool:
    """Whether the kernels have all layers of this network."""
    config, template = net.config, net.template
    return config.is_x and template.stem == "3x3" and activation_of(config, template) == "relu"


class NativeAnyNet(nn.Module):
    """Maps images (n, channels, height, width) to logits (n, classes) as ``net`` does.

    In training n is ``batch_size`` or less and a multiple of ``lanes``, in evaluation any number. Going
    backwards writes the gradients of all parameters at once, over those that were there.
    """

    def __init__(self, net: AnyNet, flat: FlatParameters, batch_size: int, lanes: int) -> None:
        super().__init__()
        self.net, self._flat, self._lanes, self._batch_size = net, flat, lanes, batch_size
        self._kernels = libraries()[lanes]  # ``native`` asks first
        self._norms = [each for each in net.modules() if isinstance(each, nn.BatchNorm2d)]
        self._running, self._counts = _flat_statistics(self._norms)
        self._batch = torch.empty_like(self._running)
        self._anchor = torch.zeros((), requires_grad=True)  # lets autograd call ``_Logits.backward``
        spec = np.array(_spec(net, batch_size // lanes), np.int32)
        self._handle = self._kernels.net_new(spec.ctypes.data, flat.weights.numel(), self._norms[0].eps)
        if not self._handle:
            raise MemoryError
        self._freed = weakref.finalize(self, self._kernels.net_free, self._handle)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        if self.training:
            return _Logits.apply(images, self._anchor, self)
        packed = self._packed(images)
        logits = torch.empty(packed.shape[0] * self._lanes, self.net.template.classes)
        self._kernels.net_evaluate(
            self._handle,
            *_pointers(packed, self._flat.values, self._running),
            packed.shape[0],
            *_pointers(logits),
        )
        return logits[: len(images)]

    def gradients(
        self, images: torch.Tensor, labels: torch.Tensor, label_smoothing: float = 0.0
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Cross-entropy and number of wrong answers of a batch; writes the gradients of all parameters.

        The same as ``forward``, torch's loss and ``backward``, without autograd.
        """
        logits = self._train_forward(images)
        grad, loss = torch.empty_like(logits), torch.empty(())
        wrong = torch.empty((), dtype=torch.int64)
        there = labels.to(torch.int64).contiguous()
        self._kernels.cross_entropy(
            *_pointers(logits, there), *logits.shape, label_smoothing, *_pointers(grad, loss, wrong)
        )
        self._backward(grad)
        return loss, wrong

    def _train_forward(self, images: torch.Tensor) -> torch.Tensor:
        if len(images) > self._batch_size or len(images) % self._lanes:
            raise ValueError(
                f"a batch has {len(images)} images; this network takes {self._batch_size}, or less in"
                f" multiples of {self._lanes}"
            )
        packed = self._packed(images)
        logits = torch.empty(len(images), self.net.template.classes)
        pointers = _pointers(packed, self._flat.values)
        self._kernels.net_forward(self._handle, *pointers, packed.shape[0], *_pointers(self._batch, logits))
        self._update_running()
        return logits

    def _backward(self, grad: torch.Tensor) -> None:
        pointers = _pointers(grad.contiguous(), self._flat.values, self._flat.grads)
        self._kernels.net_backward(self._handle, *pointers, len(grad) // self._lanes)

    def _update_running(self) -> None:
        """Running statistics as ``nn.BatchNorm2d`` keeps them; all norms have the same momentum."""
        self._counts += 1
        momentum = self._norms[0].momentum
        self._running.lerp_(self._batch, 1 / int(self._counts[0]) if momentum is None else momentum)

    def _packed(self, images: torch.Tensor) -> torch.Tensor:
        """Images (n, c, h, w) as (⌈n / lanes⌉, h, w, c, lanes); what is missing is 0."""
        n, channels, height, width = images.shape
        missing = -n % self._lanes
        if missing:
            images = torch.cat([images, images.new_zeros(missing, channels, height, width)])
        blocks = images.reshape(-1, self._lanes, channels, height, width)
        return blocks.permute(0, 3, 4, 2, 1).contiguous()


class _Logits(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, images: torch.Tensor, anchor: torch.Tensor, net: NativeAnyNet) -> torch.Tensor:
        context.net = net
        return net._train_forward(images)

    @staticmethod
    def backward(context: Any, grad: torch.Tensor) -> tuple[None, None, None]:
        context.net._backward(grad)
        return None, None, None


def _flat_statistics(norms: list[nn.BatchNorm2d]) -> tuple[torch.Tensor, torch.Tensor]:
    """Means and variances (2, channels of all norms) and counts (norms,); the norms get views of them."""
    means, variances, counts = (
        [getattr(each, name) for each in norms]
        for name in ("running_mean", "running_var", "num_batches_tracked")
    )
    running, counted = torch.stack([together(means), together(variances)]), torch.stack(counts)
    at = 0
    for index, norm in enumerate(norms):
        part = slice(at, at + norm.num_features)
        norm.running_mean, norm.running_var = running[0, part], running[1, part]
        norm.num_batches_tracked = counted[index]
        at += norm.num_features
    return running, counted


def _spec(net: AnyNet, blocks_of_lanes: int) -> list[int]:
    """The network as ``net_new`` in kernels.c wants it described."""
    template = net.template
    blocks = [each for each in net.modules() if isinstance(each, BottleneckBlock)]
    spec = [template.channels, template.height, template.width, template.classes]
    spec += [template.stem_width, template.stem_stride, blocks_of_lanes, len(blocks)]
    for block in blocks:
        w_in, inner, width = block.conv1.in_channels, block.conv1.out_channels, block.conv3.out_channels
        group_width = inner // block.conv2.groups
        spec += [w_in, inner, width, group_width, block.conv2.stride[0], int(block.shortcut is not None)]
    return spec


def _pointers(*tensors: torch.Tensor) -> list[ctypes.c_void_p]:
    return [ctypes.c_void_p(each.data_ptr()) for each in tensors]
