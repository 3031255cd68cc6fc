"""``regnetlab latency``."""

import statistics
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from regnetlab.cli.completion import models_or_studies
from regnetlab.cli.output import Json, count, echo, filled, number, print_json, print_next, print_table
from regnetlab.cli.sample import Classes, Input, OfStudy, TemplateName
from regnetlab.cli.summary import Device
from regnetlab.errors import InputError

if TYPE_CHECKING:
    from regnetlab.analysis.statistics.intervals import Interval
    from regnetlab.models.model import Model
    from regnetlab.spaces.latency import LatencyModel
    from regnetlab.spaces.template import Template
    from regnetlab.study.plan import Plan

_MOST_BATCH = 65_536


def latency(
    targets: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL|STUDY",
            help="Models, as for summary, or one study.",
            autocompletion=models_or_studies,
        ),
    ],
    batch: Annotated[str, typer.Option(metavar="A,B,…", help="Batch sizes.")] = "1,256",
    device: Device = "auto",
    seconds: Annotated[float, typer.Option(help="Time for each measurement.")] = 0.5,
    n: Annotated[
        int | None, typer.Option(min=1, help="Of a study, only the first N networks of each space.")
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
            raise InputError("--fit and --n need a study, which has many networks", "give one study")
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
    from regnetlab.analysis.latency import Machine
    from regnetlab.models.summary import summarise
    from regnetlab.study.latency import this_machine
    from regnetlab.training.devices import find_device
    from regnetlab.training.latency import latency as measure

    where = find_device(device)
    # Refuses what can't be built before anything is measured.
    shaped = [(known, shape, summarise(known, shape)) for known, shape in models]
    machine = Machine(**this_machine(where))
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
        print_json({**asdict(machine), "latencies": rows})
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
    headers = ("model", "input", "flops", "acts", "batch", "median, ms", "quartiles, ms", "images/s")
    print_table(headers, cells, "llrrrrrr")
    echo(f"\n{filled(str(machine))}")


def _time_study(
    plan: "Plan", device: str, batches: Sequence[int], seconds: float, n: int | None, fit: bool, json: bool
) -> None:
    from regnetlab.analysis.latency import Machine, check_enough, latency  # SciPy
    from regnetlab.study.latency import NETWORK, measure, network_columns, networks_to_time, this_machine
    from regnetlab.training.devices import find_device

    def note(text: str) -> None:
        echo(text, err=True)

    where = find_device(device)
    jobs = networks_to_time(plan, n)
    if fit:
        check_enough(len(jobs))
    rows = measure(plan, jobs, where, batches, seconds, note)
    asked = {tuple(network_columns(job).values()) for job in jobs}
    rows = rows[[key in asked for key in rows[[*NETWORK]].itertuples(index=False, name=None)]]
    found = latency(rows, plan.regime, Machine(**this_machine(where)), batches, fit)
    texts = [_toml(each.model) for each in found.fits]
    if json:
        document = {"study": plan.name, **found.to_json()}
        document["fits"] = [each | {"toml": text} for each, text in zip(document["fits"], texts, strict=True)]
        print_json(document)
        return
    cells = (
        (
            str(each.batch),
            str(len(each.rows)),
            _milliseconds(statistics.median(each.milliseconds)),
            *(_correlation(each.correlations.get(name)) for name in ("flops", "params", "acts")),
        )
        for each in found.asked
    )
    print_table(
        ("batch", "networks", "median, ms", "with flops", "with params", "with acts"), cells, "rrrrrr"
    )
    echo(
        "\n" + filled(f"Spearman's correlation of latency with each count, 95% interval; {found.here}") + "\n"
    )
    for sentence in found.remarks():
        echo(filled(sentence))
    for text in texts:
        echo(f"\n{text}")
    echo(f"\nwrote {plan.latencies}")
    print_next([f"report {plan.name}"])


def _toml(model: "LatencyModel") -> str:
    """The [latency] section of a study file with these coefficients."""
    from regnetlab.study.tomlfile import write_value

    values = asdict(model).items()
    return "\n".join(["[latency]", *(f"{name} = {write_value(value)}" for name, value in values)])


def _milliseconds(value: float) -> str:
    return f"{value:.3f}" if value < 9.9995 else number(value, 1)


def _correlation(found: "Interval | None") -> str:
    if found is None:
        return "–"
    low, high = number(found.low), number(found.high)
    return f"{number(found.estimate)} ({low}–{high})".replace("-", "−")
