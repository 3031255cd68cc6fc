"""How the minutes of ``explore`` are kept: what was used, when a step of a walk ends, what is left."""

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from regnetlab.errors import InputError
from regnetlab.files import read_foreign, write_atomically
from regnetlab.study.observer import Observer
from regnetlab.training.budget import MOST_SECONDS
from regnetlab.trials.job import Trial

WALK_SHARE = 0.5
"""Of the time, until the walk ends; the family has the rest."""
_SPENT = "explore.json"  # beside the study's file
_KEPT_EVERY = 10.0  # seconds


class Clock:
    """Time that is allotted, of which ``spent`` seconds were used before; without minutes there is no end."""

    def __init__(self, minutes: float | None = None, spent: float = 0.0) -> None:
        self.minutes = minutes
        self._before = spent
        self._began = time.monotonic()

    @property
    def spent(self) -> float:
        """Seconds so far."""
        return self._before + time.monotonic() - self._began

    @property
    def left(self) -> float:
        """Seconds until the end."""
        return float("inf") if self.minutes is None else 60 * self.minutes - self.spent


class WalkClock:
    """When a step of a walk has to end: each has its part of the time that is left until the walk's end.

    The first one trains networks of two spaces, and has twice as much.
    """

    def __init__(self, clock: Clock, spaces: Sequence[str]) -> None:
        self._clock, self._spaces = clock, list(spaces)
        self._step = ""
        self._began = self._looked = clock.spent

    def __call__(self, space: str, share: float) -> bool:
        """Whether the step to this space ends at this look: the next look would be too late."""
        if self._clock.minutes is None:
            return False
        now = self._clock.spent
        if space != self._step:
            self._step, self._began = space, self._looked
        took, self._looked = now - self._looked, now
        steps_left = len(self._spaces) - self._spaces.index(space)
        ends = 60 * self._clock.minutes * WALK_SHARE
        share = 2 / (steps_left + 1) if steps_left == len(self._spaces) else 1 / steps_left
        until = self._began + max(0.0, ends - self._began) * share
        return now + took > until


class Spending(Observer):
    """Keeps the time that was used, so that an interrupted call goes on with what is left."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        self._folder, self._clock = folder, clock
        self._kept = clock.spent
        self.trained = False

    def on_finish(self, trial: Trial, replay: str) -> None:
        self.trained = True
        if self._clock.spent - self._kept > _KEPT_EVERY:
            self._kept = self._clock.spent
            keep_spent(self._folder, self._clock)


def spent_before(folder: Path) -> float:
    """The seconds that earlier calls used for the study in this folder."""
    seconds = _kept(folder).get("seconds")
    return float(seconds) if isinstance(seconds, int | float) and 0 <= seconds < MOST_SECONDS else 0.0


def check_asked(folder: Path, asked: Mapping[str, str | None]) -> None:
    """Raise ``InputError`` where the call that began the study asked for something else."""
    before: Mapping[str, Any] = _kept(folder).get("asked") or asked
    for name, value in asked.items():
        if before.get(name) != value:
            option = name.replace("_", "-")
            was = f"--{option} {before.get(name)}" if before.get(name) else f"no --{option}"
            hint = "give the same options to go on, or begin another study with --name"
            raise InputError(f"the study was begun with {was}", hint)


def keep_spent(folder: Path, clock: Clock, asked: Mapping[str, str | None] | None = None) -> None:
    """Keep the seconds that were used so far, and what the first call ``asked`` for."""
    known = {} if asked is None else {"asked": dict(asked)}
    document = _kept(folder) | known | {"seconds": round(clock.spent, 1)}
    write_atomically(folder / _SPENT, json.dumps(document) + "\n")


def _kept(folder: Path) -> dict[str, Any]:
    try:
        document = json.loads(read_foreign(folder / _SPENT, 100_000))
    except (OSError, ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}
