import copy

import torch
from torch import nn

from regnetlab.models.flat import flatten
from regnetlab.models.registry import find_model
from regnetlab.spaces.template import SMALL


def network() -> nn.Module:
    torch.manual_seed(0)
    return find_model("anynet:d=1,2;w=16,24;g=4;b=2").build(SMALL).to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def test_flattening_changes_neither_values_nor_shapes_nor_strides() -> None:
    model = network()
    before = copy.deepcopy(model)
    flat = flatten(model)
    for old, new in zip(before.parameters(), model.parameters(), strict=True):
        assert torch.equal(old, new)
        assert old.stride() == new.stride()
    assert flat.values.numel() == flat.weights.numel() + flat.others.numel()
    assert flat.weights.numel() == sum(p.numel() for p in before.parameters() if p.ndim > 1)


def test_gradients_and_steps_of_the_vectors_are_those_of_the_parameters() -> None:
    model = network()
    single = copy.deepcopy(model)
    flat = flatten(model)
    image = torch.randn(4, 1, 28, 28)
    together = torch.optim.SGD([flat.weights, flat.others], lr=0.1, momentum=0.9, nesterov=True)
    alone = torch.optim.SGD(single.parameters(), lr=0.1, momentum=0.9, nesterov=True)
    for _ in range(3):
        flat.grads.zero_()
        alone.zero_grad()
        for each in (model, single):
            each(image).square().mean().backward()
        together.step()
        alone.step()
    for old, new in zip(single.parameters(), model.parameters(), strict=True):
        assert torch.equal(old, new)
