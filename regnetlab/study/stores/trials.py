"""What a store holds, as plain facts: for a copy, a check, and the hash by which two are compared."""

import hashlib
import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from regnetlab.errors import InputError
from regnetlab.study.stores.backends import open_storage, patiently, study_name, why
from regnetlab.study.stores.location import Location

_PASSING = ("lease",)
"""Facts about a study that are true only while somebody runs it."""


@dataclass(frozen=True, slots=True)
class Content:
    """The trials in their order, and the facts about the study."""

    trials: tuple[Any, ...]
    facts: Mapping[str, Any]

    @property
    def hash(self) -> str:
        """A SHA-256 over everything that is kept but times and numbers, which a copy gives anew."""
        digest = hashlib.sha256(_text(self.facts).encode())
        for trial in self.trials:
            digest.update(_text(trial_facts(trial)).encode())
        return digest.hexdigest()


def trial_facts(trial: Any) -> dict[str, Any]:
    """What a trial says, whichever database it is in."""
    return {
        "state": trial.state.name,
        "values": trial.values,
        "params": dict(trial.params),
        "attributes": dict(trial.user_attrs),
    }


def open_study(location: Location, make: bool = False) -> Any:
    """The Optuna study as it is, of whatever schema; raises ``InputError`` where there is none."""
    import optuna
    from sqlalchemy.exc import SQLAlchemyError

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    if not make and not location.exists():
        raise InputError(
            f"store {location} is not there", "run its study, or name a file, journal:FILE or postgresql://…"
        )
    name = study_name(location)
    try:
        storage = open_storage(location)
        if make:
            return optuna.create_study(storage=storage, study_name=name, direction="minimize")
        return optuna.load_study(storage=storage, study_name=name)
    except optuna.exceptions.DuplicatedStudyError:
        raise InputError(f"store {location} has a study already", "name a place that is empty") from None
    except KeyError:
        raise InputError(f"store {location} has no study {name!r} of regnetlab") from None
    except (SQLAlchemyError, sqlite3.Error, optuna.exceptions.OptunaError, OSError, RuntimeError) as error:
        raise InputError(f"store {location} can't be opened ({why(error)})") from None


def content_of(study: Any) -> Content:
    """Everything in the study, read anew."""
    trials = patiently(lambda: study.get_trials(deepcopy=False))
    facts = {key: value for key, value in study.user_attrs.items() if key not in _PASSING}
    return Content(tuple(trials), facts)


def _text(facts: Mapping[str, Any]) -> str:
    return json.dumps(facts, sort_keys=True, ensure_ascii=False)
