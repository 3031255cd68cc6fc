"""Design spaces: ranges plus constraints. AnyNetA to E and RegNet, each its parent and one more."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from regnetlab.errors import unknown
from regnetlab.spaces.constraints import (
    QUANTIZED_LINEAR,
    RISING_DEPTHS,
    RISING_WIDTHS,
    SHARED_BOTTLENECK,
    SHARED_GROUP_WIDTH,
    Constraint,
)
from regnetlab.spaces.ranges import PAPER_RANGES, Ranges


@dataclass(frozen=True, slots=True)
class DesignSpace:
    """All networks inside the ranges that satisfy every constraint.

    A custom space has the name of its ``parent`` and the ``custom`` constraints that narrow it.
    """

    name: str
    ranges: Ranges
    constraints: tuple[Constraint, ...] = ()
    parent: str = ""
    custom: tuple[Constraint, ...] = ()

    def narrowed(self, name: str, constraint: Constraint) -> "DesignSpace":
        """This space with one more constraint."""
        return replace(self, name=name, constraints=(*self.constraints, constraint))

    def child(self, name: str, custom: Iterable[Constraint]) -> "DesignSpace":
        """A custom space: this one, narrowed by these constraints."""
        more = tuple(custom)
        return DesignSpace(name, self.ranges, (*self.constraints, *more), self.name, more)

    @property
    def lineage(self) -> str:
        """What draws depend on beside the ranges: the name, or what a custom space's constraints mean."""
        if not self.parent:
            return self.name
        return "&".join(each.meaning for each in self.constraints)

    def within(self, ranges: Ranges) -> "DesignSpace":
        """This space with other ranges."""
        return replace(self, ranges=ranges)


ANYNET_A = DesignSpace("AnyNetA", PAPER_RANGES)
ANYNET_B = ANYNET_A.narrowed("AnyNetB", SHARED_BOTTLENECK)
ANYNET_C = ANYNET_B.narrowed("AnyNetC", SHARED_GROUP_WIDTH)
ANYNET_D = ANYNET_C.narrowed("AnyNetD", RISING_WIDTHS)
ANYNET_E = ANYNET_D.narrowed("AnyNetE", RISING_DEPTHS)
# Not below E: the published RegNets' last stage is often shorter than the one before it.
REGNET = ANYNET_D.narrowed("RegNet", QUANTIZED_LINEAR)

SPACES: Mapping[str, DesignSpace] = MappingProxyType(
    {s.name: s for s in (ANYNET_A, ANYNET_B, ANYNET_C, ANYNET_D, ANYNET_E, REGNET)}
)


def space_named(name: str) -> DesignSpace:
    """The space of that name; raises ``InputError`` with the nearest name otherwise."""
    try:
        return SPACES[name]
    except KeyError:
        raise unknown("space", name, SPACES) from None
