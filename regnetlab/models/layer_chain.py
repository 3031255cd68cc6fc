"""Chains of layers written as text, such as ``conv 1x1 192->16 + conv 5x5 16->32``, and what they cost.

A text becomes the real layers, which are counted as those of any network are (``summary``). A letter in
place of a number of channels stands for any: the counts are polynomials in it, found from three values.
"""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial

import torch
from torch import nn

from regnetlab.errors import InputError
from regnetlab.models.summary import Layer, count_layers
from regnetlab.spaces.config import MAX_WIDTH

EXAMPLE = "conv 1x1 192->16 + conv 5x5 16->32 groups=2 stride=2 + pool 2x2"
_CHANNELS = r"(?P<{0}>[0-9]{{0,6}}[a-z]?)"
_LAYER = re.compile(
    rf"(?:(?P<fc>fc)|conv\s+(?P<conv>[0-9]+)[x×](?P<high>[0-9]+))\s+{_CHANNELS.format('w_in')}\s*(?:->|→)\s*"
    rf"{_CHANNELS.format('width')}(?P<options>(?:\s+\S+)*)|pool\s+(?P<global>global)"
    r"|pool\s+(?P<pool>[0-9]+)[x×](?P<tall>[0-9]+)(?P<more>(?:\s+\S+)*)"
)
_OPTIONS = {"conv": ("groups", "stride", "padding", "bias"), "fc": ("bias",), "pool": ("stride", "padding")}
_LARGEST = 256
"""Of kernels, strides and padding, and of what a letter is multiplied by."""
_MOST = 64


@dataclass(frozen=True, slots=True)
class Step:
    """One layer of a chain: ``kind`` conv, fc, pool or global, and its numbers as they were written."""

    text: str
    kind: str
    w_in: str = ""
    width: str = ""
    kernel: int = 1
    options: Mapping[str, str] | None = None

    def option(self, name: str, default: int) -> str:
        return (self.options or {}).get(name, str(default))

    @property
    def stride(self) -> int:
        return int(self.option("stride", self.kernel if self.kind == "pool" else 1))


@dataclass(frozen=True, slots=True)
class Counts:
    """What a chain costs: numbers, or the coefficients of a polynomial in a letter, the highest first.

    ``flops_per_pixel`` is per pixel of the chain's input, ``None`` where linear layers make that no number;
    ``flops`` and ``output`` are there where the input is known, a receptive field where it is a map.
    """

    params: tuple[Fraction, ...]
    flops_per_pixel: tuple[Fraction, ...] | None
    flops: tuple[Fraction, ...] | None
    receptive_field: int | None
    output: tuple[int, ...] | None


