"""``regnetlab export``."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from regnetlab.cli.completion import formats
from regnetlab.cli.output import Json, echo, print_json
from regnetlab.cli.sample import Classes, Input, OfStudy, TemplateName
from regnetlab.cli.summary import ModelText
from regnetlab.errors import InputError
from regnetlab.files import check_output, write_atomically

if TYPE_CHECKING:
    from regnetlab.models.export.network import Network


def export(
    model: ModelText,
    to: Annotated[
        str,
        typer.Option(
            "--to",
            metavar="FORMAT",
            help="torchvision, timm, pytorch, pycls or onnx.",
            autocompletion=formats,
        ),
    ],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="File to write; stdout by default, but for onnx.")
    ] = None,
    input: Input = None,
    classes: Classes = None,
    template: TemplateName = None,
    study: OfStudy = None,
    seed: Annotated[
        int | None,
        typer.Option(min=0, max=2**63 - 1, help="Seed of the weights in an ONNX file; 0 by default."),
    ] = None,
    json: Json = False,
) -> None:
    """Write a network for torchvision, timm, PyTorch alone, pycls or ONNX."""
    from regnetlab.models.export.formats import format_named
    from regnetlab.models.export.onnx import check_onnx

    form = format_named(to)
    if form.write is None:
        check_onnx()
        if output is None:
            raise InputError(f"--to {form.name} needs a file to write", f"give -o network{form.endings[0]}")
    elif seed is not None:
        raise InputError(
            f"--to {form.name} writes no weights, so there is nothing to seed", "leave --seed out"
        )
    if output is not None:
        check_output(output, form.endings)
    from regnetlab.study.members import models_on

    [(known, shape)] = models_on([model], study, template, input, classes)
    from regnetlab.models.export.network import network_of  # torch
    from regnetlab.models.export.onnx import onnx
    from regnetlab.models.summary import summarise

    counts = summarise(known, shape)
    document: dict[str, Any] = {
        "model": known.text,
        "format": form.name,
        "input": shape.input,
        "classes": shape.classes,
        "flops": counts.flops,
        "params": counts.params,
        "acts": counts.acts,
    }
    if form.write is None:
        content: str | bytes = onnx(known, shape, counts.params, seed or 0)
        document["seed"] = seed or 0
    else:
        network = network_of(known, shape, form.name)
        written = form.write(_with_law(network) if form.name == "timm" else network)
        content = written.text
        if written.kwargs is not None:
            document["kwargs"] = written.kwargs
    if output is not None:
        write_atomically(output, content)
        document["file"] = str(output)
        echo(f"wrote {known.text} for {form.name} to {output}", err=True)
    else:
        document["text"] = content
    if json:
        print_json(document)
    elif output is None:
        sys.stdout.write(str(content))


def _with_law(network: "Network") -> "Network":
    """The network with a law that gives exactly its stages, where one can be found."""
    if network.law is not None:
        return network
    import numpy as np

    from regnetlab.analysis.quantized_fit import fit_exactly
    from regnetlab.spaces.law import RegNetLaw

    config = network.config
    groups, ratios = np.array(config.group_widths, np.int64), np.array(config.bottleneck_ratios, np.float64)
    fit = fit_exactly(config.depths, config.widths, groups, ratios)
    if fit is None:
        return network
    group_width, ratio = max(config.group_widths), config.bottleneck_ratios[0]
    law = RegNetLaw(fit.w0, fit.wa, fit.wm, config.depth, group_width, ratio, config.se_ratio)
    return replace(network, law=law) if law.config == config else network
