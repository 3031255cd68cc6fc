"""``regnetlab summary --weights``."""

from dataclasses import asdict
from pathlib import Path

from regnetlab.cli.output import echo, filled, print_json, print_table
from regnetlab.errors import InputError

_Options = tuple[str | None, str | None, str | None, int | None]


def show_weights(path: Path, text: str | None, layer: str | None, options: _Options, json: bool) -> None:
    """Print the statistics of a file's weights.

    Args:
        path: The file of weights.
        text: The network; the one that the file names by default.
        layer: One layer or part, whose values are printed too.
        options: Study, template, input and classes; what is left out is as the file says.
        json: Print one JSON document.

    Raises:
        InputError: The file names no network, or its weights are not of this network.
    """
    from regnetlab.models.forms import settled  # torch
    from regnetlab.models.registry import find_model
    from regnetlab.models.weight_statistics import of_layer, saved_template, weight_statistics
    from regnetlab.models.weights import read_weights
    from regnetlab.study.members import models_on

    tensors, metadata = read_weights(path)
    named = text or metadata.get("model")
    if not isinstance(named, str):
        raise InputError(
            f"{path} does not say its network", f"name it, as in summary resnet18 --weights {path}"
        )
    saved, (study, template, input, classes) = saved_template(metadata), options
    if saved is not None and study is None and template is None:
        shape = saved.changed(input, classes)
        model = settled(find_model(named), shape)
    else:
        [(model, shape)] = models_on([named], *options)
    try:
        found = weight_statistics(model, shape, tensors)
    except InputError as error:
        said = metadata.get("model", named)
        raise (error if said == named else error.at(f"{path} holds weights of {said}")) from None
    chosen = found if layer is None else of_layer(found, layer)
    if json:
        print_json(
            {
                "model": model.text,
                "input": shape.input,
                "classes": shape.classes,
                "file": str(path),
                "weights": [asdict(each) for each in chosen],
            }
        )
        return
    echo(f"{model.text} at {shape.input}, {shape.classes:,} classes: weights in {path}\n")
    rows = (
        (
            each.part,
            each.role,
            "×".join(map(str, each.shape)),
            *(f"{value:.4g}" for value in (each.mean, each.std, each.min, each.max)),
        )
        for each in chosen
    )
    print_table(("layer", "what", "shape", "mean", "std", "min", "max"), rows, "lllrrrr")
    for each in chosen:
        if layer is not None and each.values is not None:
            values = " ".join(f"{value:.4g}" for value in each.values)
            echo(f"\n{filled(f'{each.part} {each.role}: {values}')}")
