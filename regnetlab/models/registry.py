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
from regnetlab.models.densenet import DENSENETS, DENSENETS_OF_DEPTH
from regnetlab.models.families import DEEPEST, is_depth, is_family
from regnetlab.models.fitting import fitted
from regnetlab.models.forms import formed, is_pixels
from regnetlab.models.googlenet import GOOGLENETS, GOOGLENETS_OF_DEPTH
from regnetlab.models.lenet import bn_lenet, bn_lenet_scratch
from regnetlab.models.model import Model, Network, NetworkOfDepth
from regnetlab.models.nin import nin
from regnetlab.models.published import LAWS, PUBLISHED
from regnetlab.models.pycls_config import is_config_file, read_config_file
from regnetlab.models.resnet import RESNETS, RESNETS_OF_DEPTH, RESNEXTS, RESNEXTS_OF_DEPTH
from regnetlab.models.scale import Scale
from regnetlab.models.vgg import VGGS, VGGS_OF_DEPTH
from regnetlab.spaces.config import Config, parse_anynet
from regnetlab.spaces.law import RegNetLaw, parse_law
from regnetlab.spaces.template import PAPER, Template


def find_model(text: str) -> Model:
    """The model of that name or notation, ``@form`` behind it; raises ``InputError`` that says what works.

    A path that ends in .yaml or .yml is a config of pycls, and brings its template.
    """
    text = text.strip()
    if is_config_file(text):
        return _of_file(text)
    if is_family(text):
        family, _, forms = text.partition("@")
        raise InputError(
            f"{text!r} is a family of networks, not one",
            f"write a depth, as in {usual(family)}@1d@{forms.removeprefix('d@')}",
        )
    name, _, form = text.rpartition("@")
    if is_pixels(form.strip()):
        return formed(find_model(name), form.strip())
    base, at, inner = name.rpartition("@")
    if "@" in base or (at and not is_depth(inner.strip()) and not is_depth(form.strip())):
        raise InputError(
            f"model {text!r} has two forms",
            "only pixels may follow another form: resnet18@0.25x@96px",
        )
    if is_config_file(name) and not is_depth(form.strip()):
        return formed(_of_file(name), form.strip())
    return _known(text)


@cache
def _known(text: str) -> Model:
    name, at, form = (each.strip() for each in text.rpartition("@"))
    if at and is_depth(form):
        return _of_depth(name, form)
    if at:
        return formed(_known(name), form)
    return _find(form)


def _of_depth(text: str, form: str) -> Model:
    """The network of that depth, of the family that the text names."""
    name, _, other = (each.strip() for each in text.partition("@"))
    family = usual(name)
    if family not in ANY_DEPTH:
        if is_network(name) or is_config_file(name) or ":" in name:
            raise InputError(
                f"{name}@{form}: {name} has a depth of its own",
                f"families of any depth are {', '.join(ANY_DEPTH)}",
            )
        raise unknown("family", name, ANY_DEPTH)
    if is_depth(other):
        raise InputError(f"{text}@{form} says twice how deep the network is", "say it once")
    if other:
        raise InputError(f"{text}@{form}: the depth comes first", f"write {name}@{form}@{other}")
    number = form[:-1]
    if not number:
        raise InputError(
            f"{name}@{form}: a depth without a number goes with flops alone",
            f"write {family}@2d, or {family}@d@1MF for all depths near 1 MF",
        )
    if not number.isdecimal() or len(number) > 9 or not 1 <= int(number) <= DEEPEST:
        raise InputError(
            f"{name}@{form}: the depth is {number}", f"it must be a whole number from 1 to {DEEPEST}"
        )
    label, network = ANY_DEPTH[family]
    text, built = f"{family}@{int(number)}d", partial(network, int(number))
    paper, year, template = next(each[1:4] for each in _FAMILIES if each[0] == label)
    return Model(text, label, paper, year, partial(fitted, text, built), built, template)


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


def usual(name: str) -> str:
    """A name as it is listed: in lower case, without hyphens."""
    return name.strip().lower().replace("-", "_")


def is_network(name: str) -> bool:
    """Whether a network has this name, without any form."""
    name = usual(name)
    return name in OTHERS or usual_name(name) in _named()


def _find(text: str) -> Model:
    if text.startswith("anynet:"):
        return model_of(parse_anynet(text))
    if text.startswith("regnet:"):
        law = parse_law(text)
        return replace(model_of(law.config), law=law if isinstance(law, RegNetLaw) else None)
    name = usual(text)
    if name in OTHERS:
        return model_of(parse_anynet(OTHERS[name]))
    try:
        return _named()[usual_name(name)]
    except KeyError:
        if name in ANY_DEPTH:
            raise InputError(
                f"{text!r} is a family of networks, not one",
                f"write a depth, as in {name}@2d or {name}@2d@1MF",
            ) from None
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
    (
        "LeNet",
        "LeCun",
        1998,
        _GREY_28,
        {"bn_lenet": partial(bn_lenet, 1), "bn_lenet_scratch": bn_lenet_scratch},
    ),
    ("AlexNet", "Krizhevsky", 2012, _GREY_224, {"alexnet": partial(alexnet, 3)}),
    ("VGG", "Simonyan", 2014, PAPER, VGGS),
    ("NiN", "Lin", 2013, _GREY_224, {"nin": partial(nin, 1)}),
    ("GoogLeNet", "Szegedy", 2014, _GREY_96, GOOGLENETS),
    ("ResNet", "He", 2015, PAPER, RESNETS),
    ("ResNeXt", "Xie", 2016, PAPER, RESNEXTS),
    ("DenseNet", "Huang", 2016, PAPER, DENSENETS),
)

ANY_DEPTH: Mapping[str, tuple[str, NetworkOfDepth]] = MappingProxyType(
    {
        name: (family, network)
        for family, networks in (
            ("LeNet", {"bn_lenet": bn_lenet}),
            ("AlexNet", {"alexnet": alexnet}),
            ("VGG", VGGS_OF_DEPTH),
            ("NiN", {"nin": nin}),
            ("GoogLeNet", GOOGLENETS_OF_DEPTH),
            ("ResNet", RESNETS_OF_DEPTH),
            ("ResNeXt", RESNEXTS_OF_DEPTH),
            ("DenseNet", DENSENETS_OF_DEPTH),
        )
        for name, network in networks.items()
    }
)
"""Networks of any depth by the name of their family (``families``), with its row in ``_FAMILIES``."""


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
