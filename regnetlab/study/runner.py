"""The runner: train what a plan asks for and the store does not have yet.

The coordinator hands jobs to an executor (``dispatch``) and keeps each score as it comes. Killed at any
moment it loses the models in flight and nothing else; run again, it goes on with what is missing.
"""

import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Protocol

from regnetlab.errors import InputError
from regnetlab.execution import make_executor
from regnetlab.execution.base import Place, Wanted
from regnetlab.execution.worker import Report, Setup
from regnetlab.spaces.config import Config
from regnetlab.study.alone import again
from regnetlab.study.contest import (
    Contest,
    choose,
    hand_designed,
    regnets,
    tuning_jobs,
)
from regnetlab.study.dispatch import NOBODY, Stop, Told, dispatch
from regnetlab.study.jobs import planned_jobs, population_hash
from regnetlab.study.lock import Lock
from regnetlab.study.outcome import Outcome, outcome
from regnetlab.study.plan import Plan
from regnetlab.study.store import Store
from regnetlab.training.budget import Score
from regnetlab.trials.job import Job

GRACE = 20.0
"""Seconds that trainings in flight get after SIGTERM; batch systems commonly kill after 30."""

Derive = Callable[[Sequence[tuple[Job, Score]]], list[Config]]
"""From a finished population to the RegNets derived from it; an ``InputError`` says why there are none."""


class Progress(Protocol):
    """What a run tells while it goes on."""

    def begin(self, jobs: Sequence[Job], scores: dict[str, Score]) -> None:
        """These jobs are planned; these of them are finished already."""

    def finished(self, job: Job, score: Score, again: str = "") -> None:
        """One more training is over; ``again`` is the command that trains it alone where it failed."""

    def note(self, text: str) -> None:
        """Something the user should know."""


def run(
    plan: Plan,
    store: Store,
    setup: Setup,
    lock: Lock,
    progress: Progress,
    derive: Derive,
    executor: str = "local",
    workers: int = 1,
    wanted: Wanted | None = None,
    told: Told = NOBODY,
) -> Outcome:
    """Train what is planned, settle what follows from it, train that, until nothing follows any more.

    ``wanted`` says more about the executor than its number of ``workers``.
    """
    wanted = wanted or Wanted(workers, setup.device)
    with stop_on_signals(progress) as stop, training_place(executor, wanted, progress, stop) as place:
        state = outcome(plan, store)
        while not stop.is_set():
            progress.begin(state.jobs, state.scores)
            _train_missing(state, store, setup, lock, progress, place, stop, told)
            state = outcome(plan, store)
            if state.missing or not _settle_next(plan, store, state, progress, derive):
                break
            state = outcome(plan, store)
    return state


def run_apart(
    parts: Sequence[tuple[Setup, Sequence[Job]]],
    store: Store,
    lock: Lock,
    progress: Progress,
    executor: str,
    wanted: Wanted,
) -> None:
    """Train what is missing of jobs beside the plan's own, each part under the budget of its setup."""
    with stop_on_signals(progress) as stop, training_place(executor, wanted, progress, stop) as place:
        for setup, jobs in parts:
            asked = {job.identity for job in jobs}
            scores = {key: score for key, score in store.scores().items() if key in asked}
            state = Outcome(tuple(jobs), scores)
            if not state.missing:
                continue
            if stop.is_set():
                return
            progress.begin(state.jobs, dict(scores))
            _train_missing(state, store, setup, lock, progress, place, stop)


def _settle_next(plan: Plan, store: Store, state: Outcome, progress: Progress, derive: Derive) -> bool:
    """Keep the next decision that the finished trainings allow; whether there was one."""
    if plan.derived and not state.derived:
        population = planned_jobs(plan)
        store.keep_derived(population_hash(population), _derived(plan, derive, state, population, progress))
    elif plan.baselines is not None and not state.contest.contenders:
        contenders = (*hand_designed(plan), *regnets(plan, state.jobs, state.scores))
        store.keep_contest(Contest(contenders).as_dict(plan))
        store.keep_latencies({})
    elif plan.baselines is not None and state.contest.chosen is None:
        tried = [(job, state.scores[job.identity]) for job in tuning_jobs(plan, state.contest.contenders)]
        chosen = choose(tried)
        for contender in state.contest.contenders:
            if contender.model not in chosen:
                progress.note(f"{contender.name} failed at every learning rate; it has no final training")
        store.keep_contest(Contest(state.contest.contenders, chosen).as_dict(plan))
    else:
        return False
    return True


