"""``regnetlab worker``: lend this machine to a study that runs elsewhere."""

from typing import Annotated

import typer

from regnetlab.cli.output import echo


def worker(
    scheduler: Annotated[str, typer.Argument(metavar="ADDRESS", help="tcp://HOST:PORT or tls://HOST:PORT.")],
    trainings: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=1_024,
            help="Most trainings at once; one per core, or up to 8 on a GPU as its memory allows.",
        ),
    ] = None,
    host: Annotated[
        str | None, typer.Option(help="Address by which the others reach this machine, if it has several.")
    ] = None,
    once: Annotated[
        bool, typer.Option("--once", help="End with the scheduler instead of waiting until it is back.")
    ] = False,
) -> None:
    """Train for the study behind a Dask scheduler, until stopped (Ctrl-C, SIGTERM)."""
    from regnetlab.execution.dask_worker import join
    from regnetlab.training.devices import find_device, most_workers

    count = trainings or most_workers(find_device())
    join(scheduler, count, host, once, lambda text: echo(text, err=True))
