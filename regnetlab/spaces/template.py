"""Templates: everything about a network that a design space does not vary."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from types import MappingProxyType
from typing import Any

from regnetlab.errors import InputError, unknown

STEMS = ("3x3", "patch", "7x7-pool")
ACTIVATIONS = ("", "relu", "silu", "gelu")
_LATER: Mapping[str, str] = MappingProxyType({"stem": "3x3", "activation": ""})


@dataclass(frozen=True, slots=True)
class Template:
    """Input, stem, strides and classes around the stages.

    ``strides`` holds the stride of each stage's first block; its length is the number of stages that a space
    draws. ``stem`` is ``3x3`` (a convolution, batch norm and activation), ``patch`` (with a window as large
    as its stride, as in Dosovitskiy et al. 2021) or ``7x7-pool`` (a 7×7 convolution and a 3×3 max pooling
    that halves the map again, as in He et al. 2016, table 1). ``activation`` is ``relu``, ``silu`` or
    ``gelu``, or empty for what the block usually has.
    """

    name: str
    channels: int
    height: int
    width: int
    classes: int
    stem_width: int
    stem_stride: int
    strides: tuple[int, ...]
    stem: str = "3x3"
    activation: str = ""

    def __post_init__(self) -> None:
        sizes = {
            "channels": self.channels,
            "height": self.height,
            "width": self.width,
            "classes": self.classes,
            "stem_width": self.stem_width,
            "stem_stride": self.stem_stride,
            **{f"strides[{i}]": stride for i, stride in enumerate(self.strides)},
        }
        for name, size in sizes.items():
            if not 1 <= size <= 65_536:
                raise InputError(f"template: {name} is {size}", "it must be between 1 and 65,536")
        if not 1 <= len(self.strides) <= 16:
            raise InputError(f"template: strides has {len(self.strides)} entries", "1 to 16 work")
        for name, value, known in (("stem", self.stem, STEMS), ("activation", self.activation, ACTIVATIONS)):
            if value not in known:
                raise unknown(f"template: {name}", value, filter(None, known))

    def facts(self) -> dict[str, Any]:
        """What networks on the template depend on; of later keys only those that are not as they always were,
        so that earlier draws and identities stay.
        """
        facts = asdict(self)
        return {name: value for name, value in facts.items() if value != _LATER.get(name, ...)}

    @property
    def text(self) -> str:
        """Canonical text of the facts; part of what a draw is a function of."""
        return f"Template({', '.join(f'{name}={value!r}' for name, value in self.facts().items())})"

    @property
    def stem_kernel(self) -> int:
        """The window of the stem's convolution."""
        return {"3x3": 3, "patch": self.stem_stride, "7x7-pool": 7}[self.stem]

    @property
    def behind_stem_convolution(self) -> tuple[int, int]:
        """Height and width of the map behind the stem's convolution: ⌈side / stride⌉."""
        return -(-self.height // self.stem_stride), -(-self.width // self.stem_stride)

    @property
    def behind_stem(self) -> tuple[int, int]:
        """Height and width of the map that the first stage takes."""
        rows, columns = self.behind_stem_convolution
        return (-(-rows // 2), -(-columns // 2)) if self.stem == "7x7-pool" else (rows, columns)

    @property
    def input(self) -> str:
        """The input as the command line writes it: ``CxHxW``."""
        return f"{self.channels}x{self.height}x{self.width}"

    def stage_strides(self, stages: int) -> tuple[int, ...]:
        """Strides for a network of ``stages`` stages: the first ones, the last one repeated."""
        missing = max(0, stages - len(self.strides))
        return self.strides[:stages] + self.strides[-1:] * missing

    def changed(self, input: str | None = None, classes: int | None = None) -> "Template":
        """The same template for another input (``CxHxW``) or number of classes."""
        template = self
        if input is not None:
            channels, height, width = parse_input(input)
            template = replace(template, channels=channels, height=height, width=width)
        if classes is not None:
            template = replace(template, classes=classes)
        return template


PAPER = Template("paper", 3, 224, 224, 1000, stem_width=32, stem_stride=2, strides=(2, 2, 2, 2))
SMALL = Template("small", 1, 28, 28, 10, stem_width=16, stem_stride=2, strides=(1, 2, 2, 2))
TEMPLATES: Mapping[str, Template] = MappingProxyType({t.name: t for t in (PAPER, SMALL)})


def template_named(name: str) -> Template:
    """The template of that name; raises ``InputError`` with the nearest name otherwise."""
    try:
        return TEMPLATES[name]
    except KeyError:
        raise unknown("template", name, TEMPLATES) from None


def parse_input(text: str) -> tuple[int, int, int]:
    """Channels, height and width from ``CxHxW``, as in ``3x224x224``."""
    parts = text.lower().split("x")
    if len(parts) != 3 or not all(part.isascii() and part.isdigit() for part in parts):
        raise InputError(f"input {text!r} is not CxHxW", "write it as in 3x224x224")
    channels, height, width = (int(part[:9]) for part in parts)
    return channels, height, width
