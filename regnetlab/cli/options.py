"""What several commands share: options, and the trials that these mean."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from regnetlab.cli.completion import among, study_names
from regnetlab.cli.output import echo
from regnetlab.errors import InputError
from regnetlab.trials.error_units import ErrorUnit

if TYPE_CHECKING:  # pandas, pydantic
    from regnetlab.study.plan import Plan
    from regnetlab.trials.table import Trials

StudyOrNewest = Annotated[
    str | None,
    typer.Argument(metavar="STUDY", help="The newest study by default.", autocompletion=study_names),
]
From = Annotated[
    list[Path] | None,
    typer.Option("--from", help="A file of networks (docs/exchange.md) instead of a study; repeatable."),
]
Errors = Annotated[
    ErrorUnit | None,
    typer.Option(help="What the errors in --from FILE are, where the file does not say it."),
]
Margin = Annotated[
    float | None, typer.Option(help="Points of error that still count as no worse; the study's by default.")
]

Executor = Annotated[
    str | None,
    typer.Option(
        help="local (processes), inline or dask; else the study's, or local.",
        autocompletion=among("local", "inline", "dask"),
    ),
]
LocalExecutor = Annotated[
    str, typer.Option(help="local (processes) or inline.", autocompletion=among("local", "inline"))
]
Progress = Annotated[
    str,
    typer.Option(
        help="auto, plain, or json: an object a line.", autocompletion=among("auto", "plain", "json")
    ),
]
Workers = Annotated[
    int | None, typer.Option(min=1, max=1_024, help="Trainings at once; one per core or GPU.")
]
Scheduler = Annotated[
    str | None, typer.Option(help="tcp://HOST:PORT of a Dask scheduler, or local, ssh, slurm, …")
]

Cluster = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        envvar="REGNETLAB_CLUSTER",
        help="A TOML file of yours with arguments for Dask's cluster class.",
    ),
]

Log = Annotated[
    str | None,
    typer.Option(
        metavar="KIND[:DIR]",
        autocompletion=among("tensorboard"),
        help="tensorboard writes learning curves as TensorBoard's event files, into tensorboard/ by default.",
    ),
]


def trials_of(
    study: str | None, files: list[Path] | None, errors: ErrorUnit | None = None
) -> "tuple[Trials, Plan | None]":
    """The trials of these files, or of a study, the newest one by default, and its plan.

    Args:
        study: The name or path of a study.
        files: What ``--from`` names; not with a study.
        errors: The unit of the errors in the files.
    """
    plan = plan_of(study, files, errors)
    if plan is None:
        from regnetlab.trials.files import read_trials

        return read_trials(files or (), errors), None
    from regnetlab.study.results import study_trials

    return study_trials(plan), plan


def plan_of(study: str | None, files: list[Path] | None, errors: ErrorUnit | None = None) -> "Plan | None":
    """The study that is meant, or ``None`` where files are; the newest study is named on stderr."""
    if errors is not None and not files:
        raise InputError("--errors says how --from FILE is read", "a study's errors are in percent")
    if study is not None and files:
        raise InputError("give a study or --from FILE, not both")
    if files:
        return None
    from regnetlab.study.plan_file import find_study, load_plan, newest_study

    if study is None:
        study = newest_study()
        echo(f"study {study}, the newest", err=True)
    return load_plan(find_study(study))
