"""What trained weights are like, layer by layer: means and deviations, gamma, beta, running statistics."""

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from typing import Any

import torch
from torch import nn

from regnetlab.errors import InputError, unknown
from regnetlab.models.lenet import BatchNorm
from regnetlab.models.model import Model
from regnetlab.models.parts import part_of, shortened
from regnetlab.spaces.template import Template

_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, BatchNorm)
_IN_NORMS = {"weight": "gamma", "bias": "beta", "running_mean": "running mean", "running_var": "running var"}


@dataclass(frozen=True, slots=True)
class Statistics:
    """One tensor of a layer. ``name`` is its key in the state dict, ``part`` its layer's path in the papers'
    words, ``role`` weight, bias, gamma, beta, running mean or running var; ``std`` divides by their number.
    ``values`` holds those of a vector.
    """

    name: str
    part: str
    role: str
    shape: tuple[int, ...]
    mean: float
    std: float
    min: float
    max: float
    values: tuple[float, ...] | None


def weight_statistics(
    model: Model, template: Template, tensors: Mapping[str, torch.Tensor]
) -> tuple[Statistics, ...]:
    """The statistics of every tensor with fractions in it, in the network's order.

    Raises ``InputError`` where these are not the weights of this network on this template.
    """
    with torch.device("meta"):
        module = model.build(template)
    state = module.state_dict()
    _check(model.text, state, tensors)
    parts, layers = part_of(module), dict(module.named_modules())
    found: list[Statistics] = []
    for name, expected in state.items():
        if not expected.is_floating_point():
            continue  # batches that a norm has seen
        layer, _, key = name.rpartition(".")
        role = _IN_NORMS[key] if isinstance(layers[layer], _NORMS) else key
        values = tensors[name].double()
        found.append(
            Statistics(
                name,
                parts[layer],
                role,
                tuple(values.shape),
                float(values.mean()),
                float(values.std(correction=0)),
                float(values.min()),
                float(values.max()),
                tuple(values.tolist()) if values.ndim == 1 else None,
            )
        )
    return tuple(found)


def of_layer(found: Sequence[Statistics], layer: str) -> tuple[Statistics, ...]:
    """Those of one layer or part, by its path (block1.conv1, block1) or its module's name (0).

    Stages and blocks may be as short as `summary` shows them (s1.b2).

    Raises ``InputError`` with the nearest name where there is none.
    """
    chosen = tuple(
        each
        for each in found
        if f"{shortened(each.part)}.".startswith(f"{shortened(layer)}.")
        or each.name.rpartition(".")[0] == layer
    )
    if not chosen:
        raise unknown("layer", layer, dict.fromkeys(each.part for each in found))
    return chosen


def saved_template(metadata: Mapping[str, Any]) -> Template | None:
    """The template that a file of weights says, or ``None`` where it says none that can be read."""
    saved = metadata.get("template")
    needed = {each.name for each in fields(Template) if each.default is MISSING}
    if not isinstance(saved, dict) or not needed <= set(saved):
        return None
    names = [each.name for each in fields(Template) if each.name in saved]
    try:
        return Template(**{name: saved[name] for name in names} | {"strides": tuple(saved["strides"])})
    except TypeError:
        return None


def _check(text: str, expected: Mapping[str, torch.Tensor], tensors: Mapping[str, torch.Tensor]) -> None:
    wrong = [
        f"{name} is {_written(tensors[name])} instead of {_written(expected[name])}"
        for name in expected
        if name in tensors and tensors[name].shape != expected[name].shape
    ]
    missing = [f"{name} is missing" for name in expected if name not in tensors]
    more = [f"{name} is not one of its" for name in tensors if name not in expected]
    if mistakes := [*wrong, *missing, *more]:
        others = f" (and {len(mistakes) - 1:,} more)" if len(mistakes) > 1 else ""
        raise InputError(
            f"these are not weights of {text}: {mistakes[0]}{others}",
            "name the network, --input and --classes that they were trained with",
        )


def _written(tensor: torch.Tensor) -> str:
    return "×".join(map(str, tensor.shape)) or "a number"
