"""``regnetlab run`` and ``status``."""

import sys
from typing import Annotated, Any

import typer

from regnetlab.cli.models import DataDir, Device
from regnetlab.cli.output import Json, number, print_json, print_table
from regnetlab.errors import InputError

StudyText = Annotated[
    str,
    typer.Argument(metavar="STUDY", help="A name under studies/, or a study.toml or its folder."),
]


def run(
    study: StudyText,
    executor: Annotated[str, typer.Option(help="local (processes) or inline.")] = "local",
    workers: Annotated[
        int | None, typer.Option(min=1, max=1_024, help="Trainings at once; one per core or GPU.")
    ] = None,
    device: Device = "auto",
    data_dir: DataDir = None,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Show the whole plan with its defaults; train nothing."),
    ] = False,
    json: Json = False,
) -> None:
    """Train what a study asks for and does not have yet; go on where it was left."""
    from regnetlab.study.plan import find_study, load_plan, plan_toml

    plan = load_plan(find_study(study))
    from regnetlab.study.jobs import planned_jobs
    from regnetlab.study.runner import Outcome, outcome
    from regnetlab.study.trials import status as status_of

    jobs = planned_jobs(plan)  # also finds a regime that can't be met before anything is written
    if dry_run:
        planned = status_of(plan, Outcome(tuple(jobs), {}), running=0)
        if json:
            print_json(planned | {"plan": plan_toml(plan)})
        else:
            print(plan_toml(plan), end="")
            print(f"\n# {planned['planned']} trainings", file=sys.stderr)
        return

    from regnetlab.analysis.derive import derive_from_trials  # pandas, SciPy
    from regnetlab.cli.progress import make_progress
    from regnetlab.files import write_atomically
    from regnetlab.study.executors import Setup, check_executor
    from regnetlab.study.lock import locked
    from regnetlab.study.provenance import check_same_data, provenance
    from regnetlab.study.runner import run as run_plan
    from regnetlab.study.store import open_store
    from regnetlab.study.trials import trials_csv
    from regnetlab.training.batches import check_budget
    from regnetlab.training.datasets import load_data
    from regnetlab.training.devices import default_workers, find_device

    check_executor(executor)
    where = find_device(device)
    crew = 1 if executor == "inline" else workers or default_workers(where)
    data = load_data(plan.data, plan.template, data_dir)
    data.check_fits(plan.template)
    check_budget(data, plan.budget)
    setup = Setup(plan.template, plan.data, data_dir, str(where), plan.budget, plan.recipe)
    with locked(plan.lock) as lock:
        store = open_store(plan.store)
        check_same_data(store.provenance, data)
        store.keep_provenance(provenance(plan.folder, data, str(where), crew))
        try:
            with make_progress(plan.name) as progress:

                def derive(trained: Any) -> Any:
                    try:
                        return derive_from_trials(plan, trained)
                    except InputError as error:
                        progress.note(f"no RegNets derived: {error}")
                        return []

                run_plan(plan, store, setup, lock, progress, derive, executor, crew)
        finally:
            state = outcome(plan, store)
            store.keep_provenance(provenance(plan.folder, data, str(where), crew))
            write_atomically(plan.trials, trials_csv(plan, state))
    end = status_of(plan, state, running=0)
    _print_status(end, json)
    if left := end["planned"] - end["complete"] - end["failed"]:
        print(f"{left} trainings left; run again to go on", file=sys.stderr)
        raise typer.Exit(130)
    if not json:
        print(f"\nwrote {plan.trials}; next: regnetlab fit-regnet {study}, regnetlab report {study}")


def status(study: StudyText, json: Json = False) -> None:
    """Show how far a study is."""
    from regnetlab.study.jobs import planned_jobs
    from regnetlab.study.lock import running_models
    from regnetlab.study.plan import find_study, load_plan
    from regnetlab.study.runner import Outcome, outcome
    from regnetlab.study.store import open_store
    from regnetlab.study.trials import status as status_of

    plan = load_plan(find_study(study))
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
