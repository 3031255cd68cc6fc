"""What a file of trained weights says of them, so that they can be used without the study."""

from dataclasses import asdict
from typing import Any

from regnetlab.spaces.template import Template
from regnetlab.training.budget import Budget, Recipe
from regnetlab.training.datasets import DataSet
from regnetlab.training.folders.decode import Reading, is_folder
from regnetlab.training.packs.images import PackedImages


def saved_facts(
    model: str,
    template: Template,
    data: DataSet,
    reading: Reading,
    budget: Budget,
    recipe: Recipe,
    seed: int,
    judge: str = "validation",
) -> dict[str, Any]:
    """Network, classes, how pixels and files are read, and how it was trained.

    Pixels of 0 to 1, less ``mean`` and over ``std`` by channel, are the network's input. ``judge`` names the
    images that judged it.
    """
    mean, std = data.mean_and_std()
    if recipe.input_scale == "0-1":
        mean, std = [0.0] * len(mean), [1.0] * len(std)
    read: dict[str, object] | None = None
    if isinstance(data.train.images, PackedImages):
        packed = data.train.images
        read = {"fit": "crop", "background": packed.background, "side": packed.side}
    elif is_folder(data.name):
        read = {"fit": reading.fit, "background": reading.background}
    return {
        "model": model,
        "template": template.facts(),
        "classes": list(data.classes),
        "normalisation": {"mean": mean, "std": std},
        "data": data.name,
        "reading": read,
        "held_out": list(reading.splitting) if is_folder(data.name) else None,
        "recipe": asdict(recipe),
        "budget": budget.facts(),
        "seed": seed,
        "judged_on": judge,
    }
