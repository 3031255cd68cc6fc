"""PyTorch alone: one Python file with the network written out by its sizes, which needs only torch.

The blocks in it are the sources of our own (``models.blocks``, ``models.anynet``), so names, weights and
their initialisation are the same: a ``state_dict`` goes both ways. Only numbers are put in between, and for a
trained network the names of its classes, as literals.
"""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from regnetlab.errors import InputError
from regnetlab.models.export.network import Export, Network
from regnetlab.spaces.blocks import block_named

_HEAD = '''\
"""{network}
{counts}

{usage}

Blocks and initialisation: Radosavovic et al. 2020, Designing Network Design Spaces (arXiv 2003.13678).
"""

{imports}

import torch
from torch import nn

Stage = tuple[int, int, int, int, int, Mapping[str, int]]

CHANNELS, HEIGHT, WIDTH = {channels}, {height}, {width}
CLASSES = {classes}
STEM, STEM_WIDTH, STEM_STRIDE = {stem!r}, {stem_width}, {stem_stride}
ACTIVATION = {activation!r}
SE_RATIO = {se_ratio!r}  # channels of the squeeze over the block's input width; 0: no squeeze-and-excitation
STAGES: tuple[Stage, ...] = (
    # depth, width, inner width, group width, stride of the first block, the block's own parameters
{stages}
)


class Network(nn.Sequential):
    """Images (n, CHANNELS, height, width) to logits (n, CLASSES)."""

    def __init__(self) -> None:
        stem = Stem(CHANNELS, STEM_WIDTH, STEM_STRIDE, STEM, ACTIVATION)
        super().__init__(assemble(stem, STEM_WIDTH, {block}, STAGES, SE_RATIO, ACTIVATION, CLASSES))
        self.apply(initialise)
'''

_USAGE = """\
Needs torch only. Network() is freshly initialised from torch's random state. Its state_dict has the same
keys as regnetlab's own module of this network, so that weights go both ways:

    network = Network()
    network.load_state_dict(torch.load("weights.pt", weights_only=True))"""

_IMPORTS = """\
import math
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping"""

_TRAINED_USAGE = """\
Needs torch only. Images are uint8 (n, CHANNELS, HEIGHT, WIDTH), 0 to 255; they are normalised in here:

    network = load("model.safetensors")
    logits = network(images)
    probabilities = network.probabilities(images)
    names = [CLASS_NAMES[i] for i in logits.argmax(1)]

The state_dict of Network() has the keys of model.safetensors."""

_TRAINED_IMPORTS = """\
import json
import math
import sys
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path"""

_LOAD = '''\
CLASS_NAMES = (
{names}
)
MEAN, STD = {mean}, {std}  # of pixels of 0 to 1, by channel
TEMPERATURE = {temperature!r}  # that logits are divided by for probabilities


def load(path: str | Path) -> Trained:
    """The trained network, ready to evaluate; ``path`` is that of model.safetensors."""
    network = Network()
    network.load_state_dict(read_safetensors(path))
    return Trained(network, MEAN, STD, TEMPERATURE).eval()
'''

_TRAINED_TAIL = """\
if __name__ == "__main__":
    weights = sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent / "model.safetensors"
    trained = load(weights)
    with torch.no_grad():
        shares = trained.probabilities(torch.full((1, CHANNELS, HEIGHT, WIDTH), 128, dtype=torch.uint8))[0]
    print(f"{sum(each.numel() for each in trained.parameters()):,} params, {CLASSES} classes")
    print(f"images: uint8 (n, {CHANNELS}, {HEIGHT}, {WIDTH})")
    best = int(shares.argmax())
    print(f"a grey image would be {CLASS_NAMES[best]!r} with a probability of {float(shares[best]):.2f}")
"""

_TAIL = """\
if __name__ == "__main__":
    network = Network().eval()
    logits = network(torch.zeros(1, CHANNELS, HEIGHT, WIDTH))
    print(f"{sum(each.numel() for each in network.parameters()):,} params, logits {tuple(logits.shape)}")
"""


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """How a trained network sees images, and what its answers mean: ``mean`` and ``std`` of pixels of 0 to 1
    by channel, the classes in their order, and the temperature of its probabilities.
    """

    mean: Sequence[float]
    std: Sequence[float]
    classes: Sequence[str]
    temperature: float


def pytorch(network: Network, trained: Preprocessing | None = None) -> Export:
    """The file's text; for a trained network with its preprocessing and ``load``."""
    from regnetlab.models import anynet, blocks
    from regnetlab.models.export import standalone

    template, config = network.template, network.config
    text, counts = network.description
    block = anynet.block_class(block_named(config.block))
    if block.__module__ != blocks.__name__:
        raise InputError(
            f"block {config.block} is not regnetlab's own, and --to pytorch copies its own sources only",
            "take --to onnx, or build it with the package that has the block",
        )
    head = _HEAD.format(
        network=text,
        counts=counts,
        usage=_TRAINED_USAGE if trained else _USAGE,
        imports=_TRAINED_IMPORTS if trained else _IMPORTS,
        channels=template.channels,
        height=template.height,
        width=template.width,
        classes=template.classes,
        stem_width=template.stem_width,
        stem_stride=template.stem_stride,
        stem=template.stem,
        activation=anynet.activation_of(config, template),
        block=block.__name__,
        se_ratio=float(config.se_ratio),
        stages="\n".join(f"    {stage}," for stage in anynet.stages_of(config, template)),
    )
    parts: tuple[type | Callable[..., Any], ...] = (
        anynet.assemble,
        blocks.activation_named,
        blocks.PatchConv,
        blocks.Stem,
        blocks.shortcut,
        blocks.SqueezeExcitation,
        *((blocks.ChannelNorm,) if block is blocks.ConvNeXtBlock else ()),
        block,
        blocks.Head,
        blocks.initialise,
    )
    if trained is None:
        return Export(_joined(head, parts, _TAIL))
    load = _LOAD.format(
        names="\n".join(f"    {each!a}," for each in trained.classes),
        mean=tuple(map(float, trained.mean)),
        std=tuple(map(float, trained.std)),
        temperature=float(trained.temperature),
    )
    return Export(
        _joined(head, (*parts, standalone.Trained, standalone.read_safetensors), load, _TRAINED_TAIL)
    )


def _joined(head: str, parts: Sequence[type | Callable[..., Any]], *rest: str) -> str:
    return "\n\n".join([head, *(inspect.getsource(part) for part in parts), *rest])
