"""Recipes by name: ``textbook`` trains each network as the textbook chapter on modern CNNs does.

A recipe is values for the options of ``regnetlab train``; each can still be said otherwise. ``BASES`` are
what a study's ``[recipe]`` can begin from.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from regnetlab.errors import unknown

RECIPES = ("textbook",)
BASES: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        # Chosen here for few hundred steps: docs/recipe.md.
        "short": MappingProxyType({}),
        # Radosavovic et al. 2020, section 3 and appendix; what it leaves open is as in their code, pycls
        # (core/optimizer.py, datasets/imagenet.py): all parameters decay, crops, flips and colours.
        "paper": MappingProxyType(
            {
                "lr": 0.1,
                "lr_batch": 128,
                "schedule": "cosine",
                "warmup": 0.0,
                "weight_decay": 5e-5,
                "decay": "all",
                "augment": "resized-crop-flip",
                "lighting": 0.1,
            }
        ),
    }
)


class _Taught(NamedTuple):
    """What differs between families: pixels a side that the images are resized to, and the rate."""

    resize: int
    lr: float


_TEXTBOOK: Mapping[str, _Taught] = MappingProxyType(
    {
        "LeNet": _Taught(28, 0.1),
        "AlexNet": _Taught(224, 0.01),
        "VGG": _Taught(224, 0.1),
        "NiN": _Taught(224, 0.05),
        "GoogLeNet": _Taught(96, 0.01),
        "ResNet": _Taught(96, 0.01),
        "DenseNet": _Taught(96, 0.01),
    }
)
_LIKE = "ResNet"  # for the families that the chapter shows and does not train
_SHARED: Mapping[str, Any] = MappingProxyType(
    {
        "epochs": 10,
        "batch_size": 128,
        "drop_last": False,
        "test": True,
        "momentum": 0.0,
        "nesterov": False,
        "weight_decay": 0.0,
        "schedule": "constant",
        "warmup": 0.0,
        "label_smoothing": 0.0,
        "augment": "none",
        "precise_bn": 0,
        "init": "xavier",
        "input_scale": "0-1",
    }
)


def base_values(base: str, channels: int) -> dict[str, Any]:
    """The values of a recipe's keys that this base says, for images of so many channels.

    Raises ``InputError`` for one that is not known.
    """
    if base not in BASES:
        raise unknown("recipe: base", base, BASES)
    values = dict(BASES[base])
    return values if channels == 3 else {key: each for key, each in values.items() if key != "lighting"}


def check_recipe(recipe: str) -> None:
    """Raise ``InputError`` for a recipe that is not known."""
    if recipe not in RECIPES:
        raise unknown("recipe", recipe, RECIPES)


def recipe_values(recipe: str, family: str) -> dict[str, Any]:
    """The values of the recipe's options for a network of this family; all images are meant where
    ``images`` and ``validation`` are not among them. Raises ``InputError`` for a recipe that is not known.
    """
    check_recipe(recipe)
    return {**_SHARED, **_TEXTBOOK.get(family, _TEXTBOOK[_LIKE])._asdict()}


def recipe_note(recipe: str, family: str) -> str:
    """What the recipe's values are where the source says nothing of this family."""
    if family in _TEXTBOOK:
        return ""
    return f"the chapter trains no {family}: the {recipe} recipe takes size and rate of its {_LIKE}"
