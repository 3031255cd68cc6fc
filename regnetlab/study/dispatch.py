"""Dispatch: hand trainings to an executor, keep each score as it comes, try again what was lost.

A training that takes its worker along is tried ``TRIES`` times, then recorded as failed, so one network
that kills its workers costs a study three of them and nothing else. No training is kept twice: it leaves the
queue with its score.
"""

import math
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, wait
from dataclasses import dataclass, field, replace
from functools import partial

from regnetlab.errors import InputError
from regnetlab.execution.base import (
    DataLackError,
    MemoryLackError,
    OverdueError,
    Report,
    Setting,
    Task,
    TrainingExecutor,
    WorkerInfo,
    WorkerLostError,
    WorkerRefusedError,
)
from regnetlab.plain import plural
from regnetlab.spaces.law import parse_config
from regnetlab.study.observer import Observer
from regnetlab.study.replay import replay_command
from regnetlab.training.budget import COMPLETE, FAILED, TIME_LIMIT, Score
from regnetlab.training.devices import training_bytes
from regnetlab.training.trainer import OUT_OF_MEMORY
from regnetlab.trials.job import Job

TRIES = 3
"""How often a training that is lost with its worker is tried before it counts as failed."""
ALIKE = 3
"""After so many failures, with nothing complete that began later, it is looked whether others train."""

_HARD_MARGIN = 10.0  # seconds that the trainer, which looks at the time limit itself, may take to notice
_SLOWER = 10.0  # how many times longer than predicted a first try may take
_LOOK_EVERY = 0.5
_SILENT = "without any answer"


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

    def __init__(self) -> None:
        self._slowest = 0.0
        self._seen = 0

    def learn(self, job: Job, score: Score) -> None:
        if score.ended == COMPLETE and score.images:
            self._seen += 1
            self._slowest = max(self._slowest, score.seconds / (job.acts * score.images))

    def limit(self, job: Job, tries: int) -> float:
        """Hard limit in seconds: predicted on the first try, the whole time limit on later ones."""
        most = 1.1 * job.budget.time_limit + _HARD_MARGIN
        if tries or self._seen < 3:
            return most
        predicted = self._slowest * job.acts * job.budget.images * job.budget.epochs
        return min(most, _HARD_MARGIN + _SLOWER * predicted)


