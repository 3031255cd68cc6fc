"""Looking a store over, and mending it: whether the file is whole, what is there twice, what is nobody's.

``check_store`` writes nothing. ``repair_store`` makes a backup first, then leaves one trial of each
identity and none that can't be read; trainings that no plan asks for are somebody's work and stay.
"""

import json
import sqlite3
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from regnetlab.errors import InputError
from regnetlab.files import sqlite_uri
from regnetlab.study.stores.copy import copy_store
from regnetlab.study.stores.location import Database, Journal, Location
from regnetlab.study.stores.trials import content_of, open_study, trial_facts

_NEEDED = {"identity", "space", "index", "model", "seed", "error", "ended", "seconds", "images", "curve"}


@dataclass(frozen=True, slots=True)
class Checked:
    """What was found. ``doubled`` trials are further ones of an identity, ``conflicting`` those among
    them that say another error; ``orphans`` are trainings that the plan does not ask for (of a space or
    budget that was changed), ``None`` where no plan was given."""

    trials: int
    hash: str
    damage: tuple[str, ...]
    unreadable: int
    doubled: int
    conflicting: int
    orphans: int | None

    @property
    def sound(self) -> bool:
        return not (self.damage or self.unreadable or self.doubled)


def check_store(location: Location, planned: Callable[[Location], Collection[str]] | None = None) -> Checked:
    """Look at every trial; ``planned`` tells the identities that a plan asks for, given its store."""
    damage = _damage(location)
    if damage:
        return Checked(0, "", damage, 0, 0, 0, None)
    with _unwritten(location) as copy:
        content = content_of(open_study(copy))
        asked = None if planned is None else set(planned(copy))
    counts: Counter[str] = Counter()
    said: dict[str, Any] = {}
    unreadable = conflicting = 0
    for trial in content.trials:
        if not readable(trial):
            unreadable += 1
            continue
        identity = trial.user_attrs["identity"]
        counts[identity] += 1
        known = said.setdefault(identity, trial.user_attrs["error"])
        conflicting += known != trial.user_attrs["error"]
    orphans = None if asked is None else len(counts.keys() - asked)
    doubled = sum(counts.values()) - len(counts)
    return Checked(len(content.trials), content.hash, (), unreadable, doubled, conflicting, orphans)


@contextmanager
def _unwritten(location: Location) -> Iterator[Location]:
    """A snapshot of a file to look at, since opening it for Optuna may write; a server's as it is."""
    if not isinstance(location, Path) or not location.exists():
        yield location
        return
    with TemporaryDirectory(prefix="regnetlab-") as folder:
        copy = Path(folder) / location.name
        source, target = sqlite3.connect(sqlite_uri(location), uri=True), sqlite3.connect(copy)
        try:
            source.backup(target)
        finally:
            source.close()
            target.close()
        yield copy


def readable(trial: Any) -> bool:
    """Whether a trial is one of ours, whole."""
    attributes = trial.user_attrs
    if not attributes.keys() >= _NEEDED or not trial.state.is_finished():
        return False
    try:
        return isinstance(json.loads(attributes["curve"]), list) and bool(trial_facts(trial))
    except (TypeError, ValueError):
        return False


def repair_store(location: Location) -> tuple[Location, int]:
    """Mend the store; returns where the backup is, and how many trials were taken out.

    Raises ``InputError`` for a damaged file, which only a backup of before can mend.
    """
    damage = _damage(location)
    if damage:
        raise InputError(
            f"store {location} is damaged ({damage[0]})", "bring a backup back, or sqlite3 FILE .recover"
        )
    stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S-%f")
    backup = _beside(location, f"backup-{stamp}")
    copy_store(location, backup)
    seen: set[str] = set()

    def first(trial: Any) -> bool:
        identity = trial.user_attrs.get("identity")
        if not readable(trial) or identity in seen:
            return False
        seen.add(identity)
        return True

    fresh = _beside(location, f"mended-{stamp}")
    kept = copy_store(location, fresh, first)
    before = len(content_of(open_study(location)).trials)
    if kept.trials == before:
        _remove(fresh)
        return backup, 0
    _put_in_place(fresh, location)
    return backup, before - kept.trials


def _damage(location: Location) -> tuple[str, ...]:
    """What SQLite says about its file; a server looks after its own."""
    if not isinstance(location, Path) or not location.exists():
        return ()
    try:
        connection = sqlite3.connect(sqlite_uri(location), uri=True)
        try:
            rows = connection.execute("PRAGMA integrity_check(5)").fetchall()
            rows += [(f"{row[0]} without its row of {row[2]}",) for row in _strangers(connection)]
        finally:
            connection.close()
    except sqlite3.Error as error:
        return (str(error),)
    return tuple(str(row[0]) for row in rows if row[0] != "ok")


def _strangers(connection: sqlite3.Connection) -> list[Any]:
    return connection.execute("PRAGMA foreign_key_check").fetchmany(5)


def _beside(location: Location, ending: str) -> Location:
    if isinstance(location, Database):
        return Database(location.url, f"{location.study} {ending}")
    if isinstance(location, Journal):
        return Journal(location.path.with_name(f"{location.path.name}.{ending}"))
    return location.with_name(f"{location.stem}.{ending}{location.suffix}")


def _put_in_place(fresh: Location, location: Location) -> None:
    """The mended store under the old name."""
    if isinstance(location, Database) and isinstance(fresh, Database):
        import optuna

        from regnetlab.study.stores.backends import open_storage

        optuna.delete_study(study_name=location.study, storage=open_storage(location))
        copy_store(fresh, location)
        _remove(fresh)
        return
    source = fresh.path if isinstance(fresh, Journal) else fresh
    target = location.path if isinstance(location, Journal) else location
    assert isinstance(source, Path) and isinstance(target, Path)
    if target.suffix and not isinstance(location, Journal):
        _checkpoint(source)
        for more in ("-wal", "-shm"):
            target.with_name(target.name + more).unlink(missing_ok=True)
    source.replace(target)
    _remove(fresh)


def _remove(location: Location) -> None:
    if isinstance(location, Database):
        import optuna

        from regnetlab.study.stores.backends import open_storage

        optuna.delete_study(study_name=location.study, storage=open_storage(location))
        return
    path = location.path if isinstance(location, Journal) else location
    for more in ("", "-wal", "-shm", ".lock"):
        path.with_name(path.name + more).unlink(missing_ok=True)


def _checkpoint(path: Path) -> None:
    """Everything from the write-ahead log into the file itself."""
    connection = sqlite3.connect(path)
    try:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    finally:
        connection.close()
