"""Runs of studies in this process, for tests that look at what is left of them and what was said."""

import io
import subprocess
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import replace
from pathlib import Path
from typing import Any

from regnetlab.cli import main
from regnetlab.study.observer import Observer
from regnetlab.study.plan import Plan
from regnetlab.study.plan_file import load_plan
from regnetlab.study.run import run_study
from regnetlab.study.session import Options
from regnetlab.study.stages import State, basis_of
from regnetlab.training.budget import Score
from regnetlab.trials.job import Trial
from regnetlab.trials.store import open_store
from tests.study import processes

MakeStudy = Callable[..., Path]


class Heard(Observer):
    """Keeps what it is told, and interrupts after ``most`` trainings."""

    def __init__(self, most: int | None = None) -> None:
        self.notes: list[str] = []
        self.trained: list[str] = []
        self._most = most

    def on_finish(self, trial: Trial, replay: str) -> None:
        self.trained.append(trial.job.identity)
        if len(self.trained) == self._most:
            raise KeyboardInterrupt

    def on_note(self, text: str) -> None:
        self.notes.append(text)


def inline(data_dir: Path, **more: Any) -> Options:
    """Options of a run on this process's CPU."""
    return replace(Options("inline", device="cpu", data_dir=data_dir), **more)


def ran(plan: Plan, data_dir: Path, heard: Observer | None = None, **more: Any) -> State:
    """Run a study to its end."""
    return run_study(plan, inline(data_dir, **more), heard or Observer())


def rows_after(study: Path, data_dir: Path) -> list[dict[str, str]]:
    """The trials of a study that is run to its end, with nothing to disturb it."""
    ran(load_plan(study), data_dir)
    return processes.trials_of(study)


def run_here(study: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """``processes.run`` without a process of its own."""
    asked = ["run", str(study), "--device", "cpu", "--executor", "inline", *words]
    with redirect_stdout(io.StringIO()) as said, redirect_stderr(io.StringIO()) as told:
        return subprocess.CompletedProcess(asked, main(asked), said.getvalue(), told.getvalue())


def scores_of(plan: Plan) -> dict[str, Score]:
    """By identity what its store has on its data."""
    store = open_store(plan.store)
    return store.scores(*basis_of(store))


def trainings(plan: Plan) -> int:
    """How many trainings its store has."""
    return open_store(plan.store).count()
