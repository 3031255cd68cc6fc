"""Ranges: which values each parameter of a space may take."""

from dataclasses import dataclass, fields, replace

from regnetlab.errors import InputError
from regnetlab.spaces.ratio import bottleneck_ratio, plain

WIDTH_STEP = 8
"""Widths are multiples of this (Radosavovic et al. 2020, section 3.2)."""


@dataclass(frozen=True, slots=True)
class Ranges:
    """Closed ranges ``(low, high)`` and sets of values.

    The defaults are the paper's: AnyNetA's of section 3.2, and for RegNet's law
    (w_0, w_a, w_m) those of section 3.3, with its d below 64.
    """

    depth: tuple[int, int] = (1, 16)
    width: tuple[int, int] = (WIDTH_STEP, 1024)
    group_width: tuple[int, ...] = (1, 2, 4, 8, 16, 32)
    bottleneck_ratio: tuple[float, ...] = (1, 2, 4)
    w0: tuple[int, int] = (WIDTH_STEP, 256)
    wa: tuple[float, float] = (8.0, 256.0)
    wm: tuple[float, float] = (1.5, 3.0)
    total_depth: tuple[int, int] = (1, 63)

    def __post_init__(self) -> None:
        for each in fields(self):  # 8 and 8.0 are equal, so they must have equal text and draws
            number = float if each.name in ("wa", "wm") else _whole
            object.__setattr__(self, each.name, tuple(map(number, getattr(self, each.name))))
        for name, low, high in (
            ("depth", *self.depth),
            ("width", *self.width),
            ("w0", *self.w0),
            ("wa", *self.wa),
            ("wm", *self.wm),
            ("total_depth", *self.total_depth),
        ):
            if not low <= high:
                raise InputError(
                    f"range of {name} is empty: {low:g} is above {high:g}", "write the lower end first"
                )
        for name, low, high, floor, roof in (
            ("depth", *self.depth, 1, 128),
            ("width", *self.width, 1, 16_384),
            ("w0", *self.w0, 1, 16_384),
            ("wa", *self.wa, 0.1, 1_000),
            ("wm", *self.wm, 1.01, 10),
            ("total_depth", *self.total_depth, 1, 1_024),
        ):
            if low < floor or high > roof:
                raise InputError(f"range of {name} is {low:g} to {high:g}", f"{floor:g} to {roof:,} works")
        for name, values in (("width", self.width), ("w0", self.w0)):
            if values[1] // WIDTH_STEP * WIDTH_STEP < values[0]:
                raise InputError(
                    f"range of {name} has no multiple of {WIDTH_STEP} in it: {values}", "widen it"
                )
        for name, choices in (
            ("group_width", self.group_width),
            ("bottleneck_ratio", self.bottleneck_ratio),
        ):
            if not choices or len(set(choices)) != len(choices):
                raise InputError(f"{name} is {list(choices)}", "it needs at least one value, none twice")
        try:
            ratios = plain(map(bottleneck_ratio, self.bottleneck_ratio))
        except InputError as error:
            raise error.at(f"bottleneck_ratio is {list(self.bottleneck_ratio)}") from None
        object.__setattr__(self, "bottleneck_ratio", ratios)
        if min(self.group_width) < 1 or max(self.group_width) > 1_024:
            raise InputError(f"group_width is {list(self.group_width)}", "each must be between 1 and 1,024")

    def changed(self, **values: object) -> "Ranges":
        """These ranges with the given ones in their place; ``None`` leaves one as it is."""
        given = {name: value for name, value in values.items() if value is not None}
        return replace(self, **given)  # type: ignore[arg-type]

    @property
    def text(self) -> str:
        """Canonical text of all ranges; part of what a draw is a function of."""
        return ";".join(f"{each.name}={getattr(self, each.name)}" for each in fields(self))


def _whole(value: float) -> float:
    """The same number, as an ``int`` where it is whole."""
    return int(value) if float(value).is_integer() else value


PAPER_RANGES = Ranges()