def _derived(
    plan: Plan, derive: Derive, state: Outcome, population: Sequence[Job], progress: Progress
) -> list[Config]:
    try:
        found = derive([(job, state.scores[job.identity]) for job in population])
    except InputError as error:
        progress.note(f"no RegNets derived: {error}")
        return []
    if len(found) < plan.derived:
        progress.note(f"{len(found)} of {plan.derived} RegNets derived: the law has no more in this regime")
    return found


def _train_missing(
    state: Outcome,
    store: Store,
    setup: Setup,
    lock: Lock,
    progress: Progress,
    place: Callable[[], Place],
    stop: Stop,
    told: Told = NOBODY,
) -> None:
    known = set(state.scores)

    def keep(job: Job, report: Report) -> None:
        if job.identity not in known:
            lock.check()
            known.add(job.identity)
            store.add(job, report.score)
            progress.finished(job, report.score, again(setup, job, report.score))

    # One network of each space in turn, so that an interrupted study is an even one.
    queue = list(dict.fromkeys(job.identity for job in sorted(state.missing, key=_turn)))
    by_identity = {job.identity: job for job in reversed(state.missing)}
    todo = [by_identity[identity] for identity in queue]
    train_all(deque(todo), keep, setup, lock, progress, place, stop, told)


def train_all(
    todo: deque[Job],
    keep: Callable[[Job, Report], None],
    setup: Setup,
    lock: Lock,
    progress: Progress,
    place: Callable[[], Place],
    stop: Stop,
    told: Told = NOBODY,
) -> None:
    """Train ``todo`` from its front and ``keep`` every score, which may put more at its end."""
    if todo and not stop.is_set():
        dispatch(todo, place(), setup, keep, stop, lock.say, progress.note, lock.check, told)


def _turn(job: Job) -> tuple[int, int]:
    return job.replicate, job.index


class _Opened:
    """The place to train, made when something is to be trained, and closed with the run."""

    def __init__(self, make: Callable[[], Place]) -> None:
        self._make = make
        self._place: Place | None = None

    def __call__(self) -> Place:
        if self._place is None:
            self._place = self._make()
        return self._place

    def close(self, wait: bool) -> None:
        if self._place is not None:
            self._place.shutdown(wait=wait, cancel_futures=not wait)


@contextmanager
def training_place(
    executor: str, wanted: Wanted, progress: Progress, stop: Stop
) -> Iterator[Callable[[], Place]]:
    """The place to train, made when it is first asked for; what is in flight after an error is ended."""
    place = _Opened(lambda: make_executor(executor, replace(wanted, note=progress.note)))
    whole = False
    try:
        yield place
        whole = True
    finally:
        place.close(wait=whole and not stop.out_of_time())


@contextmanager
def stop_on_signals(progress: Progress) -> Iterator[Stop]:
    """What is in flight is finished, nothing new begun, after the first Ctrl-C; the second ends at once.

    SIGTERM comes from a batch system that will soon kill: what is not finished within ``GRACE`` seconds
    is handed back.
    """
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def ask(number: int, frame: object) -> None:
        if stop.is_set() and number == signal.SIGINT:
            raise KeyboardInterrupt
        if number == signal.SIGTERM and stop.deadline is None:
            stop.deadline = time.monotonic() + GRACE
        if stop.is_set():
            return
        stop.asked.set()
        if number == signal.SIGTERM:
            progress.note(f"stopping: what is in flight has {GRACE:.0f} s to finish, else it is handed back")
        else:
            progress.note("stopping: the models in flight are finished first (again to stop at once)")

    kept = {each: signal.signal(each, ask) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)
