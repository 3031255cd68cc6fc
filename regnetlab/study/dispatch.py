"""Dispatch: hand trainings to an executor, keep each score as it comes, try again what was lost.

A training that takes its worker along is tried ``TRIES`` times, then recorded as failed, so one
poisonous network costs a study three workers and nothing else. Nothing is kept twice: a training
leaves the queue with its score, and its identity is looked up before it is handed out again.
"""

import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, wait
from dataclasses import dataclass, field
from functools import partial

from regnetlab.errors import InputError
from regnetlab.execution.base import (
    MemoryLackError,
    OverdueError,
    Place,
    Where,
    WorkerLostError,
    WorkerRefusedError,
)
from regnetlab.execution.worker import Report, Setup, Task
from regnetlab.study.alone import alone
from regnetlab.training.budget import COMPLETE, Budget, Score
from regnetlab.training.devices import training_bytes
from regnetlab.training.trainer import OUT_OF_MEMORY
from regnetlab.trials.job import Job

TRIES = 3
"""How often a training that is lost with its worker is tried before it counts as failed."""

_HARD_MARGIN = 10.0  # seconds that the trainer, which looks at the time limit itself, may take to notice
_SLOWER = 10.0  # how many times longer than predicted a first try may take
_LOOK_EVERY = 0.5


@dataclass(slots=True)
class Stop:
    """Whether to stop: no new trainings, those in flight go on until ``deadline`` (monotonic seconds)."""

    asked: threading.Event = field(default_factory=threading.Event)
    deadline: float | None = None

    def is_set(self) -> bool:
        return self.asked.is_set()

    def out_of_time(self) -> bool:
        return self.is_set() and self.deadline is not None and time.monotonic() > self.deadline


class Pace:
    """The slowest seconds per (activation × image) so far: what a training's hard limit follows from.

    Activations predict the time of a training better than flops do (Radosavovic et al. 2020,
    section 4, figure 12).
    """

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._slowest = 0.0
        self._seen = 0

    def learn(self, job: Job, score: Score) -> None:
        if score.ended == COMPLETE and score.images:
            self._seen += 1
            self._slowest = max(self._slowest, score.seconds / (job.acts * score.images))

    def limit(self, job: Job, tries: int) -> float:
        """Hard limit in seconds: predicted on the first try, the whole time limit on later ones."""
        most = 1.1 * self._budget.time_limit + _HARD_MARGIN
        if tries or self._seen < 3:
            return most
        predicted = self._slowest * job.acts * self._budget.images * self._budget.epochs
        return min(most, _HARD_MARGIN + _SLOWER * predicted)


@dataclass(frozen=True, slots=True)
class Told:
    """Who is told what: that a worker began with a training (from any thread), that it is lost there,
    and, before a score is kept, what computed it, which may be refused by raising."""

    began: Callable[[Job, Where], None] = lambda job, where: None
    lost: Callable[[Job], None] = lambda job: None
    computed_on: Callable[[str], None] = lambda device: None


NOBODY = Told()


