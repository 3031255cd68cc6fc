"""What is exported: an AnyNet on a template by its sizes, and what a writer makes of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import regnetlab
from regnetlab.errors import InputError
from regnetlab.spaces.complexity import config_complexity
from regnetlab.spaces.config import Config
from regnetlab.spaces.law import RegNetLaw
from regnetlab.spaces.template import Template

if TYPE_CHECKING:
    from regnetlab.models.model import Model  # torch


@dataclass(frozen=True, slots=True)
class Network:
    """An AnyNet on a template; ``law`` is there where it is known to give exactly this config."""

    config: Config
    template: Template
    law: RegNetLaw | None = None

    @property
    def strides(self) -> tuple[int, ...]:
        """The stride of each stage's first block."""
        return self.template.stage_strides(self.config.stages)

    @property
    def multipliers(self) -> list[float]:
        """Each stage's inner width over its width, 1 / b: the others' notation."""
        return [multiplier(ratio) for ratio in self.config.bottleneck_ratios]

    @property
    def squeezes(self) -> tuple[int, ...]:
        """The channels of each block's squeeze, in order; 0 where there is none."""
        inputs = [self.template.stem_width]
        for depth, width in zip(self.config.depths, self.config.widths, strict=True):
            inputs += [width] * depth
        return tuple(round(w_in * self.config.se_ratio) for w_in in inputs[:-1])

    @property
    def description(self) -> tuple[str, str]:
        """Two lines that hold nothing but numbers and our own words: the config, and what it costs."""
        counts = config_complexity(self.config, self.template)
        return (
            self.config.text,
            f"{self.template.input}, {self.template.classes:,} classes: {counts['flops']:,} flops,"
            f" {counts['params']:,} params (regnetlab {regnetlab.__version__})",
        )

    @property
    def comment(self) -> str:
        """The description as a comment of Python or YAML."""
        return "".join(f"# {line}\n" for line in self.description)


@dataclass(frozen=True, slots=True)
class Export:
    """The text of a file, and the same as plain data for a script (``None`` where the text is code)."""

    text: str
    kwargs: Mapping[str, Any] | None = None


def network_of(model: "Model", template: Template, format: str) -> Network:
    """The network that this model is on this template; raises ``InputError`` where it is no AnyNet."""
    import torch

    from regnetlab.models.anynet import AnyNet

    with torch.device("meta"):
        module = model.build(template)
    if not isinstance(module, AnyNet):
        raise InputError(
            f"{model.text} is no AnyNet, and {format} is written for these only",
            "AnyNets are anynet:… and regnet:… configs, and regnetx_… and regnety_… by name;"
            " --to onnx takes any network",
        )
    plain = module.config.block == "x" and template.stem == "3x3" and not template.activation
    if not plain and format not in ("pytorch", "onnx"):
        raise InputError(
            f"{format} has no network of this block, stem or activation", "take --to pytorch or --to onnx"
        )
    law = model.law if model.law is not None and model.law.config == module.config else None
    return Network(module.config, template, law)


def multiplier(ratio: float) -> float:
    """1 / b; whole where b is one over a whole number."""
    return 1 / ratio if ratio >= 1 else float(round(1 / ratio))


def se_ratio_of(network: Network, library: str) -> float:
    """The squeeze-and-excitation ratio, 0 for none, for a library that can't leave it out of single blocks.

    Raises ``InputError`` where a ratio is so small that some blocks have no squeeze and others do.
    """
    squeezes = network.squeezes
    if not any(squeezes):
        return 0.0
    if not all(squeezes):
        raise InputError(
            f"squeeze-and-excitation of ratio {network.config.se_ratio:g} rounds to no channel in"
            f" {squeezes.count(0)} of {len(squeezes)} blocks, where {library} would still put one",
            "take --to pytorch or --to pycls",
        )
    return network.config.se_ratio
