"""Copying a store to another place, such as from SQLite to PostgreSQL, and proving that it is the same."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from regnetlab.errors import InputError
from regnetlab.study.stores.backends import written
from regnetlab.study.stores.location import Location
from regnetlab.study.stores.trials import Content, content_of, open_study


@dataclass(frozen=True, slots=True)
class Copied:
    """How many trials were copied, and the hash that both sides have."""

    trials: int
    hash: str


def copy_store(
    source: Location, target: Location, keep: Callable[[Any], bool] = lambda trial: True
) -> Copied:
    """Copy every trial and fact to a place that has no study yet; read both again and compare.

    ``keep`` picks the trials. Raises ``InputError`` where the target has a study, the source is being
    run, or the two differ in the end.
    """
    study = open_study(source)
    if study.user_attrs.get("lease"):
        raise InputError(f"store {source} is being run, or was and did not end", "run it to an end first")
    content = content_of(study)
    picked = Content(tuple(filter(keep, content.trials)), content.facts)
    new = open_study(target, make=True)
    _fill(new, picked.trials, picked.facts.items())
    arrived = content_of(open_study(target))
    if (len(arrived.trials), arrived.hash) != (len(picked.trials), picked.hash):
        raise InputError(
            (
                f"the copy {target} differs from {source}: {len(arrived.trials)} trials against"
                f" {len(picked.trials)}, hash {arrived.hash[:12]} against {picked.hash[:12]}"
            ),
            "remove it",
        )
    return Copied(len(arrived.trials), arrived.hash)


def _fill(study: Any, trials: Iterable[Any], facts: Iterable[tuple[str, Any]]) -> None:
    for trial in trials:
        written(lambda trial=trial: study.add_trial(trial))  # type: ignore[misc]
    for name, value in facts:
        written(lambda name=name, value=value: study.set_user_attr(name, value))  # type: ignore[misc]