@dataclass(frozen=True, slots=True)
class Chain:
    """The layers of a text, and the letter in it, if there is one."""

    text: str
    steps: tuple[Step, ...]
    letter: str

    def counts(self, size: tuple[int, int] | None) -> Counts:
        """The costs, for an input of this height and width; raises ``InputError`` where layers do not fit."""
        if not self.letter:
            return self._at(1, size)
        unit = math.lcm(*(int(g) for step in self.steps if (g := step.option("groups", 1)).isdigit()))
        if unit > _LARGEST:
            raise InputError(
                f"{self.text!r}: so many groups need numbers of channels", "write them as in 256->512"
            )
        points = [unit, 2 * unit, 3 * unit]
        found = [self._at(each, size) for each in points]
        fit = partial(_polynomial, points)
        pixel, whole = ([getattr(each, name) for each in found] for name in ("flops_per_pixel", "flops"))
        return Counts(
            fit([each.params[0] for each in found]),
            None if pixel[0] is None else fit([each[0] for each in pixel]),
            None if whole[0] is None else fit([each[0] for each in whole]),
            found[0].receptive_field,
            None,
        )

    def _at(self, value: int, size: tuple[int, int] | None) -> Counts:
        vector = self.steps[0].kind == "fc"
        flat = vector or any(step.kind in ("fc", "global") for step in self.steps)
        if flat and not vector and size is None:
            raise InputError(
                f"{self.text!r}: a layer takes the whole map", "give its size as in --input 12x12"
            )
        if vector and size is not None:
            raise InputError(
                f"{self.text!r} begins with {self.steps[0].text!r}, which has no map", "leave --input out"
            )
        height, width = size or (self._side, self._side)
        channels = next((_number(step, step.w_in, value) for step in self.steps if step.w_in), 1)
        shape: tuple[int, ...] = (channels,) if vector else (channels, height, width)
        try:
            layers, shape = self._built(value, shape)
        except RuntimeError:  # torch's own limit
            raise InputError(f"{self.text!r} is too large to count") from None
        params, flops = (
            Fraction(sum(getattr(each, name) for each in layers)) for name in ("params", "flops")
        )
        known = size is not None or vector
        return Counts(
            (params,),
            None if flat else (self._per_pixel(layers),),
            (flops,) if known else None,
            None if vector else layers[-1].receptive_field,
            shape if known else None,
        )

    def _built(self, value: int, shape: tuple[int, ...]) -> tuple[Sequence[Layer], tuple[int, ...]]:
        """The layers behind an input of this shape, and the shape behind them."""
        with torch.device("meta"):
            image = torch.empty(1, *shape)
            modules: list[nn.Module] = []
            for step in self.steps:
                made = list(_modules(step, value, shape))
                modules += made
                shape = tuple(nn.Sequential(*made)(torch.empty(1, *shape)).shape[1:])
            return count_layers(nn.Sequential(*modules), image)[0], shape

    def _per_pixel(self, layers: Sequence[Layer]) -> Fraction:
        """Multiply-adds per pixel of the input far from its border: a stride s leaves 1/s² of the pixels."""
        total, share = Fraction(0), Fraction(1)
        for step, layer in zip(self.steps, layers, strict=True):
            share /= step.stride**2
            total += share * Fraction(layer.flops, math.prod(layer.output[1:]))
        return total

    @property
    def _side(self) -> int:
        """A side that all layers fit into."""
        strides = math.prod(step.stride for step in self.steps)
        if strides > _LARGEST:
            raise InputError(
                f"{self.text!r}: the strides multiply to {strides:,}", f"{_LARGEST:,} is the most"
            )
        return 2 * strides * sum(step.kernel for step in self.steps)


def parse_chain(text: str) -> Chain:
    """The chain that a text says; raises ``InputError`` that quotes the part that is not understood."""
    parts = [part.strip() for part in text.split("+")]
    if len(parts) > _MOST:
        raise InputError(f"a chain of {len(parts)} layers is too long", f"it has at most {_MOST}")
    steps = tuple(map(_parse_step, parts))
    letters = {c for step in steps for word in _numbers(step) for c in word if c.isalpha()}
    if len(letters) > 1:
        raise InputError(
            f"{text!r} has the letters {', '.join(sorted(letters))}", "use one, as in conv 5x5 c->2c"
        )
    return Chain(text.strip(), steps, "".join(letters))


def _numbers(step: Step) -> tuple[str, ...]:
    return step.w_in, step.width, step.option("groups", 1)


def _parse_step(text: str) -> Step:
    match = _LAYER.fullmatch(text)
    if match is None:
        raise InputError(f"layer {text!r} is not understood", f"write a chain as in {EXAMPLE!r}")
    if match["global"]:
        return Step(text, "global")
    kind = "fc" if match["fc"] else "conv" if match["conv"] else "pool"
    across, down = (
        (match["conv"], match["high"]) if kind == "conv" else (match["pool"] or "1", match["tall"] or "1")
    )
    if across != down:
        raise InputError(f"layer {text!r}: only square windows are counted", "write it as in 3x3")
    kernel = _whole(text, "the window", across, 1)
    options = _parse_options(text, kind, (match["options"] or match["more"] or "").split())
    widths = (match["w_in"] or "", match["width"] or "")
    if kind != "pool" and not all(widths):
        raise InputError(f"layer {text!r} has no channels", "write them as in 192->32")
    return Step(text, kind, *widths, kernel, options)


