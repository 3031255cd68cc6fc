"""What a network is made of: its layers with shapes, params, flops, acts and receptive field.

Counted on the real module with hooks, on torch's ``meta`` device, where nothing is computed and no
memory is taken; so it works for every family and size. Independent of ``spaces.complexity``.
"""

from dataclasses import dataclass
from itertools import groupby

import torch
from torch import nn

from regnetlab.models.model import Model
from regnetlab.models.receptive_field import ReceptiveFields
from regnetlab.spaces.template import Template


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer, or several as one part: ``name`` in the module tree, output shape without the batch,
    counts, and the side in pixels of the input square that one output element can depend on.
    """

    name: str
    type: str
    output: tuple[int, ...]
    params: int
    flops: int
    acts: int
    receptive_field: int


@dataclass(frozen=True, slots=True)
class Summary:
    """All layers of a network, in the order in which they run."""

    model: str
    template: Template
    layers: tuple[Layer, ...]

    @property
    def params(self) -> int:
        return sum(layer.params for layer in self.layers)

    @property
    def flops(self) -> int:
        return sum(layer.flops for layer in self.layers)

    @property
    def acts(self) -> int:
        return sum(layer.acts for layer in self.layers)

    def parts(self, depth: int) -> tuple[Layer, ...]:
        """The layers put together by the first ``depth`` words of their names: 1 gives stages."""
        return tuple(
            _together(name, list(layers))
            for name, layers in groupby(
                self.layers, key=lambda layer: ".".join(layer.name.split(".")[:depth])
            )
        )


def summarise(model: Model, template: Template) -> Summary:
    """The layers of this model, as it is evaluated, on this template."""
    with torch.device("meta"):
        module = model.build(template).eval()
        image = torch.empty(1, template.channels, template.height, template.width)
    layers: list[Layer] = []
    fields = ReceptiveFields(image)

    def record(name: str, layer: nn.Module, input: torch.Tensor, output: torch.Tensor) -> None:
        params = sum(p.numel() for p in layer.parameters() if p.requires_grad)
        counted = isinstance(layer, nn.Conv2d | nn.Linear)
        acts = output.numel() if counted else 0
        field = fields.behind(layer, input, output)
        shape = tuple(output.shape[1:])
        layers.append(Layer(name, _type(layer), shape, params, acts * _fan_in(layer), acts, field))

    for name, layer in module.named_modules():
        if not list(layer.children()):
            layer.register_forward_hook(
                lambda layer, inputs, output, name=name: record(name, layer, inputs[0], output)
            )
    with torch.no_grad():
        module(image)
    return Summary(model.text, template, tuple(layers))


def _together(name: str, layers: list[Layer]) -> Layer:
    last = layers[-1]
    return Layer(
        name,
        last.type if len(layers) == 1 else f"{len(layers)} layers",
        last.output,
        sum(layer.params for layer in layers),
        sum(layer.flops for layer in layers),
        sum(layer.acts for layer in layers),
        max(layer.receptive_field for layer in layers),
    )


def _fan_in(layer: nn.Module) -> int:
    """Multiply-adds for one output element."""
    if isinstance(layer, nn.Conv2d):
        height, width = layer.kernel_size
        return height * width * layer.in_channels // layer.groups
    return layer.in_features if isinstance(layer, nn.Linear) else 0


def _type(layer: nn.Module) -> str:
    if isinstance(layer, nn.Conv2d):
        stride = f"/{layer.stride[0]}" if layer.stride[0] != 1 else ""
        groups = f" in {layer.groups} groups" if layer.groups != 1 else ""
        return f"Conv2d {layer.kernel_size[0]}×{layer.kernel_size[1]}{stride}{groups}"
    return type(layer).__name__
