"""What a network is made of: its layers with shapes, params, flops, acts and receptive field.

Counted on the real module with hooks, while it is run on a batch of no images: nothing is computed, and
weights that no one writes take no memory; so it works for every family and size. Independent of
``spaces.complexity``.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import torch
from torch import nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from regnetlab.models.model import Model
from regnetlab.models.parts import part_of
from regnetlab.spaces.blocks import BLOCKS
from regnetlab.spaces.template import Template


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer, or several as one part: its name in the module tree (of a part: its path), output
    shape without the batch, counts, and the side in pixels of the input square that one output element can
    depend on. ``part`` is the path in the papers' words, as in block1.conv2.
    """

    name: str
    type: str
    output: tuple[int, ...]
    params: int
    flops: int
    acts: int
    receptive_field: int
    part: str


@dataclass(frozen=True, slots=True)
class Summary:
    """All layers of a network, in the order in which they run, and what each part of it returns."""

    model: str
    template: Template
    layers: tuple[Layer, ...]
    outputs: Mapping[str, tuple[int, ...]]

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
        """The layers put together by the first ``depth`` words of their paths: 1 gives blocks or stages."""
        return tuple(
            _together(part, list(layers), self.outputs[part])
            for part, layers in groupby(
                self.layers, key=lambda layer: ".".join(layer.part.split(".")[:depth])
            )
        )


def summarise(model: Model, template: Template) -> Summary:
    """The layers of this model, as it is evaluated, on this template."""
    custom = model.config is not None and model.config.block not in BLOCKS
    # A block of one's own may change shapes by anything, and know no empty batch: it runs as it is, on meta.
    batch = 1 if custom else 0
    with torch.device("meta") if custom else _ShapesAlone():
        module = model.build(template).eval()
        images = torch.empty(batch, template.channels, template.height, template.width)
        return Summary(model.text, template, *count_layers(module, images, products=custom))


def multiply_adds(module: nn.Module, image: torch.Tensor) -> int:
    """Those of convolutions, linear layers and products of activations, as torch counts them on ``meta``."""
    from torch.utils.flop_counter import FlopCounterMode

    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)  # which is one operation that is not counted
    try:
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            module(image)
        return int(counter.get_total_flops()) // 2
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)


def acts_of(module: nn.Module, image: torch.Tensor) -> int:
    """The outputs of its convolutions and linear layers."""
    acts = 0

    def add(layer: nn.Module, _: object, output: torch.Tensor) -> None:
        nonlocal acts
        acts += output.numel()

    counted = [each for each in module.modules() if isinstance(each, nn.Conv2d | nn.Linear)]
    hooks = [each.register_forward_hook(add) for each in counted]
    with torch.no_grad():
        module(image)
    for hook in hooks:
        hook.remove()
    return acts


class _ShapesAlone(TorchFunctionMode):
    """Leaves out what changes values and no shape: initial weights, norms and activations."""

    _left_out = frozenset(
        (
            nn.init.kaiming_uniform_,
            nn.init.normal_,
            nn.init.uniform_,
            torch.Tensor.normal_,
            torch.Tensor.uniform_,
            torch.Tensor.fill_,
            torch.Tensor.zero_,
            functional.batch_norm,
            functional.relu,
            torch.relu,
            torch.relu_,
            torch.sigmoid,
        )
    )

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if func in self._left_out:
            return args[0] if args else kwargs["tensor"]
        return func(*args, **kwargs)


