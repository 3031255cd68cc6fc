"""The log of a study: what happened, one JSON object a line, in ``study.log.jsonl`` beside its file.

It says which process on which machine ran the study and when, which worker began with which training, each
one's network, seed, ending and seconds, and every note. Beyond workers' names it holds nothing that the
store does not, or that was not printed, and never a password.
"""

import json
import os
import socket
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from regnetlab.execution.base import Where
from regnetlab.study.dispatch import Told
from regnetlab.study.runner import Progress
from regnetlab.study.stores.location import mask
from regnetlab.training.budget import Score
from regnetlab.trials.job import Job

MOST_BYTES = 50_000_000
"""A log that is longer is put aside once, as ``.1``, and begun anew."""


class Logged:
    """A display that also writes each event to ``write``, and tells the ``notes`` once it has begun."""

    def __init__(
        self, display: Progress, write: Callable[[dict[str, Any]], None], notes: Sequence[str] = ()
    ) -> None:
        self._display, self._write, self._notes = display, write, notes

    def begin(self, jobs: Sequence[Job], scores: dict[str, Score]) -> None:
        self._write({"event": "begin", "planned": len({job.identity for job in jobs}), "kept": len(scores)})
        self._display.begin(jobs, scores)
        notes, self._notes = self._notes, ()
        for note in notes:
            self.note(note)

    def finished(self, job: Job, score: Score, again: str = "") -> None:
        self._write(finished_facts(job, score, again))
        self._display.finished(job, score, again)

    def note(self, text: str) -> None:
        self._write({"event": "note", "text": mask(text)})
        self._display.note(text)


def told_to(write: Callable[[dict[str, Any]], None], computed_on: Callable[[str], None]) -> Told:
    """Writes which worker began with a training, and that it was lost there."""

    def began(job: Job, where: Where) -> None:
        facts = {"event": "started", "space": job.space, "index": job.index, "identity": job.identity}
        write(facts | {"worker": where.worker, "device": where.device})

    def lost(job: Job) -> None:
        write({"event": "lost", "identity": job.identity})

    return Told(began, lost, computed_on)


def finished_facts(job: Job, score: Score, again: str) -> dict[str, Any]:
    """One training; ``again`` is the command that trains it alone where it failed, else empty."""
    facts: dict[str, Any] = {
        "event": "finished",
        "space": job.space,
        "index": job.index,
        "model": job.model,
        "seed": job.seed,
        "identity": job.identity,
        "error": score.error,
        "ended": score.ended,
        "seconds": round(score.seconds, 3),
    }
    if again:
        facts["again"] = again
    return facts


def log_writer(path: Path) -> Callable[[dict[str, Any]], None]:
    """Appends an event, with the time and who writes, as one line in one call; from any thread.

    A log that can't be written (a full disk) is no reason to end a study: the store says when it can't.
    """
    who = {"host": socket.gethostname(), "pid": os.getpid()}
    one_at_a_time = threading.Lock()  # else two could put the log aside, the second one over the first

    def write(facts: dict[str, Any]) -> None:
        line = json.dumps({"time": datetime.now(UTC).isoformat(timespec="milliseconds"), **who, **facts})
        with one_at_a_time, suppress(OSError):
            if path.exists() and path.stat().st_size > MOST_BYTES:
                path.replace(path.with_name(f"{path.name}.1"))
            with path.open("a", encoding="utf-8") as file:
                file.write(f"{line}\n")

    return write
