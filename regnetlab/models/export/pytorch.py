"""PyTorch alone: one Python file with the network written out by its sizes, which needs only torch.

The blocks in it are the sources of our own (``models.blocks``, ``models.anynet``), so names, weights and
their initialisation are the same: a ``state_dict`` goes both ways. Only numbers are put in between.
"""

import inspect
from collections.abc import Callable
from typing import Any

from regnetlab.models.export.network import Export, Network

_HEAD = '''\
"""{network}
{counts}

Needs torch only. Network() is freshly initialised from torch's random state. Its state_dict has the same
keys as regnetlab's own module of this network, so that weights go both ways:

    network = Network()
    network.load_state_dict(torch.load("weights.pt", weights_only=True))

Blocks and initialisation: Radosavovic et al. 2020, Designing Network Design Spaces (arXiv 2003.13678).
"""

import math
from collections import OrderedDict
from collections.abc import Iterable

import torch
from torch import nn

Stage = tuple[int, int, int, int, int]

CHANNELS, HEIGHT, WIDTH = {channels}, {height}, {width}
CLASSES = {classes}
STEM_WIDTH, STEM_STRIDE = {stem_width}, {stem_stride}
SE_RATIO = {se_ratio!r}  # channels of the squeeze over the block's input width; 0: no squeeze-and-excitation
STAGES: tuple[Stage, ...] = (
    # depth, width, inner width, group width, stride of the first block
{stages}
)


class Network(nn.Sequential):
    """Images (n, CHANNELS, height, width) to logits (n, CLASSES)."""

    def __init__(self) -> None:
        super().__init__(assemble(CHANNELS, STEM_WIDTH, STEM_STRIDE, STAGES, SE_RATIO, CLASSES))
        self.apply(initialise)
'''

_TAIL = """\
if __name__ == "__main__":
    network = Network().eval()
    logits = network(torch.zeros(1, CHANNELS, HEIGHT, WIDTH))
    print(f"{sum(each.numel() for each in network.parameters()):,} params, logits {tuple(logits.shape)}")
"""


def pytorch(network: Network) -> Export:
    """The file's text."""
    from regnetlab.models import anynet, blocks

    template, config = network.template, network.config
    text, counts = network.description
    head = _HEAD.format(
        network=text,
        counts=counts,
        channels=template.channels,
        height=template.height,
        width=template.width,
        classes=template.classes,
        stem_width=template.stem_width,
        stem_stride=template.stem_stride,
        se_ratio=float(config.se_ratio),
        stages="\n".join(f"    {stage}," for stage in anynet.stages_of(config, template)),
    )
    parts: tuple[type | Callable[..., Any], ...] = (
        anynet.assemble,
        blocks.Stem,
        blocks.BottleneckBlock,
        blocks.SqueezeExcitation,
        blocks.Head,
        blocks.initialise,
    )
    return Export("\n\n".join([head, *(inspect.getsource(part) for part in parts), _TAIL]))
