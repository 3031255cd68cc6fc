"""AnyNet: a configuration on a template becomes a module."""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from importlib import import_module

import torch
from torch import nn

from regnetlab.errors import InputError
from regnetlab.models.blocks import Head, Stem, initialise
from regnetlab.models.scale import Scale
from regnetlab.spaces.blocks import BLOCKS, Block, block_named
from regnetlab.spaces.config import Config
from regnetlab.spaces.template import Template

Stage = tuple[int, int, int, int, int, Mapping[str, int]]
"""Depth, width, inner width, group width, the stride of the first block, and the block's own parameters."""


def assemble(
    stem: nn.Module,
    stem_width: int,
    block: Callable[..., nn.Module],
    stages: Iterable[Stage],
    se_ratio: float,
    activation: str,
    classes: int,
) -> OrderedDict[str, nn.Module]:
    """The stem, the stages and the head, by name.

    A stage is its depth, width, inner width, group width, the stride of its first block, and the block's own
    parameters by name.
    """
    parts: OrderedDict[str, nn.Module] = OrderedDict(stem=stem)
    w_in = stem_width
    for i, (depth, width, inner, group_width, stride, own) in enumerate(stages, start=1):
        blocks: OrderedDict[str, nn.Module] = OrderedDict()
        for j in range(depth):
            blocks[f"block{j + 1}"] = block(
                w_in,
                width,
                inner,
                group_width,
                1 if j else stride,
                round(w_in * se_ratio),
                activation,
                **own,
            )
            w_in = width
        parts[f"stage{i}"] = nn.Sequential(blocks)
    parts["head"] = Head(w_in, classes)
    return parts


def stages_of(config: Config, template: Template) -> tuple[Stage, ...]:
    """The sizes of each stage, as ``assemble`` takes them."""
    inner = config.inner_widths
    columns = (
        config.depths,
        config.widths,
        inner,
        config.group_widths if "g" in block_named(config.block).uses else inner,
        template.stage_strides(config.stages),
    )
    own = [{name: values[i] for name, values in config.own} for i in range(config.stages)]
    return tuple((*stage, more) for stage, more in zip(zip(*columns, strict=True), own, strict=True))


def block_class(block: Block) -> type[nn.Module]:
    """The module that the block is built as."""
    if not isinstance(block.module, str):
        return block.module
    package, _, name = block.module.partition(":")
    found: type[nn.Module] = getattr(import_module(package), name)
    return found


def activation_of(config: Config, template: Template) -> str:
    """The activation between the layers: the template's, or what the block usually has."""
    return template.activation or block_named(config.block).activation


def scaled(config: Config, scale: Scale) -> Config:
    """The config itself, or its small form: widths times the multiplier, made compatible again."""
    if not scale.small:
        return config
    return Config.compatible(
        config.depths,
        scale.widths(config.widths),
        config.group_widths,
        config.bottleneck_ratios,
        config.se_ratio,
        config.block,
        dict(config.own),
    )


class AnyNet(nn.Sequential):
    """Stem, stages of equal blocks, head (Radosavovic et al. 2020, section 3.2, figure 3).

    Maps (n, channels, height, width) to logits (n, classes); freshly initialised from torch's global random
    state. Convolutions, norms and linear layers start as published; a block that has a method
    ``reset_parameters`` starts as that says. ``config`` and ``template`` are what the network was made from.

    Raises ``InputError`` where a block that is not the package's own can't take a map of the template's.
    """

    def __init__(self, config: Config, template: Template) -> None:
        block = block_class(block_named(config.block))
        activation = activation_of(config, template)
        stem = Stem(template.channels, template.stem_width, template.stem_stride, template.stem, activation)
        super().__init__(
            assemble(
                stem,
                template.stem_width,
                block,
                stages_of(config, template),
                config.se_ratio,
                activation,
                template.classes,
            )
        )
        self.config, self.template = config, template
        self.apply(initialise)
        for module in self.modules():
            if type(module) is block and (reset := getattr(module, "reset_parameters", None)) is not None:
                reset()
        if config.block not in BLOCKS:
            _check_maps(config, template)


def _check_maps(config: Config, template: Template) -> None:
    """Raise ``InputError`` where the block does not take a map of the template's."""
    with torch.device("meta"):
        block = block_class(block_named(config.block))
        activation = activation_of(config, template)
        rows, columns = template.behind_stem
        w_in = template.stem_width
        for _, width, inner, group_width, stride, own in stages_of(config, template):
            x = torch.empty(2, w_in, rows, columns)
            rows, columns = -(-rows // stride), -(-columns // stride)
            squeezed = round(w_in * config.se_ratio)
            where = f"block {config.block} can't take a map of {w_in}×{x.shape[2]}×{x.shape[3]}"
            try:
                made = block(w_in, width, inner, group_width, stride, squeezed, activation, **own)
                found = tuple(made(x).shape[1:])
            except Exception as error:
                raise InputError(
                    f"{where}: {type(error).__name__}: {error}", "take a larger input, or smaller strides"
                ) from None
            if found != (width, rows, columns):
                raise InputError(f"{where}: it gives {found}, not {(width, rows, columns)}")
            w_in = width
