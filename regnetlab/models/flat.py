"""A module's parameters as one vector, its gradients as another.

The optimizer then takes two tensors instead of hundreds, whatever the network, and kernels that are not
torch's find everything in one place.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import nn


@dataclass(frozen=True, slots=True)
class FlatParameters:
    """``values`` and ``grads`` (n,) hold every parameter of the module, whose own tensors are views of them.

    First come the ``weights`` of convolutions and linear layers, then ``others`` (norms and biases), each
    in the module's order; both are parameters with their part of ``grads`` as gradient.
    """

    values: torch.Tensor
    grads: torch.Tensor
    weights: nn.Parameter
    others: nn.Parameter


def flatten(module: nn.Module) -> FlatParameters:
    """Move the module's parameters into one vector; each keeps its shape and strides."""
    parameters = list(module.parameters())
    weights = [each for each in parameters if each.ndim > 1]
    others = [each for each in parameters if each.ndim <= 1]
    values = together(each.detach() for each in (*weights, *others))
    grads = torch.zeros_like(values)
    for parameter, value, grad in zip(
        (*weights, *others),
        views(values, (*weights, *others)),
        views(grads, (*weights, *others)),
        strict=True,
    ):
        parameter.data = value
        parameter.grad = grad
    cut = sum(each.numel() for each in weights)
    halves = []
    for part in (slice(None, cut), slice(cut, None)):
        half = nn.Parameter(values[part])
        half.grad = grads[part]
        halves.append(half)
    return FlatParameters(values, grads, *halves)


def together(tensors: Iterable[torch.Tensor]) -> torch.Tensor:
    """The elements of dense tensors in the order of their memory, one after another."""
    return torch.cat([torch.as_strided(each, (each.numel(),), (1,)) for each in tensors])


def views(vector: torch.Tensor, like: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    """Parts of the vector with the shapes and strides of these tensors."""
    found, at = [], 0
    for each in like:
        found.append(torch.as_strided(vector, each.shape, each.stride(), at))
        at += each.numel()
    return found
