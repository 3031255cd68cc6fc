"""``regnetlab new``."""

from pathlib import Path
from typing import Annotated

import typer

from regnetlab.cli.models import DataDir
from regnetlab.cli.output import Json, print_json
from regnetlab.cli.spaces import Input
from regnetlab.errors import InputError


def _examples() -> list[str]:
    from regnetlab.study.examples import examples

    return list(examples())


def new(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Of the study: a new folder under studies/.")],
    from_: Annotated[
        str,
        typer.Option("--from", metavar="EXAMPLE", help="What to begin from.", autocompletion=_examples),
    ] = "quick",
    data: Annotated[
        str | None, typer.Option(help="Other data: a data set's name, folder or folder:PATH.")
    ] = None,
    data_dir: DataDir = None,
    input: Input = None,
    trials: Annotated[
        bool, typer.Option("--trials", help="Copy its trials too: compare and report without training.")
    ] = False,
    json: Json = False,
) -> None:
    """Begin a study: write studies/NAME/study.toml from an example that comes with the package."""
    from regnetlab.files import write_atomically
    from regnetlab.study.examples import begun_from, example_named, new_study, with_data
    from regnetlab.study.plan_file import load_plan

    example, path = example_named(from_), new_study(name)
    tables = [*sorted(example.glob("*.csv")), *example.glob("provenance.json")]
    if trials and data is not None:
        raise InputError("--trials are of the example's own data; leave out --data")
    if trials and not (example / "trials.csv").exists():
        raise InputError(f"the example {from_} has no trials; leave out --trials")
    if (data_dir is not None or input is not None) and data is None:
        raise InputError("--data-dir and --input go with --data, the data of the study")
    text = begun_from(from_, (example / "study.toml").read_text(encoding="utf-8"), name)
    if data is not None:
        from regnetlab.training.datasets import load_data

        template = load_plan(example / "study.toml").template.changed(input, None)
        found = load_data(data, template, data_dir)
        if input is not None and found.input != template.input:
            raise InputError(f"data {data} has images {found.input}; leave out --input {input}")
        text = with_data(text, data, found.input, len(found.classes), len(found.train))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{path.parent} can't be made: {error.strerror or error}") from error
    for table in tables if trials else ():
        write_atomically(path.parent / table.name, table.read_bytes())
    write_atomically(path, text)
    _print(path, from_, [path.parent / each.name for each in tables] if trials else [], json)


def _print(path: Path, example: str, tables: list[Path], json: bool) -> None:
    name = path.parent.name
    if json:
        print_json(
            {"study": name, "file": str(path), "example": example, "tables": [str(each) for each in tables]}
        )
        return
    print(f"wrote {path}" + "".join(f", {each.name}" for each in tables))
    following = ("compare", "fit-regnet", "report") if tables else ("run",)
    print("next: " + ", ".join(f"regnetlab {each} {name}" for each in following))