def dispatch(
    queue: deque[Job],
    place: Place,
    setup: Setup,
    keep: Callable[[Job, Report], None],
    stop: Stop,
    say: Callable[[int], None],
    note: Callable[[str], None],
    watch: Callable[[], None] = lambda: None,
    told: Told = NOBODY,
) -> None:
    """Train ``queue`` from its front; returns when all are kept, or soon after ``stop`` was asked for.

    ``keep`` may put more at the end of the queue.

    ``say`` is told how many are in flight, ``watch`` is called every now and then and may raise.
    Raises ``InputError`` where no worker is left that may train.
    """
    flying: dict[Future[Report], Job] = {}
    lost: Counter[str] = Counter()
    crowded: set[str] = set()  # what ran out of memory; it is tried again with nothing beside it
    pace = Pace(setup.budget)
    began: set[str] = set()
    where: dict[str, str] = {}  # device by host: errors of a CPU and a GPU must not be mixed

    def begins(job: Job, at: Where) -> None:
        began.add(job.identity)
        told.began(job, at)

    while flying or (queue and not stop.is_set()):
        while queue and not stop.is_set() and len(flying) < place.capacity():
            job = queue.popleft()
            limit = pace.limit(job, lost[job.identity])
            needed = training_bytes(job.acts, setup.budget.images_per_step)
            alone = job.identity in crowded
            task = Task(job.model, job.recipe, job.seed, job.final, limit, needed, alone)
            flying[place.train(setup, task, partial(begins, job))] = job
        say(len(flying))
        watch()
        if stop.out_of_time():
            note(f"handed back {len(flying)} trainings that were in flight; the next run trains them")
            return
        if not flying:
            time.sleep(_LOOK_EVERY)
            continue
        done, _ = wait(flying, timeout=_LOOK_EVERY, return_when=FIRST_COMPLETED)
        gone = False
        for future in done:
            job = flying.pop(future)
            try:
                report = future.result()
                _check_device(report, where)
                told.computed_on(report.device)
                if report.score.ended == OUT_OF_MEMORY:
                    raise MemoryLackError(OUT_OF_MEMORY)
            except InputError:
                raise
            except CancelledError:  # with its place, through no fault of its own
                gone = True
                told.lost(job)
                queue.appendleft(job)
            except Exception as error:
                failure = place.explain(error)
                told.lost(job)
                if isinstance(failure, WorkerRefusedError):
                    note(failure.reason)
                    queue.appendleft(job)
                    if not place.send_away(failure.worker):
                        raise InputError(f"no worker is left: {failure.reason}") from None
                elif isinstance(failure, WorkerLostError):
                    lost[job.identity] += 1
                    again = lost[job.identity] < TRIES
                    if isinstance(failure, MemoryLackError):
                        crowded.add(job.identity)
                    note(_lost_line(setup, job, failure, lost[job.identity]))
                    if again:
                        queue.append(job)
                    else:
                        keep(job, _failed(failure, setup))
                else:
                    raise failure from None
            else:
                if job.identity not in began:  # the place can't tell before, or its word comes later
                    begins(job, Where(report.worker or report.host, report.device))
                pace.learn(job, report.score)
                keep(job, report)
        if gone and not stop.is_set():
            place.revive()
    say(0)


def _failed(failure: WorkerLostError, setup: Setup) -> Report:
    if isinstance(failure, MemoryLackError):
        reason = OUT_OF_MEMORY
    elif isinstance(failure, OverdueError):
        reason = f"time limit of {setup.budget.time_limit:g} s, {TRIES} times without any answer"
    else:
        reason = f"failed: its worker died {TRIES} times, at last because {failure}"
    return Report(Score(None, (), 0.0, 0, reason), "", "")


def _lost_line(setup: Setup, job: Job, failure: WorkerLostError, times: int) -> str:
    """What happened to which network, and how to see it happen alone."""
    if isinstance(failure, MemoryLackError):
        happened, next_step = "ran out of memory", "it is tried again alone on its device"
    else:
        happened, next_step = f"lost its worker ({failure})", "it is tried again"
    if times == TRIES:
        next_step = "it is recorded as failed"
    return (
        f"{job.space} {job.index} {happened}, try {times} of {TRIES}; {next_step}. Alone: {alone(setup, job)}"
    )


def _check_device(report: Report, where: dict[str, str]) -> None:
    """Raise ``InputError`` where this host trains on another kind of device than others did."""
    where.setdefault(report.host, report.device)
    kinds = {kind: host for host, kind in where.items()}
    if len(kinds) > 1:
        named = ", ".join(f"{host} on {kind}" for kind, host in sorted(kinds.items()))
        raise InputError(
            f"workers train on different devices ({named}), whose errors differ",
            "name one with --device or --kernels",
        )
