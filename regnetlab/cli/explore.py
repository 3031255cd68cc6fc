"""``regnetlab explore``."""

import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from regnetlab.cli.completion import data_sets
from regnetlab.cli.data import GroupBy, SkipUnreadable, listener, reading
from regnetlab.cli.finish import FinalEpochs, Folder, print_finished
from regnetlab.cli.options import LocalExecutor, Log, Progress, Workers
from regnetlab.cli.output import Json, echo, filled, from_here, print_json, print_next
from regnetlab.cli.sample import Input
from regnetlab.cli.summary import DataDir, Device, Kernels
from regnetlab.errors import InputError, unknown

if TYPE_CHECKING:
    from regnetlab.study.minutes import Clock
    from regnetlab.study.observer import Observer
    from regnetlab.study.plan import Plan
    from regnetlab.study.session import Options


def explore(
    data: Annotated[
        str,
        typer.Argument(
            metavar="FOLDER|NAME",
            help="A folder of images, or a data set's name.",
            autocompletion=data_sets,
        ),
    ],
    minutes: Annotated[
        float,
        typer.Option(
            min=0.5,
            max=100_000,
            help="Minutes to spend in all; explore measures first, and says if they are too few.",
        ),
    ],
    flops: Annotated[
        str | None, typer.Option(metavar="2M", help="Multiply-adds that the medium network may have.")
    ] = None,
    latency: Annotated[
        str | None, typer.Option(metavar="5ms", help="Milliseconds an image that it may take on this CPU.")
    ] = None,
    output: Folder = Path("family"),
    name: Annotated[str | None, typer.Option(help="Name of the study; else the folder's.")] = None,
    group_by: GroupBy = None,
    input: Input = None,
    plan_only: Annotated[
        bool, typer.Option("--plan-only", help="Write the study file for you to check and change, and stop.")
    ] = False,
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
    """From images to networks in use: find the best space of networks, then train a family from it.

    Writes a study under studies/, which the same command goes on with after an interruption, its report, and
    the networks.
    """
    from regnetlab.cli.progress import FORMS, make_progress
    from regnetlab.files import write_atomically
    from regnetlab.study.examples import new_study
    from regnetlab.study.finish import finish as finished  # torch
    from regnetlab.study.finish_files import check_folder
    from regnetlab.study.minutes import (
        Clock,
        Spending,
        WalkClock,
        check_asked,
        keep_spent,
        spent_before,
    )
    from regnetlab.study.observer import Observers, Once
    from regnetlab.study.plan_file import load_plan, parse_plan
    from regnetlab.study.run import run_study
    from regnetlab.study.session import Options
    from regnetlab.study.tensorboard import check_log, tensorboard_log

    if progress not in FORMS:
        raise unknown("progress", progress, FORMS)
    if log is not None:
        check_log(log)
    target = _target(flops, latency)
    source = f"folder:{Path(data)}" if Path(data).expanduser().is_dir() else data
    study = name or _name(data)
    path = Path("studies") / study / "study.toml"
    if not path.exists():
        new_study(study)  # refuses a name that can't be one
    options = Options(
        executor, workers, device, data_dir, kernels, skip_unreadable=skip_unreadable, listener=listener()
    )
    if not plan_only:
        check_folder(output, study, source)
    asked = {"flops": flops, "latency": latency, "group_by": group_by, "input": input}
    clock = Clock(minutes, spent_before(path.parent))
    with make_progress(study, progress) as display:
        observer = Once(display)
        if path.exists():
            plan = load_plan(path)
            _check_same(plan, source, path)
            check_asked(path.parent, asked)
            observer.on_note(
                f"going on with {path}: {clock.spent / 60:.1f} of {minutes:g} minutes were used before"
            )
        else:
            how = reading(source, skip_unreadable=skip_unreadable, group_by=group_by, split=_split(source))
            lines, text = _planned(
                study, path.parent, source, how, target, input, options, observer, clock, final_epochs
            )
            for line in lines:
                echo(filled(line), err=True)
            parse_plan(text, path)
            if path.exists():
                raise InputError(f"{path} was written meanwhile", "run one explore of a name at a time")
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(path, text)
            keep_spent(path.parent, clock, asked)
            plan = load_plan(path)
            observer.on_note(f"wrote {path}")
        if plan_only:
            keep_spent(path.parent, clock)
            if json:
                print_json({"study": study, "file": str(path), "plan": path.read_text(encoding="utf-8")})
            else:
                print_next([shlex.join(_again(data, minutes, name, output, asked))])
            return
        ends = WalkClock(clock, [draw.space.name for draw in (plan.stated or plan.draws)[1:]])
        spending = Spending(path.parent, clock)
        logs = [] if log is None else [tensorboard_log(log, path.parent)]
        watched = Observers(observer, spending, *logs)
        problem: InputError | None = None
        try:
            whole = not run_study(plan, options, watched, ends).missing
            plan = load_plan(path)
            if whole:
                whole = finished(plan, options, watched, output, clock, (), final_epochs, target is not None)
        except InputError as error:  # what is known is shown all the same
            problem = error
        finally:
            if spending.trained:  # to look at what is finished costs no minutes
                keep_spent(path.parent, clock)
        page = _report(plan)
    if problem is not None:
        if page is not None:
            echo(f"wrote {from_here(page)}", err=True)
        raise problem
    if json:
        print_json(_document(plan, output))
    else:
        _print(plan, page)
    if not whole:
        echo("interrupted: run the same command again to go on", err=True)
        raise typer.Exit(130)
    if not json:
        echo(f"took {clock.spent / 60:.1f} of {minutes:g} minutes")
        print_next([f"predict {output} IMAGE…"])


def _again(
    data: str, minutes: float, name: str | None, output: Path, asked: Mapping[str, str | None]
) -> list[str]:
    """The command that goes on; ``asked`` are the options that must be the same."""
    named = [] if name is None else ["--name", name]
    where = [] if output == Path("family") else ["-o", str(output)]
    same = [
        part for option, text in asked.items() if text for part in (f"--{option.replace('_', '-')}", text)
    ]
    return ["explore", data, "--minutes", f"{minutes:g}", *same, *named, *where]


def _target(flops: str | None, latency: str | None) -> tuple[str, float] | None:
    from regnetlab.spaces.regime import parse_window

    if flops is not None and latency is not None:
        raise InputError("--flops and --latency both say a size", "leave one out")
    for kind, text in (("flops", flops), ("latency", latency)):
        if text is not None:
            try:
                value = parse_window(kind, f"{text}:").low
            except InputError:
                raise InputError(
                    f"--{kind} {text!r} is no size", "write one size, such as 2M, or 5ms of --latency"
                ) from None
            if value <= 0:
                raise InputError(f"--{kind} is {text}", "it must be above 0")
            return kind, value
    return None


def _name(data: str) -> str:
    """The study's name: the folder's, as far as it can be one."""
    last = Path(data).expanduser().resolve().name if Path(data).expanduser().is_dir() else data
    return re.sub(r"[^A-Za-z0-9_.+\-]+", "-", last).strip("-._")[:60] or "explored"


def _split(source: str) -> str | None:
    from regnetlab.training.folders.decode import is_folder

    return "stratified" if is_folder(source) else None


def _check_same(plan: "Plan", source: str, path: Path) -> None:
    if plan.data != source:
        raise InputError(f"{path} is a study of {plan.data}", "take another name with --name")
    if not plan.terms.walk:
        raise InputError(f"{path} is no walk", "take another name with --name, or run it with regnetlab run")


def _planned(
    study: str,
    folder: Path,
    source: str,
    how: Any,
    target: tuple[str, float] | None,
    input: str | None,
    options: "Options",
    observer: "Observer",
    clock: "Clock",
    final_epochs: int | None,
) -> tuple[tuple[str, ...], str]:
    """The lines to show and the text of the study file."""
    from regnetlab.study.examples import example_named
    from regnetlab.study.explore import check_images, explored
    from regnetlab.study.finish_files import check_classes
    from regnetlab.study.new_for_data import as_read
    from regnetlab.study.plan_file import load_plan
    from regnetlab.training.datasets import outline

    seen = outline(source, options.data_dir, how, options.listener)
    check_images(seen)  # before everything is decoded
    seen = as_read(seen, options.data_dir, input, how, options.listener)
    if warning := check_images(seen):
        observer.on_note(warning)
    example = load_plan(example_named("quick") / "study.toml")
    check_classes(seen.classes)
    found = explored(study, folder, example, seen, how, options, observer, clock, target, input, final_epochs)
    return found.lines, found.text


def _report(plan: "Plan") -> Path | None:
    """The page of what is known so far, if anything is."""
    from regnetlab.files import write_atomically
    from regnetlab.report.content import study_content  # plotly
    from regnetlab.report.page import default_path, page

    try:
        content = study_content(plan)
    except InputError:
        return None
    path = default_path(plan)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, page(content))
    return path


