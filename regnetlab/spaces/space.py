"""Design spaces: ranges plus constraints. AnyNetA to E and RegNet, each its parent and one more."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from regnetlab.errors import InputError, unknown
from regnetlab.spaces.blocks import block_named
from regnetlab.spaces.config import MAX_STAGES, made_of
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

    A custom space has the name of its ``parent`` and the ``custom`` constraints that narrow it. ``block``
    says what its networks are made of, ``own`` the values that the block's own parameters are drawn from;
    ``stages`` how many stages they have, in turn, where it is not as many as the template has strides.
    ``stated`` are the ranges that ``within`` was given.
    """

    name: str
    ranges: Ranges
    constraints: tuple[Constraint, ...] = ()
    parent: str = ""
    custom: tuple[Constraint, ...] = ()
    block: str = "x"
    own: tuple[tuple[str, tuple[int, ...]], ...] = ()
    stages: tuple[int, ...] = ()
    se_ratio: float = 0.0
    stated: Ranges | None = field(default=None, compare=False)

    def narrowed(self, name: str, constraint: Constraint) -> "DesignSpace":
        """This space with one more constraint."""
        return replace(self, name=name, constraints=(*self.constraints, constraint))

    def child(self, name: str, custom: Iterable[Constraint]) -> "DesignSpace":
        """A custom space: this one, narrowed by these constraints."""
        more = tuple(custom)
        constraints = (*self.constraints, *more)
        return replace(self, name=name, constraints=constraints, parent=self.name, custom=more)

    def made_of(
        self,
        block: str = "x",
        own: Mapping[str, Iterable[int]] = MappingProxyType({}),
        stages: Iterable[int] = (),
    ) -> "DesignSpace":
        """The space of networks of this block (``y`` is ``x`` with squeeze-and-excitation) and of these
        numbers of stages, which its name then says: ``AnyNetA-mbconv``.

        Raises ``InputError`` for a block, a value or a number of stages that can't be.
        """
        numbers = tuple(stages)
        if len(set(numbers)) < len(numbers) or not all(1 <= each <= MAX_STAGES for each in numbers):
            raise InputError(f"stages are {list(numbers)}", f"give different numbers of 1 to {MAX_STAGES}")
        kind, se_ratio = made_of(block)
        made = block_named(kind)
        given = {name: tuple(values) for name, values in own.items()}
        for name, values in given.items():
            made.own_values({name: values[:1]}, 1)
            for value in values:
                made.own[name].check(name, value, made.name)
            if not values or len(set(values)) < len(values):
                raise InputError(f"{name} is {list(values)}", "it needs at least one value, none twice")
        space = replace(
            self,
            block=made.name,
            se_ratio=se_ratio,
            own=tuple((name, given.get(name, each.values)) for name, each in made.own.items()),
            stages=numbers,
        )
        return replace(space, name=f"{self.name}{space.suffix}")

    @property
    def lineage(self) -> str:
        """What draws depend on beside the ranges: the name, or what a custom space's constraints mean."""
        if not self.parent and not self.variant:
            return self.name
        return "&".join([*(each.meaning for each in self.constraints), *self.variant])

    @property
    def suffix(self) -> str:
        """What its block and stages add to its name."""
        block = f"-{self.block_text}" if self.block_text != "x" else ""
        return block + (f"-{'-'.join(map(str, self.stages))}stages" if self.stages else "")

    @property
    def block_text(self) -> str:
        """The block as it is asked for: ``y`` is ``x`` with squeeze-and-excitation."""
        return "y" if self.block == "x" and self.se_ratio else self.block

    @property
    def variant(self) -> tuple[str, ...]:
        """What its networks are made of, in words; empty where that is as usual."""
        if self.block == "x" and not self.stages and not self.se_ratio:
            return ()
        own = "".join(f" {name}={','.join(map(str, values))}" for name, values in self.own)
        stages = [f"stages {','.join(map(str, self.stages))}"] if self.stages else []
        return (f"block {self.block}{own} se={self.se_ratio:g}", *stages)

    def check_letters(self, group_width: object, bottleneck_ratio: object) -> None:
        """Raise ``InputError`` where values of g or b are given, not ``None``, and its block has none."""
        for letter, given in (("g", group_width), ("b", bottleneck_ratio)):
            if given is not None and letter not in block_named(self.block).uses:
                raise InputError(f"block {self.block} has no {letter}", "leave its values out")

    def within(self, ranges: Ranges) -> "DesignSpace":
        """This space with other ranges, as far as its block has a use for them.

        The values of b that its block usually has stand where these ranges leave the paper's.
        """
        block, stated = block_named(self.block), ranges
        if "g" not in block.uses:
            ranges = ranges.changed(group_width=(1,))
        if "b" not in block.uses:
            ranges = ranges.changed(bottleneck_ratio=(1,))
        elif ranges.bottleneck_ratio == PAPER_RANGES.bottleneck_ratio:
            ranges = ranges.changed(bottleneck_ratio=block.bottleneck_ratio)
        return replace(self, ranges=ranges, stated=stated)


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
