"""Templates: everything about a network that a design space does not vary."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from regnetlab.errors import InputError, unknown


@dataclass(frozen=True, slots=True)
class Template:
    """Input, stem, strides and classes around the stages.

    ``strides`` holds the stride of each stage's first block; its length is the number of stages
    that a space draws.
    """

    name: str
    channels: int
    height: int
    width: int
    classes: int
    stem_width: int
    stem_stride: int
    strides: tuple[int, ...]

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
