"""Blocks: what the stages of an AnyNet are made of, and what each costs in closed form.

A block is one ``Block``: a name, the module that it is built as (``models.blocks``), what it costs, and which
parameters it has beside its width. Those that come with the package are at the end of this file; a package
of the user's offers more as entry points ``regnetlab.blocks`` (docs/extending.md).
"""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from regnetlab.errors import InputError, unknown
from regnetlab.spaces.ratio import bottleneck_ratio
from regnetlab.spaces.template import ACTIVATIONS

if TYPE_CHECKING:
    from torch import nn

ENTRY_POINTS = "regnetlab.blocks"
"""The group of entry points under which a package offers blocks by name."""
LARGEST = 2**15 - 1
"""Of a block's own parameters."""

_NAME = re.compile(r"[a-z][a-z0-9_]{0,29}")
_WORDS = "d w g b i n se block depth w0 wa wm growth stages flops params acts latency min max sum mean"
_COLUMNS = (
    "id name model space index replicate depths widths group_widths bottleneck_ratios error ended seed images"
    " epochs batch_size seconds curve parent constraints parameters"
)
_TAKEN = frozenset(f"{_WORDS} {_COLUMNS}".split(" "))
"""What an own parameter may not be called: words of notation and constraints, columns of tables."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Multiply-adds, parameters and activations of layers: numbers, or arrays of one shape."""

    flops: Any = 0
    params: Any = 0
    acts: Any = 0

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(self.flops + other.flops, self.params + other.params, self.acts + other.acts)

    def __mul__(self, times: Any) -> "Cost":
        """So many of these layers; 0 or 1, also as a mask, where they are there or not."""
        return Cost(self.flops * times, self.params * times, self.acts * times)


