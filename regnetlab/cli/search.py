"""``regnetlab search``."""

from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from regnetlab.cli.completion import among, data_sets, spaces, study_names
from regnetlab.cli.data import SkipUnreadable, listener
from regnetlab.cli.options import LocalExecutor, Workers
from regnetlab.cli.output import (
    Json,
    Seed,
    count,
    echo,
    filled,
    number,
    print_guessing,
    print_json,
    print_next,
    print_table,
)
from regnetlab.cli.sample import WindowText
from regnetlab.cli.summary import DataDir, Device, Kernels
from regnetlab.errors import InputError
from regnetlab.plain import plural

if TYPE_CHECKING:
    from regnetlab.analysis.search import SearchResult
    from regnetlab.study.plan import Plan
    from regnetlab.study.search.definition import Search
    from regnetlab.training.guessing import Guessing


def search(
    space: Annotated[
        str,
        typer.Option(
            help="The space to search in: AnyNetA, …, RegNet, or a study's own.", autocompletion=spaces
        ),
    ],
    study: Annotated[
        str | None,
        typer.Argument(
            metavar="STUDY",
            help="A study whose protocol and folder are used.",
            autocompletion=study_names,
        ),
    ] = None,
    sampler: Annotated[
        str,
        typer.Option(
            help="random, tpe, or nsga2 (error and flops at once).",
            autocompletion=among("random", "tpe", "nsga2"),
        ),
    ] = "tpe",
    trials: Annotated[int, typer.Option(help="Trainings in all, those of earlier calls included.")] = 40,
    seed: Seed = 0,
    batch: Annotated[
        int | None, typer.Option(help="Networks proposed at a time; 4, or 8 with nsga2.")
    ] = None,
    template: Annotated[
        str | None,
        typer.Option(help="small (28 px, the default) or paper.", autocompletion=among("small", "paper")),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(help="fashion-mnist (the default) or folder:PATH.", autocompletion=data_sets),
    ] = None,
    images: Annotated[int | None, typer.Option(help="Training images; 6,400 or all by default.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Times that each is seen; 1 by default.")] = None,
    flops: WindowText = None,
    params: WindowText = None,
    acts: WindowText = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Folder of a search without a study: searches.")
    ] = None,
    executor: LocalExecutor = "local",
    workers: Workers = None,
    device: Device = "auto",
    kernels: Kernels = "auto",
    data_dir: DataDir = None,
    skip_unreadable: SkipUnreadable = False,
    json: Json = False,
) -> None:
    """Search a space for its best network with one of Optuna's samplers; go on where it was left."""
    alone = {
        "template": template,
        "data": data,
        "images": images,
        "epochs": epochs,
        "flops": flops,
        "params": params,
        "acts": acts,
        "output": output,
    }
    plan = _plan(study, space, {name: value for name, value in alone.items() if value is not None})
    from regnetlab.study.search.definition import NSGA2, Search

    chosen = next((draw.space for draw in plan.draws if draw.space.name == space), None)
    if chosen is None:
        from regnetlab.spaces.space import space_named

        chosen = space_named(space).within(plan.ranges)
    if chosen.variant:
        raise InputError(
            f"space {space} has another block or number of stages, and searches are of X blocks so far",
            "search a space without these",
        )
    size = batch if batch is not None else 8 if sampler == NSGA2 else 4
    wanted = Search(plan, chosen, sampler, trials, seed, size)

    from regnetlab.cli.progress import SearchLines
    from regnetlab.study.search.run import run_search  # optuna, torch
    from regnetlab.study.session import Options, prepare

    options = Options(
        executor,
        workers,
        device,
        data_dir,
        kernels,
        skip_unreadable=skip_unreadable,
        listener=listener(),
    )
    prepared = prepare(plan, options)
    wanted = replace(wanted, plan=prepared.plan)
    steps = run_search(wanted, prepared, options, SearchLines(wanted))
    found = _found(wanted, study, prepared.data.guessing(prepared.plan.budget.validation))
    if json:
        print_json({"study": None if study is None else plan.name, **found.to_json()})
    else:
        _print(found)
    if len(steps) < trials:
        echo(f"{plural(trials - len(steps), 'training')} left; run again to go on", err=True)
        raise typer.Exit(130)
    if not json:
        echo(f"\nwrote {plan.searches}")
        if study is not None:
            print_next([f"retrain {study}", f"report {study}"])


def _plan(study: str | None, space: str, alone: dict[str, Any]) -> "Plan":
    if study is not None:
        if alone:
            names = ", ".join("-o" if name == "output" else f"--{name}" for name in alone)
            raise InputError(
                f"study {study} says what {names} would", "leave it out, or search without a study"
            )
        from regnetlab.study.plan_file import find_study, load_plan

        return load_plan(find_study(study))
    from regnetlab.study.search.definition import FOLDER, plan_alone

    windows: dict[str, str] = {name: alone.pop(name) for name in ("flops", "params", "acts") if name in alone}
    return plan_alone(space, alone.pop("output", FOLDER), windows=windows, **alone)


def _found(search: "Search", study: str | None, guess: "Guessing") -> "SearchResult":
    """The result, as far as the search has come."""
    from regnetlab.analysis.search import against_random, trajectories  # pandas
    from regnetlab.study.results import study_searches, study_trials

    plan, trials = search.plan, None
    if study is not None:
        with suppress(InputError):  # a study without trainings of its own
            trials = study_trials(plan)
    facts = (search.space.name, search.sampler, search.seed, search.batch, search.protocol)
    for each in trajectories(study_searches(plan)):
        if (each.space, each.sampler, each.seed, each.batch, each.protocol) == facts:
            return against_random(each.first(search.trials), trials, guess)
    raise InputError("no training is finished yet", "run the same command again to go on")


def _print(found: "SearchResult") -> None:
    document = found.to_json()
    echo(
        f"{document['sampler']} in {document['space']}, seed {document['seed']}:"
        f" {document['complete']} of {plural(document['trials'], 'training')} complete,"
        f" {document['failed']} failed\n"
    )
    best, front = document["best"], document.get("front")
    if best is None:
        echo("no network earned an error")
        return
    headers = ("", "error %", "flops", "params", "acts", "network")
    rows = [_row("best" if each == best else "", each) for each in front or [best]]
    if front is not None:
        echo("no other network of the search has both less error and fewer flops than one of these\n")
    print_table(headers, rows, "lrrrrl")
    print_guessing(**found.guessing)
    if found.at_random is not None:
        echo(f"\n{filled(found.remarks()[0])}")


def _row(label: str, each: dict[str, Any]) -> tuple[str, ...]:
    counts = (count(each[name]) for name in ("flops", "params", "acts"))
    return label, number(each["error"]), *counts, each["model"]
