"""The formats: their names, what their files end in, and what writes them.

A new one is a file beside this and a line here.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from regnetlab.errors import unknown
from regnetlab.models.export.network import Export, Network
from regnetlab.models.export.pycls import pycls
from regnetlab.models.export.pytorch import pytorch
from regnetlab.models.export.timm import timm
from regnetlab.models.export.torchvision import torchvision


@dataclass(frozen=True, slots=True)
class Format:
    """``write`` is ``None`` for ONNX, which is no text and is made from any model (``onnx``)."""

    name: str
    endings: tuple[str, ...]
    write: Callable[[Network], Export] | None


FORMATS: Mapping[str, Format] = MappingProxyType(
    {
        each.name: each
        for each in (
            Format("torchvision", (".py",), torchvision),
            Format("timm", (".py",), timm),
            Format("pytorch", (".py",), pytorch),
            Format("pycls", (".yaml", ".yml"), pycls),
            Format("onnx", (".onnx",), None),
        )
    }
)


def format_named(name: str) -> Format:
    """The format of that name; raises ``InputError`` with the nearest name otherwise."""
    try:
        return FORMATS[name.lower()]
    except KeyError:
        raise unknown("format", name, FORMATS) from None
