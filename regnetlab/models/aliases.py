"""Names of torchvision and timm for the networks that are here, and of the ones that only sound like them.

Both build the published RegNets, but round widths to groups in their own ways: torchvision keeps a width
that the rounding moves by up to a tenth. Three of its networks differ by that from the published ones; timm
calls these ``…_tv``. Such a name means torchvision's network here too, as a config.
"""

import re
from collections.abc import Iterable, Mapping
from math import inf
from types import MappingProxyType

from regnetlab.models.published import PUBLISHED

OTHERS: Mapping[str, str] = MappingProxyType(
    {
        name: config
        for names, config in (
            (("regnet_x_400mf", "regnetx_004_tv"), "anynet:d=1,2,7,12;w=32,64,160,400;g=16;b=1"),
            (("regnet_y_800mf", "regnety_008_tv"), "anynet:d=1,3,8,2;w=64,144,320,784;g=16;b=1;se=0.25"),
            (("regnet_y_8gf", "regnety_080_tv"), "anynet:d=2,4,10,1;w=224,448,896,2016;g=56;b=1;se=0.25"),
        )
        for name in names
    }
)
"""torchvision's networks that are not the published ones of that size."""

_TIMM = re.compile(r"regnet([xy])_(\d{3,4})")
_SPELT = re.compile(r"regnet_?([xy])_(\d+(?:[._]\d+)?)([mg])f")
_ALMOST = re.compile(r"regnet_?([xy])_?(\d+(?:[._]\d+)?)_?([mg])")
_SAME = 1.5
"""How many times larger or smaller a network may be that is suggested for a name that says a size."""


def usual_name(name: str) -> str:
    """Our name for the published RegNet that this is a spelling of; else the name as it is."""
    flops = _flops(name)
    if flops is None:
        return name
    same = (each for each in PUBLISHED if _flops(each) == flops and _family(each) == _family(name))
    return next(same, name)


def likely(name: str, names: Iterable[str]) -> list[str]:
    """The names that can be meant by one that is not known: RegNets of about the size that it says, for
    another name those with about its number; none where that would be a guess."""
    if not name.startswith("regnet"):
        return [each for each in names if not each.startswith("regnet") and _near(name, each)]
    found = _ALMOST.match(name)
    flops = _flops(name) or (_size(found[2], found[3]) if found else None)
    if flops is None:
        flops = int(timm[2]) * 1e8 if (timm := _TIMM.match(name)) else inf
    family = [each for each in names if _family(each) == _family(name)]
    larger = {each: (_flops(each) or inf) / flops for each in family}
    # There is no RegNet below 200MF anywhere: 40mf is a slip for 400mf.
    most = 10 if min(larger.values(), default=0) > _SAME else _SAME
    return [each for each in family if 1 / _SAME <= larger[each] <= most]


def _flops(name: str) -> float | None:
    """The flops in a RegNet's name: 3_2gf or 3.2gf, or timm's 032."""
    if found := _SPELT.fullmatch(name):
        return _size(found[2], found[3])
    found = _TIMM.fullmatch(name)
    return int(found[2]) * 1e8 if found else None


def _size(number: str, unit: str) -> float:
    return round(float(number.replace("_", ".")) * {"m": 1e6, "g": 1e9}[unit])


def _family(name: str) -> str:
    return name.replace("_", "")[:7]


def _near(name: str, other: str) -> bool:
    """Whether the first number of a name, if it has one, is of about the size of the other's."""
    a, b = (re.search(r"\d+", each) for each in (name, other))
    if a is None or b is None:
        return a is None
    return name[0] == other[0] and 1 / 3 <= (float(a[0]) + 1) / (float(b[0]) + 1) <= 3
