"""Small forms: one rule that puts every hand-designed family onto images of about 28 pixels.

1. The first convolution becomes 3×3 with stride 2, and the first pooling is left out: the map then has
   half the image's side, as behind the stem of AnyNet's ``small`` template.
2. Every later downsampling stays, unless its map would have less than 2 pixels a side.
3. Every width, of convolutions and of hidden linear layers, becomes the multiple of 8 nearest to α times
   the original's. A DenseNet's growth becomes the nearest whole number: its widths are sums of it.

All else (kernels, depths, order of layers, dropout) stays. LeNet was made for 28 pixels and only has its
widths multiplied. An AnyNet already takes its strides from the template; its widths follow the third part.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from regnetlab.errors import InputError
from regnetlab.models.shapes import Shape, TooSmallError

STEP = 8
"""What small forms round their widths to."""
_LEAST_SIDE = 2


class ZeroWidthError(InputError):
    """The multiplier is so small that a width rounds to zero."""


@dataclass(frozen=True, slots=True)
class Scale:
    """How an original becomes a network: unchanged (no ``multiplier``), or small and α times as wide."""

    multiplier: float | None = None

    @property
    def small(self) -> bool:
        return self.multiplier is not None

    def width(self, original: int, step: int = STEP) -> int:
        """The width in place of the original's; raises ``ZeroWidthError``."""
        if self.multiplier is None:
            return original
        width = int(self.multiplier * original / step + 0.5) * step
        if not width:
            raise ZeroWidthError(
                f"the multiplier {self.multiplier:g} rounds a width of {original} to zero",
                f"the smallest that keeps it is {step / 2 / original:g}",
            )
        return width

    def widths(self, originals: Sequence[int]) -> tuple[int, ...]:
        return tuple(self.width(each) for each in originals)

    def stem(self, kernel: int, stride: int, padding: int) -> tuple[int, int, int]:
        """Kernel, stride and padding of the first convolution."""
        return (3, 2, 1) if self.small else (kernel, stride, padding)

    def pooled(self, shape: Shape, kernel: int, stride: int, padding: int = 0) -> Shape | None:
        """The map behind this pooling; ``None`` where a small form leaves the pooling out."""
        if not self.small:
            return shape.pool(kernel, stride, padding)
        try:
            behind = shape.pool(kernel, stride, padding)
        except TooSmallError:
            return None
        return behind if min(behind.height, behind.width) >= _LEAST_SIDE else None

    def strided(self, shape: Shape) -> int:
        """The stride of a 3×3 convolution with padding that halves the map, or 1 where that is left out."""
        return 1 if self.pooled(shape, 3, 2, 1) is None else 2


ORIGINAL = Scale()
