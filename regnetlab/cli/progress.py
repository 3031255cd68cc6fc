"""How a run is watched: a live table on a terminal, plain lines elsewhere, both on stderr."""

import json
import os
import re
import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from regnetlab.cli.output import echo, tell
from regnetlab.errors import printable, unknown
from regnetlab.plain import duration, plural
from regnetlab.study.observer import Observer, finished_facts
from regnetlab.study.replay import failure_line
from regnetlab.study.search.definition import Search
from regnetlab.training.budget import Score
from regnetlab.trials.job import Job, Trial

FORMS = ("auto", "plain", "json")
"""Ways to show a run."""

_LINE_EVERY = 15.0  # seconds between plain lines
_ENDS_WITHIN = 1.0  # seconds within which the last lines of workers arrive


class Tally:
    """What a run has done so far; the part that all displays share."""

    def __init__(self, study: str) -> None:
        self.study = study
        self.started = time.monotonic()
        self.trained = 0  # in this run, for the rate
        self.work = 0.0  # likewise, for the time left
        self.later = 0  # trainings of stages that are not settled yet
        self.jobs: dict[str, list[Job]] = {}
        self.scores: dict[str, Score] = {}

    def begin(self, jobs: Sequence[Job], scores: Mapping[str, Score], later: int) -> None:
        self.later = later
        self.scores = dict(scores)
        found: dict[str, list[Job]] = {}
        for job in jobs:
            found.setdefault(job.space, []).append(job)
        self.jobs = found  # at once: another thread may count them

    def finished(self, trial: Trial) -> None:
        self.scores[trial.job.identity] = trial.score
        self.trained += 1
        self.work += _work(trial.job)

    @property
    def settled(self) -> int:
        return sum(map(len, self.jobs.values()))

    @property
    def planned(self) -> int:
        return self.settled + self.later

    @property
    def done(self) -> int:
        return sum(job.identity in self.scores for jobs in self.jobs.values() for job in jobs)

    @property
    def pace(self) -> str:
        """Rate and time left, once something was trained."""
        hours = (time.monotonic() - self.started) / 3600
        if not self.trained:
            return "starting workers" if self.done < self.planned else "nothing left to train"
        rate = self.trained / hours
        every = [job for jobs in self.jobs.values() for job in jobs]
        pending = sum(_work(job) for job in every if job.identity not in self.scores)
        pending += self.later * statistics.fmean(map(_work, every)) if every else 0.0
        left = duration(3600 * hours * pending / self.work)
        return f"{rate:,.0f} trainings/h, {left} left"

    def spaces(self) -> Iterator[tuple[str, int, int, int, list[float]]]:
        """Name, planned, done, failed and errors of each space."""
        for name, jobs in self.jobs.items():
            done = [self.scores[job.identity] for job in jobs if job.identity in self.scores]
            errors = [score.error for score in done if score.error is not None]
            yield name, len(jobs), len(done), len(done) - len(errors), errors


def _work(job: Job) -> float:
    """What a training's time is about proportional to."""
    return max(job.acts, 1) * job.budget.images * job.budget.epochs


class Lines(Observer):
    """A line every few seconds, and one at the end of each phase."""

    def __init__(self, study: str) -> None:
        self.tally = Tally(study)
        self.printed = 0.0

    def on_begin(self, jobs: Sequence[Job], scores: Mapping[str, Score], later: int = 0) -> None:
        self.tally.begin(jobs, scores, later)
        self._print()

    def on_finish(self, trial: Trial, replay: str) -> None:
        self.tally.finished(trial)
        if replay:
            self.on_note(failure_line(trial, replay))
        due = time.monotonic() - self.printed > _LINE_EVERY
        if due or self.tally.done == self.tally.settled:
            self._print()

    def on_note(self, text: str) -> None:
        echo(text, err=True)

    def _print(self) -> None:
        self.printed = time.monotonic()
        best = min(
            ((min(errors), name) for name, _, _, _, errors in self.tally.spaces() if errors),
            default=None,
        )
        ending = f"; best {best[0]:.2f}% in {best[1]}" if best else ""
        self.on_note(
            f"{self.tally.study}: {self.tally.done}/{self.tally.planned} trainings, {self.tally.pace}{ending}"
        )


