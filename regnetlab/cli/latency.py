"""``regnetlab latency``."""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from regnetlab.cli.models import Device
from regnetlab.cli.output import Json, count, number, print_json, print_table
from regnetlab.cli.spaces import Classes, Input, OfStudy, TemplateName
from regnetlab.errors import InputError

if TYPE_CHECKING:
    from regnetlab.models.model import Model
    from regnetlab.spaces.template import Template
    from regnetlab.study.plan import Plan

_MOST_BATCH = 65_536


def latency(
    targets: Annotated[
        list[str], typer.Argument(metavar="MODEL…|STUDY", help="Models, as for summary, or one study.")
    ],
    batch: Annotated[str, typer.Option(metavar="A,B,…", help="Batch sizes.")] = "1,256",
    device: Device = "auto",
    seconds: Annotated[float, typer.Option(help="Time for each measurement.")] = 0.5,
    n: Annotated[
        int | None, typer.Option(min=1, help="Of a study the first so many networks of each space.")
    ] = None,
    fit: Annotated[bool, typer.Option("--fit", help="Also fit the section latency of a study file.")] = False,
    template: TemplateName = None,
    input: Input = None,
    classes: Classes = None,
    study: OfStudy = None,
    json: Json = False,
) -> None:
    """Measure how long networks take for a batch: of models, or of a study beside its scores."""
    batches = _batches(batch)
    if not 0 < seconds <= 60:
        raise InputError(f"--seconds is {seconds:g}", "it must be above 0 and at most 60")
    plan = None if study is not None else _study_meant(targets)
    if plan is None:
        if fit or n is not None:
            raise InputError("--fit and --n are for a study, whose networks are many", "give one study")
        from regnetlab.study.members import models_on

        _show_models(models_on(targets, study, template, input, classes), device, batches, seconds, json)
        return
    if template is not None or input is not None or classes is not None:
        raise InputError("--template, --input and --classes are for models", "a study has its own")
    _time_study(plan, device, batches, seconds, n, fit, json)


def _batches(text: str) -> list[int]:
    parts = [part.strip() for part in text.split(",")]
    sizes = [int(part[:9]) for part in parts if part.isascii() and part.isdigit()]
    if len(sizes) < len(parts) or not all(1 <= size <= _MOST_BATCH for size in sizes):
        raise InputError(f"--batch {text!r} is not a list of 1 to {_MOST_BATCH:,}", "write it as in 1,256")
    return list(dict.fromkeys(sizes))


def _study_meant(targets: Sequence[str]) -> "Plan | None":
    """The study that these texts name, if they are no models."""
    from regnetlab.models.pycls_config import is_config_file
    from regnetlab.models.registry import find_model  # torch
    from regnetlab.study.plan_file import find_study, load_plan

    for target in targets:
        try:
            find_model(target)
        except InputError as no_model:
            if is_config_file(target) or any(mark in target for mark in ":=@"):
                raise
            try:
                path = find_study(target)
            except InputError:
                raise InputError(f"{no_model}", "nor is it a study") from None
            if len(targets) > 1:
                raise InputError(
                    f"{target!r} is a study", f"give it alone, or models with --study {target}"
                ) from None
            return load_plan(path)
    return None