class Dispatch:
    """The trainings in flight on one executor."""

    def __init__(
        self,
        executor: TrainingExecutor,
        setting: Setting,
        keep: Callable[[Job, Report], None],
        observer: Observer,
        stop: Stop,
        watch: Callable[[int], None] = lambda running: None,
    ) -> None:
        """``keep`` is given every score and may refuse it by raising; ``watch`` is told now and then how many
        trainings are in flight, and may raise."""
        self._executor, self._setting, self._keep = executor, setting, keep
        self._observer, self._stop, self._watch = observer, stop, watch
        self._flying: dict[Future[Report], tuple[Job, int]] = {}  # with their number
        self._handed_in = 0
        self._lost: Counter[str] = Counter()
        self._crowded: set[str] = set()  # what ran out of memory; it is tried again with nothing beside it
        self._begun: set[str] = set()
        self._devices: dict[str, str] = {}  # by host: errors of a CPU and a GPU must not be mixed
        self._pace = Pace()
        self._failing: list[tuple[Job, Report, int]] = []  # it is not known yet what is to blame
        self._proven: Job | None = None  # a training that was finished once

    def train(self, jobs: Sequence[Job], proven: Job | None = None) -> None:
        """Train these from the first on; returns when all are kept, or soon after a stop is asked for.

        A failure is a network's only if a training that begins later is complete, or if a step of another one
        works: of a network that was trained before (``proven``, or in this run), else of the smallest one.
        Otherwise it is data, compiler, libraries, memory or machine, and it is not kept.

        Raises:
            InputError: Nothing can be trained here, or no worker is left that may train.
        """
        self._proven = self._proven or proven
        queue = deque(jobs)
        while self._flying or (queue and not self._stop.is_set()):
            while queue and not self._stop.is_set() and len(self._flying) < self._executor.capacity():
                self._submit(queue.popleft())
            self._watch(len(self._flying))
            if self._stop.out_of_time():
                in_flight = plural(len(self._flying), "training")
                self._observer.on_note(f"handed back {in_flight} in flight, for the next run to train")
                return
            if not self._flying:
                time.sleep(_LOOK_EVERY)
                continue
            done, _ = wait(self._flying, timeout=_LOOK_EVERY, return_when=FIRST_COMPLETED)
            in_order = [future for future in self._flying if future in done]
            cancelled = [self._collect(future, queue) for future in in_order]
            if any(cancelled) and not self._stop.is_set():
                self._executor.revive()
        if not self._stop.is_set():
            self._settle()
        self._watch(0)

    def _submit(self, job: Job) -> None:
        needed = training_bytes(job.acts, job.budget.images_per_step)
        limit = self._pace.limit(job, self._lost[job.identity])
        task = Task(job, limit, needed, alone=job.identity in self._crowded)
        future = self._executor.train(self._setting, task, partial(self._begin, job))
        self._handed_in += 1
        self._flying[future] = job, self._handed_in

    def _begin(self, job: Job, worker: WorkerInfo) -> None:
        self._begun.add(job.identity)
        self._observer.on_start(job, worker)

    def _collect(self, future: Future[Report], queue: deque[Job]) -> bool:
        """Keep what a training earned, or put it back; whether it was cancelled with its executor."""
        job, number = self._flying.pop(future)
        try:
            report = future.result()
            self._check_device(report)
            if report.score.ended == OUT_OF_MEMORY:
                raise MemoryLackError(OUT_OF_MEMORY)
        except InputError:
            raise
        except CancelledError:
            self._observer.on_lost(job)
            queue.appendleft(job)
            return True
        except Exception as error:
            self._observer.on_lost(job)
            self._retry(job, number, self._executor.explain(error), queue)
        else:
            if job.identity not in self._begun:  # the executor can't tell before, or its word comes later
                self._begin(job, WorkerInfo(report.worker or report.host, report.device))
            self._pace.learn(job, report.score)
            self._hold(job, report, number)
        return False

    def _hold(self, job: Job, report: Report, begun: int) -> None:
        """Keep a result; a failure only once it is clear that it is one of its network.

        A training that was handed in after it failed, as number ``begun``, and is complete shows that.
        """
        if _may_be_the_machines(report.score.ended):
            self._failing.append((job, report, self._handed_in))
            if len(self._failing) >= ALIKE:
                self._settle()
            return
        if report.score.ended == COMPLETE:
            self._proven = job
            self._keep_failures(before=begun)
        self._keep(job, report)

    def _settle(self) -> None:
        """Keep the failures that are held, or raise ``InputError`` where nothing can be trained here."""
        if not self._failing:
            return
        first, report, _ = self._failing[0]
        reason = report.score.ended.removeprefix(FAILED)
        works = self._still_trains(self._proven or _smallest(first), reason)
        if works is None:
            return
        if works:
            self._keep_failures()
            return
        many = len(self._failing) > 1
        what = f"{len(self._failing)} trainings one after the other" if many else "a training"
        other = "the smallest network" if self._proven is None else "a network that was trained before"
        raise InputError(
            f"{what} failed ({reason}), and so did a step of {other}: it is not the network{'s' * many}, and"
            f" nothing of {'them' if many else 'it'} is kept",
            f"look at data, libraries and memory; alone: {replay_command(self._setting, first)}",
        )

    def _keep_failures(self, before: float = math.inf) -> None:
        """Those that failed before the training was handed in that has this number."""
        held, self._failing = self._failing, [each for each in self._failing if each[2] >= before]
        for job, report, at in held:
            if at < before:
                self._keep(job, report)

    def _still_trains(self, job: Job, reason: str) -> bool | None:
        """Whether a step of this training works, ``None`` where a stop comes first. Nothing of it is kept."""
        step = replace(job.budget, images=job.budget.images_per_step, epochs=1)
        needed = training_bytes(job.acts, step.images_per_step)
        task = Task(replace(job, budget=step), self._pace.limit(job, 1), needed, alone=True)
        if not self._stop.is_set():
            self._observer.on_note(f"trainings fail ({reason}); trying another network here")
        for _ in range(TRIES):
            if self._stop.is_set():
                return None
            future = self._executor.train(self._setting, task)
            while not future.done():
                if self._stop.is_set():
                    future.cancel()
                    return None
                self._watch(len(self._flying))
                wait([future], timeout=_LOOK_EVERY)
            try:
                ended = future.result().score.ended
            except CancelledError:
                self._executor.revive()
                continue
            except Exception as error:
                failure = self._executor.explain(error)
                if isinstance(failure, WorkerRefusedError):
                    if not self._executor.send_away(failure.worker):
                        raise InputError(f"no worker is left: {failure.reason}") from None
                    continue
                if isinstance(failure, WorkerLostError):
                    continue
                raise failure from None
            if ended == COMPLETE:
                return True
            if ended.startswith(FAILED):
                return False
        return False

    def _retry(self, job: Job, number: int, failure: BaseException, queue: deque[Job]) -> None:
        if isinstance(failure, WorkerRefusedError):
            self._observer.on_note(failure.reason)
            queue.appendleft(job)
            if not self._executor.send_away(failure.worker):
                raise InputError(f"no worker is left: {failure.reason}") from None
            return
        if not isinstance(failure, WorkerLostError):
            raise failure from None
        self._lost[job.identity] += 1
        times = self._lost[job.identity]
        if isinstance(failure, MemoryLackError):
            self._crowded.add(job.identity)
        if isinstance(failure, DataLackError) and times == TRIES:
            raise InputError(
                "the data don't fit into the memory that a training's process may have",
                "raise memory in [run] of the study file, or train with fewer --workers",
            ) from None
        self._observer.on_note(_lost_line(self._setting, job, failure, times))
        if times < TRIES:
            queue.append(job)
        else:
            self._hold(job, _failed(job, failure), number)

    def _check_device(self, report: Report) -> None:
        """Raise ``InputError`` where this host trains on another kind of device than others did."""
        self._devices.setdefault(report.host, report.device)
        kinds = {kind: host for host, kind in self._devices.items()}
        if len(kinds) > 1:
            named = ", ".join(f"{host} on {kind}" for kind, host in sorted(kinds.items()))
            raise InputError(
                f"workers train on different devices ({named}), whose errors differ",
                "name one with --device or --kernels",
            )


