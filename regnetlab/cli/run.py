"""``regnetlab run`` and ``status``."""

from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from regnetlab.cli.completion import study_names
from regnetlab.cli.data import SkipUnreadable, listener
from regnetlab.cli.options import Cluster, Executor, Log, Progress, Scheduler, Workers
from regnetlab.cli.output import (
    Json,
    echo,
    filled,
    number,
    print_guessing,
    print_json,
    print_next,
    print_table,
)
from regnetlab.cli.summary import DataDir, Device, Kernels
from regnetlab.cli.watch import keep_watching, print_workers
from regnetlab.errors import unknown
from regnetlab.plain import plural

StudyText = Annotated[
    str,
    typer.Argument(
        metavar="STUDY",
        help="A name under studies/, or a study.toml or its folder.",
        autocompletion=study_names,
    ),
]


Storage = Annotated[
    str | None,
    typer.Option(help="Where trainings are kept: a file or postgresql://…; else study.db."),
]


def run(
    study: StudyText,
    executor: Executor = None,
    workers: Workers = None,
    device: Device = "auto",
    kernels: Kernels = "auto",
    data_dir: DataDir = None,
    scheduler: Scheduler = None,
    cluster: Cluster = None,
    storage: Storage = None,
    send_data: Annotated[
        bool, typer.Option("--send-data", help="Send the data to workers that have none (dask).")
    ] = False,
    accept_change: Annotated[
        bool, typer.Option("--accept-change", help="Continue with a changed study or data, and record it.")
    ] = False,
    skip_unreadable: SkipUnreadable = False,
    mirror: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Also copy trainings to an Optuna storage, for its dashboard."),
    ] = None,
    log: Log = None,
    progress: Progress = "auto",
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", help="Show the whole plan with its defaults; read no images, train nothing."
        ),
    ] = False,
    json: Json = False,
) -> None:
    """Train what a study asks for and does not have yet; continue where it stopped."""
    from regnetlab.study.plan_file import find_study, load_plan
    from regnetlab.study.plan_text import plan_toml

    plan = load_plan(find_study(study), storage)
    from regnetlab.study.stages import State, planned_jobs
    from regnetlab.study.status import LogReader
    from regnetlab.study.status import status as status_of

    jobs = planned_jobs(plan)  # also finds a regime that can't be met before anything is written
    if dry_run:
        from regnetlab.study.baselines import hand_designed  # torch

        hand_designed(plan)  # finds a baseline that can't be had
        planned = status_of(plan, State(tuple(jobs), {}), running=0)
        if json:
            print_json(planned | {"plan": plan_toml(plan)})
        else:
            echo(plan_toml(plan), end="")
            echo(f"\n# {plural(planned['planned'], 'training')}", err=True)
            if not plan.images_stated:
                echo("# images is the default; where the data have fewer, all are used", err=True)
            if few := plan.budget.few_steps():
                echo(f"# {few}", err=True)
        return

    from regnetlab.cli.progress import FORMS, make_progress
    from regnetlab.study.observer import Observers
    from regnetlab.study.provenance import guessing_in, recorded
    from regnetlab.study.run import run_study  # torch
    from regnetlab.study.session import Options
    from regnetlab.study.tensorboard import tensorboard_log

    options = Options(
        executor,
        workers,
        device,
        data_dir,
        kernels,
        scheduler,
        send_data,
        accept_change,
        skip_unreadable,
        mirror,
        listener(),
        cluster,
    )
    if progress not in FORMS:
        raise unknown("progress", progress, FORMS)
    logs = [] if log is None else [tensorboard_log(log, plan.folder)]
    with make_progress(plan.name, progress) as observer:
        state = run_study(plan, options, Observers(observer, *logs))
    workers_seen = LogReader(plan.log).look().documents(running=False)
    end = status_of(plan, state, 0, workers_seen, guessing_in(recorded(plan)))
    _print_status(end, json)
    if left := end["planned"] - end["complete"] - end["failed"]:
        echo(f"{plural(left, 'training')} left; run again to go on", err=True)
        raise typer.Exit(130)
    if not json:
        commands = {
            "compare": len(plan.draws) > 1,
            "fit-regnet": True,
            "compare-baselines": plan.baselines is not None,
            "report": True,
            "finish": bool(recorded(plan).get("test_images")),
        }
        echo(f"\nwrote {plan.trials}")
        print_next(f"{each} {study}" for each, applies in commands.items() if applies)


def status(
    study: StudyText,
    storage: Storage = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="Look again every few seconds; show workers too.")
    ] = False,
    every: Annotated[float, typer.Option(min=0.2, max=3_600, help="Seconds between looks.")] = 5.0,
    json: Json = False,
) -> None:
    """Show how far a study is."""
    from regnetlab.study.plan_file import find_study, load_plan
    from regnetlab.study.provenance import guessing_in, recorded
    from regnetlab.study.stages import State, planned_jobs, study_state
    from regnetlab.study.status import LogReader
    from regnetlab.study.status import status as status_of
    from regnetlab.training.budget import COMPLETE
    from regnetlab.trials.lease import running_models

    plan = load_plan(find_study(study), storage)
    log = LogReader(plan.log)

    def look() -> tuple[dict[str, Any], list[str]]:
        running, tables = running_models(plan.lock), None
        if plan.trials.exists():
            from regnetlab.study.take_in import unread_tables  # pandas

            tables = unread_tables(plan)
        if tables is not None:  # a clone: its tables say what is finished
            state = tables.state
        elif not plan.store.exists():
            state = State(tuple(planned_jobs(plan)), {})
        else:
            from regnetlab.trials.store import open_store  # SQLAlchemy

            store = open_store(plan.store)
            state = study_state(plan, store)
            running = running or int(store.fact("lease").get("running", 0))
        endings = [score.ended for score in state.scores.values() if score.ended != COMPLETE]
        workers, guess = log.look().documents(running > 0), guessing_in(recorded(plan))
        return status_of(plan, state, running, workers, guess), endings

    def show(document: dict[str, Any], lines: list[str]) -> None:
        if console.is_terminal and not json:
            console.clear()
        _print_status(document | ({"lines": lines} if json else {}), json)
        if not json:
            print_workers(document["workers"], datetime.now(UTC))
            echo("\n" + "\n".join(lines))

    if watch:
        from rich.console import Console

        console = Console()
        keep_watching(look, show, every)
    else:
        _print_status(look()[0], json)


def _print_status(document: dict[str, Any], json: bool) -> None:
    if json:
        print_json(document)
        return
    echo(
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
    from regnetlab.trials.job import FINAL

    headers = ("space", "planned", "complete", "failed", "min error %", "median error %")
    print_table(headers, rows, "lrrrrr")
    if document["outdated"]:
        text = "the study changed since its RegNets were derived: the next run derives them again"
        echo(f"\n{filled(text)}")
    if any(each["space"] == FINAL and each["complete"] for each in document["spaces"]):
        text = "all errors are on the validation split, those of tuning and final trainings too"
        echo(f"\n{filled(text)}")
    print_guessing(document["majority_error"], document["not_learned"])
