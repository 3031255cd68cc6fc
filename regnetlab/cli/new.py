"""``regnetlab new``."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from regnetlab.cli.completion import data_sets, examples
from regnetlab.cli.data import GroupBy, Held, SkipUnreadable, TestSplit, listener, reading
from regnetlab.cli.output import Json, echo, print_json, print_next, tell
from regnetlab.cli.sample import Input
from regnetlab.cli.summary import DataDir
from regnetlab.errors import InputError

if TYPE_CHECKING:
    from regnetlab.study.plan import Plan


def new(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="Name of the study: a new folder under studies/.")
    ],
    from_: Annotated[
        str,
        typer.Option("--from", metavar="EXAMPLE", help="Example to start from.", autocompletion=examples),
    ] = "quick",
    data: Annotated[
        str | None,
        typer.Option(
            help="Other data: a data set's name, folder, folder:PATH or pack:DIR.", autocompletion=data_sets
        ),
    ] = None,
    data_dir: DataDir = None,
    input: Input = None,
    trials: Annotated[
        bool,
        typer.Option(
            "--trials", help="Copy the example's trials too, to compare and report without training."
        ),
    ] = False,
    skip_unreadable: SkipUnreadable = False,
    split: Held = None,
    group_by: GroupBy = None,
    test_split: TestSplit = None,
    json: Json = False,
) -> None:
    """Start a study: write studies/NAME/study.toml from an example that comes with the package.

    With --data, template, flops, budget and baselines are chosen for those images.
    """
    from regnetlab.files import write_atomically
    from regnetlab.study.examples import begun_from, example_named, new_study
    from regnetlab.study.plan_file import load_plan, parse_plan

    example, path = example_named(from_), new_study(name)
    tables = [*sorted(example.glob("*.csv")), *example.glob("provenance.json")]
    if trials and data is not None:
        raise InputError(f"the example's trials are not on {data}", "leave out --trials or --data")
    if trials and not (example / "trials.csv").exists():
        raise InputError(f"the example {from_} has no trials", "leave out --trials")
    if data is None and (skip_unreadable or {data_dir, input, split, group_by, test_split} != {None}):
        raise InputError(
            "--data-dir, --input, --skip-unreadable, --split, --group-by and --no-test-split go with --data",
            "name the study's data too",
        )
    begun = load_plan(example / "study.toml")
    left_out: tuple[tuple[str, str], ...] = ()
    chosen: list[str] = []
    if data is None:
        text = begun_from(from_, (example / "study.toml").read_text(encoding="utf-8"), name)
    else:
        from regnetlab.study.new_for_data import as_read, suited
        from regnetlab.study.new_for_data_text import choices, suited_text
        from regnetlab.training.datasets import outline

        how = reading(
            data, skip_unreadable=skip_unreadable, split=split, group_by=group_by, test_split=test_split
        )
        seen = as_read(outline(data, data_dir, how, listener()), data_dir, input, how, listener())
        found = suited(begun, seen, input, how)
        text, left_out = suited_text(found, name, begun, seen), found.left_out
        chosen = [*(seen.survey.lines(data) if seen.survey else ()), *choices(found, seen)]
    plan = parse_plan(text, path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{path.parent} can't be made: {error.strerror or error}") from error
    copied = [path.parent / each.name for each in tables] if trials else []
    for table, copy in zip(tables, copied, strict=False):
        write_atomically(copy, table.read_bytes())
    write_atomically(path, text)
    if json:
        print_json(_document(plan, path, from_, copied, left_out))
        return
    for line in chosen:
        tell(line)
    echo(f"wrote {path}" + "".join(f", {each.name}" for each in copied))
    following = ("compare", "fit-regnet", "report") if copied else ("run",)
    where = f" --data-dir {data_dir}" if data_dir is not None else ""
    print_next(f"{each} {name}{where}" for each in following)


def _document(
    plan: "Plan", path: Path, example: str, tables: list[Path], left_out: tuple[tuple[str, str], ...]
) -> dict[str, Any]:
    """What --json prints."""
    template = plan.template.facts()
    return {
        "study": path.parent.name,
        "file": str(path),
        "example": example,
        "tables": [str(each) for each in tables],
        "template": {"input": plan.template.input, **template},
        "regime": {name: window.text for name, window in plan.regime.windows.items()},
        "budget": {**asdict(plan.budget), "steps": plan.budget.steps},
        "left_out": [{"name": name, "reason": reason} for name, reason in left_out],
    }
