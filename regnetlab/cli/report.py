"""``regnetlab report``."""

from pathlib import Path
from typing import Annotated

import typer

from regnetlab.cli.options import Errors, From, Margin, StudyOrNewest, plan_of
from regnetlab.cli.output import Json, echo, from_here, print_json, print_next, print_notes
from regnetlab.errors import InputError
from regnetlab.plain import plural


def report(
    study: StudyOrNewest = None,
    from_: From = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="reports/NAME.html by default.")
    ] = None,
    figures: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Also write each figure there, as SVG and PNG.")
    ] = None,
    margin: Margin = None,
    all_: Annotated[
        bool,
        typer.Option(
            "--all",
            help="What all studies say together, as reports/index.html: those that studies/across/across.toml"
            " names, or all in studies/.",
        ),
    ] = False,
    errors: Errors = None,
    open_: Annotated[bool, typer.Option("--open", help="Open it in a browser.")] = False,
    json: Json = False,
) -> None:
    """Write the report of a study: one page that opens without a network."""
    if all_:
        if study is not None or from_ or figures is not None or margin is not None or errors is not None:
            raise InputError(
                "--all reads the studies of studies/ on their own terms",
                "leave STUDY, --from, --figures, --margin and --errors out",
            )
        _report_all(output, open_, json)
        return
    plan = plan_of(study, from_, errors)
    from regnetlab.files import check_output, write_atomically
    from regnetlab.report.content import files_content, study_content  # plotly, pandas
    from regnetlab.report.page import default_path, page
    from regnetlab.report.pictures import write_pictures

    if output is not None:
        check_output(output, (".html",))
    if plan is not None:
        content, path = study_content(plan, margin), output or default_path(plan)
    else:
        content = files_content(from_ or (), margin, errors)
        print_notes(content.law.notes)
        path = output or Path(f"{content.origin.name}.html")
    text = page(content)
    pictures = write_pictures(content, figures) if figures is not None else []
    if output is None:
        path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, text)
    if json:
        print_json({"report": str(path), "figures": [str(each) for each in pictures]})
    else:
        echo(f"wrote {from_here(path)} ({path.stat().st_size / 1e6:.1f} MB)")
        if pictures:
            echo(f"wrote {plural(len(pictures), 'picture')} to {figures}")
    if open_:
        typer.launch(path.resolve().as_uri())


def _report_all(output: Path | None, open_: bool, json: bool) -> None:
    """The page on all studies."""
    from regnetlab.files import check_output, write_atomically
    from regnetlab.report.across import across_page  # plotly, pandas
    from regnetlab.study.across import studies_across

    path = Path("reports") / "index.html" if output is None else output
    if output is not None:
        check_output(output, (".html",))
    found, plans = studies_across()
    pages = [name for name in plans if (path.parent / f"{name}.html").is_file()]
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, across_page(found, plans, pages))
    if json:
        print_json({"report": str(path), **found.to_json()})
    else:
        counts = (
            f"{plural(len(found.studies), 'study', 'studies')}, {plural(len(found.data_sets), 'data set')}"
        )
        echo(f"wrote {path} ({counts})")
        print_next(f"report {each.name}" for each in found.studies if each.name not in pages)
    if open_:
        typer.launch(path.resolve().as_uri())
