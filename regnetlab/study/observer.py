"""Observers: told what happens while something is trained. And the log, which is one of them.

The log of a study is ``study.log.jsonl`` beside its file, a JSON object a line: which process on which
machine ran the study and when, which worker began which training, each one's network, seed, ending and
seconds, and every note. Beyond workers' names it holds nothing that the store does not, or that was not
printed, and never a password.
"""

import json
import os
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from regnetlab.execution.base import WorkerInfo
from regnetlab.files import open_own
from regnetlab.training.budget import Score
from regnetlab.trials.job import Job, Trial
from regnetlab.trials.location import mask

MOST_BYTES = 50_000_000
"""A log that is longer is put aside once, as ``.1``, and a new one begun."""

Write = Callable[[Mapping[str, Any]], None]


class Observer:
    """Every method does nothing unless it is overridden."""

    def on_begin(self, jobs: Sequence[Job], scores: Mapping[str, Score], later: int = 0) -> None:
        """A stage begins: these jobs are planned, and these are finished, by identity; about ``later`` more
        are planned of stages that are not settled yet."""

    def on_start(self, job: Job, worker: WorkerInfo) -> None:
        """A worker begins a training; called from any thread, and again where it began again."""

    def on_finish(self, trial: Trial, replay: str) -> None:
        """One more training is over and kept; ``replay`` is the command that trains it alone if it failed."""

    def on_lost(self, job: Job) -> None:
        """A training was lost with its worker."""

    def on_note(self, text: str) -> None:
        """Something that the user should know."""


class Observers(Observer):
    """Several observers as one, told in their order."""

    def __init__(self, *observers: Observer) -> None:
        self._observers = observers

    def on_begin(self, jobs: Sequence[Job], scores: Mapping[str, Score], later: int = 0) -> None:
        for each in self._observers:
            each.on_begin(jobs, scores, later)

    def on_start(self, job: Job, worker: WorkerInfo) -> None:
        for each in self._observers:
            each.on_start(job, worker)

    def on_finish(self, trial: Trial, replay: str) -> None:
        for each in self._observers:
            each.on_finish(trial, replay)

    def on_lost(self, job: Job) -> None:
        for each in self._observers:
            each.on_lost(job)

    def on_note(self, text: str) -> None:
        for each in self._observers:
            each.on_note(text)


class Once(Observers):
    """Passes everything on, but no note that was passed on before: stages of one command say some alike."""

    def __init__(self, observer: Observer) -> None:
        super().__init__(observer)
        self._said: set[str] = set()

    def on_note(self, text: str) -> None:
        if text not in self._said:
            self._said.add(text)
            super().on_note(text)


class Log(Observer):
    """Writes each event with ``write`` (``log_writer``)."""

    def __init__(self, write: Write) -> None:
        self._write = write

    def on_begin(self, jobs: Sequence[Job], scores: Mapping[str, Score], later: int = 0) -> None:
        self._write({"event": "begin", "planned": len({job.identity for job in jobs}), "kept": len(scores)})

    def on_start(self, job: Job, worker: WorkerInfo) -> None:
        facts = {"event": "started", "space": job.space, "index": job.index, "identity": job.identity}
        self._write(facts | {"worker": worker.name, "device": worker.device})

    def on_finish(self, trial: Trial, replay: str) -> None:
        self._write(finished_facts(trial, replay))

    def on_lost(self, job: Job) -> None:
        self._write({"event": "lost", "identity": job.identity})

    def on_note(self, text: str) -> None:
        self._write({"event": "note", "text": mask(text)})


def finished_facts(trial: Trial, replay: str) -> dict[str, Any]:
    """One training as the log and ``run --progress json`` have it."""
    job, score = trial.job, trial.score
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
    return facts | ({"again": replay} if replay else {})


def log_writer(path: Path) -> Write:
    """Appends an event, with the time and who writes, as one line in one call; from any thread.

    A log that can't be written (a full disk) is no reason to end a study: the store says when it can't.
    """
    who = {"host": socket.gethostname(), "pid": os.getpid()}
    # Else two could put the log aside, the second one over the first; a signal may come while one writes.
    one_at_a_time = threading.RLock()

    def write(facts: Mapping[str, Any]) -> None:
        line = json.dumps({"time": datetime.now(UTC).isoformat(timespec="milliseconds"), **who, **facts})
        with one_at_a_time, suppress(OSError):
            if path.exists() and path.stat().st_size > MOST_BYTES:
                path.replace(path.with_name(f"{path.name}.1"))
            with os.fdopen(open_own(path, os.O_WRONLY | os.O_APPEND), "a", encoding="utf-8") as file:
                file.write(f"{line}\n")

    return write
