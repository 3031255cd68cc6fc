"""``regnetlab fit-regnet``."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from regnetlab.cli.options import Errors, From, StudyOrNewest, trials_of
from regnetlab.cli.output import (
    Json,
    count,
    echo,
    filled,
    number,
    print_guessing,
    print_json,
    print_notes,
    print_table,
    signed,
    stages,
)
from regnetlab.cli.sample import Classes, Input, TemplateName, WindowText
from regnetlab.errors import InputError

if TYPE_CHECKING:
    from regnetlab.analysis.width_law import WidthLaw
    from regnetlab.spaces.template import Template
    from regnetlab.trials.networks import Network
    from regnetlab.trials.table import Trials

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
    force: Annotated[
        bool, typer.Option("--force", help="Derive RegNets although no growth is claimed.")
    ] = False,
    json: Json = False,
) -> None:
    """Fit the width law to networks, and derive RegNets where good widths grow."""
    trials, plan = trials_of(study, from_, errors)
    from regnetlab.analysis.width_law import DERIVED_NETWORKS, fit_law  # SciPy
    from regnetlab.spaces.regime import parse_window
    from regnetlab.spaces.template import template_named

    found = fit_law(trials, law)
    if found.fits.empty and found.reason is not None:
        raise found.reason
    shape, networks, reason = None if template is None else template_named(template), [], found.reason
    if flops is not None:
        parse_window("flops", flops)  # a mistake in it is no reason why there are none
    if shape is None:
        try:
            shape = found.template
        except InputError as error:
            reason = reason or error
    if shape is not None:
        shape = shape.changed(input, classes)
        wanted = n or (DERIVED_NETWORKS if plan is None else plan.derived or DERIVED_NETWORKS)
        try:
            forced = force or (plan is not None and plan.derive_forced)
            networks = found.derive(wanted, flops=flops, template=shape, force=forced)
        except InputError as error:
            reason = error
    print_notes(found.notes)
    if json:
        print_json(found.to_json(shape, networks, None if reason is None else str(reason)))
        return
    _print_fits(found)
    if found.incomplete:
        echo(f"\n{found.incomplete} incomplete, stopped before the last epoch: they have no error")
    print_guessing(**found.guessing)
    _print_spaces(found)
    echo(f"\nw_i ≈ {found.formula}" if found.formula else "")
    for sentence in found.remarks():
        echo(filled(sentence))
    if shape is not None and networks:
        _print_derived(shape, networks, found.forced, _trained(trials))
    elif reason is not None and reason is not found.reason:
        echo("\n" + filled(f"no RegNets derived: {reason}"))


def _print_fits(found: "WidthLaw") -> None:
    from regnetlab.analysis.log_linear_fit import ONE_STAGE

    fits = found.fits.sort_values("error", kind="stable", na_position="last")
    parameters = ("w0", "wa", "wm") if found.notation == "quantized" else ("w0", "growth", "r2")
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
        for each in fits.head(_SHOWN).to_dict("records")
    )
    titles = ["R²" if each == "r2" else each for each in parameters]
    which = f"the best {_SHOWN} of {len(fits)}" if len(fits) > _SHOWN else f"{len(fits)}"
    echo(f"{found.notation} law of each network, {which}:")
    echo()
    print_table(("network", "space", "error %", "depths", "widths", *titles, "e_fit"), rows, "llrllrrrr")
    for name in found.unfitted:
        echo(f"{name}: {ONE_STAGE}")


def _print_spaces(found: "WidthLaw") -> None:
    if not found.spaces:
        return
    rows = (
        (
            each.space,
            str(each.n),
            f"{each.growth_best:.2f}",
            f"{each.growth_all:.2f}",
            signed(each.difference.estimate),
            each.difference.text("+.2f"),
            number(each.p, 4),
            found.widths_in(each),
        )
        for each in found.spaces
    )
    text = "growth of widths a stage, of the best quarter (three at least) and of all networks:"
    echo(f"\n{filled(text)}\n")
    print_table(("space", "n", "best", "all", "difference", "95% interval", "p", "widths"), rows, "lrrrrrrl")


def _trained(trials: "Trials") -> dict[str, str]:
    """What RegNets that were derived and trained already are called, by their notation."""
    from regnetlab.report.networks import model_text
    from regnetlab.trials.job import DERIVED
    from regnetlab.trials.table import records

    rows = records(trials.frame[trials.frame["space"] == DERIVED])
    return {model_text(row): f"{DERIVED}{row['index']}" for row in rows}


def _print_derived(
    shape: "Template", networks: "Sequence[Network]", forced: bool, trained: Mapping[str, str]
) -> None:
    from regnetlab.analysis.width_law import FORCED

    text = (
        f"RegNets derived from the law at {shape.input}, {shape.classes:,} classes, stem"
        f" {shape.stem_width}/{shape.stem_stride}, strides {', '.join(map(str, shape.strides))}; the one with"
        f" the growth of least error comes first.{f' {FORCED}' * forced}"
    )
    echo(f"\n{filled(text)}\n")
    rows = (
        (
            *([trained.get(each.text, "–")] * bool(trained)),
            each.text,
            *(count(getattr(each, key)) for key in ("flops", "params", "acts")),
        )
        for each in networks
    )
    headers = (*(["trained"] * bool(trained)), "model", "flops", "params", "acts")
    print_table(headers, rows, "l" * (1 + bool(trained)) + "rrr")
    if trained and any(each.text not in trained for each in networks):
        echo("\n– not among the RegNets that were derived and trained before")
