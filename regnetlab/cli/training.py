"""``regnetlab train``."""

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

import typer

from regnetlab.cli.data import Background, Fit, SkipUnreadable, listener, reading
from regnetlab.cli.models import DataDir, DataName, Device, Kernels, ModelText
from regnetlab.cli.output import Json, Seed, filled, number, print_guessing, print_json
from regnetlab.cli.spaces import Input, OfStudy
from regnetlab.errors import InputError
from regnetlab.spaces.template import SMALL, Template, template_named
from regnetlab.training.budget import Budget, Recipe, Score

if TYPE_CHECKING:
    from regnetlab.training.folders.decode import Reading

_BUDGET, _RECIPE = Budget(), Recipe()  # whose values are the options' defaults
_TEMPLATE = ("template", "input", "stem_width", "stem_stride", "strides")


def _option(help: str, panel: str, *names: str) -> Any:
    return typer.Option(*names, help=help, rich_help_panel=panel)


def train(
    context: typer.Context,
    model: ModelText,
    study: OfStudy = None,
    data: DataName = None,
    seed: Seed = 0,
    device: Device = "auto",
    kernels: Kernels = "auto",
    data_dir: DataDir = None,
    images: Annotated[
        int | None, _option(f"Training images; {_BUDGET.images:,} or all by default.", "Budget")
    ] = None,
    epochs: Annotated[int, _option("Times that each is seen.", "Budget")] = _BUDGET.epochs,
    batch_size: Annotated[int, _option("Images a step.", "Budget")] = _BUDGET.batch_size,
    validation: Annotated[
        int, _option("Validation images that judge it, or all where there are fewer.", "Budget")
    ] = _BUDGET.validation,
    time_limit: Annotated[
        float, _option("Seconds after which it ends without an error.", "Budget")
    ] = _BUDGET.time_limit,
    lr: Annotated[float, _option("Highest learning rate.", "Recipe")] = _RECIPE.lr,
    momentum: Annotated[float, _option("Of SGD.", "Recipe")] = _RECIPE.momentum,
    nesterov: Annotated[
        bool, _option("Nesterov's momentum.", "Recipe", "--nesterov/--no-nesterov")
    ] = _RECIPE.nesterov,
    weight_decay: Annotated[
        float, _option("On the weights of convolutions and linear layers.", "Recipe")
    ] = _RECIPE.weight_decay,
    schedule: Annotated[
        Literal["cosine", "one-cycle"], _option("How the learning rate falls.", "Recipe")
    ] = _RECIPE.schedule,
    warmup: Annotated[
        float, _option("Share of the steps in which it rises first.", "Recipe")
    ] = _RECIPE.warmup,
    label_smoothing: Annotated[float, _option("Of the loss.", "Recipe")] = _RECIPE.label_smoothing,
    augment: Annotated[
        Literal["none", "flip", "crop-flip"], _option("What is done to the images.", "Recipe")
    ] = _RECIPE.augment,
    precise_bn: Annotated[
        int, _option("Batches that recompute the batch norms' statistics.", "Recipe")
    ] = _RECIPE.precise_bn,
    fit: Fit = None,
    background: Background = None,
    skip_unreadable: SkipUnreadable = False,
    template: Annotated[
        str | None, _option("paper or small (the default, but for a config of pycls).", "Template")
    ] = None,
    input: Input = None,
    stem_width: Annotated[int | None, _option("The stem's channels.", "Template")] = None,
    stem_stride: Annotated[int | None, _option("The stem's stride.", "Template")] = None,
    strides: Annotated[str | None, _option("Of each stage's first block, as in 1,2,2.", "Template")] = None,
    json: Json = False,
) -> None:
    """Train one network for a short budget and print its validation error.

    With --study this is the study's own training of that network, to the last bit on the same CPU, as far
    as no other option says otherwise.
    """
    from functools import partial

    from regnetlab.analysis.guessing import guessed, has_learned  # SciPy
    from regnetlab.study.members import first_training, member, study_named

    given = {name: value for name, value in context.params.items() if _is_given(context, name)}
    plan = study_named(study, **{name: given.get(name) for name in _TEMPLATE})
    named = None if template is None else template_named(template)
    budget = _changed(Budget() if plan is None else plan.budget, given)
    from regnetlab.models.forms import settled  # torch
    from regnetlab.models.pycls_config import NAME
    from regnetlab.models.registry import find_model
    from regnetlab.models.summary import summarise
    from regnetlab.training.batches import check_budget, on_device, settled_images
    from regnetlab.training.datasets import default_data, load_data
    from regnetlab.training.devices import check_kernels, find_device, kernels_used, set_up
    from regnetlab.training.trainer import train as train_model

    check_kernels(kernels)
    if plan is None:
        found, usual = find_model(model), Recipe()
        base = named or (found.template if found.template.name == NAME else SMALL)
        shape = _shaped(base.changed(input), stem_width, stem_stride, strides)
        data = data or default_data(data_dir)
    else:
        found, shape, data = member(plan, model), plan.template, data or plan.data
        usual, first = first_training(plan, found)
        seed = given.get("seed", first)
    recipe = _changed(usual, given)
    read = reading(data, fit, background, skip_unreadable)
    read = read if plan is None else _changed(plan.reading, given)
    told = listener()
    pictures = load_data(data, shape, data_dir, read, told)
    if input is not None and shape.input != pictures.input:
        raise InputError(f"--input {input}: the images of {data} are {pictures.input}; leave --input away")
    if plan is None:
        shape = shape.changed(pictures.input, len(pictures.classes))
        found = settled(found, shape)
    else:
        pictures.check_fits(shape)
    summarise(found, shape)  # refuses an input that is too small for the network
    notes: list[str] = []
    if images is None and (plan is None or not plan.images_stated):
        budget, note = settled_images(pictures, budget)
        notes.append(note)
    check_budget(pictures, budget)
    where = find_device(device)
    for line in filter(None, [*pictures.lines(), *notes, budget.few_steps("--epochs ")]):
        told.note(line)
    set_up(where)
    build = partial(found.build, shape)
    score = train_model(build, on_device(pictures, where), budget, recipe, seed, kernels)
    guess = pictures.guessing(budget.validation)
    earned = [] if score.error is None else [score.error]
    judged = guessed(guess, {found.text: earned}) | {"learned": has_learned(earned, guess)}
    if not json:
        _print(found.text, score, str(where), judged)
        return
    more = {"seed": seed, "device": str(where), "kernels": kernels_used(kernels, str(where)), "data": data}
    print_json({"model": found.text, **score.as_dict(), **more, **judged})


