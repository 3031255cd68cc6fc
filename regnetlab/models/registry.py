"""Names and notations of models: the MODEL of the command line becomes something to build.

A new family of networks is a file beside this one and a line in ``_named``.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial

from torch import nn

from regnetlab.errors import InputError, unknown
from regnetlab.models.anynet import AnyNet
from regnetlab.models.published import PUBLISHED
from regnetlab.spaces.config import Config
from regnetlab.spaces.law import parse_config
from regnetlab.spaces.template import Template


@dataclass(frozen=True, slots=True)
class Model:
    """A network that can be built on any template.

    ``text`` is what finds it again, ``year`` its paper's; ``config`` where it is an AnyNet.
    """

    text: str
    family: str
    year: int
    build: Callable[[Template], nn.Module]
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
    return Model(config.text, "AnyNet", 2020, partial(AnyNet, config), config)


def named_models() -> list[Model]:
    """Every model that has a name."""
    return list(_named().values())


@cache
def _named() -> Mapping[str, Model]:
    titles = {"regnetx": "RegNetX", "regnety": "RegNetY"}
    return {
        name: Model(name, titles[name.partition("_")[0]], 2020, partial(AnyNet, config), config)
        for name, config in PUBLISHED.items()
    }
