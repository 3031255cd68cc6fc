"""``regnetlab predict``."""

import csv
import io
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from regnetlab.cli.output import Json, echo, filled, print_json
from regnetlab.errors import InputError
from regnetlab.plain import plural

if TYPE_CHECKING:
    from regnetlab.training.predicting import Prediction


def predict(
    network: Annotated[
        Path,
        typer.Argument(
            metavar="DIR_OR_FILE", help="A folder that explore or finish wrote, or a file of train --save."
        ),
    ],
    images: Annotated[
        list[str], typer.Argument(metavar="IMAGE", help="Files, folders, or - for a list of files on stdin.")
    ],
    top: Annotated[int, typer.Option(min=1, help="How many classes, the most probable first.")] = 1,
    name: Annotated[
        str | None,
        typer.Option("--network", metavar="NAME", help="Which one of the folder; else the recommended one."),
    ] = None,
    table: Annotated[Path | None, typer.Option("--csv", help="Write a table of all images there.")] = None,
    json: Json = False,
) -> None:
    """Say what is on images, with a trained network.

    Probabilities of a network that finish wrote are calibrated, those of a file of train are as trained.
    Images that can't be read are named, the others predicted; the exit status is then 1.
    """
    from regnetlab.files import check_output, write_atomically
    from regnetlab.training.predicting import image_files, load_network

    if table is not None:
        check_output(table, (".csv",))
    trained = load_network(network, name)
    if top > len(trained.classes):
        raise InputError(f"--top is {top}", f"the network knows {len(trained.classes)} classes")
    named = [line for each in images for line in (_listed() if each == "-" else [each])]
    if not named:
        raise InputError("the list of images is empty", "write a file's path on each line")
    found, unreadable = [], 0
    for prediction in trained.predictions(image_files(named), top):
        if prediction.problem:
            unreadable += 1
            echo(f"{prediction.path} can't be read: {prediction.problem}", err=True)
        elif table is None and not json:
            echo(_line(prediction))
        found.append(prediction)
    if table is not None:
        write_atomically(table, _csv(found, top))
        echo(filled(f"wrote {plural(len(found), 'image')} to {table}"), err=True)
    if json:
        print_json(
            {
                "network": str(network),
                "images": [asdict(each) for each in found],
                "predictions": [_document(each) for each in found],
            }
        )
    if unreadable:
        raise typer.Exit(1)


def _listed() -> list[str]:
    return [line for line in sys.stdin.read().split("\n") if line]


def _line(prediction: "Prediction") -> str:
    pairs = zip(prediction.classes, prediction.probabilities, strict=True)
    return f"{prediction.path}  " + ", ".join(f"{name} {100 * share:.1f}%" for name, share in pairs)


def _document(prediction: "Prediction") -> dict[str, Any]:
    """One of ``predictions``; label and probability are null where the file can't be read."""
    top = [list(pair) for pair in zip(prediction.classes, prediction.probabilities, strict=True)]
    label, probability = top[0] if top else (None, None)
    return {"path": prediction.path, "label": label, "probability": probability, "top": top}


def _csv(predictions: "list[Prediction]", top: int) -> str:
    file = io.StringIO()
    rows = csv.writer(file, lineterminator="\n")
    numbers = range(1, top + 1)
    rows.writerow(
        ["image", *(f"{name}_{i}" for i in numbers for name in ("class", "probability")), "problem"]
    )
    for each in predictions:
        cells: list[str] = []
        for i in range(top):
            known = i < len(each.classes)
            cells += [each.classes[i], f"{each.probabilities[i]:.6f}"] if known else ["", ""]
        rows.writerow([each.path, *cells, each.problem])
    return file.getvalue()