def _is_given(context: typer.Context, name: str) -> bool:
    """Whether this option stands on the command line."""
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


_Values = TypeVar("_Values", Budget, Recipe, "Reading")


def _changed(values: _Values, given: Mapping[str, Any]) -> _Values:
    """These values, with the options that were given in place of theirs."""
    return replace(values, **{each.name: given[each.name] for each in fields(values) if each.name in given})


def _shaped(base: Template, stem_width: int | None, stem_stride: int | None, strides: str | None) -> Template:
    """The template with what was given in place of its own."""
    return Template(
        base.name,
        base.channels,
        base.height,
        base.width,
        base.classes,
        base.stem_width if stem_width is None else stem_width,
        base.stem_stride if stem_stride is None else stem_stride,
        base.strides if strides is None else _numbers(strides),
    )


def _numbers(text: str) -> tuple[int, ...]:
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isascii() and part.isdigit() for part in parts):
        raise InputError(f"--strides {text!r} are no numbers with commas between; write them as in 1,2,2")
    return tuple(int(part[:9]) for part in parts)


def _print(model: str, score: Score, device: str, judged: Mapping[str, Any]) -> None:
    for point in score.curve:
        line = f"{point.images:9,} images  train loss {point.train_loss:.3f}"
        after = f"  validation error {point.error:.2f} %" if point.error is not None else ""
        print(f"{line}  train error {point.train_error:5.1f} %{after}")
    line = (
        f"{model}: validation error {number(score.error)} %, where guessing gives"
        f" {judged['majority_error']:.2f}%, after {score.images:,} images, {score.seconds:.1f} s on {device};"
        f" {score.ended}"
    )
    print(filled(line))
    print_guessing(None, judged["not_learned"])
