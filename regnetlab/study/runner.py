"""The runner: train what a plan asks for and the store does not have yet.

The coordinator hands jobs to an executor, at most as many as there are workers, and keeps each
score as it comes. Killed at any moment it loses the models in flight and nothing else; run again,
it goes on with what is missing.
"""

import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Protocol

from regnetlab.errors import InputError
from regnetlab.spaces.config import Config
from regnetlab.study.contest import (
    Contest,
    choose,
    hand_designed,
    regnets,
    tuning_jobs,
)
from regnetlab.study.executors import Setup, make_executor, sheltered, stop_at_once, work
from regnetlab.study.jobs import Job, planned_jobs, population_hash
from regnetlab.study.lock import StudyLock
from regnetlab.study.outcome import Outcome, outcome
from regnetlab.study.plan import Plan
from regnetlab.study.store import Store
from regnetlab.training.budget import Score

WORKER_DIED = "failed: its worker process died twice"

Derive = Callable[[Sequence[tuple[Job, Score]]], list[Config]]
"""From a finished population to the RegNets derived from it; an ``InputError`` says why there are none."""


class Progress(Protocol):
    """What a run tells while it goes on."""

    def begin(self, jobs: Sequence[Job], scores: dict[str, Score]) -> None:
        """These jobs are planned; these of them are finished already."""

    def finished(self, job: Job, score: Score) -> None:
        """One more training is over."""

    def note(self, text: str) -> None:
        """Something the user should know."""


def run(
    plan: Plan,
    store: Store,
    setup: Setup,
    lock: StudyLock,
    progress: Progress,
    derive: Derive,
    executor: str = "local",
    workers: int = 1,
) -> Outcome:
    """Train what is planned, settle what follows from it, train that, until nothing follows any more."""
    with stop_on_signals(progress) as stop:
        state = outcome(plan, store)
        while not stop.is_set():
            progress.begin(state.jobs, state.scores)
            _train_missing(state, store, setup, lock, progress, executor, workers, stop)
            state = outcome(plan, store)
            if state.missing or not _settle_next(plan, store, state, progress, derive):
                break
            state = outcome(plan, store)
    return state


def run_apart(
    parts: Sequence[tuple[Setup, Sequence[Job]]],
    store: Store,
    lock: StudyLock,
    progress: Progress,
    executor: str = "local",
    workers: int = 1,
) -> None:
    """Train what is missing of jobs beside the plan's own, each part under the budget of its setup."""
    with stop_on_signals(progress) as stop:
        for setup, jobs in parts:
            wanted = {job.identity for job in jobs}
            scores = {key: score for key, score in store.scores().items() if key in wanted}
            state = Outcome(tuple(jobs), scores)
            if not state.missing:
                continue
            if stop.is_set():
                return
            progress.begin(state.jobs, dict(scores))
            _train_missing(state, store, setup, lock, progress, executor, workers, stop)


def _settle_next(plan: Plan, store: Store, state: Outcome, progress: Progress, derive: Derive) -> bool:
    """Keep the next decision that the finished trainings allow; whether there was one."""
    if plan.derived and not state.derived:
        population = planned_jobs(plan)
        store.keep_derived(population_hash(population), _derived(derive, state, population, progress))
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


def _derived(derive: Derive, state: Outcome, population: Sequence[Job], progress: Progress) -> list[Config]:
    try:
        return derive([(job, state.scores[job.identity]) for job in population])
    except InputError as error:
        progress.note(f"no RegNets derived: {error}")
        return []


def _train_missing(
    state: Outcome,
    store: Store,
    setup: Setup,
    lock: StudyLock,
    progress: Progress,
    executor: str,
    workers: int,
    stop: threading.Event,
) -> None:
    def keep(job: Job, score: Score) -> None:
        store.add(job, score)
        progress.finished(job, score)

    # One network of each space in turn, so that an interrupted study is an even one.
    queue = list(dict.fromkeys(job.identity for job in sorted(state.missing, key=_turn)))
    by_identity = {job.identity: job for job in reversed(state.missing)}
    todo = [by_identity[identity] for identity in queue]
    train_all(todo, keep, setup, lock, progress, executor, workers, stop)


def train_all(
    todo: list[Job],
    keep: Callable[[Job, Score], None],
    setup: Setup,
    lock: StudyLock,
    progress: Progress,
    executor: str,
    workers: int,
    stop: threading.Event,
) -> None:
    """Train ``todo`` from its front and ``keep`` every score, which may put more at its end."""
    while todo and not stop.is_set():
        lost = _train(todo, make_executor(executor, workers, setup.device), workers, setup, lock, keep, stop)
        # A worker died and took the pool with it. Whoever was in flight is tried again alone, so
        # that one poisonous network costs nobody else anything.
        for job in lost:
            if stop.is_set():
                return
            progress.note(f"a worker died; trying {job.space} {job.index} again, alone")
            if _train([job], make_executor(executor, 1, setup.device), 1, setup, lock, keep, stop):
                keep(job, Score(None, (), 0.0, 0, WORKER_DIED))


def _turn(job: Job) -> tuple[int, int]:
    return job.replicate, job.index


def _train(
    todo: list[Job],
    pool: Executor,
    workers: int,
    setup: Setup,
    lock: StudyLock,
    keep: Callable[[Job, Score], None],
    stop: threading.Event,
) -> list[Job]:
    """Work ``todo`` off from its front; returns the jobs that were in flight when the pool broke."""
    flying: dict[Future[Score], Job] = {}
    lost: list[Job] = []
    try:
        while flying or (todo and not lost and not stop.is_set()):
            while todo and not lost and len(flying) < workers and not stop.is_set():
                job = todo.pop(0)
                try:
                    with sheltered():
                        call = job.model, job.recipe, job.seed, job.final
                        flying[pool.submit(work, setup, *call)] = job
                except BrokenProcessPool:
                    lost.append(job)
            lock.say(len(flying))
            done, _ = wait(flying, timeout=0.5, return_when=FIRST_COMPLETED)
            for future in done:
                job = flying.pop(future)
                try:
                    score = future.result()
                except BrokenProcessPool:
                    lost.append(job)
                else:
                    keep(job, score)
    except BaseException:
        stop_at_once(pool)
        raise
    pool.shutdown(wait=not lost, cancel_futures=True)
    lock.say(0)
    return lost


@contextmanager
def stop_on_signals(progress: Progress) -> Iterator[threading.Event]:
    """An event that is set by the first Ctrl-C (or SIGTERM): what is in flight is finished, nothing new
    begun. The second one ends at once.
    """
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def ask(number: int, frame: object) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()
        progress.note("stopping: the models in flight are finished first (again to stop at once)")

    kept = {each: signal.signal(each, ask) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)
