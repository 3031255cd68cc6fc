"""A network is built on an input, or the input is too small: then the way out is named."""

from dataclasses import replace

import torch
from torch import nn

from regnetlab.models.model import Network
from regnetlab.models.scale import ORIGINAL, Scale
from regnetlab.models.shapes import TooSmallError
from regnetlab.spaces.template import Template

_LARGEST = 1_024


def fitted(text: str, network: Network, template: Template, scale: Scale = ORIGINAL) -> nn.Module:
    """The network ``text`` on this template.

    Raises ``TooSmallError`` with the smallest input that works and the forms that take this one.
    """
    try:
        return network(template, scale)
    except TooSmallError:
        least = _written(_smallest(network, template, scale))
    name = text.rpartition("@")[0] if scale.small else text
    ways = [f"`{name}@original` resizes"]
    if not scale.small and _fits(network, template, Scale(1.0)):
        ways.append(f"`{name}@small` is its small form")
    raise TooSmallError(
        f"input {_written(template)} is too small: `{text}` needs {least} at least", ", ".join(ways)
    )


def _written(template: Template) -> str:
    return template.input.replace("x", "×")


def _fits(network: Network, template: Template, scale: Scale) -> bool:
    with torch.device("meta"):
        try:
            network(template, scale)
        except TooSmallError:
            return False
    return True


def _smallest(network: Network, template: Template, scale: Scale) -> Template:
    """The template with the smallest square input on which the network can be built."""
    squares = (replace(template, height=side, width=side) for side in range(1, _LARGEST + 1))
    return next(square for square in squares if _fits(network, square, scale))
