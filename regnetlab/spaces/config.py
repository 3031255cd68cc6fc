"""One network of a space: its configuration, its identity and its notation.

``anynet:d=1,2,7,12;w=32,64,160,384;g=16;b=1`` is the written form; g and b are one value or one per
stage (b=0.25 is an inverted bottleneck, four times as wide inside), ``se=0.25`` adds
squeeze-and-excitation. ``block=mbconv`` says what the stages are made of where that is not RegNet's X, with
the block's own parameters behind it, as in ``k=3``. It is canonical: equal networks have equal text.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import TypeVar

import numpy as np

from regnetlab.errors import InputError
from regnetlab.spaces.blocks import block_named
from regnetlab.spaces.compatibility import make_compatible
from regnetlab.spaces.ratio import bottleneck_ratio, inner_widths, parse_ratio, plain, ratio_text

MAX_STAGES = 16
MAX_DEPTH = 1024
MAX_WIDTH = 65_536
Number = TypeVar("Number", int, float)
SE_RATIO = 0.25
"""The squeeze-and-excitation ratio of RegNetY (Radosavovic et al. 2020, section 4)."""


@dataclass(frozen=True, slots=True)
class Config:
    """An AnyNet: one entry per stage in each tuple (DESIGN's d_i, w_i, g_i, b_i).

    Widths and group widths must be compatible; ``Config.compatible`` makes them so. What a ``block`` has no
    use for is 1. ``se_ratio`` is the width of the squeeze over the block's input width; 0 leaves it out.
    ``own`` are the block's own parameters, each with a value a stage, in the block's order.
    """

    depths: tuple[int, ...]
    widths: tuple[int, ...]
    group_widths: tuple[int, ...]
    bottleneck_ratios: tuple[float, ...]
    se_ratio: float = 0.0
    block: str = "x"
    own: tuple[tuple[str, tuple[int, ...]], ...] = ()

    def __post_init__(self) -> None:
        columns = self.depths, self.widths, self.group_widths, self.bottleneck_ratios
        if len({len(column) for column in columns}) != 1 or not 1 <= self.stages <= MAX_STAGES:
            counts = ", ".join(str(len(column)) for column in columns)
            raise InputError(
                f"depths, widths, group widths and bottleneck ratios have {counts} entries",
                f"give each one per stage, for 1 to {MAX_STAGES} stages",
            )
        of_width = self.block != "x" and block_named(self.block).groups_of == "width"
        for stage in zip(*columns, strict=True):
            _check_stage(*stage, of_width)
        if not 0 <= self.se_ratio <= 1:
            raise InputError(f"squeeze-and-excitation ratio {self.se_ratio} is not in 0 to 1")
        if self.block != "x" or self.own:
            self._check_block()

    def _check_block(self) -> None:
        block = block_named(self.block)
        for letter, values in (("g", self.group_widths), ("b", self.bottleneck_ratios)):
            if letter not in block.uses and set(values) != {1}:
                raise InputError(f"block {self.block} has no {letter}", f"leave {letter} out")
        if self.se_ratio and not block.squeezes:
            raise InputError(f"block {self.block} has no squeeze-and-excitation", "leave se out")
        if tuple(block.own_values(dict(self.own), self.stages).items()) != self.own:
            raise InputError(f"block {self.block} needs {', '.join(block.own)}", "give a value a stage each")

    @classmethod
    def compatible(
        cls,
        depths: Sequence[int],
        widths: Sequence[int],
        group_widths: Sequence[int],
        bottleneck_ratios: Sequence[float],
        se_ratio: float | None = None,
        block: str = "x",
        own: Mapping[str, Sequence[int]] = MappingProxyType({}),
    ) -> "Config":
        """The config nearest to what is asked for (see ``make_compatible``).

        Group widths, bottleneck ratios and own parameters with one entry hold for every stage. Without
        ``se_ratio`` it is the block's usual one.
        """
        stages = len(depths)
        if len(widths) != stages:
            raise InputError(f"d has {stages} entries and w {len(widths)}", "each needs one per stage")
        groups = _per_stage("g", group_widths, stages)
        ratios = plain(map(bottleneck_ratio, _per_stage("b", bottleneck_ratios, stages)))
        for name, values in (("w", widths), ("g", groups)):
            for value in values:
                if not 1 <= value <= MAX_WIDTH:
                    raise InputError(f"{name}={value} is not between 1 and {MAX_WIDTH:,}")
        kind = block_named(block)
        fitted, capped = make_compatible(
            np.array(widths, np.int64),
            np.array(groups, np.int64),
            np.array(ratios, np.float64),
            kind.groups_of == "width",
        )
        squeeze = kind.se_ratio if se_ratio is None else se_ratio
        filled = tuple(kind.own_values(own, stages).items())
        return cls(tuple(depths), _ints(fitted), _ints(capped), ratios, squeeze, block, filled)

    @property
    def stages(self) -> int:
        return len(self.depths)

    @property
    def is_x(self) -> bool:
        """Whether its blocks are the paper's X, so that depths, widths, groups and ratios say all."""
        return self.block == "x" and not self.se_ratio

    @property
    def inner_widths(self) -> tuple[int, ...]:
        """Each stage's width between the 1×1 convolutions, w / b."""
        ratios = np.array(self.bottleneck_ratios, np.float64)
        return _ints(inner_widths(np.array(self.widths, np.int64), ratios))

    @property
    def depth(self) -> int:
        """Blocks in the whole body."""
        return sum(self.depths)

    @property
    def text(self) -> str:
        """The canonical notation, which ``parse_anynet`` reads back."""
        columns = self.depths, self.widths, self.group_widths, self.bottleneck_ratios
        return notation(*columns, self.se_ratio, self.block, self.own)

    @property
    def id(self) -> str:
        """Twelve hexadecimal digits that equal networks share, on any machine."""
        return network_id(self.text)


@lru_cache(maxsize=2**14)  # populations repeat few stages, and are made of hundreds of thousands
def _check_stage(depth: int, width: int, group_width: int, ratio: float, of_width: bool) -> None:
    if not 1 <= depth <= MAX_DEPTH:
        raise InputError(f"depth {depth} is not between 1 and {MAX_DEPTH:,}")
    if not 1 <= width <= MAX_WIDTH:
        raise InputError(f"width {width} is not between 1 and {MAX_WIDTH:,}")
    if bottleneck_ratio(ratio) != ratio or group_width < 1:
        raise InputError(f"group width {group_width}, bottleneck ratio {ratio}: g is at least 1")
    inner = width / ratio
    if abs(inner - round(inner)) > 1e-6 or (width if of_width else round(inner)) % group_width:
        raise InputError(
            f"width {width} over bottleneck ratio {ratio_text(ratio)} does not divide into groups of"
            f" {group_width}",
            "Config.compatible makes them fit",
        )


def notation(
    depths: Sequence[int],
    widths: Sequence[int],
    group_widths: Sequence[int],
    bottleneck_ratios: Sequence[float],
    se_ratio: float = 0.0,
    block: str = "x",
    own: Iterable[tuple[str, Sequence[int]]] = (),
) -> str:
    """The canonical notation of a network, without making a ``Config`` of it."""
    kind = block_named(block)
    text = f"anynet:d={_joined(depths)};w={_joined(widths)}"
    if "g" in kind.uses:
        text += f";g={_joined(_shortest(group_widths))}"
    if "b" in kind.uses:
        text += f";b={','.join(map(ratio_text, _shortest(bottleneck_ratios)))}"
    if se_ratio != kind.se_ratio:
        short = f"{se_ratio:g}"
        text += f";se={short if float(short) == se_ratio else repr(float(se_ratio))}"
    if block != "x":
        text += f";block={block}"
    return text + "".join(f";{name}={_joined(_shortest(values))}" for name, values in own)


def _shortest(values: Sequence[Number]) -> Sequence[Number]:
    """One value where all are equal."""
    return values[:1] if len(set(values)) == 1 else values


def network_id(text: str) -> str:
    """The id of the network with this canonical notation."""
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def parse_anynet(text: str) -> Config:
    """The config written as ``anynet:d=…;w=…;g=…;b=…[;se=…][;block=…[;k=…]]``, made compatible."""
    named = re.search(r"(?:^|[:;,])\s*block\s*=\s*([^;,]*)", text)
    name, usual = made_of(named[1].strip() if named else "x")
    block = block_named(name)
    letters = (letter for letter in "gb" if letter in block.uses)
    optional = (*letters, *(["se"] if block.squeezes else []), "block", *block.own)
    try:
        fields = parse_fields(text, "anynet", required=("d", "w"), optional=optional)
    except InputError as error:
        raise error if block.name == "x" else error.at(f"block {block.name}") from None
    return Config.compatible(
        depths=_parse_ints("d", fields["d"]),
        widths=_parse_ints("w", fields["w"]),
        group_widths=_parse_ints("g", fields.get("g", "1")),
        bottleneck_ratios=[parse_ratio(each) for each in fields.get("b", "1").split(",")],
        se_ratio=parse_number("se", fields["se"]) if "se" in fields else usual,
        block=block.name,
        own={name: _parse_ints(name, fields[name]) for name in block.own if name in fields},
    )


def made_of(block: str) -> tuple[str, float]:
    """The block that this name means, and its usual squeeze: ``y`` is ``x`` with squeeze-and-excitation."""
    return ("x", SE_RATIO) if block == "y" else (block, block_named(block).se_ratio)


def parse_fields(text: str, kind: str, required: Sequence[str], optional: Sequence[str]) -> Mapping[str, str]:
    """The ``name=value`` fields behind ``kind:``, all known, none twice, none missing."""
    body = text.removeprefix(f"{kind}:")
    fields: dict[str, str] = {}
    allowed = (*required, *optional)
    for part in filter(None, (each.strip() for each in _split_fields(body))):
        name, equals, value = (each.strip() for each in part.partition("="))
        if not equals or not value:
            raise InputError(f"{kind}: {part!r} is not name=value", f"names are {', '.join(allowed)}")
        if name not in allowed:
            raise InputError(f"{kind}: {name!r} is not known", f"names are {', '.join(allowed)}")
        if name in fields:
            raise InputError(f"{kind}: {name} is given twice", "keep one")
        fields[name] = value
    missing = [name for name in required if name not in fields]
    if missing:
        raise InputError(f"{kind}: {', '.join(missing)} is missing", f"{kind} needs {', '.join(required)}")
    return fields


def parse_number(name: str, text: str) -> float:
    """A finite number, or an ``InputError`` that names the field."""
    try:
        number = float(text)
    except ValueError:
        number = float("nan")
    if not np.isfinite(number):
        raise InputError(f"{name}={text} is not a number")
    return number


def _split_fields(body: str) -> list[str]:
    """Split at semicolons; where there is none, at the commas that begin a new field."""
    if ";" in body:
        return body.split(";")
    parts: list[str] = []
    for piece in body.split(","):
        if "=" in piece or not parts:
            parts.append(piece)
        else:
            parts[-1] += f",{piece}"
    return parts


def _parse_ints(name: str, text: str) -> tuple[int, ...]:
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isascii() and part.isdigit() and len(part) < 10 for part in parts):
        raise InputError(f"{name}={text} is not a list of whole numbers", f"write {name}=8,16,32")
    return tuple(int(part) for part in parts)


def _per_stage(name: str, values: Sequence[Number], stages: int) -> tuple[Number, ...]:
    if len(values) == 1:
        return tuple(values) * stages
    if len(values) != stages:
        raise InputError(f"{name} has {len(values)} entries", f"give one, or one for each of {stages} stages")
    return tuple(values)


def _joined(values: Sequence[int]) -> str:
    return ",".join(map(str, values))


def _ints(values: "np.ndarray[tuple[int, ...], np.dtype[np.int64]]") -> tuple[int, ...]:
    return tuple(int(value) for value in values)