class LiveTable(Observer):
    """A live table with a row for each space."""

    def __init__(self, study: str, console: Console) -> None:
        self.tally = Tally(study)
        self.live = Live(console=console, get_renderable=self._draw, refresh_per_second=2)
        self.printing = threading.RLock()  # a note while the table ends would draw it twice

    def on_begin(self, jobs: Sequence[Job], scores: Mapping[str, Score], later: int = 0) -> None:
        self.tally.begin(jobs, scores, later)
        # What is said before, of the data, stands above the table. Its first frame comes at once: two notes
        # at the same time, before it, would each draw one.
        self.live.start(refresh=True)

    def on_finish(self, trial: Trial, replay: str) -> None:
        self.tally.finished(trial)
        if replay:
            self._print(failure_line(trial, replay), soft_wrap=True)

    def on_note(self, text: str) -> None:
        self._print(text)

    def _print(self, text: str, soft_wrap: bool = False) -> None:
        """Above the table; with ``soft_wrap`` as one line, so that a command in it can be copied."""
        with self.printing:
            self.live.console.print(Text(printable(text), style="yellow"), soft_wrap=soft_wrap)

    def stop(self) -> None:
        with self.printing:
            self.live.stop()

    def _draw(self) -> RenderableType:
        table = Table(box=None, padding=(0, 2, 0, 0))
        table.add_column("space", style="bold")
        table.add_column("", width=20)
        for header in ("trainings", "failed", "best %", "median %"):
            table.add_column(header, justify="right")
        for name, planned, done, failed, errors in self.tally.spaces():
            table.add_row(
                printable(name),
                ProgressBar(total=planned, completed=done, width=20),
                f"{done}/{planned}",
                str(failed or ""),
                f"{min(errors):.2f}" if errors else "",
                f"{statistics.median(errors):.2f}" if errors else "",
            )
        line = f"{self.tally.study}: {self.tally.done}/{self.tally.planned} trainings, {self.tally.pace}"
        return Group(Text(printable(line)), table)


class JsonLines(Observer):
    """For machines: an object a line on stderr, with what is planned and done so far."""

    def __init__(self, study: str) -> None:
        self.tally = Tally(study)

    def on_begin(self, jobs: Sequence[Job], scores: Mapping[str, Score], later: int = 0) -> None:
        self.tally.begin(jobs, scores, later)
        self._print({"event": "begin"})

    def on_finish(self, trial: Trial, replay: str) -> None:
        self.tally.finished(trial)
        self._print(finished_facts(trial, replay))

    def on_note(self, text: str) -> None:
        self._print({"event": "note", "text": text})

    def _print(self, facts: dict[str, Any]) -> None:
        counts = {"study": self.tally.study, "planned": self.tally.planned, "done": self.tally.done}
        echo(json.dumps(facts | counts), err=True)


class SearchLines(Observer):
    """Of a search: a line every few seconds, with the best error so far."""

    def __init__(self, search: Search) -> None:
        self.search = search
        self.started = time.monotonic()
        self.printed = 0.0
        self.trained = 0
        self.best: float | None = None

    def on_begin(self, jobs: Sequence[Job], scores: Mapping[str, Score], later: int = 0) -> None:
        plan, s = self.search.plan, self.search
        budget = f"{plan.budget.images:,} images × {plan.budget.epochs}"
        regime = f", {plan.regime.text}" if plan.regime.windows else ""
        self.on_note(
            f"{s.sampler} in {s.space.name}: {plural(s.trials, 'training')} of {budget}"
            f" on {plan.data}{regime}"
        )

    def on_finish(self, trial: Trial, replay: str) -> None:
        self.trained += 1
        if replay:
            self.on_note(failure_line(trial, replay))
        error = trial.score.error
        if error is not None:
            self.best = error if self.best is None else min(self.best, error)
        if time.monotonic() - self.printed > _LINE_EVERY:
            self.printed = time.monotonic()
            rate = self.trained / (self.printed - self.started) * 3600
            best = f"; best of these {self.best:.2f}%" if self.best is not None else ""
            self.on_note(f"{self.trained} trained now, {rate:,.0f} trainings/h{best}")

    def on_note(self, text: str) -> None:
        tell(text)


@contextmanager
def make_progress(study: str, form: str = "auto") -> Iterator[Observer]:
    """The display that suits where stderr goes, or the ``json`` or ``plain`` one."""
    if form not in FORMS:
        raise unknown("progress", form, FORMS)
    if form == "json":
        lines = JsonLines(study)
        with overheard(lines.on_note):
            yield lines
        return
    console = Console(stderr=True)
    if not console.is_terminal or form == "plain":
        yield Lines(study)
        return
    display = LiveTable(study, console)
    with overheard(display.on_note):
        try:
            yield display
        finally:
            display.stop()


@contextmanager
def overheard(say: Callable[[str], None]) -> Iterator[None]:
    """What workers and libraries write to this process's stderr goes to ``say``, a line each.

    Workers are processes that inherit the file, so a warning of one would stand in the middle of a live table
    or of a line of JSON. This process writes to ``sys.stderr`` as before.
    """
    before = sys.stderr
    try:
        descriptor = before.fileno()
    except (OSError, ValueError):  # a stream that is no file, which no worker inherits
        yield
        return
    real = os.dup(descriptor)
    reader, writer = os.pipe()

    def relay() -> None:
        with os.fdopen(reader, encoding="utf-8", errors="replace", newline="\n") as lines:
            for line in lines:
                if text := _last_shown(line):
                    say(text)

    thread = threading.Thread(target=relay, name="stderr", daemon=True)
    before.flush()
    with os.fdopen(real, "w", encoding=before.encoding, errors="replace", buffering=1) as own:
        os.dup2(writer, descriptor)
        os.close(writer)
        thread.start()
        sys.stderr = own
        try:
            yield
        finally:
            os.dup2(own.fileno(), descriptor)  # first, for what the thread is just about to print
            sys.stderr = before
            thread.join(_ENDS_WITHIN)


def _last_shown(line: str) -> str:
    """What a terminal would show of a line in the end, without its colours."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", line.rstrip("\r\n")).rpartition("\r")[2].rstrip()
