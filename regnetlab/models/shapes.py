"""Shapes of feature maps, known before a module is made: sizes of linear layers, inputs too small."""

from dataclasses import dataclass, replace

from regnetlab.errors import InputError
from regnetlab.spaces.template import Template


class TooSmallError(InputError):
    """The network's windows do not fit into this input."""


@dataclass(frozen=True, slots=True)
class Shape:
    """Channels, height and width of a feature map behind some layers of the network ``of``."""

    of: str
    input: str
    channels: int
    height: int
    width: int

    @classmethod
    def of_input(cls, name: str, template: Template) -> "Shape":
        return cls(name, template.input, template.channels, template.height, template.width)

    def conv(self, channels: int, kernel: int, stride: int = 1, padding: int = 0) -> "Shape":
        """Behind a convolution, or a pooling where ``channels`` stays."""
        height, width = ((size + 2 * padding - kernel) // stride + 1 for size in (self.height, self.width))
        if min(height, width) < 1:
            raise TooSmallError(
                f"{self.of}: the input {self.input} is too small: a {kernel}×{kernel} window finds a map of"
                f" {self.height}×{self.width}"
            )
        return replace(self, channels=channels, height=height, width=width)

    def pool(self, kernel: int, stride: int, padding: int = 0) -> "Shape":
        return self.conv(self.channels, kernel, stride, padding)

    @property
    def features(self) -> int:
        """Elements of the map, flattened."""
        return self.channels * self.height * self.width
