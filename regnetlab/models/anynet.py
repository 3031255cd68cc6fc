"""AnyNet: a configuration on a template becomes a module."""

from collections import OrderedDict

from torch import nn

from regnetlab.models.blocks import BottleneckBlock, Head, Stem, initialise
from regnetlab.spaces.config import Config
from regnetlab.spaces.template import Template


class AnyNet(nn.Sequential):
    """Stem, stages of bottleneck blocks, head (Radosavovic et al. 2020, section 3.1).

    Maps (n, channels, height, width) to logits (n, classes); freshly initialised from torch's
    global random state.
    """

    def __init__(self, config: Config, template: Template) -> None:
        parts: list[tuple[str, nn.Module]] = [
            ("stem", Stem(template.channels, template.stem_width, template.stem_stride))
        ]
        w_in = template.stem_width
        columns = zip(
            config.depths,
            config.widths,
            config.group_widths,
            config.inner_widths,
            template.stage_strides(config.stages),
            strict=True,
        )
        for i, (depth, width, group_width, inner, stride) in enumerate(columns, start=1):
            blocks: OrderedDict[str, nn.Module] = OrderedDict()
            for j in range(depth):
                block_in = width if j else w_in
                blocks[f"block{j + 1}"] = BottleneckBlock(
                    w_in=block_in,
                    width=width,
                    inner=inner,
                    group_width=group_width,
                    stride=1 if j else stride,
                    squeezed=round(block_in * config.se_ratio),
                )
            parts.append((f"stage{i}", nn.Sequential(blocks)))
            w_in = width
        parts.append(("head", Head(w_in, template.classes)))
        super().__init__(OrderedDict(parts))
        self.config, self.template = config, template
        self.apply(initialise)
