"""``regnetlab fidelity``."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from regnetlab.cli.completion import study_names
from regnetlab.cli.data import SkipUnreadable, listener
from regnetlab.cli.options import LocalExecutor, Margin, Workers
from regnetlab.cli.output import (
    Json,
    echo,
    filled,
    lasting,
    number,
    print_guessing,
    print_json,
    print_next,
    print_table,
    signed,
)
from regnetlab.cli.summary import DataDir, Device, Kernels
from regnetlab.errors import InputError
from regnetlab.plain import plural

if TYPE_CHECKING:
    from regnetlab.analysis.fidelity import Fidelity
    from regnetlab.analysis.statistics.budgets import BudgetStep
    from regnetlab.analysis.statistics.intervals import Interval
    from regnetlab.study.fidelity import Ladder


def fidelity(
    study: Annotated[
        str | None,
        typer.Argument(
            metavar="STUDY",
            help="A name under studies/, a file or a folder.",
            autocompletion=study_names,
        ),
    ] = None,
    from_: Annotated[
        Path | None, typer.Option("--from", help="Judge this fidelity.csv instead; trains nothing.")
    ] = None,
    ladder: Annotated[
        str | None,
        typer.Option(
            metavar="BUDGET,…",
            help="Budgets beside the study's own, as in 1600,3200 or 1600x4@16/1000 (images x epochs"
            " @ batch size / validation images); 1600,3200,6400 by default.",
        ),
    ] = None,
    networks: Annotated[
        int | None, typer.Option(help="Networks of each space, the first ones; 10 by default.")
    ] = None,
    margin: Margin = None,
    executor: LocalExecutor = "local",
    workers: Workers = None,
    device: Device = "auto",
    kernels: Kernels = "auto",
    data_dir: DataDir = None,
    skip_unreadable: SkipUnreadable = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be trained.")] = False,
    json: Json = False,
) -> None:
    """Find the smallest budget that is enough: train some networks at several, and compare."""
    if (study is None) == (from_ is None):
        raise InputError("give either a study or --from FILE")
    from regnetlab.analysis.fidelity import fidelity as judge  # SciPy
    from regnetlab.trials.csv_tables import FIDELITY
    from regnetlab.trials.terms import MARGIN, check_margin

    if margin is not None:
        check_margin(margin)
    if from_ is not None:
        trainings = FIDELITY.read(from_)
        try:
            found = judge(trainings, MARGIN if margin is None else margin)
        except InputError as error:
            raise error.at(from_) from None
        _show(found, str(from_), json)
        return
    from regnetlab.cli.progress import make_progress
    from regnetlab.study.fidelity import NETWORKS, default_ladder, parse_ladder, run_fidelity
    from regnetlab.study.fidelity import ladder as plan_ladder
    from regnetlab.study.plan_file import find_study, load_plan
    from regnetlab.study.provenance import guessing_in, recorded
    from regnetlab.study.results import stated_terms, study_fidelity, study_steps
    from regnetlab.study.session import Options, prepare

    plan = load_plan(find_study(study or ""))
    options = Options(
        executor,
        workers,
        device,
        data_dir,
        kernels,
        skip_unreadable=skip_unreadable,
        listener=listener(),
    )
    prepared = None
    there = recorded(plan).get("training_images")
    if there is None and (ladder is None or not plan.images_stated):  # so the data have to say
        prepared = prepare(plan, options)
        plan, there = prepared.plan, len(prepared.data.train)
    default = default_ladder(there)
    budgets = parse_ladder(default if ladder is None else ladder, plan.budget)
    count = NETWORKS if networks is None else networks
    planned = plan_ladder(plan, budgets, count)
    if ladder is None and default != default_ladder(None):
        echo(f"{plan.data} has {there:,} images to train on: the budgets are {default}", err=True)
    if dry_run:
        _show_plan(planned, json)
        return
    with make_progress(plan.name) as observer:
        state = run_fidelity(plan, options, observer, budgets, count, prepared)
    if state.missing:
        echo(f"{plural(len(state.missing), 'training')} left; run again to go on", err=True)
        raise typer.Exit(130)
    stated = stated_terms(plan).margin if margin is None else margin
    found = judge(study_fidelity(plan), stated, study_steps(plan), guessing_in(recorded(plan)))
    _show(found, plan.name, json)
    if not json:
        echo(f"\nwrote {plan.fidelity}")
        print_next([f"report {study}"])


def _show_plan(state: "Ladder", json: bool) -> None:
    rows = [
        {
            "images": budget.images,
            "epochs": budget.epochs,
            "batch_size": budget.batch_size,
            "validation": budget.validation,
            "trainings": len({job.identity for job in jobs}),
            "missing": len({job.identity for job in jobs} - set(state.scores)),
        }
        for budget, jobs in state.rungs
    ]
    if json:
        print_json({"rungs": rows})
        return
    headers = ("images", "epochs", "batch", "validation", "trainings", "missing")
    print_table(headers, ([f"{value:,}" for value in row.values()] for row in rows), "rrrrrr")


def _show(found: "Fidelity", name: str, json: bool) -> None:
    if json:
        print_json({"study": name, **found.to_json()})
        return
    rungs, largest = found.rungs, found.largest.name
    echo(
        f"{found.networks} networks of {plural(len(found.spaces), 'space')}, {found.seeds} seeds at each of"
        f" {len(rungs)} budgets\n"
    )
    rows = [
        (
            each.name,
            number(each.seconds.estimate, 1),
            number(each.overall.raw.estimate),
            _estimate(each.within.raw),
            number(each.within.reliability.estimate),
            number(each.within.corrected.estimate) + ("†" if each.within.capped else ""),
            _estimate(each.evidence, 0),
            number(each.relative.estimate) + ("" if each.may_be_best else " ×"),
        )
        for each in rungs
    ]
    headers = ("images", "s", "all", "in a space", "seeds", "corr.", "evidence an hour", "of best")
    print_table(headers, rows, "rrrrrrrr")
    legend = (
        f"s: seconds a training; all, in a space: rank correlation of one training with one at {largest}"
        " images, over all networks and within spaces (95% interval); seeds: of two seeds at this budget;"
        " corr.: within spaces, without the noise of both seeds; evidence: networks of a worker's hour ·"
        " validity²"
    )
    echo(f"\n{filled(legend)}")
    if any(each.within.capped for each in rungs):
        echo("† above 1, shown as 1: the seeds agree too little for the correction")
    if any(not each.may_be_best for each in rungs):
        echo("× certainly has less evidence an hour than the best (95%, all budgets together)")
    _show_margin(found)
    _show_spaces(found)
    echo(f"\n{filled(' '.join(found.remarks()))}")


def _show_margin(found: "Fidelity") -> None:
    from regnetlab.analysis.statistics.verdicts import points

    if not found.largest.steps:
        return
    largest = found.largest.name
    note = (
        f"margin: as many standard deviations within spaces (sd) as {points(found.margin)} at {largest};"
        f" networks a space for 80% power of the verdict at {largest} on the step with the widest spread, and"
        " the time of one worker for its two spaces: rough, as any figure of so few; p: test of the spaces"
        f" differing as they do at {largest}; no: rejected, so the budget is ruled out"
    )
    echo(f"\n{filled(note)}\n")
    rows = (
        (
            each.name,
            number(each.sd),
            number(each.margin),
            number(each.needed, 0),
            lasting(3600 * each.hours),
            number(each.p) + (" no" if each.differ else ""),
        )
        for each in found.rungs
    )
    print_table(("images", "sd", "margin", "networks", "time", "p"), rows, "rrrrrl")


def _show_spaces(found: "Fidelity") -> None:
    echo("\nmedian error %\n")
    rows = ((each.name, *(number(median.estimate) for median in each.medians)) for each in found.rungs)
    print_table(("images", *found.spaces), rows, "r" * (1 + len(found.spaces)))
    print_guessing(**found.guessing)
    if not found.largest.steps:
        return
    legend = (
        "difference of medians in points, and verdict at each budget's margin (‡ the effect is not that at"
        " the largest budget, ! the verdict contradicts the one there)"
    )
    echo(f"\n{filled(legend)}\n")
    steps = [f"{each.a} → {each.b}" for each in found.largest.steps]
    columns = [[_verdict(each) for each in rung.steps] for rung in found.rungs]
    print_table(
        ("step", *(rung.name for rung in found.rungs)),
        zip(steps, *columns, strict=True),
        "l" * (1 + len(found.rungs)),
        verdicts=True,
    )
    legend = "effect: difference of means over the sd within both spaces; in brackets, effect per √hour"
    echo(f"\n{filled(legend)}\n")
    columns = [[_effect(each) for each in rung.steps] for rung in found.rungs]
    print_table(
        ("step", *(rung.name for rung in found.rungs)),
        zip(steps, *columns, strict=True),
        "l" + "r" * len(found.rungs),
    )


def _effect(step: "BudgetStep") -> str:
    moved = "‡" if step.effect_change.excludes_zero else ""
    if not math.isfinite(step.effect.estimate):
        return "–"
    return f"{signed(step.effect.estimate)} ({signed(step.effect_per_sqrt_hour.estimate, 0)}){moved}"


def _verdict(step: "BudgetStep") -> str:
    moved = "‡" if step.effect_change.excludes_zero else ""
    contradicts = "!" if step.agreement == "contradicts" else ""
    return f"{signed(step.difference.estimate, 1)} {step.verdict}{moved}{contradicts}"


def _estimate(interval: "Interval", decimals: int = 2) -> str:
    low, high = (number(end, decimals) for end in (interval.low, interval.high))
    return f"{number(interval.estimate, decimals)} ({low}–{high})".replace("-", "−")
