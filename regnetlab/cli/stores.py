"""``regnetlab store copy``, ``check`` and ``repair``."""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from regnetlab.cli.output import Json, print_json
from regnetlab.errors import InputError

if TYPE_CHECKING:
    from regnetlab.study.plan import Plan
    from regnetlab.study.stores.location import Location

app = typer.Typer(help="Copy, check or mend the store of a study.", no_args_is_help=True)

_WHERE = "A study, a file, journal:FILE or postgresql://…/DATABASE#STUDY."
StoreText = Annotated[str, typer.Argument(metavar="STORE", help=_WHERE)]


@app.command()
def copy(
    source: Annotated[str, typer.Argument(metavar="FROM", help=_WHERE)],
    target: Annotated[str, typer.Argument(metavar="TO", help="The same, where nothing is yet.")],
    json: Json = False,
) -> None:
    """Copy a store to a place that is empty, and compare counts and hashes."""
    from regnetlab.study.stores.copy import copy_store

    (start, plan), (end, _) = _place(source), _place(target, plan_of=source)
    with _still(plan):
        done = copy_store(start, end)
    if json:
        print_json({"source": str(start), "target": str(end), "trials": done.trials, "hash": done.hash})
    else:
        print(f"copied {done.trials} trials from {start} to {end}; both have hash {done.hash[:16]}")


@app.command()
def check(store: StoreText, json: Json = False) -> None:
    """Look for damage, doubled, unreadable and orphaned trainings; writes nothing."""
    from regnetlab.study.stores.check import check_store

    place, plan = _place(store)
    found = check_store(place, None if plan is None else partial(_planned, plan))
    if json:
        print_json({"store": str(place), "sound": found.sound, **asdict(found)})
    else:
        orphans = "" if found.orphans is None else f", {found.orphans} that the study does not ask for"
        print(
            f"{place}: {found.trials} trials, {found.doubled} doubled ({found.conflicting} with another"
            f" error), {found.unreadable} unreadable{orphans}"
        )
        for line in found.damage:
            print(f"damaged: {line}")
    if not found.sound:
        raise typer.Exit(1)


@app.command()
def repair(store: StoreText, json: Json = False) -> None:
    """Take out doubled and unreadable trainings, after a backup."""
    from regnetlab.study.stores.check import repair_store

    place, plan = _place(store)
    with _still(plan):
        backup, removed = repair_store(place)
    if json:
        print_json({"store": str(place), "backup": str(backup), "removed": removed})
    else:
        print(f"{place}: {removed} trials taken out; as it was: {backup}")


def _place(text: str, plan_of: str | None = None) -> "tuple[Location, Plan | None]":
    """What STORE means: a study's store, or a place; a database's study is that of ``plan_of``, or #NAME."""
    from regnetlab.study.plan_file import find_study, load_plan
    from regnetlab.study.stores.location import location_of

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
    if "#" in text:
        return text.partition("#")[2]
    if text.startswith("journal:") or Path(text).suffix:
        return Path(text.removeprefix("journal:").removeprefix("sqlite:///")).resolve().parent.name
    return _plan_name(text)


def _plan_name(text: str) -> str:
    from regnetlab.study.plan_file import find_study, load_plan

    return load_plan(find_study(text)).name


def _planned(plan: "Plan", place: "Location") -> set[str]:
    from regnetlab.study.outcome import outcome
    from regnetlab.study.store import open_store

    return {job.identity for job in outcome(plan, open_store(place)).jobs}


def _still(plan: "Plan | None") -> "AbstractContextManager[object]":
    """The lock of the study, so that nobody runs it meanwhile."""
    if plan is None:
        return nullcontext()
    from regnetlab.study.lock import locked

    return locked(plan.lock)
