"""Names and notations of models: the MODEL of the command line becomes something to build.

A new family of networks is a file beside this one, its import and a line in ``_FAMILIES``.
"""

from collections.abc import Mapping
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from types import MappingProxyType

from torch import nn

from regnetlab.errors import InputError, unknown
from regnetlab.models.alexnet import alexnet
from regnetlab.models.aliases import OTHERS, likely, usual_name
from regnetlab.models.anynet import AnyNet, scaled
from regnetlab.models.densenet import DENSENETS
from regnetlab.models.fitting import fitted
from regnetlab.models.forms import formed, is_pixels
from regnetlab.models.googlenet import GOOGLENETS
from regnetlab.models.lenet import bn_lenet, bn_lenet_scratch
from regnetlab.models.model import Model, Network
from regnetlab.models.nin import nin
from regnetlab.models.published import LAWS, PUBLISHED
from regnetlab.models.pycls_config import is_config_file, read_config_file
from regnetlab.models.resnet import RESNETS, RESNEXTS
from regnetlab.models.scale import Scale
from regnetlab.models.vgg import VGGS
from regnetlab.spaces.config import Config, parse_anynet
from regnetlab.spaces.law import RegNetLaw, parse_law
from regnetlab.spaces.template import PAPER, Template


def find_model(text: str) -> Model:
    """The model of that name or notation, ``@form`` behind it; raises ``InputError`` that says what works.

    A path that ends in .yaml or .yml is a config of pycls, and brings its template.
    """
    text = text.strip()
    name, _, form = text.rpartition("@")
    if is_config_file(text):
        return _of_file(text)
    if is_pixels(form.strip()):
        return formed(find_model(name), form.strip())
    if "@" in name:
        raise InputError(
            f"model {text!r} has two forms",
            "only pixels may follow another form: resnet18@0.25x@96px",
        )
    if is_config_file(name):
        return formed(_of_file(name), form.strip())
    return _known(text)


@cache
def _known(text: str) -> Model:
    name, at, form = text.rpartition("@")
    if at:
        return formed(_find(name), form.strip())
    return _find(form)


def model_of(config: Config) -> Model:
    """The model of a config."""
    network = partial(_anynet, config)
    return Model(
        config.text,
        "AnyNet",
        "Radosavovic",
        2020,
        partial(fitted, config.text, network),
        network,
        config=config,
    )


def named_models() -> list[Model]:
    """Every model that has a name."""
    return list(_named().values())


def _find(text: str) -> Model:
    if text.startswith("anynet:"):
        return model_of(parse_anynet(text))
    if text.startswith("regnet:"):
        law = parse_law(text)
        return replace(model_of(law.config), law=law if isinstance(law, RegNetLaw) else None)
    name = text.strip().lower().replace("-", "_")
    if name in OTHERS:
        return model_of(parse_anynet(OTHERS[name]))
    try:
        return _named()[usual_name(name)]
    except KeyError:
        if name.startswith("derived"):
            raise InputError(
                f"model {text!r} is a network of a study, and none is given", "add --study NAME"
            ) from None
        if ":" in text or "=" in text:
            raise InputError(
                f"model {text!r} is not known",
                "write a config as anynet:d=1,2;w=16,32;g=8;b=1"
                " or regnet:w0=24,wa=24.48,wm=2.54,d=22,g=16,b=1, also"
                " regnet:w0=24,growth=2.1,stages=4,d=16,g=16,b=1",
            ) from None
        if names := likely(name, _named()):
            raise unknown("model", text, names) from None
        there = PUBLISHED if name.startswith("regnet") else _named()
        raise InputError(f"model {text!r} is not known", f"there are {', '.join(there)}") from None


def _of_file(path: str) -> Model:
    found = read_config_file(Path(path))
    return replace(model_of(found.config), template=found.template, law=found.law)


_GREY_28 = PAPER.changed("1x28x28", 10)
_GREY_96 = PAPER.changed("1x96x96", 10)
_GREY_224 = PAPER.changed("1x224x224", 10)

# Family, its paper's first author and year, the input and classes that it was made for, its networks.
_FAMILIES: tuple[tuple[str, str, int, Template, Mapping[str, Network]], ...] = (
    ("LeNet", "LeCun", 1998, _GREY_28, {"bn_lenet": bn_lenet, "bn_lenet_scratch": bn_lenet_scratch}),
    ("AlexNet", "Krizhevsky", 2012, _GREY_224, {"alexnet": alexnet}),
    ("VGG", "Simonyan", 2014, PAPER, VGGS),
    ("NiN", "Lin", 2013, _GREY_224, {"nin": nin}),
    ("GoogLeNet", "Szegedy", 2014, _GREY_96, GOOGLENETS),
    ("ResNet", "He", 2015, PAPER, RESNETS),
    ("ResNeXt", "Xie", 2016, PAPER, RESNEXTS),
    ("DenseNet", "Huang", 2016, PAPER, DENSENETS),
)


@cache
def _named() -> Mapping[str, Model]:
    named = {
        name: Model(name, family, paper, year, partial(fitted, name, network), network, template)
        for family, paper, year, template, networks in _FAMILIES
        for name, network in networks.items()
    }
    for name, config in PUBLISHED.items():
        family = "RegNetY" if config.se_ratio else "RegNetX"
        named[name] = replace(model_of(config), text=name, family=family, law=LAWS[name])
    return MappingProxyType(named)


def _anynet(config: Config, template: Template, scale: Scale) -> nn.Module:
    return AnyNet(scaled(config, scale), template)
