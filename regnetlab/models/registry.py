"""Names and notations of models: the MODEL of the command line becomes something to build.

A new family of networks is a file beside this one and a line in ``_FAMILIES``.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache, partial
from types import MappingProxyType

import torch
from torch import nn

from regnetlab.errors import InputError, unknown
from regnetlab.models.alexnet import alexnet
from regnetlab.models.anynet import AnyNet
from regnetlab.models.densenet import DENSENETS
from regnetlab.models.googlenet import googlenet
from regnetlab.models.lenet import bn_lenet, bn_lenet_scratch
from regnetlab.models.nin import nin
from regnetlab.models.published import PUBLISHED
from regnetlab.models.resnet import RESNETS, RESNEXTS
from regnetlab.models.shapes import TooSmallError
from regnetlab.models.vgg import VGGS
from regnetlab.spaces.config import Config
from regnetlab.spaces.law import parse_config
from regnetlab.spaces.template import PAPER, Template

Build = Callable[[Template], nn.Module]


@dataclass(frozen=True, slots=True)
class Model:
    """A network that can be built on any template whose input is large enough.

    ``text`` is what finds it again, ``year`` its paper's, ``template`` holds the input and the classes
    that it was made for; ``config`` is there where it is an AnyNet. ``build`` raises ``InputError``
    with the smallest input that works.
    """

    text: str
    family: str
    year: int
    build: Build
    template: Template = PAPER
    config: Config | None = None


def find_model(text: str) -> Model:
    """The model of that name or notation; raises ``InputError`` that says what would work."""
    if text.startswith(("anynet:", "regnet:")):
        return model_of(parse_config(text))
    name = text.strip().lower().replace("-", "_").replace(".0gf", "gf")
    try:
        return _named()[name]
    except KeyError:
        if ":" in text or "=" in text:
            raise InputError(
                f"model {text!r} is not known; write a config as anynet:d=1,2;w=16,32;g=8;b=1"
                " or regnet:w0=24,wa=24.48,wm=2.54,d=22,g=16,b=1"
            ) from None
        raise unknown("model", text, _named()) from None


def model_of(config: Config) -> Model:
    """The model of a config."""
    return Model(config.text, "AnyNet", 2020, partial(AnyNet, config), config=config)


def named_models() -> list[Model]:
    """Every model that has a name."""
    return list(_named().values())


_GREY_28 = PAPER.changed("1x28x28", 10)
_GREY_96 = PAPER.changed("1x96x96", 10)
_GREY_224 = PAPER.changed("1x224x224", 10)

# Family, year of its paper, the input and classes that it was made for, and its networks.
_FAMILIES: tuple[tuple[str, int, Template, Mapping[str, Build]], ...] = (
    ("LeNet", 1998, _GREY_28, {"bn_lenet": bn_lenet, "bn_lenet_scratch": bn_lenet_scratch}),
    ("AlexNet", 2012, _GREY_224, {"alexnet": alexnet}),
    ("VGG", 2014, PAPER, VGGS),
    ("NiN", 2013, _GREY_224, {"nin": nin}),
    ("GoogLeNet", 2014, _GREY_96, {"googlenet": googlenet}),
    ("ResNet", 2015, PAPER, RESNETS),
    ("ResNeXt", 2016, PAPER, RESNEXTS),
    ("DenseNet", 2016, PAPER, DENSENETS),
)


@cache
def _named() -> Mapping[str, Model]:
    named = {
        name: Model(name, family, year, partial(_sized, build), template)
        for family, year, template, networks in _FAMILIES
        for name, build in networks.items()
    }
    for name, config in PUBLISHED.items():
        family = "RegNetY" if config.se_ratio else "RegNetX"
        named[name] = Model(name, family, 2020, partial(AnyNet, config), config=config)
    return MappingProxyType(named)


def _sized(build: Build, template: Template) -> nn.Module:
    try:
        return build(template)
    except TooSmallError as error:
        raise InputError(f"{error}; the smallest that works is {_smallest(build, template)}") from None


def _smallest(build: Build, template: Template) -> str:
    """The smallest square input on which the network can be built."""
    with torch.device("meta"):
        for side in range(1, 1_025):
            square = replace(template, height=side, width=side)
            try:
                build(square)
            except TooSmallError:
                continue
            return square.input
    return "larger than 1,024 pixels"
