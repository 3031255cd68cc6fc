"""Families: hand-designed networks of any depth, as small forms (``scale``) are of any width.

``resnet@2d`` is the family's network of depth 2 (1 to 64), as published but for its depth; a form may follow:
``resnet@2d@0.25x``, ``resnet@1d@1MF``, ``resnet@2d@96px``. What a depth N is:

* ``resnet``: N basic blocks in each of four stages (``resnet18`` is 2d).
* ``resnet_bottleneck``: N bottleneck blocks in each of four stages (``resnet50`` has 3, 4, 6, 3).
* ``resnext``: N bottleneck blocks in each of four stages, in 32 groups of width 4 as ``resnext50_32x4d``.
* ``vgg`` and ``vgg_bn``: N convolutions in each of five blocks (``vgg13`` is 2d).
* ``densenet``: N bottleneck layers in each of four blocks, of growth 32 as ``densenet121``.
* ``densenet_small``: N plain layers in each of four blocks (itself: 4d).
* ``alexnet``: N convolutions behind the second pooling, the last 256 wide, the others 384 (itself: 3d).
* ``nin``: N blocks before each pooling, the added ones with 3×3 convolutions (itself: 1d); one block of a
  channel per class ends it at any depth.
* ``googlenet``: N Inception blocks in each of three stages: the first N that were published, then a stage's
  last one again (itself has 2, 5 and 2, which is no single depth).
* ``bn_lenet``: N convolutions before each pooling, the added ones padded so that the map stays (itself: 1d).

``resnet@1MF``, a family with flops and no depth, is all of it near these flops: at each depth the width
multiplier that comes nearest, where that is within ``forms.TOLERANCE``. Where a network has the family's
name, that is written ``alexnet@d@1MF``.
"""

import re
from dataclasses import replace
from functools import cache

from regnetlab.errors import InputError
from regnetlab.spaces.regime import format_count
from regnetlab.spaces.template import Template

DEEPEST = 64
"""The largest depth that can be written."""
DEPTHS = range(1, 17)
"""The depths of a grid."""
NAMED_LIKE_A_NETWORK = frozenset(("densenet_small", "alexnet", "nin", "googlenet", "bn_lenet"))
FAMILIES = frozenset(("resnet", "resnet_bottleneck", "resnext", "vgg", "vgg_bn", "densenet")) | (
    NAMED_LIKE_A_NETWORK
)
"""Their names, as in ``registry.ANY_DEPTH``, which needs torch: plans are read without."""
_NEAR = re.compile(
    r"\s*(?P<name>\w+)(?P<depths>\s*@\s*d)?\s*@\s*(?P<flops>\d{1,9}(?:\.\d{1,9})?[kmg]f?)\s*"
    r"(?:@\s*(?P<pixels>[0-9]{1,9})px\s*)?"
)
_DEPTH = re.compile(r"-?[0-9]*(?:\.[0-9]*)?d", re.IGNORECASE)


def is_depth(form: str) -> bool:
    """Whether this form is a depth, also one that can't be: 2d, 0d, 1.5d, or d for any."""
    return _DEPTH.fullmatch(form) is not None


def without_forms(text: str) -> str:
    """The network's name, with its depth if that is written: resnet@1d for resnet@1d@0.25x@96px."""
    name, *forms = text.split("@")
    return "@".join((name, *forms[: bool(forms) and is_depth(forms[0])]))


def is_family(text: str) -> bool:
    """Whether the text is a whole family near some flops: resnet@1MF, alexnet@d@1MF."""
    return _several(text) is not None


@cache
def family_grid(text: str, template: Template) -> tuple[str, ...]:
    """The family's networks near the flops that its text names.

    Args:
        text: What ``is_family`` takes.
        template: What the networks are counted on.

    Returns:
        Their texts, as ``resnet@1d@0.143x``, the shallowest first: of each depth of ``DEPTHS`` the one that
        comes nearest.

    Raises:
        InputError: It is no family, none of its networks comes within ``forms.TOLERANCE``, or the template is
            too small for them.
    """
    from regnetlab.models.forms import TOLERANCE, nearest  # torch
    from regnetlab.models.registry import find_model

    found = _several(text)
    if found is None:
        raise InputError(f"{text!r} is not a family near some flops", "write one as in resnet@1MF")
    name, form, pixels = found
    seen = template
    if pixels:
        find_model(f"{name}@1d{pixels}")  # refuses a side that can't be
        side = int(pixels[1:-2])
        seen = replace(template, height=side, width=side)
    texts: list[str] = []
    missed: list[tuple[int, str]] = []
    flops = 0
    for depth in DEPTHS:
        base = find_model(f"{name}@{depth}d")
        flops = find_model(f"{base.text}@{form}").flops or 0
        around = nearest(base, seen, flops)
        best = min(around, key=lambda each: abs(each.flops - flops))
        if abs(best.flops - flops) <= TOLERANCE * flops:
            texts.append(f"{base.text}@{best.multiplier:g}x{pixels}")
        elif not around[0].flops:
            missed.append((around[1].flops, f"{base.text}@{around[1].multiplier:g}x{pixels}"))
            break  # the smallest is too large, and deeper ones are larger
        else:
            missed += [(each.flops, f"{base.text}@{each.multiplier:g}x{pixels}") for each in around]
    if texts:
        return tuple(texts)
    below = max((each for each in missed if each[0] < flops), default=None)
    above = min((each for each in missed if each[0] > flops), default=None)
    known = " and ".join(f"{format_count(each[0])} ({each[1]})" for each in (below, above) if each)
    raise InputError(
        f"{text} at {template.input}: no depth comes within {TOLERANCE:.0%} of these flops",
        f"the nearest have {known}",
    )


def _several(text: str) -> tuple[str, str, str] | None:
    """Name, flops and pixels (with their @, or empty) of a whole family near some flops. Needs no torch."""
    match = _NEAR.fullmatch(text.lower().replace("-", "_"))
    if match is None or match["name"] not in FAMILIES:
        return None
    if not match["depths"] and match["name"] in NAMED_LIKE_A_NETWORK:
        return None
    pixels = f"@{int(match['pixels'])}px" if match["pixels"] else ""
    return match["name"], match["flops"], pixels