def _show_models(
    models: "Sequence[tuple[Model, Template]]",
    device: str,
    batches: Sequence[int],
    seconds: float,
    json: bool,
) -> None:
    from regnetlab.models.summary import summarise
    from regnetlab.study.latencies import this_place
    from regnetlab.training.devices import find_device
    from regnetlab.training.latency import latency as measure

    where = find_device(device)
    # Refuses what can't be built before anything is measured.
    shaped = [(known, shape, summarise(known, shape)) for known, shape in models]
    place = this_place(where)
    rows: list[dict[str, Any]] = []
    for known, shape, counts in shaped:
        for size in batches:
            found = measure(known.build, shape, where, size, seconds)
            rows.append(
                {
                    "model": known.text,
                    "input": shape.input,
                    "flops": counts.flops,
                    "params": counts.params,
                    "acts": counts.acts,
                    "batch": size,
                    "median_ms": found.median,
                    "low_ms": found.low,
                    "high_ms": found.high,
                    "runs": found.runs,
                }
            )
    if json:
        facts = {"device": place.device, "processor": place.processor, "threads": place.threads}
        print_json({**facts, "latencies": rows})
        return
    cells = (
        (
            each["model"],
            each["input"],
            count(each["flops"]),
            count(each["acts"]),
            str(each["batch"]),
            _milliseconds(each["median_ms"]),
            f"{_milliseconds(each['low_ms'])}–{_milliseconds(each['high_ms'])}",
            f"{each['batch'] / each['median_ms'] * 1e3:,.0f}",
        )
        for each in rows
    )
    headers = ("model", "input", "flops", "acts", "batch", "median ms", "quartiles", "images/s")
    print_table(headers, cells, "llrrrrrr")
    print(f"\n{_where(place.device, place.processor, place.threads)}")


def _time_study(
    plan: "Plan", device: str, batches: Sequence[int], seconds: float, n: int | None, fit: bool, json: bool
) -> None:
    from regnetlab.analysis.latency_study import latency_study  # SciPy
    from regnetlab.training.devices import find_device

    def tell(text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    document = latency_study(plan, find_device(device), batches, seconds, n, fit, tell)
    if json:
        print_json(document)
        return
    rows = (
        (
            str(each["batch"]),
            str(each["n"]),
            _milliseconds(each["median_ms"]),
            *(_correlation(each["correlations"].get(name)) for name in ("flops", "params", "acts")),
        )
        for each in document["groups"]
        if each["here"]
    )
    print_table(("batch", "networks", "median ms", "with flops", "with params", "with acts"), rows, "rrrrrr")
    print(
        "\nSpearman's correlation of latency with each count, 95 % interval;"
        f" {_where(document['device'], document['processor'], document['threads'])}"
    )
    _show_confirmation(document["confirmation"])
    _show_fits(document["fits"])
    print(f"\nwrote {plan.latencies}; `regnetlab report {plan.name}` draws it")


def _show_confirmation(found: dict[str, Any] | None) -> None:
    if found is None:
        return
    middle, low, high = (_percent(found["residuals"][name]) for name in ("median", "q05", "q95"))
    print(
        f"\nthe study's [latency] at a batch of {found['batch']}: measured is {middle} of predicted in the"
        f" median,\n{low} to {high} for 90 % of {found['n']} networks"
    )
    if found["inside"] is not None:
        print(f"{found['inside']} of {found['n']} measured latencies lie in the window {found['window']}")
    if not found["same_processor"]:
        print(f"it was fitted on {found['fitted_on'] or 'a machine that it does not name'}, not here")


def _show_fits(fits: Sequence[dict[str, Any]]) -> None:
    for each in fits:
        residuals = each["residuals"]
        print(
            f"\nfitted at a batch of {each['batch']}: a network that the line has not seen takes"
            f" {_percent(residuals['q05'])} to {_percent(residuals['q95'])}"
            f"\nof what it predicts (90 % of {each['n']} networks, each left out once); for the study file:"
            f"\n\n{each['toml']}"
        )


def _percent(residual: float) -> str:
    return f"{100 * (1 + residual):.0f} %"


def _milliseconds(value: float) -> str:
    return f"{value:.3f}" if value < 9.9995 else number(value, 1)


def _correlation(found: dict[str, Any] | None) -> str:
    if found is None:
        return "–"
    low, high = number(found["low"]), number(found["high"])
    return f"{number(found['estimate'])} ({low}–{high})".replace("-", "−")


def _where(device: str, processor: str, threads: int) -> str:
    threads_text = "" if device == "cuda" else f", {threads} {'thread' if threads == 1 else 'threads'}"
    return f"{processor}{threads_text}"
