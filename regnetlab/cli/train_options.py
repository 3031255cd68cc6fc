"""From the options of ``regnetlab train`` to the one training that they mean."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, TypeVar

from regnetlab.cli.data import reading
from regnetlab.errors import InputError
from regnetlab.spaces.template import SMALL, Template, template_named
from regnetlab.training.budget import Budget, Recipe
from regnetlab.training.folders.decode import Reading, takes_any_input
from regnetlab.training.recipes import recipe_note, recipe_values
from regnetlab.training.saved import saved_facts

if TYPE_CHECKING:
    from regnetlab.models.model import Model
    from regnetlab.study.plan import Plan
    from regnetlab.training.datasets import DataSet
    from regnetlab.training.folders.listener import Listener

_TEMPLATE = ("template", "input", "stem", "stem_width", "stem_stride", "strides", "activation")


@dataclass(frozen=True, slots=True)
class OneTraining:
    """Everything that decides the score; ``judge`` names the images that judge it."""

    model: "Model"
    template: Template
    data: str
    reading: Reading
    pictures: "DataSet"
    budget: Budget
    recipe: Recipe
    seed: int
    judge: str
    flops: int
    notes: tuple[str, ...]

    def facts(self) -> dict[str, Any]:
        """What a file with the trained weights says of them."""
        return saved_facts(
            self.model.text,
            self.template,
            self.pictures,
            self.reading,
            self.budget,
            self.recipe,
            self.seed,
            self.judge,
        )


def one_training(model: str, given: Mapping[str, Any], told: "Listener") -> OneTraining:
    """The training that ``regnetlab train`` is asked for.

    Args:
        model: The network's text or, with a study, its name there.
        given: The options on the command line by name. The others have the values of the named recipe, of the
            study, or their defaults.
        told: Hears notes and progress while images are read.

    Raises:
        InputError: The options contradict each other, the study or the data.
    """
    from regnetlab.models.families import without_forms
    from regnetlab.models.forms import settled  # torch
    from regnetlab.models.summary import summarise
    from regnetlab.study.members import study_named
    from regnetlab.training.batches import check_budget
    from regnetlab.training.datasets import load_data, outline, with_test_images
    from regnetlab.training.folders.decode import folder_of_pack

    plan = study_named(given.get("study"), **{name: given.get(name) for name in (*_TEMPLATE, "recipe")})
    found, shape, data, usual, seed = _network(plan, model, given)
    name, input = given.get("recipe"), given.get("input")
    said = given if name is None else {**recipe_values(name, found.family), **given}
    resize, test = said.get("resize"), said.get("test", False)
    if "resize" not in given and (
        found.text != without_forms(found.text) or (input is not None and takes_any_input(data))
    ):
        resize = None  # the form or the input says the size
    start = Budget(time_limit=math.inf) if plan is None else plan.budget
    _changed(start, {key: value for key, value in said.items() if key != "drop_last"})  # before data are read
    recipe = _changed(usual, said)
    if given.get("nesterov") and recipe.momentum == 0:
        raise InputError("recipe: nesterov needs a momentum above 0", "leave it out, or give --momentum 0.9")
    if plan is None and folder_of_pack(data) is not None and {input, given.get("template")} == {None}:
        shape = shape.changed(outline(data).input)
    if resize is not None and plan is None and takes_any_input(data):
        if input is not None:
            raise InputError(f"--resize {resize} and --input {input} both say a size", "leave one out")
        shape, resize = shape.changed(f"{shape.channels}x{resize}x{resize}"), None  # read so at once
    read = _reading(plan, data, given)
    pictures = load_data(data, shape, given.get("data_dir"), read, told)
    if input is not None and shape.input != pictures.input:
        raise InputError(f"--input {input}: the images of {data} are {pictures.input}", "leave --input out")
    notes = pictures.lines()
    if test:
        pictures = with_test_images(pictures)
        notes.append(
            f"all {len(pictures.train):,} training images may be used and the {len(pictures.validation):,}"
            " test images judge: an error to show, not to choose by"
        )
    if plan is None:
        shape = shape.changed(pictures.input, len(pictures.classes))
    else:
        pictures.check_fits(shape)
    recipe.check_channels(shape.channels)
    network = settled(_resized(found, resize, shape), shape)
    flops = summarise(network, shape).flops  # refuses an input that is too small for the network
    stated = plan is not None and plan.images_stated
    budget, note = _budget(start, said, pictures, stated, everything=name is not None)
    notes.append(note)
    check_budget(pictures, budget)
    if name is not None:
        notes += _recipe_notes(name, found.family, given, budget, pictures)
    judge = "test" if test else "validation"
    return OneTraining(
        network, shape, data, read, pictures, budget, recipe, seed, judge, flops, tuple(filter(None, notes))
    )


def _network(
    plan: "Plan | None", model: str, given: Mapping[str, Any]
) -> "tuple[Model, Template, str, Recipe, int]":
    """The network, its template, the data, the recipe and the seed, as far as no recipe is named."""
    from regnetlab.models.pycls_config import NAME
    from regnetlab.models.registry import find_model
    from regnetlab.study.members import first_training, member
    from regnetlab.training.datasets import default_data

    if plan is not None:
        found = member(plan, model)
        usual, first = first_training(plan, found)
        return found, plan.template, given.get("data") or plan.data, usual, given.get("seed", first)
    named = None if given.get("template") is None else template_named(given["template"])
    found = find_model(model)
    base = named or (found.template if found.template.name == NAME else SMALL)
    shape = _shaped(base.changed(given.get("input")), given)
    data = given.get("data") or default_data(given.get("data_dir"))
    return found, shape, data, Recipe(), given.get("seed", 0)


def _reading(plan: "Plan | None", data: str, given: Mapping[str, Any]) -> Reading:
    names = ("fit", "background", "skip_unreadable", "split", "group_by", "test_split")
    own = None if plan is None else plan.reading
    return reading(data, own, **{name: given[name] for name in names if name in given})


def _resized(model: "Model", resize: int | None, template: Template) -> "Model":
    """The model for images resized to that many pixels a side, which those of the template may be already."""
    from regnetlab.models.forms import formed

    if resize is None or (template.height, template.width) == (resize, resize):
        return model
    return formed(model, f"{resize}px")


def _budget(
    start: Budget, said: Mapping[str, Any], pictures: "DataSet", stated: bool, everything: bool
) -> tuple[Budget, str]:
    """The budget on these images, and what to know of it if anything.

    ``everything`` takes all images where no number was said; of the test images all judge.
    """
    from regnetlab.training.batches import settled_images

    values, note = dict(said), ""
    if "images" not in said and everything:
        values["images"] = len(pictures.train)
    elif "images" not in said and not stated:
        settled, note = settled_images(pictures, start)
        values["images"] = settled.images
    if "validation" not in said and (everything or said.get("test", False)):
        values["validation"] = len(pictures.validation)
    return _changed(start, values), note


def _recipe_notes(
    recipe: str, family: str, given: Mapping[str, Any], budget: Budget, pictures: "DataSet"
) -> list[str]:
    """What the recipe says nothing of, and which of its values options changed."""
    usual = recipe_values(recipe, family) | {"images": len(pictures.train)}
    changed = [
        f"{key.replace('_', '-')} {_shown(given[key])} for {_shown(value)}"
        for key, value in usual.items()
        if key in given and given[key] != value
    ]
    less = ", so errors are higher than the recipe's" if _shorter(budget, usual) else ""
    note = f"recipe {recipe}, changed: {', '.join(changed)}{less}" if changed else f"recipe {recipe}"
    return [recipe_note(recipe, family), note]


def _shorter(budget: Budget, usual: Mapping[str, Any]) -> bool:
    return bool(budget.images * budget.epochs < usual["images"] * usual["epochs"])


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,}" if isinstance(value, int) else str(value)


_Values = TypeVar("_Values", Budget, Recipe)


def _changed(values: _Values, given: Mapping[str, Any]) -> _Values:
    """These values, with the options that were given in place of theirs."""
    return replace(values, **{each.name: given[each.name] for each in fields(values) if each.name in given})


def _shaped(base: Template, given: Mapping[str, Any]) -> Template:
    """The template with what was given in place of its own."""
    names = ("stem", "stem_width", "stem_stride", "activation")
    own = {name: given[name] for name in names if given.get(name) is not None}
    if given.get("strides") is not None:
        own["strides"] = _numbers(given["strides"])
    return replace(base, **own)


def _numbers(text: str) -> tuple[int, ...]:
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isascii() and part.isdigit() for part in parts):
        raise InputError(f"--strides {text!r} is not a list of whole numbers", "write it as in 1,2,2")
    return tuple(int(part[:9]) for part in parts)
