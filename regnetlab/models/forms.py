"""Forms of a model, written behind an @: how it is put onto a template that it was not made for.

* ``resnet18@original``: as published; images are resized to its own input, on the device.
* ``resnet18@96px``: as published for images of that many pixels a side; they are resized likewise.
* ``resnet18@small`` and ``resnet18@0.25x``: the small form (``scale``) with multiplier 1 or that one.
* ``resnet18@1MF``: the small form whose multiplier brings its flops nearest to that many.

``@96px`` may stand behind another form: ``resnet18@0.25x@96px``. A depth, ``resnet@2d``, comes before all of
these (``families``).
"""

import math
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import cache, partial
from operator import attrgetter

import torch
from torch import nn
from torch.nn.functional import interpolate

from regnetlab.errors import InputError
from regnetlab.models.anynet import scaled
from regnetlab.models.fitting import fitted
from regnetlab.models.model import Model
from regnetlab.models.parts import Parts
from regnetlab.models.scale import STEP, Scale, ZeroWidthError
from regnetlab.models.summary import summarise
from regnetlab.spaces.complexity import complexity
from regnetlab.spaces.config import Config
from regnetlab.spaces.population import Population
from regnetlab.spaces.regime import format_count
from regnetlab.spaces.template import SMALL, Template

TOLERANCE = 0.1
"""How far from the flops asked for a small form may be, relative to them."""

_STEPS = 1_000  # a multiplier has three decimals
_LARGEST = 8
_FIRST_GUESS, _GUESSES = 100, 4  # of the step that has the flops asked for, before halving
_FORM = re.compile(r"(?P<number>\d{1,9}(?:\.\d{1,9})?)(?:(?P<unit>[kmg])f?|x)")
_PIXELS = re.compile(r"[0-9]{1,9}px", re.IGNORECASE)
_MOST_PIXELS = 1_024
_FLOPS = attrgetter("flops")
_POWERS = {"k": 10**3, "m": 10**6, "g": 10**9}


