"""``regnetlab train``."""

import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from regnetlab.cli.completion import among
from regnetlab.cli.data import Background, Fit, GroupBy, Held, SkipUnreadable, TestSplit, listener
from regnetlab.cli.options import Log
from regnetlab.cli.output import Json, Seed, echo, filled, number, print_guessing, print_json
from regnetlab.cli.sample import Input, OfStudy
from regnetlab.cli.summary import DataDir, DataName, Device, Kernels, ModelText
from regnetlab.errors import InputError
from regnetlab.training.budget import COMPLETE, INTERRUPTED, Augment, Budget, Recipe, Score
from regnetlab.training.recipes import check_recipe

if TYPE_CHECKING:
    from regnetlab.cli.epochs import Rows
    from regnetlab.cli.train_options import OneTraining

_BUDGET, _RECIPE = Budget(), Recipe()  # whose values are the options' defaults
_LARGE = 50_000_000  # multiply-adds of an image; a network below that has too little for threads to share


def _option(help: str, panel: str, *names: str) -> Any:
    return typer.Option(*names, help=help, rich_help_panel=panel)


def train(
    context: typer.Context,
    model: ModelText,
    study: OfStudy = None,
    recipe: Annotated[
        str | None,
        typer.Option(
            metavar="textbook",
            autocompletion=among("textbook"),
            help="Train as the textbook chapter trains this network; any other option still counts.",
        ),
    ] = None,
    data: DataName = None,
    seed: Seed = 0,
    device: Device = "auto",
    kernels: Kernels = "auto",
    threads: Annotated[
        int | None,
        typer.Option(
            min=1, max=1_024, help="CPU threads; 1 as in studies, or all for a large one by --recipe."
        ),
    ] = None,
    data_dir: DataDir = None,
    images: Annotated[
        int | None, _option(f"Training images; {_BUDGET.images:,} or all by default.", "Budget")
    ] = None,
    epochs: Annotated[int, _option("Times that each image is seen.", "Budget")] = _BUDGET.epochs,
    batch_size: Annotated[int, _option("Images a step.", "Budget")] = _BUDGET.batch_size,
    validation: Annotated[
        int, _option("Validation images that judge it, or all where there are fewer.", "Budget")
    ] = _BUDGET.validation,
    drop_last: Annotated[
        bool,
        _option("Drop or keep an epoch's last batch if incomplete.", "Budget", "--drop-last/--keep-last"),
    ] = _BUDGET.drop_last,
    test: Annotated[
        bool,
        _option(
            "Judge on the test images and hold out no training images, as textbooks do and studies never do.",
            "Budget",
            "--test/--no-test",
        ),
    ] = False,
    time_limit: Annotated[
        float | None,
        _option(
            "Seconds after which it is stopped without an error; else the study's limit, or none.", "Budget"
        ),
    ] = None,
    lr: Annotated[float, _option("Highest learning rate.", "Recipe")] = _RECIPE.lr,
    momentum: Annotated[float, _option("Momentum of SGD.", "Recipe")] = _RECIPE.momentum,
    nesterov: Annotated[
        bool, _option("Nesterov's momentum.", "Recipe", "--nesterov/--no-nesterov")
    ] = _RECIPE.nesterov,
    weight_decay: Annotated[
        float, _option("Weight decay of convolutions and linear layers.", "Recipe")
    ] = _RECIPE.weight_decay,
    schedule: Annotated[
        Literal["cosine", "one-cycle", "constant"], _option("How the learning rate falls.", "Recipe")
    ] = _RECIPE.schedule,
    warmup: Annotated[
        float, _option("Share of the steps in which the learning rate rises.", "Recipe")
    ] = _RECIPE.warmup,
    label_smoothing: Annotated[
        float, _option("Label smoothing of the loss.", "Recipe")
    ] = _RECIPE.label_smoothing,
    augment: Annotated[Augment, _option("Changes to the training images.", "Recipe")] = _RECIPE.augment,
    precise_bn: Annotated[
        int, _option("Batches from which the batch norms' statistics are computed again.", "Recipe")
    ] = _RECIPE.precise_bn,
    init: Annotated[
        Literal["paper", "xavier", "he"], _option("Initial weights; paper is what the family does.", "Recipe")
    ] = _RECIPE.init,
    input_scale: Annotated[
        Literal["standardised", "0-1"], _option("Range of the pixels.", "Recipe")
    ] = _RECIPE.input_scale,
    decay: Annotated[
        Literal["weights", "all"], _option("What weight decay acts on.", "Recipe")
    ] = _RECIPE.decay,
    lr_batch: Annotated[
        int, _option("Images a step that the learning rate is for, and grows with; 0: any.", "Recipe")
    ] = _RECIPE.lr_batch,
    lighting: Annotated[float, _option("Deviation of random shifts of colour.", "Recipe")] = _RECIPE.lighting,
    ema: Annotated[
        float, _option("Share that a moving average of the parameters keeps at each step; 0: none.", "Recipe")
    ] = _RECIPE.ema,
    erasing: Annotated[
        float, _option("Share of the images with a random part erased.", "Recipe")
    ] = _RECIPE.erasing,
    resize: Annotated[
        int | None, _option("Pixels a side that images are resized to; as MODEL@96px.", "Template")
    ] = None,
    fit: Fit = None,
    background: Background = None,
    skip_unreadable: SkipUnreadable = False,
    split: Held = None,
    group_by: GroupBy = None,
    test_split: TestSplit = None,
    template: Annotated[
        str | None, _option("paper or small (the default, but for a config of pycls).", "Template")
    ] = None,
    input: Input = None,
    stem: Annotated[str | None, _option("3x3 (the default), patch or 7x7-pool.", "Template")] = None,
    stem_width: Annotated[int | None, _option("The stem's channels.", "Template")] = None,
    stem_stride: Annotated[int | None, _option("The stem's stride.", "Template")] = None,
    strides: Annotated[
        str | None, _option("Stride of each stage's first block, as in 1,2,2.", "Template")
    ] = None,
    activation: Annotated[
        str | None, _option("relu, silu or gelu; what the block usually has by default.", "Template")
    ] = None,
    save: Annotated[
        Path | None,
        typer.Option("--save", "-o", metavar="FILE.safetensors", help="Write the trained network there."),
    ] = None,
    checkpoint: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Save progress there every two minutes and on Ctrl-C; the same command resumes.",
        ),
    ] = None,
    log: Log = None,
    json: Json = False,
) -> None:
    """Train one network and print a row an epoch, then its error on images that it has not seen.

    With --study this is the study's own training of that network, to the last bit on the same CPU, as far
    as no other option says otherwise.
    """
    from contextlib import nullcontext
    from functools import partial
    from json import dumps

    from regnetlab.analysis.guessing import guessed, has_learned  # SciPy
    from regnetlab.cli.epochs import Rows  # torch
    from regnetlab.cli.train_options import one_training
    from regnetlab.execution.worker import computed_on, versions
    from regnetlab.models.weights import check_weights_path
    from regnetlab.study.tensorboard import write_curve
    from regnetlab.training.batches import on_device
    from regnetlab.training.checkpoints import Checkpoint
    from regnetlab.training.cores import usable_cores
    from regnetlab.training.devices import NATIVE, check_kernels, find_device, kernels_used, set_up
    from regnetlab.training.trainer import train as train_model

    check_kernels(kernels)
    if save is not None:
        check_weights_path(save)
        if checkpoint is not None and save.resolve() == checkpoint.resolve():
            raise InputError("--checkpoint and --save name one file", "give each its own")
    if recipe is not None:
        check_recipe(recipe)
    curves = None if log is None else _curves_folder(log, study)
    given = {name: value for name, value in context.params.items() if _is_given(context, name)}
    told = listener()
    asked = one_training(model, given, told)
    where = find_device(device)
    alone = recipe is not None and asked.flops >= _LARGE
    threads = threads or (usable_cores() if alone else 1)
    standing, before = None, 0
    if checkpoint is not None:
        facts = asked.facts() | versions() | {"device": computed_on(where, kernels), "threads": threads}
        facts["checksum"] = asked.pictures.checksum
        standing = Checkpoint(checkpoint, dumps(facts, sort_keys=True, default=str))
        before = standing.check_own()
    for line in filter(None, [*asked.notes, asked.budget.few_steps("--epochs ")]):
        told.note(line)
    if before:
        told.note(f"goes on after step {before:,} of {asked.budget.steps:,}, as kept in {checkpoint}")
    set_up(where, threads)
    rows = Rows(asked.judge, asked.budget.epochs, sys.stderr if json else sys.stdout)
    there = on_device(asked.pictures, where)
    build = partial(asked.model.build, asked.template)
    with nullcontext() if standing is None else standing.kept_on_interrupt():
        score = train_model(build, there, asked.budget, asked.recipe, asked.seed, kernels, rows, standing)
    rows.clear()
    ran = score.ran if where.type == "cpu" and score.ran else kernels_used(kernels, str(where))
    if kernels == NATIVE and ran != NATIVE:
        told.note("torch's kernels trained it: the native ones don't take this network with these batches")
    saved, problem = False, None
    try:
        saved = _saved(save, asked, rows, score)
    except InputError as error:  # a full disk: what was earned is shown all the same
        problem = error
    drawn = None
    if curves is not None:
        try:
            seen = asked.pictures.train.images
            drawn = write_curve(curves, f"{model}-{asked.seed}", asked.model.text, score, seen)
        except OSError as error:
            problem = problem or InputError(f"--log: {curves} can't be written: {error.strerror}")
    if save is not None and not saved and problem is None:
        told.note(f"{save} was not written: {score.ended}")
    if standing is not None:
        problem = problem or standing.settle(done=score.ended == COMPLETE and problem is None)
    guess = asked.pictures.guessing(asked.budget.validation)
    earned = [] if score.error is None else [score.error]
    judged = guessed(guess, {asked.model.text: earned}) | {"learned": has_learned(earned, guess)}
    if json:
        document = {"model": asked.model.text, **score.as_dict()}
        if asked.judge == "test":
            document["test_error"] = score.error
        print_json(
            document
            | {"seed": asked.seed, "device": str(where), "kernels": ran}
            | {"data": asked.data, **judged, "judged_on": asked.judge, "recipe": asdict(asked.recipe)}
            | {"epochs": [each.as_dict(asked.judge) for each in rows.epochs]}
            | {"saved": str(save) if saved else None}
        )
    else:
        if score.ended == INTERRUPTED:
            echo(filled(f"{asked.model.text}: interrupted {rows.told()}"))
            if checkpoint is not None and checkpoint.exists():
                echo(f"the same command goes on from {checkpoint}")
        else:
            _print(asked, score, str(where), judged)
        if saved:
            echo(f"saved in {save}")
        if drawn is not None:
            echo(f"curve in {drawn}")
    if problem is not None:
        raise problem
    if score.ended == INTERRUPTED:
        raise typer.Exit(130)


def _curves_folder(log: str, study: str | None) -> Path:
    from regnetlab.study.plan_file import find_study  # pydantic
    from regnetlab.study.tensorboard import tensorboard_log

    return tensorboard_log(log, Path() if study is None else find_study(study).parent).folder


def _is_given(context: typer.Context, name: str) -> bool:
    """Whether this option stands on the command line."""
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def _saved(path: Path | None, asked: "OneTraining", rows: "Rows", score: Score) -> bool:
    """Write the trained network, if that was asked for and there is one that can be used."""
    from regnetlab.models.weights import write_weights

    if path is None or rows.network is None or not score.network_is_usable:
        return False
    write_weights(path, rows.network, asked.facts() | {"error": score.error, "ended": score.ended})
    return True


def _print(asked: "OneTraining", score: Score, device: str, judged: Mapping[str, Any]) -> None:
    line = (
        f"{asked.model.text}: {asked.judge} error {number(score.error)}%, where guessing gives"
        f" {judged['majority_error']:.2f}%, after {score.images:,} images, {score.seconds:.1f} s on {device};"
        f" {score.ended}"
    )
    echo(filled(line))
    print_guessing(None, judged["not_learned"])
