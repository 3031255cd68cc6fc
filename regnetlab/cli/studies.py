"""``regnetlab run`` and ``status``."""

import sys
from functools import partial
from typing import Annotated, Any

import typer

from regnetlab.cli.models import DataDir, Device
from regnetlab.cli.output import Json, number, print_json, print_table

StudyText = Annotated[
    str,
    typer.Argument(metavar="STUDY", help="A name under studies/, or a study.toml or its folder."),
]


Storage = Annotated[
    str | None,
    typer.Option(help="Where trainings are kept: a file, journal:FILE or postgresql://…; else study.db."),
]


def run(
    study: StudyText,
    executor: Annotated[
        str | None, typer.Option(help="local (processes), inline or dask; else the study's, or local.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, max=1_024, help="Trainings at once; one per core or GPU.")
    ] = None,
    device: Device = "auto",
    data_dir: DataDir = None,
    scheduler: Annotated[
        str | None, typer.Option(help="tcp://HOST:PORT of a Dask scheduler, or local, ssh, slurm, …")
    ] = None,
    storage: Storage = None,
    send_data: Annotated[
        bool, typer.Option("--send-data", help="Send the data to workers that have none (dask).")
    ] = False,
    accept_change: Annotated[
        bool, typer.Option("--accept-change", help="Go on with a changed study or data, and record it.")
    ] = False,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Show the whole plan with its defaults; train nothing."),
    ] = False,
    json: Json = False,
) -> None:
    """Train what a study asks for and does not have yet; go on where it was left."""
    from regnetlab.study.plan import find_study, load_plan, plan_toml, stored_at

    plan = stored_at(load_plan(find_study(study)), storage)
    from regnetlab.study.jobs import planned_jobs
    from regnetlab.study.runner import Outcome
    from regnetlab.study.trials import status as status_of

    jobs = planned_jobs(plan)  # also finds a regime that can't be met before anything is written
    if dry_run:
        from regnetlab.study.contest import hand_designed  # torch

        hand_designed(plan)  # finds a baseline that can't be had
        planned = status_of(plan, Outcome(tuple(jobs), {}), running=0)
        if json:
            print_json(planned | {"plan": plan_toml(plan)})
        else:
            print(plan_toml(plan), end="")
            print(f"\n# {planned['planned']} trainings", file=sys.stderr)
        return

    from regnetlab.analysis.derive import derive_from_trials  # pandas, SciPy
    from regnetlab.cli.progress import make_progress
    from regnetlab.study.session import Means, run_study

    means = Means(executor, workers, device, data_dir, scheduler, send_data, accept_change)
    state = run_study(plan, means, make_progress(plan.name), partial(derive_from_trials, plan))
    end = status_of(plan, state, running=0)
    _print_status(end, json)
    if left := end["planned"] - end["complete"] - end["failed"]:
        print(f"{left} trainings left; run again to go on", file=sys.stderr)
        raise typer.Exit(130)
    if not json:
        commands = ["fit-regnet", *(["compare-baselines"] if plan.baselines else []), "report"]
        print(f"\nwrote {plan.trials}; next: " + ", ".join(f"regnetlab {each} {study}" for each in commands))


def status(study: StudyText, storage: Storage = None, json: Json = False) -> None:
    """Show how far a study is."""
    from regnetlab.study.jobs import planned_jobs
    from regnetlab.study.lock import running_models
    from regnetlab.study.plan import find_study, load_plan, stored_at
    from regnetlab.study.runner import Outcome, outcome
    from regnetlab.study.store import open_store
    from regnetlab.study.trials import status as status_of

    plan = stored_at(load_plan(find_study(study)), storage)
    if plan.store.exists():
        state = outcome(plan, open_store(plan.store))
    else:
        state = Outcome(tuple(planned_jobs(plan)), {})
    _print_status(status_of(plan, state, running_models(plan.lock)), json)


def _print_status(document: dict[str, Any], json: bool) -> None:
    if json:
        print_json(document)
        return
    print(
        f"study {document['study']}: {document['complete']} of {document['planned']} complete,"
        f" {document['failed']} failed, {document['running']} running\n"
    )
    rows = (
        (
            each["space"],
            *(str(each[key]) for key in ("planned", "complete", "failed")),
            *(number(each[key]) for key in ("min", "median")),
        )
        for each in document["spaces"]
    )
    headers = ("space", "planned", "complete", "failed", "min error %", "median error %")
    print_table(headers, rows, "lrrrrr")
