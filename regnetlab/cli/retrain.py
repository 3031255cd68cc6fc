"""``regnetlab retrain``."""

from typing import TYPE_CHECKING, Annotated

import typer

from regnetlab.cli.data import SkipUnreadable, listener
from regnetlab.cli.options import Cluster, Executor, Scheduler, Workers
from regnetlab.cli.output import Json, echo, filled, print_json, print_next, print_table
from regnetlab.cli.run import Storage, StudyText
from regnetlab.cli.summary import DataDir, Device, Kernels
from regnetlab.plain import plural

if TYPE_CHECKING:
    from regnetlab.analysis.retrain import RetrainedNetwork


def retrain(
    study: StudyText,
    top: Annotated[int, typer.Option(help="Networks of each space and each search, the best first.")] = 3,
    seeds: Annotated[int, typer.Option(help="Fresh trainings of each.")] = 5,
    executor: Executor = None,
    workers: Workers = None,
    device: Device = "auto",
    kernels: Kernels = "auto",
    data_dir: DataDir = None,
    scheduler: Scheduler = None,
    cluster: Cluster = None,
    storage: Storage = None,
    skip_unreadable: SkipUnreadable = False,
    json: Json = False,
) -> None:
    """Train a study's best networks again with fresh seeds: the least errors of many are lucky."""
    from regnetlab.study.plan_file import find_study, load_plan

    plan = load_plan(find_study(study), storage)
    from regnetlab.cli.progress import make_progress
    from regnetlab.study.retrain import retrain as run_again  # torch
    from regnetlab.study.session import Options

    options = Options(
        executor,
        workers,
        device,
        data_dir,
        kernels,
        scheduler,
        skip_unreadable=skip_unreadable,
        listener=listener(),
        cluster=cluster,
    )
    with make_progress(plan.name) as observer:
        found, left = run_again(plan, options, observer, top, seeds)
    if json:
        print_json({"study": plan.name, **found.to_json()})
    elif found.networks:
        headers = ("network", "rank", "in its study %", "again %", "95% interval", "n")
        print_table(headers, map(_row, found.networks), "lrrrrr")
        for remark in found.remarks():
            echo(f"\n{filled(remark)}")
    if left:
        echo(f"{plural(left, 'training')} left; run again to go on", err=True)
        raise typer.Exit(130)
    if not json:
        echo(f"\nwrote {plan.retrained}")
        print_next([f"report {study}"])


def _row(each: "RetrainedNetwork") -> tuple[str, ...]:
    rank, first = f"{each.rank} of {each.of}", f"{each.first:.2f}"
    return f"{each.space} {each.index}", rank, first, each.spread, each.again.text(), str(len(each.errors))