def count_layers(
    module: nn.Module, image: torch.Tensor, products: bool = False
) -> tuple[tuple[Layer, ...], Mapping[str, tuple[int, ...]]]:
    """The layers that run on this image, and what each part returns.

    With ``products`` those of activations, as in attention, are a last layer.
    """
    layers: list[Layer] = []
    outputs: dict[str, tuple[int, ...]] = {}
    parts = part_of(module)
    fields = _ReceptiveFields(image)

    met: set[str] = set()

    def record(name: str, layer: nn.Module, input: torch.Tensor, output: torch.Tensor) -> None:
        own = layer.parameters() if name not in met else ()
        met.add(name)
        params = sum(p.numel() for p in own if p.requires_grad)
        counted = isinstance(layer, nn.Conv2d | nn.Linear)
        acts = output.shape[1:].numel() if counted else 0
        field = fields.behind(layer, input, output)
        shape = tuple(output.shape[1:])
        flops = acts * _fan_in(layer)
        layers.append(Layer(name, _type(layer), shape, params, flops, acts, field, parts[name]))

    def beside(name: str, layer: nn.Module, output: torch.Tensor) -> None:
        """Parameters that a module has beside its layers', such as a scale."""
        own = sum(p.numel() for p in layer.parameters(recurse=False) if p.requires_grad)
        if own and name not in met:
            met.add(name)
            shape, field = tuple(output.shape[1:]), fields.widest
            layers.append(Layer(name, "parameters", shape, own, 0, 0, field, parts[name]))

    def returned(name: str, output: Any) -> None:
        output = _first_of(output)
        words = parts[name].split(".")
        for depth in range(1, len(words) + 1):  # what a part returns is what its last member returns
            outputs[".".join(words[:depth])] = tuple(output.shape[1:])

    for name, layer in module.named_modules():
        layer.register_forward_hook(lambda layer, inputs, output, name=name: returned(name, output))
        if not list(layer.children()):
            layer.register_forward_hook(
                lambda layer, inputs, output, name=name: record(name, layer, inputs[0], _first_of(output))
            )
        else:
            layer.register_forward_hook(
                lambda layer, inputs, output, name=name: beside(name, layer, _first_of(output))
            )
    if not products:
        with torch.no_grad():
            module(image)
    elif more := multiply_adds(module, image) - sum(layer.flops for layer in layers):
        layers.append(Layer("", "products of activations", (), 0, more, 0, fields.widest, "products"))
        outputs["products"] = ()
    if products:  # of layers that another one computes, as torch's attention does
        total = sum(p.numel() for p in module.parameters() if p.requires_grad)
        if rest := total - sum(layer.params for layer in layers):
            layers.append(Layer("", "parameters", (), rest, 0, 0, fields.widest, "others"))
            outputs["others"] = ()
    return tuple(layers), outputs


def _first_of(output: Any) -> torch.Tensor:
    """What a layer gives, of several tensors the first."""
    found: torch.Tensor = output if isinstance(output, torch.Tensor) else output[0]
    return found


def _together(part: str, layers: list[Layer], output: tuple[int, ...]) -> Layer:
    last = layers[-1]
    return Layer(
        part,
        last.type if len(layers) == 1 else f"{len(layers)} layers",
        output,
        sum(layer.params for layer in layers),
        sum(layer.flops for layer in layers),
        sum(layer.acts for layer in layers),
        max(layer.receptive_field for layer in layers),
        part,
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


class _ReceptiveFields:
    """How large a square of the input each tensor of one run of a network can depend on.

    Layer by layer as the network runs (Dumoulin & Visin 2016, *A guide to convolution arithmetic*; Araujo et
    al. 2019, *Computing Receptive Fields of Convolutional Neural Networks*, equation 2): a window of k
    elements that lie j pixels apart widens the field by (k − 1) · j, a stride multiplies j.

    What no layer returned (a sum, a concatenation) can see as far as anything that ran before it with
    the same spacing: true of networks whose branches are joined before anything else runs.
    """

    def __init__(self, image: torch.Tensor) -> None:
        self._known: dict[int, tuple[int, int]] = {id(image): (1, 1)}
        self._kept = [image]  # an id stays that of one tensor while it lives
        self._widest = (1, 1)

    @property
    def widest(self) -> int:
        """The field of what sees farthest."""
        return self._widest[0]

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
