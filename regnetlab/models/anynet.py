"""AnyNet: a configuration on a template becomes a module."""

from collections import OrderedDict
from collections.abc import Iterable

from torch import nn

from regnetlab.models.blocks import BottleneckBlock, Head, Stem, initialise
from regnetlab.models.scale import Scale
from regnetlab.spaces.config import Config
from regnetlab.spaces.template import Template

Stage = tuple[int, int, int, int, int]
"""Depth, width, inner width, group width, and the stride of the first block."""


def assemble(
    channels: int,
    stem_width: int,
    stem_stride: int,
    stages: Iterable[Stage],
    se_ratio: float,
    classes: int,
) -> OrderedDict[str, nn.Module]:
    """The stem, the stages and the head, by name.

    A stage is its depth, width, inner width, group width, and the stride of its first block.
    """
    parts: OrderedDict[str, nn.Module] = OrderedDict(stem=Stem(channels, stem_width, stem_stride))
    w_in = stem_width
    for i, (depth, width, inner, group_width, stride) in enumerate(stages, start=1):
        blocks: OrderedDict[str, nn.Module] = OrderedDict()
        for j in range(depth):
            blocks[f"block{j + 1}"] = BottleneckBlock(
                w_in=w_in,
                width=width,
                inner=inner,
                group_width=group_width,
                stride=1 if j else stride,
                squeezed=round(w_in * se_ratio),
            )
            w_in = width
        parts[f"stage{i}"] = nn.Sequential(blocks)
    parts["head"] = Head(w_in, classes)
    return parts


def stages_of(config: Config, template: Template) -> tuple[Stage, ...]:
    """The sizes of each stage, as ``assemble`` takes them."""
    return tuple(
        zip(
            config.depths,
            config.widths,
            config.inner_widths,
            config.group_widths,
            template.stage_strides(config.stages),
            strict=True,
        )
    )


def scaled(config: Config, scale: Scale) -> Config:
    """The config itself, or its small form: widths times the multiplier, made compatible again."""
    if not scale.small:
        return config
    groups, ratios = config.group_widths, config.bottleneck_ratios
    return Config.compatible(config.depths, scale.widths(config.widths), groups, ratios, config.se_ratio)


class AnyNet(nn.Sequential):
    """Stem, stages of bottleneck blocks, head (Radosavovic et al. 2020, section 3.1).

    Maps (n, channels, height, width) to logits (n, classes); freshly initialised from torch's
    global random state. ``config`` and ``template`` are what it was made from.
    """

    def __init__(self, config: Config, template: Template) -> None:
        super().__init__(
            assemble(
                template.channels,
                template.stem_width,
                template.stem_stride,
                stages_of(config, template),
                config.se_ratio,
                template.classes,
            )
        )
        self.config, self.template = config, template
        self.apply(initialise)