class Resize(nn.Module):
    """Images (n, c, h, w) to another height and width, bilinearly, antialiased where they shrink.

    As Pillow does it, but for its rounding to whole levels of 255. On the device and a batch at a time:
    60,000 images of 224×224 would be 3 GB.
    """

    def __init__(self, height: int, width: int) -> None:
        super().__init__()
        self.size = (height, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if x.shape[2:] == self.size:
            return x
        return interpolate(x, self.size, mode="bilinear", align_corners=False, antialias=True)


@dataclass(frozen=True, slots=True)
class Reached:
    """A multiplier and the flops of the small form that has it."""

    multiplier: float
    flops: int


def formed(model: Model, form: str) -> Model:
    """That form of the model; raises ``InputError`` for a form that is not known."""
    text = f"{model.text}@{form}"
    match = _FORM.fullmatch(form.lower())
    if form.lower() in ("original", "small"):
        form = form.lower()
        text = f"{model.text}@{form}"
    if form == "original":
        return replace(model, text=text, build=partial(_original, model), template=SMALL)
    if is_pixels(form):
        pixels = int(form[:-2])
        if not 1 <= pixels <= _MOST_PIXELS:
            raise InputError(f"{text}: images of {pixels} pixels a side", f"it must be 1 to {_MOST_PIXELS:,}")
        before = model.text.rpartition("@")[2]
        if before == "original" or is_pixels(before):
            raise InputError(f"{text} says twice how many pixels a side the network sees", "say it once")
        text, build = f"{model.text}@{pixels}px", partial(_at, model, pixels)
        return replace(model, text=text, build=build, template=SMALL, flops=None)
    if form == "small":
        return _small(model, text, 1.0)
    if match is None:
        raise InputError(
            f"form {form!r} of {model.text} is not known",
            "there are original, small, pixels as in 96px, a multiplier as in 0.25x, and flops as in 1MF",
        )
    if match["unit"] is None:
        multiplier = float(match["number"])
        if not 0 < multiplier <= _LARGEST:
            raise InputError(
                f"{text}: the multiplier is {multiplier:g}", f"it must be above 0, at most {_LARGEST}"
            )
        return _small(model, text, multiplier)
    flops = int(Decimal(match["number"]) * _POWERS[match["unit"]])
    if not flops:
        raise InputError(f"{text} asks for a network without flops", "write them as in 1MF")
    return replace(
        model,
        text=text,
        build=lambda template: settled(formed(model, form), template).build(template),
        template=SMALL,
        flops=flops,
    )


def is_pixels(form: str) -> bool:
    """Whether this form says how many pixels a side the network sees."""
    return _PIXELS.fullmatch(form) is not None


def settled(model: Model, template: Template) -> Model:
    """The model with its multiplier in place of the flops asked for: resnet18@1MF is resnet18@0.137x."""
    if model.flops is None:
        return model
    base = replace(model, text=model.text.rpartition("@")[0], flops=None)
    reached = reach(base, template, model.flops)
    return formed(base, f"{reached.multiplier:g}x")


@cache
def nearest(model: Model, template: Template, flops: int) -> tuple[Reached, Reached]:
    """The small forms on both sides of these flops: the largest below, the smallest that has them or more.

    The first has no flops where none is below; the second has fewer than these where all are.
    """

    count = _flops_by_step(model, template)
    low, high = 0, _LARGEST * _STEPS  # flops at low are below, those at high are not if any are
    guesses = _GUESSES if model.config is None else 0  # an AnyNet's flops may also fall: as found by halving
    step = _FIRST_GUESS if guesses else (low + high) // 2
    while high - low > 1:
        found = count(step)
        if found < flops:
            low, beyond = step, 1.05
        else:
            high, beyond = step, 0.95
        guesses -= 1
        guess = int(beyond * step * math.sqrt(flops / found)) if guesses > 0 and found else 0
        step = guess if low < guess < high else (low + high) // 2
    below, above = (Reached(step / _STEPS, count(step) if step else 0) for step in (low, high))
    best = min((below, above), key=lambda each: abs(each.flops - flops))
    if model.config is not None and abs(best.flops - flops) > TOLERANCE * flops:
        # Groups round inner widths, so that a larger multiplier may cost less: look at all of them.
        every = _every_small_form(model.config, template)
        below = max((each for each in every if each.flops < flops), key=_FLOPS, default=Reached(0, 0))
        above = min((each for each in every if each.flops >= flops), key=_FLOPS, default=every[-1])
    return below, above


def reach(model: Model, template: Template, flops: int) -> Reached:
    """The multiplier whose small form has flops nearest to these.

    Raises ``InputError`` with the nearest where none is within ``TOLERANCE``.
    """
    below, above = nearest(model, template, flops)
    best = min((below, above), key=lambda each: abs(each.flops - flops))
    if abs(best.flops - flops) > TOLERANCE * flops:
        what, reached = (
            ("the smallest small form has", [above])
            if not below.flops
            else ("the largest small form has", [above])
            if above.flops < flops
            else ("the nearest small forms have", [below, above])
        )
        known = " and ".join(f"{format_count(r.flops)} ({model.text}@{r.multiplier:g}x)" for r in reached)
        raise InputError(
            f"{model.text}@{format_count(flops)}F at {template.input}: no multiplier comes within"
            f" {TOLERANCE:.0%} of these flops",
            f"{what} {known}",
        )
    return best


def _flops_by_step(model: Model, template: Template) -> Callable[[int], int]:
    """The flops of the small form whose multiplier is so many thousandths; 0 where a width would be zero.

    Each network is counted once: most multipliers round all widths as another does.
    """
    recorded = _Recorded(1.0)
    with torch.device("meta"):
        fitted(f"{model.text}@1x", model.network, template, recorded)
    known: dict[tuple[int, ...], int] = {}

    def count(step: int) -> int:
        scale = Scale(step / _STEPS)
        try:
            widths = tuple(scale.width(*each) for each in recorded.asked)
        except ZeroWidthError:
            return 0
        if widths not in known:
            known[widths] = summarise(formed(model, f"{step / _STEPS:g}x"), template).flops
        return known[widths]

    return count


@dataclass(frozen=True, slots=True)
class _Recorded(Scale):
    """A scale that keeps which widths a network asks for, each with what it is rounded to."""

    asked: set[tuple[int, int]] = field(default_factory=set)

    def width(self, original: int, step: int = STEP) -> int:
        self.asked.add((original, step))
        return Scale.width(self, original, step)


def _every_small_form(config: Config, template: Template) -> list[Reached]:
    """The small forms of an AnyNet by ascending multiplier, without those that have no network."""
    found: list[tuple[float, Config]] = []
    for step in range(1, _LARGEST * _STEPS + 1):
        with suppress(InputError):  # a width of 0, or beyond what a config holds
            found.append((step / _STEPS, scaled(config, Scale(step / _STEPS))))
    flops = complexity(Population.of(each for _, each in found), template).flops
    return [Reached(multiplier, int(count)) for (multiplier, _), count in zip(found, flops, strict=True)]


def _small(model: Model, text: str, multiplier: float) -> Model:
    scale = Scale(multiplier)

    def build(template: Template) -> nn.Module:
        try:
            return fitted(text, model.network, template, scale)
        except ZeroWidthError as error:
            raise ZeroWidthError(f"{text}: {error.what}", error.hint) from None

    return replace(model, text=text, build=build, template=SMALL)


def _original(model: Model, template: Template) -> nn.Module:
    return _resized(model, replace(model.template, channels=template.channels, classes=template.classes))


def _at(model: Model, pixels: int, template: Template) -> nn.Module:
    return _resized(model, replace(template, height=pixels, width=pixels))


def _resized(model: Model, own: Template) -> nn.Module:
    layers = {"resize": Resize(own.height, own.width), "network": model.build(own)}
    return Parts(layers, {"network": ""})
