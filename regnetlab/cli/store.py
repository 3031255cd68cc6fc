"""``regnetlab store copy``, ``check`` and ``repair``."""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from regnetlab.cli.completion import study_names
from regnetlab.cli.help import Command, Group, ending
from regnetlab.cli.output import Json, echo, print_json
from regnetlab.errors import InputError

if TYPE_CHECKING:
    from regnetlab.study.plan import Plan
    from regnetlab.trials.location import Location
    from regnetlab.trials.store import Store

app = typer.Typer(
    cls=Group,
    help="Copy, check or repair the store of a study.",
    epilog=ending("store check pets", "docs/reliability.md"),
    no_args_is_help=True,
)

_WHERE = "A study, a file or postgresql://…/DATABASE#STUDY"
StoreText = Annotated[str, typer.Argument(metavar="STORE", help=f"{_WHERE}.", autocompletion=study_names)]


@app.command(cls=Command, epilog=ending("store copy pets postgresql://me@db/lab#pets", "docs/cluster.md"))
def copy(
    source: Annotated[
        str,
        typer.Argument(metavar="FROM", help=f"{_WHERE}, or journal:FILE.", autocompletion=study_names),
    ],
    target: Annotated[
        str,
        typer.Argument(
            metavar="TO", help="The same, or optuna:URL for its dashboard.", autocompletion=study_names
        ),
    ],
    json: Json = False,
) -> None:
    """Copy a store to a place that is empty, or show its trainings in an Optuna storage."""
    from regnetlab.trials.convert import read_journal
    from regnetlab.trials.copy import Content, content_of, copy_content
    from regnetlab.trials.location import check_no_secret, mask
    from regnetlab.trials.optuna_mirror import mirror

    plan = None
    check_no_secret(source)
    if source.startswith("journal:"):
        start, content = source, Content(*read_journal(Path(source.removeprefix("journal:"))))
    else:
        place, plan = _place(source)
        with _still(plan):
            start, content = str(place), content_of(place)
    if target.startswith("optuna:"):
        url, _, name = target.removeprefix("optuna:").partition("#")
        mirrored = mirror(url, name or _name_of(source))
        end = mask(target)
        for row in content.rows:
            mirrored.add_row(row)
    else:
        there, _ = _place(target, plan_of=source)
        end = str(there)
        copy_content(content, there)
    if json:
        print_json({"source": start, "target": end, "trials": len(content.rows), "hash": content.hash})
    else:
        echo(f"copied {len(content.rows)} trials with hash {content.hash[:16]} from {start} to {end}")


@app.command(cls=Command, epilog=ending("store check pets", "docs/reliability.md"))
def check(store: StoreText, json: Json = False) -> None:
    """Look for damage, and for trainings that the study does not ask for; writes nothing."""
    from regnetlab.trials.copy import check_store

    place, plan = _place(store)
    found = check_store(place, None if plan is None else lambda opened: _planned(plan, opened))
    sound = not found.damage
    if json:
        print_json({"store": str(place), "sound": sound, **asdict(found)})
    else:
        orphans = "" if found.orphans is None else f", {found.orphans} that the study does not ask for"
        echo(f"{place}: {found.trials} trials{orphans}")
        for line in found.damage:
            echo(f"damaged: {line}")
    if not sound:
        raise typer.Exit(1)


@app.command(cls=Command, epilog=ending("store repair pets", "docs/reliability.md"))
def repair(store: StoreText, json: Json = False) -> None:
    """Take out trainings that can't be read, with a backup beside; the next run trains them again."""
    from regnetlab.trials.copy import repair_store

    place, plan = _place(store)
    with _still(plan):
        removed, backup = repair_store(place)
    if json:
        kept = None if backup is None else str(backup)
        print_json({"store": str(place), "backup": kept, "removed": removed})
    elif backup is None:
        echo(f"{place}: nothing to repair")
    else:
        echo(f"{place}: took out {removed} training{'s' * (removed != 1)}; as it was: {backup}")


def _place(text: str, plan_of: str | None = None) -> "tuple[Location, Plan | None]":
    """What STORE means: a study's store, or a place; a database's study is that of ``plan_of``, or #NAME."""
    from regnetlab.study.plan_file import find_study, load_plan
    from regnetlab.trials.location import check_no_secret, location_of

    check_no_secret(text)
    url, _, name = text.partition("#") if "://" in text else (text, "", "")
    if "://" in text or text.startswith("journal:") or Path(text).suffix in (".db", ".sqlite"):
        if not name and plan_of is not None and "://" in text:
            name = _name_of(plan_of)
        place = location_of(url, Path.cwd(), name)
        if "postgres" in url.partition(":")[0] and not name:
            raise InputError("a database holds many studies", "name one: postgresql://…/DATABASE#STUDY")
        return place, None
    plan = load_plan(find_study(text))
    return plan.store, plan


def _name_of(text: str) -> str:
    """The study's name that a store was named by: a study, or the folder of its file."""
    from regnetlab.study.plan_file import find_study, load_plan

    if "#" in text:
        return text.partition("#")[2]
    if text.startswith("journal:") or Path(text).suffix in (".db", ".sqlite"):
        return Path(text.removeprefix("journal:").removeprefix("sqlite:///")).resolve().parent.name
    return load_plan(find_study(text)).name


def _planned(plan: "Plan", store: "Store") -> set[str]:
    from regnetlab.study.stages import study_state

    return {job.identity for job in study_state(plan, store).jobs}


def _still(plan: "Plan | None") -> "AbstractContextManager[object]":
    """The lock of the study, so that it is not run meanwhile."""
    if plan is None:
        return nullcontext()
    from regnetlab.trials.lease import locked

    return locked(plan.lock)
