"""``regnetlab finish``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from regnetlab.cli.data import SkipUnreadable, listener
from regnetlab.cli.options import LocalExecutor, Log, Progress, Workers
from regnetlab.cli.output import Json, echo, filled, print_json, print_next, print_table
from regnetlab.cli.run import StudyText
from regnetlab.cli.summary import DataDir, Device, Kernels

if TYPE_CHECKING:
    from regnetlab.study.finish_file import Baseline, Finished, Member

Folder = Annotated[Path, typer.Option("-o", "--output", metavar="DIR", help="Folder of the networks.")]
FinalEpochs = Annotated[
    int | None,
    typer.Option(min=1, max=10_000, help="Epochs of the last trainings; else what the time allows."),
]


def finish(
    study: StudyText,
    models: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="MODEL", help="Networks to take, instead of a small, a medium and a large one."
        ),
    ] = None,
    output: Folder = Path("family"),
    minutes: Annotated[float, typer.Option(min=0.1, help="Minutes to spend.")] = 15.0,
    final_epochs: FinalEpochs = None,
    workers: Workers = None,
    executor: LocalExecutor = "local",
    device: Device = "auto",
    kernels: Kernels = "auto",
    data_dir: DataDir = None,
    skip_unreadable: SkipUnreadable = False,
    progress: Progress = "auto",
    log: Log = None,
    json: Json = False,
) -> None:
    """Train a study's best networks to the end, and write them ready for use.

    They are chosen and tuned on the validation images, beside hand-designed networks, and judged once on the
    test images. What was interrupted goes on with the same command.
    """
    from regnetlab.cli.progress import make_progress
    from regnetlab.study.finish import finish as finished  # torch
    from regnetlab.study.finish_file import read_finished
    from regnetlab.study.minutes import Clock
    from regnetlab.study.observer import Observers
    from regnetlab.study.plan_file import find_study, load_plan
    from regnetlab.study.session import Options
    from regnetlab.study.tensorboard import tensorboard_log

    plan = load_plan(find_study(study))
    options = Options(
        executor, workers, device, data_dir, kernels, skip_unreadable=skip_unreadable, listener=listener()
    )
    clock = Clock(minutes)
    with make_progress(plan.name, progress) as observer:
        watched = Observers(observer, *([] if log is None else [tensorboard_log(log, plan.folder)]))
        whole = finished(plan, options, watched, output, clock, models or (), final_epochs)
    if not whole:
        echo("not finished; run again to go on", err=True)
        raise typer.Exit(130)
    found = read_finished(plan)
    assert found is not None
    if json:
        print_json(document(found))
    else:
        print_finished(found)
        print_next([f"predict {output} IMAGE…", f"report {study}"])


def document(found: "Finished") -> dict[str, Any]:
    """What --json prints of a family."""
    return {
        "folder": found.folder,
        "use": found.use,
        "why": found.why,
        "space": found.space,
        "law": found.law,
        "networks": [
            each.model_dump(mode="json", exclude={"test"}) | {"test_images": found.test_images}
            for each in found.networks
        ],
        "difference": found.difference,
        "baselines": [each.model_dump(mode="json") for each in found.baselines],
    }


def print_finished(found: "Finished") -> None:
    """The networks and what they are compared with, and which one to take."""
    rows = []
    every: list[Member | Baseline] = [*found.networks, *found.baselines]
    for each in every:
        took = getattr(each, "latency", None)
        low, high = each.interval
        rows.append(
            (
                each.name,
                f"{each.error:.2f} ({low:.1f}–{high:.1f})",
                f"{each.flops / 1e6:.2f}M",
                f"{each.params:,}",
                "–" if took is None else f"{took.ms[0]:.2f}",
            )
        )
    print_table(("network", "test error %", "flops", "params", "latency, ms, batch 1"), rows, "lrrrr")
    used = found.used
    echo(
        "\n"
        + filled(
            f"use {used.name}: {used.error:.2f}% of {found.test_images:,} test images are wrong"
            f" ({used.interval[0]:.1f} to {used.interval[1]:.1f}% with 95%); {used.model}"
        )
    )
    if found.why:
        echo(filled(f"why {found.use}: {found.why}"))
    if found.guess is not None:
        hardly = ": it has hardly learned; give more minutes, or more flops" * found.has_hardly_learned
        echo(filled(f"guessing has {found.guess:.2f}%{hardly}"))
    if found.beside_hand_designed:
        echo(filled(found.beside_hand_designed), verdicts=True)
    echo(f"\nwrote {found.folder}/")
