"""``regnetlab summary`` and ``models``."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from regnetlab.cli.completion import among, data_sets, models
from regnetlab.cli.output import (
    Json,
    bar,
    column_widths,
    columns,
    count,
    echo,
    filled,
    print_json,
    print_table,
)
from regnetlab.cli.sample import Classes, Input, OfStudy, TemplateName
from regnetlab.errors import InputError

if TYPE_CHECKING:
    from regnetlab.models.summary import Layer, Summary

_COUNTS = ("params", "flops", "acts")
_BAR = 4  # characters of the bar that shows a layer's share

_MODEL = (
    "A name, also NAME@1MF, @0.25x, @96px; a family and its depth, resnet@2d, also resnet@2d@1MF;"
    " anynet:d=…;w=…;g=…;b=…; regnet:w0=…,wa=… or regnet:w0=…,growth=…; a pycls .yaml."
)
ModelText = Annotated[str, typer.Argument(metavar="MODEL", help=_MODEL, autocompletion=models)]
DataDir = Annotated[
    Path | None, typer.Option(help="Folder that holds the data; else REGNETLAB_DATA, else the usual places.")
]
DataName = Annotated[
    str | None,
    typer.Option(
        autocompletion=data_sets,
        help="fashion-mnist, mnist, kmnist, emnist, emnist-letters (-digits, -mnist, -byclass, -bymerge),"
        " cifar-10, cifar-100, svhn, folder, folder:PATH or pack:DIR; else the images in --data-dir, if there"
        " are any, or fashion-mnist.",
    ),
]
Device = Annotated[
    str, typer.Option(help="auto, cpu, cuda or cuda:N.", autocompletion=among("auto", "cpu", "cuda"))
]
Kernels = Annotated[
    str,
    typer.Option(
        help="On a CPU: auto, native (this package's own, which need a C compiler) or torch.",
        autocompletion=among("auto", "native", "torch"),
    ),
]


def summary(
    model: Annotated[
        str | None,
        typer.Argument(
            metavar="MODEL", help=f"{_MODEL} That of --weights by default.", autocompletion=models
        ),
    ] = None,
    input: Input = None,
    classes: Classes = None,
    template: TemplateName = None,
    study: OfStudy = None,
    depth: Annotated[
        int | None,
        typer.Option(
            min=1, max=20, help="1 shows blocks or stages, 2 what is in them; every layer by default."
        ),
    ] = None,
    weights: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Show these weights (.safetensors of train --save).")
    ] = None,
    layer: Annotated[
        str | None, typer.Option(metavar="NAME", help="With --weights: one layer or part, with its values.")
    ] = None,
    json: Json = False,
) -> None:
    """Show a network layer by layer: shapes, counts, receptive field, share of the flops; or its weights."""
    if weights is not None:
        if depth is not None:
            raise InputError(
                "--depth does not go with --weights", "choose a part with --layer, as in --layer block1"
            )
        from regnetlab.cli.weights import show_weights

        show_weights(weights, model, layer, (study, template, input, classes), json)
        return
    if layer is not None:
        raise InputError(f"--layer {layer} needs --weights", "name the file of weights too")
    if model is None:
        raise InputError("MODEL is missing", "name a network, or --weights FILE")
    from regnetlab.study.members import models_on

    [(known, shape)] = models_on([model], study, template, input, classes)
    from regnetlab.models.summary import summarise  # torch

    found = summarise(known, shape)
    rows = found.layers if depth is None else found.parts(depth)
    totals = {"flops": found.flops, "params": found.params, "acts": found.acts}
    if json:
        layers = [
            {
                "name": layer.name,
                "type": layer.type,
                "output": layer.output,
                "params": layer.params,
                "flops": layer.flops,
                "acts": layer.acts,
                "receptive_field": layer.receptive_field,
                "share": layer.flops / found.flops if found.flops else 0.0,
                "part": layer.part,
            }
            for layer in rows
        ]
        print_json(
            {
                "model": found.model,
                "input": shape.input,
                "classes": shape.classes,
                **totals,
                "layers": layers,
            }
        )
        return
    echo(f"{found.model} at {shape.input}, {shape.classes:,} classes\n")
    cells = _layer_rows(found, rows, "{:,}".format)
    if sum(column_widths(cells)) + len(cells[0]) - 1 > columns():
        cells = _layer_rows(found, rows, count)
    print_table(cells[0], cells[1:], "lllrrrrl")


def _layer_rows(
    found: "Summary", layers: "Sequence[Layer]", counted: Callable[[int], str]
) -> list[tuple[str, ...]]:
    """The table of a summary, names as short as can be: s3.b12.conv2 for stage3.block12.conv2."""
    from regnetlab.models.parts import shortened

    short = {
        "Conv2d ": "conv ",
        " in ": " ",
        " groups": "g",
        "BatchNorm2d": "norm",
        "AdaptiveAvgPool2d": "pool",
    }
    most = max(layer.flops for layer in layers)
    rows: list[tuple[str, ...]] = [
        ("layer", "type", "output", "params", "flops", "acts", "field", "of flops")
    ]
    for layer in layers:
        kind = layer.type
        for long, brief in short.items():
            kind = kind.replace(long, brief)
        share = f"{100 * layer.flops / found.flops:3.0f}% {bar(layer.flops / most, _BAR)}"
        rows.append(
            (
                shortened(layer.part),
                kind.lower(),
                "×".join(map(str, layer.output)),
                *(counted(each) if each else "" for each in (layer.params, layer.flops, layer.acts)),
                str(layer.receptive_field),
                share if layer.flops else "",
            )
        )
    totals = (counted(each) for each in (found.params, found.flops, found.acts))
    return [*rows, ("total", "", "", *totals, "", "")]


def list_models(input: Input = None, classes: Classes = None, json: Json = False) -> None:
    """List the networks that have a name, counted at the input each was made for, or all at one input."""
    from regnetlab.models.registry import ANY_DEPTH, named_models  # torch
    from regnetlab.models.shapes import TooSmallError
    from regnetlab.models.summary import summarise

    models: list[dict[str, Any]] = []
    for model in named_models():
        shape, counts, reason = model.template.changed(input, classes), dict.fromkeys(_COUNTS), None
        try:
            found = summarise(model, shape)
            counts = {key: getattr(found, key) for key in _COUNTS}
        except TooSmallError as error:
            reason = str(error)
        models.append(
            {
                "name": model.text,
                "family": model.family,
                "paper": f"{model.paper} et al. {model.year}",
                "year": model.year,
                **counts,
                "input": shape.input,
                "classes": shape.classes,
                "reason": reason,
            }
        )
    if json:
        families = [{"name": name, "family": family} for name, (family, _) in ANY_DEPTH.items()]
        print_json({"models": models, "families": families})
        return
    rows = [
        (
            each["name"],
            each["family"],
            str(each["year"]),
            *("–" if each[key] is None else count(each[key]) for key in _COUNTS),
            each["input"],
            f"{each['classes']:,}",
        )
        for each in models
    ]
    print_table(("name", "family", "year", *_COUNTS, "input", "classes"), rows, "lllrrrlr")
    reasons = [each["reason"] for each in models if each["reason"]]
    echo("".join(f"\n{filled(reason)}" for reason in reasons), end="\n" * bool(reasons))
    echo(
        "\n"
        + filled(
            f"Families of any depth: {', '.join(ANY_DEPTH)}, as in resnet@2d, or resnet@1d@1MF near 1 MF"
            " (docs/baselines.md)."
        )
    )