def _document(plan: "Plan", output: Path) -> dict[str, Any]:
    """What --json prints."""
    from regnetlab.analysis.compare import compare
    from regnetlab.study.finish_file import read_finished
    from regnetlab.study.provenance import recorded
    from regnetlab.study.results import study_trials
    from regnetlab.study.walk import accepted

    finished = read_finished(plan)
    try:
        trials = study_trials(plan)
    except InputError:
        trials = None  # interrupted before the first training was over
    walked = recorded(plan).get("walked") or {}
    took = walked.get("minutes", {})
    steps = [
        {
            "step": step.name,
            "verdict": step.verdict,
            "networks": sum(step.trained),
            "minutes": took.get(step.b.space),
            "ended": walked.get("why", {}).get(step.b.space),
        }
        for step in (() if trials is None else compare(trials, plan.terms).steps)
    ]
    family = [] if finished is None else finished.networks
    return {
        "study": plan.name,
        "walk": steps,
        "space": None if trials is None else accepted(plan).name,
        "law": None if finished is None else finished.law,
        "family": [
            {key: getattr(each, key) for key in ("name", "model", "flops", "error")}
            | {"interval": list(each.interval)}
            for each in family
        ],
        "use": None if finished is None else finished.use,
        "why": None if finished is None else finished.why,
        "folder": str(output) if family else None,
    }


def _print(plan: "Plan", page: Path | None) -> None:
    from regnetlab.study.finish_file import read_finished
    from regnetlab.study.results import study_trials

    finished = read_finished(plan)
    if finished is not None:
        print_finished(finished)
    elif page is not None:
        best = study_trials(plan).frame.sort_values("error").iloc[0]
        echo(
            filled(
                f"best network so far: {best['space']} {best['index']}, {best['error']:.2f}% validation error"
                " after a short training, which is lucky: the least of many"
            )
        )
    if page is not None:
        echo(f"wrote {from_here(page)}")