@dataclass(frozen=True, slots=True)
class Sizes:
    """One block of n networks: whole numbers, or arrays of shape (n,).

    ``width`` is the block's output, ``inner`` its width inside, w / b; ``group_width`` is ``inner`` where the
    block has no groups. ``rows`` and ``columns`` are of the map before it. ``squeezed`` are the channels of
    squeeze-and-excitation, 0 for none; ``own`` holds the block's own parameters by name.
    """

    w_in: Any
    width: Any
    inner: Any
    group_width: Any
    stride: int
    rows: int
    columns: int
    squeezed: Any = 0
    own: Mapping[str, Any] = field(default_factory=dict)

    @property
    def area_in(self) -> int:
        """Pixels before the block."""
        return self.rows * self.columns

    @property
    def area(self) -> int:
        """Pixels behind it: ⌈side / stride⌉ each way."""
        return -(-self.rows // self.stride) * -(-self.columns // self.stride)

    @property
    def changes(self) -> Any:
        """Whether width or resolution change, 0 or 1."""
        return (self.w_in != self.width) | (self.stride != 1)


Counts = Callable[[Sizes], Cost]


@dataclass(frozen=True, slots=True)
class Own:
    """A parameter of a block's own: the ``values`` that a space draws from, each equally likely, all that are
    ``allowed``, and the one that a network has whose notation does not say it.
    """

    values: tuple[int, ...]
    allowed: Sequence[int]
    usual: int

    def check(self, name: str, value: int, block: str) -> None:
        """Raise ``InputError`` unless a network may have this value."""
        if value not in self.allowed:
            some = list(map(str, self.allowed[:8]))
            some = some if len(self.allowed) <= 8 else [*some[:3], "…", str(self.allowed[-1])]
            raise InputError(f"block {block} has no {name} of {value}", f"it may be {', '.join(some)}")


@dataclass(frozen=True, slots=True)
class Block:
    """A block of an AnyNet.

    Args:
        name: As in ``block=mbconv``.
        paper: Where it comes from.
        module: What it is built as: a class, or ``package.module:Class`` so that only building imports it.
            It is called as ``Class(w_in, width, inner, group_width, stride, squeezed, activation, **own)``.
        counts: What one block costs, in closed form over arrays.
        uses: Which of ``g`` and ``b`` it has.
        groups_of: What g divides: the ``inner`` width, or the ``width``, as attention heads do.
        bottleneck_ratio: The values of b that its spaces draw from where a study does not say.
        activation: What stands between its layers unless the template says otherwise.
        squeezes: Whether it can have squeeze-and-excitation.
        se_ratio: The ratio of that which a network has whose notation does not say it.
        own: Its own parameters, drawn for every stage; for a RegNet, once.
    """

    name: str
    paper: str
    module: "str | type[nn.Module]"
    counts: Counts
    uses: frozenset[str] = frozenset("gb")
    groups_of: str = "inner"
    bottleneck_ratio: tuple[float, ...] = (1, 2, 4)
    activation: str = "relu"
    squeezes: bool = False
    se_ratio: float = 0.0
    own: Mapping[str, Own] = field(default_factory=dict)
    slow: bool = False  # its counts are no closed form

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise InputError(f"block name {self.name[:40]!r} can't be used", "take a-z, 0-9 and _")
        if not set(self.uses) <= set("gb"):
            raise InputError(f"block {self.name} uses {sorted(self.uses)}", "there are g and b")
        if self.groups_of not in ("inner", "width"):
            raise unknown(f"block {self.name}: groups_of", self.groups_of, ("inner", "width"))
        if self.activation not in ACTIVATIONS[1:]:
            raise unknown(f"block {self.name}: activation", self.activation, ACTIVATIONS[1:])
        if not 0 <= self.se_ratio <= 1 or (self.se_ratio and not self.squeezes):
            raise InputError(
                f"block {self.name}: se_ratio is {self.se_ratio:g}", "0 to 1 works, for a block that squeezes"
            )
        if not self.bottleneck_ratio:
            raise InputError(f"block {self.name} has no bottleneck_ratio", "give one value at least")
        for ratio in self.bottleneck_ratio:
            bottleneck_ratio(ratio)
        for name, own in self.own.items():
            if not _NAME.fullmatch(name) or name in _TAKEN:
                raise InputError(
                    f"block {self.name}: a parameter can't be called {name!r}",
                    f"take a-z, 0-9 and _, but none of {', '.join(sorted(_TAKEN))}",
                )
            whole = all(type(value) is int for value in (*own.values, *own.allowed, own.usual))
            if not own.values or not whole or len(set(own.values)) < len(own.values):
                raise InputError(
                    f"block {self.name}: {name} has {list(own.values)}", "give different whole numbers"
                )
            if not own.allowed or not 0 <= own.allowed[0] <= own.allowed[-1] <= LARGEST:
                raise InputError(f"block {self.name}: {name} is {own.allowed}", f"0 to {LARGEST:,} works")
            for value in (*own.values, own.usual):
                own.check(name, value, self.name)

    def own_values(self, given: Mapping[str, Sequence[int]], stages: int) -> dict[str, tuple[int, ...]]:
        """Every own parameter with a value a stage; raises ``InputError`` for what the block can't have."""
        for name in given:
            if name not in self.own:
                there = ", ".join(self.own) or "none"
                raise InputError(f"block {self.name} has no {name}", f"its own parameters: {there}")
        found = {}
        for name, own in self.own.items():
            values = tuple(given.get(name, (own.usual,)))
            if len(values) not in (1, stages):
                raise InputError(f"{name} has {len(values)} entries", f"give one, or one a stage ({stages})")
            for value in values:
                own.check(name, value, self.name)
            found[name] = values * stages if len(values) == 1 else values
        return found


def block_named(name: str) -> Block:
    """The block of that name, one of the package's or of an installed package's.

    Raises ``InputError`` with the nearest name where there is none, or says why it can't be used.
    """
    if name in BLOCKS:
        return BLOCKS[name]
    offered = _offered()
    if name not in offered:
        error = unknown("block", name, [*BLOCKS, "y", *offered])
        if error.hint.startswith("there are"):
            error = InputError(error.what, f"{error.hint}; others are of packages, which must be installed")
        raise error
    return _loaded(offered[name])


def _offered() -> dict[str, EntryPoint]:
    return {each.name: each for each in entry_points(group=ENTRY_POINTS)}


@cache
def _loaded(entry: EntryPoint) -> Block:
    try:
        found = entry.load()
        block = found() if callable(found) and not isinstance(found, Block) else found
    except InputError:
        raise
    except Exception as error:
        raise InputError(
            f"block {entry.name!r} of {entry.value} can't be loaded: {type(error).__name__}: {error}",
            "correct, update or remove the package that offers it",
        ) from None
    if not isinstance(block, Block) or block.name != entry.name:
        given = f"block {block.name!r}" if isinstance(block, Block) else f"a {type(block).__name__}"
        raise InputError(
            f"entry point {entry.name!r} of {entry.value} gives {given}, and no block of this name",
            "it must be what regnetlab.custom_block returns, or a function that returns that",
        )
    return block


def convolution(
    w_in: Any, width: Any, kernel: Any, area: Any, group_width: Any = None, bias: bool = False
) -> Cost:
    """A convolution whose output has ``area`` pixels; each output sees ``group_width`` inputs, or all."""
    weights = kernel * kernel * (w_in if group_width is None else group_width) * width
    return Cost(weights * area, weights + width * bias, width * area)


def norm(width: Any) -> Cost:
    """Batch or layer norm: a weight and a bias a channel."""
    return Cost(0, 2 * width, 0)


def squeeze_and_excitation(width: Any, squeezed: Any) -> Cost:
    """Two 1×1 convolutions with bias on one pixel; nothing where ``squeezed`` is 0."""
    layers = convolution(width, squeezed, 1, 1, bias=True) + convolution(squeezed, width, 1, 1, bias=True)
    found: Cost = layers * (squeezed > 0)
    return found


def _shortcut(s: Sizes) -> Cost:
    """A 1×1 convolution and its norm, where width or resolution change."""
    if s.stride == 1 and s.w_in is s.width:
        return Cost()
    found: Cost = (convolution(s.w_in, s.width, 1, s.area) + norm(s.width)) * s.changes
    return found


def _bottleneck(s: Sizes) -> Cost:
    cost = convolution(s.w_in, s.inner, 1, s.area_in) + norm(s.inner)
    cost += convolution(s.inner, s.inner, 3, s.area, s.group_width) + norm(s.inner)
    cost += convolution(s.inner, s.width, 1, s.area) + norm(s.width) + _shortcut(s)
    return cost if s.squeezed is NO_SQUEEZE else cost + squeeze_and_excitation(s.inner, s.squeezed)


def _vanilla(s: Sizes) -> Cost:
    return convolution(s.w_in, s.width, 3, s.area) + norm(s.width)


def _vanilla_residual(s: Sizes) -> Cost:
    return _vanilla(s) + _shortcut(s)


def _basic(s: Sizes) -> Cost:
    return _vanilla_residual(s) + convolution(s.width, s.width, 3, s.area) + norm(s.width)


def _mbconv(s: Sizes) -> Cost:
    wider = (convolution(s.w_in, s.inner, 1, s.area_in) + norm(s.inner)) * (s.w_in != s.inner)
    cost: Cost = wider + convolution(s.inner, s.inner, s.own["k"], s.area, 1) + norm(s.inner)
    cost += squeeze_and_excitation(s.inner, s.squeezed)
    return cost + convolution(s.inner, s.width, 1, s.area) + norm(s.width)


def _convnext(s: Sizes) -> Cost:
    smaller = norm(s.w_in) + convolution(s.w_in, s.width, s.stride, s.area, bias=True)
    cost: Cost = smaller * s.changes + convolution(s.width, s.width, s.own["k"], s.area, 1, bias=True)
    cost += norm(s.width) + convolution(s.width, s.inner, 1, s.area, bias=True)
    layer_scale = Cost(params=s.width)
    return cost + convolution(s.inner, s.width, 1, s.area, bias=True) + layer_scale


NO_SQUEEZE = 0
"""What ``Sizes.squeezed`` is in networks without squeeze-and-excitation."""

_NONE: frozenset[str] = frozenset()
_REGNET = "Radosavovic et al. 2020, Designing Network Design Spaces"
_ODD = range(1, 32, 2)

BLOCKS: Mapping[str, Block] = MappingProxyType(
    {
        each.name: each
        for each in (
            Block(
                "x",
                f"{_REGNET}, section 3.2 and figure 4",
                "regnetlab.models.blocks:BottleneckBlock",
                _bottleneck,
                squeezes=True,
            ),
            Block(
                "r",
                f"{_REGNET}, section 3.4 (x without groups); He et al. 2016, figure 5",
                "regnetlab.models.blocks:BottleneckBlock",
                _bottleneck,
                frozenset("b"),
                squeezes=True,
            ),
            Block(
                "v",
                f"{_REGNET}, section 3.4 (one 3×3)",
                "regnetlab.models.blocks:VanillaBlock",
                _vanilla,
                _NONE,
            ),
            Block(
                "vr",
                f"{_REGNET}, section 3.4 (one 3×3 and a residual connection)",
                "regnetlab.models.blocks:VanillaResidualBlock",
                _vanilla_residual,
                _NONE,
            ),
            Block(
                "basic",
                "He et al. 2016, Deep Residual Learning, figure 5 (two 3×3 and a residual connection)",
                "regnetlab.models.blocks:BasicBlock",
                _basic,
                _NONE,
            ),
            Block(
                "mbconv",
                "Sandler et al. 2018, MobileNetV2, figure 3; Tan & Le 2019, EfficientNet, table 1",
                "regnetlab.models.blocks:MBConv",
                _mbconv,
                frozenset("b"),
                bottleneck_ratio=(1, 1 / 2, 1 / 4, 1 / 6),
                activation="silu",
                squeezes=True,
                se_ratio=0.25,
                own={"k": Own((3, 5), _ODD, 3)},
            ),
            Block(
                "convnext",
                "Liu et al. 2022, A ConvNet for the 2020s, figure 4",
                "regnetlab.models.blocks:ConvNeXtBlock",
                _convnext,
                frozenset("b"),
                bottleneck_ratio=(1, 1 / 2, 1 / 4),
                activation="gelu",
                own={"k": Own((3, 5, 7), _ODD, 7)},
            ),
        )
    }
)
"""The blocks that come with the package. RegNet's Y is ``x`` with ``se=0.25``."""


def block_names() -> Collection[str]:
    """All blocks that can be named here."""
    return [*BLOCKS, *_offered()]
