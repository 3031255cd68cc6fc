"""Networks whose layers also say which part of the network they belong to, in the papers' words.

The names of modules are the keys of state dicts, which do not change: a VGG's are numbers. What belongs
together (a VGG's five blocks, GoogLeNet's b1 to b5, a ResNet's stem) is a label beside them.
"""

from collections import OrderedDict
from collections.abc import Mapping

from torch import nn


class Parts(nn.Sequential):
    """Layers in sequence. ``labels`` has a dotted path for children whose name does not say where they
    belong, as in block1.conv2; an empty one leaves the child's own name out of the path.
    """

    def __init__(self, layers: Mapping[str, nn.Module], labels: Mapping[str, str]) -> None:
        super().__init__(OrderedDict(layers))
        self.labels = dict(labels)


def numbered(layers: Mapping[str, nn.Module]) -> Parts:
    """The layers under their numbers, labelled with the names that they have here."""
    names = dict(zip(map(str, range(len(layers))), layers, strict=True))
    return Parts({number: layers[name] for number, name in names.items()}, names)


def under(part: str, *names: str) -> dict[str, str]:
    """Labels that put the children of these names into one part."""
    return {name: f"{part}.{name}" for name in names}


def part_of(module: nn.Module) -> dict[str, str]:
    """The path of every module inside this one, by the module's name."""
    paths = {"": ""}
    for name, parent in module.named_modules():
        labels = parent.labels if isinstance(parent, Parts) else {}
        for child, _ in parent.named_children():
            words = (paths[name], labels.get(child, child))
            paths[f"{name}.{child}" if name else child] = ".".join(filter(None, words))
    return paths


def shortened(part: str) -> str:
    """A part's path as short as `summary` shows it: s3.b12.conv2 for stage3.block12.conv2."""
    return part.replace("stage", "s").replace(".block", ".b")
