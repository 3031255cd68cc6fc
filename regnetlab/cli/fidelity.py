"""``regnetlab fidelity``."""

import sys
from pathlib import Path
from textwrap import fill
from typing import Annotated, Any

import typer

from regnetlab.cli.data import SkipUnreadable, listener
from regnetlab.cli.models import DataDir, Device, Kernels
from regnetlab.cli.options import Margin
from regnetlab.cli.output import COLUMNS, Json, number, print_guessing, print_json, print_table, signed
from regnetlab.errors import InputError


def fidelity(
    study: Annotated[
        str | None, typer.Argument(metavar="[STUDY]", help="A name under studies/, a file or a folder.")
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
    networks: Annotated[int | None, typer.Option(help="Of each space, its first; 10 by default.")] = None,
    margin: Margin = None,
    executor: Annotated[str, typer.Option(help="local (processes) or inline.")] = "local",
    workers: Annotated[
        int | None, typer.Option(min=1, max=1_024, help="Trainings at once; one per core or GPU.")
    ] = None,
    device: Device = "auto",
    kernels: Kernels = "auto",
    data_dir: DataDir = None,
    skip_unreadable: SkipUnreadable = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be trained.")] = False,
    json: Json = False,
) -> None:
    """Find the smallest budget that is enough: train some networks at several, and compare."""
    if (study is None) == (from_ is None):
        raise InputError("give a study or --from FILE, one of the two")
    from regnetlab.analysis.judged_budgets import (
        described,
        file_fidelity,
        study_fidelity,
        study_guess,
    )  # SciPy

    if from_ is not None:
        found = file_fidelity(from_, margin)
        _show(described(found, str(from_)), json)
        return
    from regnetlab.analysis.statistics.verdicts import check_margin
    from regnetlab.cli.progress import make_progress
    from regnetlab.study.fidelity import NETWORKS, default_ladder, parse_ladder, run_fidelity
    from regnetlab.study.fidelity import ladder as plan_ladder
    from regnetlab.study.plan_file import find_study, load_plan
    from regnetlab.study.provenance import recorded
    from regnetlab.study.session import Options, prepare

    plan = load_plan(find_study(study or ""))
    if margin is not None:
        check_margin(margin)
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
        print(f"{plan.data} has {there:,} images to train on: the budgets are {default}", file=sys.stderr)
    if dry_run:
        _show_plan(planned, json)
        return
    with make_progress(plan.name) as observer:
        state = run_fidelity(plan, options, observer, budgets, count, prepared)
    if state.missing:
        print(f"{len(state.missing)} trainings left; run again to go on", file=sys.stderr)
        raise typer.Exit(130)
    found = study_fidelity(plan, margin)
    _show(described(found, plan.name, study_guess(plan, found)), json)
    if not json:
        print(f"\nwrote {plan.fidelity}; `regnetlab report {study}` draws it")


def _show_plan(state: Any, json: bool) -> None:
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


def _show(document: dict[str, Any], json: bool) -> None:
    if json:
        print_json(document)
        return
    rungs, largest = document["rungs"], document["largest"]
    print(
        f"{document['networks']} networks of {len(document['spaces'])} spaces, {document['seeds']} seeds at"
        f" each of {len(rungs)} budgets\n"
    )
    rows = [
        (
            each["rung"],
            number(each["seconds"]["estimate"], 1),
            number(each["all"]["raw"]["estimate"]),
            _estimate(each["within_spaces"]["raw"]),
            number(each["within_spaces"]["reliability"]["estimate"]),
            number(each["within_spaces"]["corrected"]["estimate"])
            + ("†" if each["within_spaces"]["capped"] else ""),
            _estimate(each["evidence_an_hour"], 0),
            number(each["relative"]["estimate"]) + ("" if each["may_be_best"] else " ×"),
        )
        for each in rungs
    ]
    headers = ("images", "s", "all", "in a space", "seeds", "corr.", "evidence an hour", "of best")
    print_table(headers, rows, "rrrrrrrr")
    print(
        f"\nall, in a space: rank correlation of one training with one at {largest} images, over all"
        "\nnetworks and within spaces (95 % interval); seeds: of two seeds at this budget; corr.: within"
        "\nspaces, without the noise of both seeds; evidence: networks of a worker's hour · validity²"
    )
    if any(each["within_spaces"]["capped"] for each in rungs):
        print("† above 1, shown as 1: seeds agree by too little for the correction")
    if any(not each["may_be_best"] for each in rungs):
        print("× has less evidence an hour than the best for sure (95 %, all budgets together)")
    _show_margin(document)
    _show_spaces(document)
    print(f"\n{fill(document['finding'], COLUMNS)}")


def _show_margin(document: dict[str, Any]) -> None:
    from regnetlab.analysis.statistics.verdicts import points

    if document["cheapest_verdict"] is None:
        return
    print(
        f"\nnetworks a space for 80 % power at a margin of {points(document['margin'])} on the step with the"
        "\nwidest spread, and hours of one worker for its two spaces; rough, as any figure of so few\n"
    )
    rows = (
        (each["rung"], number(each["for_margin"]["n"], 0), number(each["for_margin"]["hours"], 1))
        for each in document["rungs"]
    )
    print_table(("images", "networks", "hours"), rows, "rrr")


def _show_spaces(document: dict[str, Any]) -> None:
    rungs = document["rungs"]
    print("\nmedian error %\n")
    rows = ((each["rung"], *(number(median["estimate"]) for median in each["medians"])) for each in rungs)
    print_table(("images", *document["spaces"]), rows, "r" * (1 + len(document["spaces"])))
    print_guessing(document["majority_error"], document["not_learned"])
    if not rungs[0]["comparisons"]:
        return
    print("\nverdicts (‡ the difference is not that at the largest budget, ! the verdict contradicts it)\n")
    steps = [f"{each['a']} → {each['b']}" for each in rungs[0]["comparisons"]]
    columns = [[_verdict(each) for each in rung["comparisons"]] for rung in rungs]
    print_table(
        ("step", *(rung["rung"] for rung in rungs)), zip(steps, *columns, strict=True), "l" * (1 + len(rungs))
    )


def _verdict(step: dict[str, Any]) -> str:
    low, high = step["change_interval"]
    moved = "‡" if low is not None and high is not None and (low > 0 or high < 0) else ""
    contradicts = "!" if step["agreement"] == "contradicts" else ""
    return f"{signed(step['median_difference'], 1)} {step['verdict']}{moved}{contradicts}"


def _estimate(interval: dict[str, Any], decimals: int = 2) -> str:
    low, high = (number(interval[end], decimals) for end in ("low", "high"))
    return f"{number(interval['estimate'], decimals)} ({low}–{high})".replace("-", "−")
