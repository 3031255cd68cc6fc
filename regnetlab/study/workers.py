"""The workers of a study, as its log has them: who trains what since when, who did how much. Needs no torch.

Read from the log alone, so that any terminal that sees the study's folder can watch any run of it. An
instant is what the coordinator's clock said; nothing is decided by it.
"""

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_RUN = b'"event": "run"'
_READ = frozenset({"run", "started", "lost", "finished", "end", "broken off"})


@dataclass(slots=True)
class Worker:
    """What one worker does and did in this run."""

    device: str
    last_seen: str
    done: int = 0
    training: dict[str, dict[str, Any]] = field(default_factory=dict)  # by identity


class Crew:
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
        """Ready for JSON, those that train first; nobody trains where no coordinator is ``running``."""
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
    """Reads what was added to a log since the last look, across the moment when it is begun anew."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._offset: int | None = None  # None before the first look
        self._crew = Crew()

    def look(self) -> Crew:
        """The workers as they are now; none where there is no log."""
        for event in _events(self._new_lines()):
            self._crew.feed(event)
        return self._crew

    def _new_lines(self) -> list[bytes]:
        before = self._offset or 0
        try:
            with self._log.open("rb") as file:
                anew = file.seek(0, os.SEEK_END) < before  # what was there is put aside
                file.seek(0 if anew else before)
                new = file.read()
        except OSError:
            return []
        new = new[: new.rfind(b"\n") + 1]  # the rest of a line may come just now
        first, self._offset = self._offset is None, len(new) + (0 if anew else before)
        if anew:
            new = self._put_aside()[before:] + new
        if first:
            if _RUN not in new:
                new = self._put_aside() + new
            new = new[new.rfind(b"\n", 0, max(new.rfind(_RUN), 0)) + 1 :]
        return new.splitlines()

    def _put_aside(self) -> bytes:
        try:
            return self._log.with_name(f"{self._log.name}.1").read_bytes()
        except OSError:
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
