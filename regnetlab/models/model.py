"""A model: what the MODEL of the command line means, before it is built."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from regnetlab.models.scale import Scale
from regnetlab.spaces.config import Config
from regnetlab.spaces.law import RegNetLaw
from regnetlab.spaces.template import PAPER, Template

Network = Callable[[Template, Scale], nn.Module]
"""A family's own function: the original, or a small form of it, on a template."""

NetworkOfDepth = Callable[[int, Template, Scale], nn.Module]
"""The same for a family whose depth is free: a number comes first (``families``)."""


@dataclass(frozen=True, slots=True)
class Model:
    """A network that can be built on any template whose input is large enough.

    ``text`` is what finds it again, ``paper`` its first author and ``year`` the year that it appeared;
    ``template`` holds the input and classes that it was made for. ``build`` raises ``InputError`` with
    the smallest input that works and the forms that take a smaller one. ``network`` is what forms are made
    from; ``config`` is there where it is an AnyNet, ``law`` where the quantized-linear law gave that; both
    are of the original, whatever the form.
    ``flops`` is there where the text asks for a form of so many (``forms``).
    """

    text: str
    family: str
    paper: str
    year: int
    build: Callable[[Template], nn.Module]
    network: Network
    template: Template = PAPER
    config: Config | None = None
    law: RegNetLaw | None = None
    flops: int | None = None