def _parse_options(text: str, kind: str, words: Sequence[str]) -> Mapping[str, str]:
    options: dict[str, str] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if name not in _OPTIONS[kind] or bool(equals) != (name != "bias") or name in options:
            known = ", ".join(each if each == "bias" else f"{each}=1" for each in _OPTIONS[kind])
            raise InputError(
                f"layer {text!r}: {word!r} is not understood", f"behind {kind} may stand {known}, once"
            )
        if name in ("stride", "padding"):
            _whole(text, name, value, 0 if name == "padding" else 1)
        elif name == "groups" and not re.fullmatch(r"[0-9]{1,6}|[0-9]{0,6}[a-z]", value):
            raise InputError(f"layer {text!r}: {word!r} is no number of groups", "write it as in groups=2")
        options[name] = value or "1"
    return options


def _whole(text: str, name: str, value: str, least: int) -> int:
    if not (value.isdigit() and len(value) < 10 and least <= int(value) <= _LARGEST):
        raise InputError(f"layer {text!r}: {name} is {value}", f"it must be between {least} and {_LARGEST:,}")
    return int(value)


def _number(step: Step, word: str, value: int) -> int:
    """A number of channels or groups, its letter standing for ``value``."""
    digits, letter = (word[:-1], value) if word[-1].isalpha() else (word, 1)
    number = int(digits or 1) * letter
    most = _LARGEST if word[-1].isalpha() else MAX_WIDTH
    if not 1 <= int(digits or 1) <= most:
        raise InputError(f"layer {step.text!r}: {digits} in {word!r} is not between 1 and {most:,}")
    return number


def _modules(step: Step, value: int, shape: tuple[int, ...]) -> Iterator[nn.Module]:
    """The layers of a step behind a map (channels, height, width) or a vector (features,)."""
    given = "×".join(f"{each:,}" for each in shape)
    if len(shape) == 1 and step.kind != "fc":
        raise InputError(f"layer {step.text!r} takes a map, but what comes before gives {given} features")
    padding = int(step.option("padding", step.kernel // 2 if step.kind == "conv" else 0))
    if step.kind in ("conv", "pool") and min(shape[1:]) + 2 * padding < step.kernel:
        raise InputError(
            f"layer {step.text!r}: the window does not fit into a map of {given}", "give a larger --input"
        )
    if step.kind == "global":
        yield nn.AdaptiveAvgPool2d(1)
        return
    if step.kind == "pool":
        if padding > step.kernel // 2:
            raise InputError(f"layer {step.text!r}: the padding may be half the window at most")
        yield nn.MaxPool2d(step.kernel, step.stride, padding)
        return
    w_in, width = (_number(step, word, value) for word in (step.w_in, step.width))
    features = math.prod(shape) if step.kind == "fc" else shape[0]
    if w_in != features:
        before = f"{given} = {features:,}" if step.kind == "fc" and len(shape) > 1 else f"{features:,}"
        raise InputError(f"layer {step.text!r} takes {step.w_in}, but what comes before gives {before}")
    bias = "bias" in (step.options or {})
    if step.kind == "fc":
        if len(shape) > 1:
            yield nn.Flatten()
        yield nn.Linear(w_in, width, bias)
        return
    groups = _number(step, step.option("groups", 1), value)
    if w_in % groups or width % groups:
        raise InputError(
            f"layer {step.text!r}: {step.w_in} and {step.width} do not divide into {groups:,} groups"
        )
    yield nn.Conv2d(w_in, width, step.kernel, step.stride, padding, groups=groups, bias=bias)


def _polynomial(points: Sequence[int], values: Sequence[Fraction]) -> tuple[Fraction, ...]:
    """The coefficients of the parabola through three points u, 2u, 3u, the highest first."""
    unit, (first, second, third) = points[0], values
    square = (third - 2 * second + first) / (2 * unit**2)
    linear = (second - first) / unit - 3 * unit * square
    return square, linear, first - square * unit**2 - linear * unit
