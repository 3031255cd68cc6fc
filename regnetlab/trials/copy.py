"""Copying a store to another place, such as from SQLite to PostgreSQL, and looking one over."""

import hashlib
import json
import sqlite3
from collections.abc import Callable, Collection
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from regnetlab.errors import InputError
from regnetlab.files import sqlite_uri
from regnetlab.trials.job import RETRAINED
from regnetlab.trials.location import Database, Location
from regnetlab.trials.sqlite_file import check_file
from regnetlab.trials.store import Store, back_up, open_store, problem


@dataclass(frozen=True, slots=True)
class Content:
    """Everything that is kept: the facts about the study, and the rows of its trainings in their order."""

    facts: dict[str, dict[str, Any]]
    rows: list[dict[str, Any]]

    @property
    def hash(self) -> str:
        """A SHA-256 over all of it."""
        digest = hashlib.sha256()
        for each in (self.facts, *self.rows):
            digest.update(json.dumps(each, sort_keys=True, ensure_ascii=False, default=repr).encode())
        return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class Checked:
    """What was found in a store.

    ``damage`` is what SQLite says about its file, or what can't be read of ``unreadable`` trainings;
    ``orphans`` are trainings that the plan does not ask for (of a space or budget that was changed, not those
    of ``retrain``), ``None`` where no plan was given. The table's key makes the other counts 0: they stand
    here for scripts that read them.
    """

    trials: int
    hash: str
    damage: tuple[str, ...] = ()
    unreadable: int = 0
    doubled: int = 0
    conflicting: int = 0
    orphans: int | None = None


def content_of(location: Location) -> Content:
    """Everything in the store at this place, to which nothing is written.

    Raises:
        InputError: There is none, it can't be opened, or it is a shared one that is being run.
    """
    store = _existing(location)
    if store.fact("lease") and isinstance(location, Database):
        raise InputError(f"store {location} is being run, or was and did not end", "run it to an end first")
    return Content(store.facts(), store.rows())


def copy_content(content: Content, target: Location) -> None:
    """Write to a place that has no study yet; read it again and compare.

    Raises:
        InputError: The target has a study, can't be written, or differs in the end.
    """
    if target.exists():
        raise InputError(f"store {target} has a study already", "name a place that is empty")
    store = open_store(target)
    store.add_rows(content.rows)
    for name, facts in content.facts.items():
        store.keep(name, facts)
    arrived = Content(store.facts(), store.rows())
    if arrived.hash != content.hash:
        raise InputError(
            f"the copy {target} differs ({len(arrived.rows)} of {len(content.rows)})", "remove it"
        )


def check_store(location: Location, planned: Callable[[Store], Collection[str]] | None = None) -> Checked:
    """Look at every training, and write nothing.

    Args:
        location: Where the store is.
        planned: The identities that a plan asks for, given its store.
    """
    damage = damage_of(location)
    if damage:
        return Checked(0, "", damage)
    store = _existing(location)
    content = Content(store.facts(), store.rows())
    unreadable = [(row, found) for row in content.rows if (found := problem(row))]
    if unreadable:
        damaged = tuple(f"{row['space']} {row['index']} ({row['model']}): {why}" for row, why in unreadable)
        return Checked(len(content.rows), "", damaged, len(unreadable))
    kept = {row["identity"] for row in content.rows if row["space"] != RETRAINED}
    orphans = None if planned is None else len(kept - set(planned(store)))
    return Checked(len(content.rows), content.hash, orphans=orphans)


def repair_store(location: Location) -> tuple[int, Path | None]:
    """Take out the trainings that can't be read, which the next run trains again.

    Returns:
        How many, and the copy of the store as it was, if there were any.

    Raises:
        InputError: The file itself is damaged, or the store is a database, which has backups of its own.
    """
    if damage := damage_of(location):
        hint = "bring a backup back, or sqlite3 FILE .recover"
        raise InputError(f"store {location} is damaged ({damage[0]})", hint)
    store = _existing(location)
    numbers = store.numbers(problem)
    if not numbers:
        return 0, None
    if not isinstance(location, Path):
        raise InputError(
            f"store {location}: {len(numbers)} trainings can't be read",
            f"take them out there: regnetlab_trials, number {', '.join(map(str, numbers[:5]))} …",
        )
    backup = back_up(location)
    open_store(location).remove(numbers)
    return len(numbers), backup


def damage_of(location: Location) -> tuple[str, ...]:
    """What SQLite says about its file; a server looks after its own. Raises as ``check_file``."""
    if isinstance(location, Database) or not location.exists():
        return ()
    check_file(location)
    try:
        with closing(sqlite3.connect(sqlite_uri(location), uri=True)) as connection:
            rows = connection.execute("PRAGMA integrity_check(5)").fetchall()
    except (sqlite3.Error, UnicodeDecodeError) as error:  # SQLite's words about it may be damaged, too
        return (str(error),)
    return tuple(str(row[0]) for row in rows if row[0] != "ok")


def _existing(location: Location) -> Store:
    if not location.exists():
        raise InputError(f"store {location} is not there", "run its study, or name a file or postgresql://…")
    return open_store(location, snapshot=isinstance(location, Path))