def _may_be_the_machines(ended: str) -> bool:
    """Whether a training's ending may have another reason than its network."""
    return ended == OUT_OF_MEMORY or ended.startswith(FAILED) or ended.endswith(_SILENT)


def _smallest(job: Job) -> Job:
    """The same training of the smallest AnyNet."""
    stages = len(job.template.strides)
    config = parse_config(f"anynet:d={','.join('1' * stages)};w={','.join('8' * stages)};g=8;b=1")
    return replace(job, model=config.text, config=config, law=(), flops=0, params=0, acts=0)


def _failed(job: Job, failure: WorkerLostError) -> Report:
    if isinstance(failure, MemoryLackError):
        reason = OUT_OF_MEMORY
    elif isinstance(failure, OverdueError):
        reason = f"{TIME_LIMIT} {job.budget.time_limit:g} s, {TRIES} times {_SILENT}"
    else:
        reason = f"{FAILED}its worker died {TRIES} times, at last because {failure}"
    return Report(Score(None, (), 0.0, 0, reason), "", "")


def _lost_line(setting: Setting, job: Job, failure: WorkerLostError, times: int) -> str:
    """What happened to which network, and how to see it happen alone."""
    if isinstance(failure, MemoryLackError):
        happened, next_step = "ran out of memory", "it is tried again alone on its device"
    else:
        happened, next_step = f"lost its worker ({failure})", "it is tried again"
    if times == TRIES:
        next_step = "it counts as failed"
    return (
        f"{job.space} {job.index} {happened}, try {times} of {TRIES}; {next_step}. Alone:"
        f" {replay_command(setting, job)}"
    )
