"""The status of a study: how far it is, and what its workers do. Needs no torch.

Workers are read from the log alone, so that any terminal that sees the study's folder can watch any run of
it. An instant is what the coordinator's clock said; nothing is decided by it.
"""

import json
import os
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from regnetlab.analysis.guessing import guessed, has_learned
from regnetlab.errors import InputError
from regnetlab.files import open_foreign, read_foreign
from regnetlab.study.baselines import most_contenders
from regnetlab.study.observer import MOST_BYTES
from regnetlab.study.plan import Plan
from regnetlab.study.stages import State
from regnetlab.training.budget import COMPLETE
from regnetlab.training.guessing import Guessing
from regnetlab.trials.job import CHOSEN, DERIVED, FINAL, TUNING

_RUN = b'"event": "run"'
_READ = frozenset({"run", "started", "lost", "finished", "end", "broken off"})


def status(
    plan: Plan,
    state: State,
    running: int,
    workers: Sequence[Mapping[str, Any]] = (),
    guess: Guessing | None = None,
) -> dict[str, Any]:
    """How many models of each space are planned, complete and failed, and their errors.

    ``planned`` counts derived RegNets and baselines from the start, although they are settled only
    later. Errors are those on the validation split. ``workers`` are those of the run that goes on, or of
    the last one (``Workers``). ``guess`` is what guessing earns; it is not said of the baselines, as some of
    the learning rates that are tried are meant to be too high.
    """
    spaces: list[dict[str, Any]] = []
    names = [draw.space.name for draw in plan.draws] + ([DERIVED] if plan.derived else [])
    names += [TUNING, FINAL] if plan.baselines is not None else []
    later = pending(plan, state)
    earned: dict[str, list[float]] = {}
    for name in names:
        jobs = [job for job in state.jobs if job.space == name]
        done = [state.scores[job.identity] for job in jobs if job.identity in state.scores]
        errors = [s.error for s in done if s.ended == COMPLETE and s.error is not None]
        if errors and name not in CHOSEN:
            earned[name] = errors
        spaces.append(
            {
                "space": name,
                "planned": len(jobs) + later.get(name, 0),
                "complete": len(errors),
                "failed": len(done) - len(errors),
                "min": min(errors, default=None),
                "median": statistics.median(errors) if errors else None,
                "learned": has_learned(earned.get(name, ()), guess),
            }
        )
    totals = {key: sum(each[key] for each in spaces) for key in ("planned", "complete", "failed")}
    return {
        "study": plan.name,
        **totals,
        "running": running,
        "spaces": spaces,
        "outdated": state.outdated,
        "workers": list(workers),
        **guessed(guess, earned),
    }


def pending(plan: Plan, state: State) -> dict[str, int]:
    """Trainings of stages that are planned but not settled yet; those of baselines at most so many."""
    if plan.baselines is None:
        pending = {}
    else:
        known = state.baselines.contenders
        tuned, ahead = 0, len({each.group or each.name for each in known})
        if not known:
            tuned, ahead = most_contenders(plan)
        if state.baselines.chosen is not None:
            ahead = 0
        pending = {
            TUNING: tuned * len(plan.baselines.lr) * plan.baselines.tuning_seeds,
            FINAL: ahead * plan.baselines.seeds,
        }
    return pending | {DERIVED: 0 if state.derived else plan.derived * plan.seeds}


@dataclass(slots=True)
class Worker:
    """What one worker does and did in this run."""

    device: str
    last_seen: str
    done: int = 0
    training: dict[str, dict[str, Any]] = field(default_factory=dict)  # by identity


class Workers:
    """The workers of the run that goes on, or of the last one; fed the events of its log in their order."""

    def __init__(self) -> None:
        self._workers: dict[str, Worker] = {}
        self._at: dict[str, str] = {}  # the worker of each training that is not over
        self._over: set[str] = set()

    def feed(self, event: dict[str, Any]) -> None:
        kind, identity, when = event.get("event"), str(event.get("identity")), str(event.get("time"))
        if kind == "run":
            self._workers.clear()
            self._over.clear()
        if kind in ("run", "end", "broken off"):
            for worker in self._workers.values():
                worker.training.clear()
            self._at.clear()
        elif kind == "started" and identity not in self._over:
            self._leave(identity)
            name = str(event.get("worker"))
            worker = self._workers.setdefault(name, Worker(str(event.get("device")), when))
            worker.last_seen = when
            worker.training[identity] = {
                "space": event.get("space"),
                "index": event.get("index"),
                "since": when,
            }
            self._at[identity] = name
        elif kind == "lost":
            self._leave(identity)
        elif kind == "finished":
            self._over.add(identity)
            found = self._leave(identity)
            if found is not None:
                found.done += 1
                found.last_seen = when

    def documents(self, running: bool) -> list[dict[str, Any]]:
        """Ready for JSON, those that train first; none trains where no coordinator is ``running``."""
        rows = [
            {
                "worker": name,
                "device": each.device,
                "training": list(each.training.values()) if running else [],
                "done": each.done,
                "last_seen": each.last_seen,
            }
            for name, each in self._workers.items()
        ]
        return sorted(rows, key=lambda row: (not row["training"], row["worker"]))

    def _leave(self, identity: str) -> Worker | None:
        """Take a training from the worker that had it."""
        worker = self._workers.get(self._at.pop(identity, ""))
        if worker is not None:
            worker.training.pop(identity, None)
        return worker


class LogReader:
    """Reads what was added to a log since the last look, across the moment when a new one is begun."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._offset: int | None = None  # None before the first look
        self._workers_seen = Workers()

    def look(self) -> Workers:
        """The workers as they are now; none where there is no log."""
        for event in _events(self._new_lines()):
            self._workers_seen.feed(event)
        return self._workers_seen

    def _new_lines(self) -> list[bytes]:
        before = self._offset or 0
        try:
            with open_foreign(self._log) as file:
                fresh = file.seek(0, os.SEEK_END) < before  # what was there is put aside
                file.seek(0 if fresh else before)
                new = file.read()
        except (OSError, InputError):
            return []
        new = new[: new.rfind(b"\n") + 1]  # the rest of a line may come just now
        first, self._offset = self._offset is None, len(new) + (0 if fresh else before)
        if fresh:
            new = self._put_aside()[before:] + new
        if first:
            if _RUN not in new:
                new = self._put_aside() + new
            new = new[new.rfind(b"\n", 0, max(new.rfind(_RUN), 0)) + 1 :]
        return new.splitlines()

    def _put_aside(self) -> bytes:
        try:
            return read_foreign(self._log.with_name(f"{self._log.name}.1"), 2 * MOST_BYTES)
        except (OSError, InputError):
            return b""


def _events(lines: Iterable[bytes]) -> Iterable[dict[str, Any]]:
    """Those that tell of workers; a line that is no JSON (written by hand, or half) tells nothing."""
    for line in lines:
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if isinstance(event, dict) and event.get("event") in _READ:
            yield event
