"""``regnetlab fit-regnet`` and ``report``."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from regnetlab.cli.options import Errors, From, Margin, StudyOrNewest, plan_of
from regnetlab.cli.output import (
    Json,
    count,
    number,
    print_guessing,
    print_json,
    print_notes,
    print_table,
    stages,
)
from regnetlab.cli.spaces import Classes, Input, TemplateName, WindowText

_SHOWN = 20  # networks in the printed table; --json has all


def fit_regnet(
    study: StudyOrNewest = None,
    from_: From = None,
    law: Annotated[
        Literal["log-linear", "quantized"], typer.Option(help="The notation of the law.")
    ] = "log-linear",
    n: Annotated[int | None, typer.Option(min=1, max=1_000, help="RegNets to derive.")] = None,
    template: TemplateName = None,
    flops: WindowText = None,
    input: Input = None,
    classes: Classes = None,
    errors: Errors = None,
    json: Json = False,
) -> None:
    """Fit the width law to networks, and derive RegNets from their best."""
    plan = plan_of(study, from_, errors)
    from regnetlab.analysis.fitted import fitted_law  # pandas, SciPy

    document = fitted_law(
        str(plan.folder) if plan else None, from_ or (), law, n, template, flops, input, classes, errors
    )
    print_notes(document["notes"])
    if json:
        print_json(document)
        return
    _print_fits(document)
    if document["incomplete"]:
        print(f"\n{document['incomplete']} incomplete, stopped before the last epoch: they have no error")
    print_guessing(document["majority_error"], document["not_learned"])
    _print_population(document["population"], document["failed"])
    if document["derived"]:
        shape = document["template"]
        print(
            f"\nRegNets derived from it, nearest first, at {shape['input']}, {shape['classes']:,} classes,"
            f"\nstem {shape['stem_width']}/{shape['stem_stride']}, strides"
            f" {', '.join(map(str, shape['strides']))}:\n"
        )
        rows = (
            (
                each["model"],
                *(count(each[key]) for key in ("flops", "params", "acts")),
            )
            for each in document["derived"]
        )
        print_table(("model", "flops", "params", "acts"), rows, "lrrr")
    elif document["derived_reason"]:
        print(f"\nno RegNets derived: {document['derived_reason']}")


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
    errors: Errors = None,
    open_: Annotated[bool, typer.Option("--open", help="Open it in a browser.")] = False,
    json: Json = False,
) -> None:
    """Write the report of a study: one page that opens without a network."""
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
        print_notes(content.notes)
        path = output or Path(f"{content.name}.html")
    text = page(content)
    pictures = write_pictures(content, figures) if figures is not None else []
    if output is None:
        path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, text)
    if json:
        print_json({"report": str(path), "figures": [str(each) for each in pictures]})
    else:
        print(f"wrote {path} ({path.stat().st_size / 1e6:.1f} MB)")
        if pictures:
            print(f"wrote {len(pictures)} pictures to {figures}")
    if open_:
        typer.launch(path.resolve().as_uri())


def _print_fits(document: dict[str, Any]) -> None:
    models = document["models"]
    ranked = sorted(models, key=lambda m: (m["error"] is None, m["error"] or 0.0))[:_SHOWN]
    quantized = document["law"] == "quantized"
    parameters = ("w0", "wa", "wm") if quantized else ("w0", "growth", "r2")
    rows = (
        (
            each["name"],
            each["space"],
            number(each["error"]),
            stages(each["depths"]),
            stages(each["widths"]),
            *(number(each[key], 0 if key == "w0" else 2) for key in parameters),
            number(each["e_fit"], 3),
        )
        for each in ranked
    )
    titles = {"r2": "R²"}
    headers = (
        "network",
        "space",
        "error %",
        "depths",
        "widths",
        *(titles.get(p, p) for p in parameters),
        "e_fit",
    )
    print(
        f"{document['law']} law of {len(models)} networks" + (", the best:" if len(models) > _SHOWN else ":")
    )
    print()
    print_table(headers, rows, "llrllrrrr")
    for each in models:
        if each.get("reason"):
            print(f"{each['name']}: {each['reason']}")


def _print_population(law: dict[str, Any] | None, failed: int) -> None:
    if law is None:
        return
    if law["growth"] is None:
        print(f"\nno law of the best: {law['reason']}")
        return
    low, high = law["growth_interval"]
    lost = f" ({failed} more failed)" if failed else ""
    print(
        f"\nThe best {law['n_best']} of {law['n']} networks{lost}:"
        f" w_i ≈ {law['w0']:.1f} · {law['growth']:.2f}^i"
        f"\ngrowth {law['growth']:.2f}, 95 % bootstrap interval {low:.2f} to {high:.2f}; R² {law['r2']:.2f}"
        f" (each network's own: median {number(law['median_r2'])})"
    )
