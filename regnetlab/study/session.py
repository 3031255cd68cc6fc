"""A session: everything that trainings need around them, from checking the data to letting go of the lock.

``run``, ``fidelity``, ``search`` and ``train`` of the Python interface all train through one; so data,
device, kernels and changes of the study file are checked in one place.
"""

import pickle
import re
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from regnetlab.errors import InputError, printable
from regnetlab.execution import check_executor, make_executor
from regnetlab.execution.base import Report, Request, Setting, TrainingExecutor
from regnetlab.execution.clusters import check_kind
from regnetlab.execution.dask import check_answers
from regnetlab.execution.worker import checkpoint_path, computed_on
from regnetlab.files import write_atomically
from regnetlab.study.baselines import check_unchanged
from regnetlab.study.changes import check_changes
from regnetlab.study.dispatch import Dispatch, Stop
from regnetlab.study.observer import Log, Observer, Observers, Write, log_writer
from regnetlab.study.plan import Plan
from regnetlab.study.provenance import provenance, provenance_json, stated_facts, with_data_facts
from regnetlab.study.replay import replay_of_failed
from regnetlab.study.stages import basis_of, planned_jobs
from regnetlab.study.take_in import protocol, unread_tables
from regnetlab.study.tomlfile import parse_toml, read_text
from regnetlab.training.batches import check_budget, settled_images
from regnetlab.training.budget import COMPLETE, Budget, Score
from regnetlab.training.datasets import DataSet, load_data, no_test_images
from regnetlab.training.devices import AUTO, NATIVE, TORCH, check_kernels, default_workers, find_device
from regnetlab.training.folders.decode import folder_of_pack
from regnetlab.training.folders.listener import Listener
from regnetlab.training.graphs import EAGER
from regnetlab.trials.csv_tables import put_aside
from regnetlab.trials.job import Job, Trial
from regnetlab.trials.lease import Lock, leased, locked
from regnetlab.trials.location import mask
from regnetlab.trials.store import Store, open_store

if TYPE_CHECKING:
    from regnetlab.trials.optuna_mirror import Mirror

GRACE = 20.0
"""Seconds that trainings in flight get after SIGTERM; batch systems commonly kill after 30."""


@dataclass(frozen=True, slots=True)
class Options:
    """What something is trained with; ``None`` is what the study file says in [run] (``plan.Running``).

    ``cluster`` is a TOML file of the user's own with what Dask's class for the cluster gets, beside what the
    study file says.
    """

    executor: str | None = None
    workers: int | None = None
    device: str = "auto"
    data_dir: Path | None = None
    kernels: str = AUTO
    scheduler: str | None = None
    send_data: bool = False
    accept_change: bool = False
    skip_unreadable: bool = False
    mirror: str | None = None
    listener: Listener = field(default_factory=Listener)
    cluster: Path | None = None


@dataclass(frozen=True, slots=True)
class Prepared:
    """What trainings need, before anything is written.

    The ``plan`` has its images settled and read as the options say; ``notes`` are what to know of the data.
    """

    plan: Plan
    data: DataSet
    setting: Setting
    executor: str
    request: Request
    notes: tuple[str, ...]

    @property
    def at_once(self) -> int:
        """Trainings at once on this machine."""
        return 1 if self.executor == "inline" else self.request.workers or 1


def prepare(plan: Plan, options: Options) -> Prepared:
    """Load the data and look for device and executor.

    Raises:
        InputError: The plan does not fit the data, or the device or executor is not there.
    """
    executor = options.executor or ("dask" if options.scheduler else plan.running.executor)
    check_executor(executor)
    check_kernels(options.kernels)
    here = executor != "dask"  # whether this machine trains; a cluster's workers have devices of their own
    device = find_device(options.device) if here else torch.device("cpu")
    skip = options.skip_unreadable or plan.reading.skip_unreadable
    reading = replace(plan.reading, skip_unreadable=skip)
    data = load_data(plan.data, plan.template, options.data_dir, reading, options.listener)
    data.check_fits(plan.template)
    if plan.baselines is not None and not len(data.test):
        raise no_test_images(plan.data, "to judge [baselines] on")
    budget, note = (plan.budget, "") if plan.images_stated else settled_images(data, plan.budget)
    check_budget(data, budget)
    plan = replace(plan, budget=budget, reading=reading)
    workers = options.workers or plan.running.workers or (_at_once(plan, device) if here else None)
    name = str(device) if here else options.device
    # Workers elsewhere do not have the study's folder.
    checkpoints = own_folder(plan, "checkpoints") if here and not plan.adhoc else None
    kernels = _kernels(plan, options.kernels)
    setting = Setting(options.data_dir, name, kernels, data.checksum, checkpoints=checkpoints)
    majority = data.majority_error(budget.validation)
    guess = f"always answering the commonest class has an error of {majority:.2f}%"
    notes = tuple(filter(None, (*data.lines(), _resized(data, plan), note, guess)))
    return Prepared(
        plan, data, setting, executor, _request(plan, options, executor, workers, name, data), notes
    )


def _kernels(plan: Plan, asked: str) -> str:
    """The kernels of all trainings: torch's where a space has networks that the native ones don't take, so
    that no comparison mixes the two.
    """
    if plan.plain:
        return asked
    if asked == NATIVE:
        raise InputError(
            "native kernels take the paper's X block and stem alone, and a study has one kind for all",
            "leave --kernels out",
        )
    return TORCH


def _resized(data: DataSet, plan: Plan) -> str:
    """What becomes of a folder's images that are not of the template's size; empty where all are."""
    survey, size = data.survey, (plan.template.width, plan.template.height)
    if survey is None or survey.smallest == survey.largest == size:
        return ""
    median = "×".join(map(str, survey.median))
    return (
        f"networks see the images at {size[0]}×{size[1]} px, the template's input (fit = {plan.reading.fit});"
        f" their median is {median} px"
    )


class Session:
    """An open session. Make one with ``open_session``."""

    def __init__(
        self,
        prepared: Prepared,
        store: Store,
        lock: Lock,
        observer: Observer,
        stop: Stop,
        accept_change: bool,
    ) -> None:
        self.plan, self.data, self.store = prepared.plan, prepared.data, store
        self.observer, self.stop = observer, stop
        self._prepared, self._lock, self._accept_change = prepared, lock, accept_change
        self._executor: TrainingExecutor | None = None
        self._told = False
        self._devices: set[str] = set()
        self._ran: set[str] = set()

    def train(self, jobs: Sequence[Job], known: Iterable[Job] = ()) -> None:
        """Train what the store lacks of these jobs, each identity once; the store has their trials then.

        One of them that is trained already, of ``known`` or of the plan shows, where others fail, whether
        this machine can still train. It returns early where a stop was asked for. Networks of each space come
        in turn, so that what was interrupted is an even sample.
        """
        scores = self.scores()
        missing: dict[str, Job] = {}
        for job in sorted(jobs, key=lambda job: (job.replicate, job.index)):
            if job.identity not in scores:
                missing.setdefault(job.identity, job)
        if not missing or self.stop.is_set():
            return
        budgets = {job.budget for job in missing.values()}
        for budget in budgets:
            check_budget(self.data, budget)
        self._check_kept(jobs)
        for job in jobs:
            self._note_what_ran(job, scores.get(job.identity), silently=True)
        self._tell_once(max(budgets, key=lambda budget: budget.steps))
        self._dispatch.train(list(missing.values()), self._proven(scores, jobs, known))

    def _proven(self, scores: Mapping[str, Score], *jobs: Iterable[Job]) -> Job | None:
        """The smallest of the first of these that has a trained network in it, or of the plan's."""
        for some in (*jobs, () if self.plan.adhoc else planned_jobs(self.plan)):
            done = [job for job in some if job.identity in scores and scores[job.identity].ended == COMPLETE]
            if done:
                return min(done, key=lambda job: job.acts)
        return None

    def scores(self) -> dict[str, Score]:
        """The score of every training that counts beside those of this session, by identity."""
        if self.plan.adhoc:
            return self.store.scores(self.data.checksum, device_here(self._prepared))
        return self.store.scores(*basis_of(self.store))

    @cached_property
    def _dispatch(self) -> Dispatch:
        asked = self._prepared.request
        request = replace(asked, note=self.observer.on_note, stopped=self.stop.is_set)
        self._executor = make_executor(self._prepared.executor, request)
        return Dispatch(
            self._executor, self._prepared.setting, self._keep, self.observer, self.stop, self._watch
        )

    def _keep(self, job: Job, report: Report) -> None:
        if report.device:  # a training that was lost with its workers has none
            self._check_computed_on(report.device)
        self._lock.check()
        trial = Trial(job, report.score, self.data.checksum, report.device, report.worker)
        self.store.add(trial)
        if (path := checkpoint_path(self._prepared.setting, job.identity)) is not None:
            with suppress(OSError):
                path.unlink(missing_ok=True)
                path.parent.rmdir()  # of the last one
        self._note_what_ran(job, report.score)
        self.observer.on_finish(trial, replay_of_failed(self._prepared.setting, job, report.score))

    def _watch(self, running: int) -> None:
        self._lock.say(running)
        self._lock.check()
        self.store.check_there()

    def _check_computed_on(self, device: str) -> None:
        """That what computes is what computed before; a cluster's workers say it once they trained."""
        if not self.plan.adhoc and device not in self._devices:
            facts = (self.plan, self.store, self.data.checksum, self._accept_change, device)
            for text in _check_changes(*facts):
                self.observer.on_note(text)
            self._devices.add(device)

    def _note_what_ran(self, job: Job, score: Score | None, silently: bool = False) -> None:
        """Say so, once, where a network that was drawn ran in another way than those before it."""
        if score is None or score.ran is None or score.ended != COMPLETE or job.config is None:
            return
        if score.ran not in self._ran and not silently:
            if score.ran == EAGER:
                self.observer.on_note(
                    f"no GPU graph of {job.model}: its steps are launched one by one, several times slower,"
                    " to the same result"
                )
            elif self._ran:
                self.observer.on_note(
                    f"{job.model} ran on {score.ran} kernels and networks before it on"
                    f" {', '.join(self._ran)}: their errors differ as two seeds' do; --kernels torch trains"
                    " all alike"
                )
        self._ran.add(score.ran)

    def _check_kept(self, jobs: Sequence[Job]) -> None:
        """That trials kept from before, which count beside the new ones, were computed by the same."""
        if not self.plan.adhoc:  # of a study ``check_changes`` knows
            return
        device = device_here(self._prepared)
        known = self.store.devices(self.data.checksum, {job.identity for job in jobs})
        if device is not None and known - {device}:
            raise InputError(
                f"some of these networks were trained on {min(known - {device})}, and this is {device}: their"
                " errors differ",
                "train with the same --device and --kernels, or keep these in another store",
            )

    def _tell_once(self, budget: Budget) -> None:
        """Before the first training: keep under what circumstances it is, and say what to know of it."""
        if self._told:
            return
        self._told = True
        plan, store = self.plan, self.store
        stated = stated_facts(plan, store.fact("provenance"))
        facts = provenance(
            plan.folder, self.data, self._prepared.setting, plan.budget, self._prepared.request.workers
        )
        facts |= {"executor": self._prepared.executor, "protocol": protocol(plan)}
        store.keep("provenance", {**facts, **stated})
        if not plan.adhoc:
            write_atomically(plan.provenance, provenance_json(store))
        for note in filter(None, (*self._prepared.notes, budget.few_steps())):
            self.observer.on_note(note)

    def close(self, wait: bool) -> None:
        """End the executor; without ``wait`` what is in flight is ended too."""
        if self._executor is not None:
            self._executor.shutdown(wait=wait, cancel_futures=not wait)


def own_folder(plan: Plan, name: str) -> Path:
    """A folder of the study's, beside its file; raises ``InputError`` where it is a link."""
    folder = plan.folder.absolute() / name
    if folder.is_symlink():  # it may have come with the study
        raise InputError(f"{folder} is a link, which may lead anywhere", "put a folder in its place")
    return folder


@contextmanager
def open_session(
    prepared: Prepared, options: Options, observer: Observer, test_split: bool = False
) -> Iterator[Session]:
    """Hold the lock, open the store, look for changes, write the log; then let go of everything.

    ``test_split`` says that trainings may be judged on it, so that a choice that would know it is refused.

    Raises:
        InputError: The study is being run already, its store can't be opened, or it changed since it began.
    """
    plan = prepared.plan
    with ExitStack() as held:
        new = [] if plan.lock.exists() else [plan.lock]
        own_lock = held.enter_context(locked(plan.lock))
        lock: Lock = own_lock
        try:
            if isinstance(plan.store, Path) and not plan.adhoc:
                of_store = plan.store.resolve()  # which another study may have too, by its name or by a link
                own = of_store.name == "study.db"  # beside which the study's own lock lies
                of_store = of_store.with_name("study.lock" if own else f".{of_store.name}.regnetlab-lock")
                if of_store != plan.lock.resolve():
                    fresh = not of_store.exists()
                    own_lock.beside = held.enter_context(locked(of_store))
                    new += [of_store] if fresh else []
                _check_one_name(plan.store)
            tables = None if plan.adhoc else unread_tables(plan)
            if tables is not None:  # refused before anything is written
                tables.check_contest()
                basis = tables.basis(prepared.data, device_here(prepared), options.accept_change)
            store = open_store(plan.store)
        except InputError:
            for each in new:  # nothing is left behind where there was nothing
                each.unlink(missing_ok=True)
            raise
        if not isinstance(plan.store, Path):
            lock = held.enter_context(leased(store, lock, _tell))
        said = [] if tables is None else [tables.keep(store, basis)]
        if not plan.adhoc:
            if test_split:
                check_unchanged(plan, store, prepared.data.checksum)
            device = device_here(prepared)
            said += _check_changes(plan, store, prepared.data.checksum, options.accept_change, device)
            known = with_data_facts(store.fact("provenance"), prepared.data, plan.budget)
            if known != store.fact("provenance"):
                store.keep("provenance", known)
        if prepared.setting.checkpoints is not None:  # what a killed process left half written
            for part in prepared.setting.checkpoints.glob(".*.part"):
                part.unlink(missing_ok=True)
        write: Write = (lambda facts: None) if plan.adhoc else log_writer(plan.log)
        observers = [observer, Log(write)]
        if options.mirror is not None:
            from regnetlab.trials.optuna_mirror import mirror

            observers.append(_Mirror(mirror(options.mirror, plan.name)))
        told = Observers(*observers)
        facts = {
            "executor": prepared.executor,
            "workers": prepared.request.workers,
            "store": mask(str(plan.store)),
        }
        write({"event": "run", **facts})
        for text in said:
            told.on_note(text)
        stop = held.enter_context(stop_on_signals(told.on_note))
        session = Session(prepared, store, lock, told, stop, options.accept_change)
        whole = False
        try:
            yield session
            whole = True
        except BaseException as error:
            line = (f"{type(error).__name__}: {error}".splitlines() or [""])[0]
            write({"event": "broken off", "why": mask(line)})
            if isinstance(error, BrokenPipeError):  # for ``main`` that is a reader who has seen enough
                raise InputError(
                    "nobody reads the run's output any more", "run it again: what was trained is kept"
                ) from None
            raise
        finally:
            session.close(wait=whole and not stop.out_of_time())
            lock.check()
        write({"event": "end"})


def _check_one_name(store: Path) -> None:
    """Raise ``InputError`` for a file under several names: their logs are apart, and so are their locks."""
    if store.exists() and store.stat().st_nlink > 1:
        raise InputError(
            f"store {store} has another name (a hard link), by which it could be run at the same time",
            "make it a file of its own: copy it, and put the copy in its place",
        )


def _check_changes(plan: Plan, store: Store, data: str, accept: bool, device: str | None) -> list[str]:
    """Where a change is accepted, later stages' tables of before are put aside; what was done, in words."""
    if not check_changes(plan, store, data, accept, device):
        return []
    return [put_aside(table) for table in (plan.baselines_table, plan.retrained) if table.exists()]


class _Mirror(Observer):
    """Copies each finished trial to an Optuna storage, for its dashboard."""

    def __init__(self, target: "Mirror") -> None:
        self._target = target

    def on_finish(self, trial: Trial, replay: str) -> None:
        self._target.add(trial)


def device_here(prepared: Prepared) -> str | None:
    """What computes on this machine; ``None`` where the workers of a cluster do."""
    if prepared.executor == "dask":
        return None
    return computed_on(torch.device(prepared.setting.device), prepared.setting.kernels)


@contextmanager
def stop_on_signals(note: Callable[[str], None]) -> Iterator[Stop]:
    """What is in flight is finished, nothing new begun, after the first Ctrl-C; the second ends at once.

    SIGTERM comes from a batch system that will soon kill, SIGHUP from a terminal that was closed (unless it
    is ignored, as under ``nohup``): what is not finished within ``GRACE`` seconds is handed back.
    """
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def ask(number: int, frame: object) -> None:
        if stop.is_set() and number == signal.SIGINT:
            raise KeyboardInterrupt
        if number != signal.SIGINT and stop.deadline is None:
            stop.deadline = time.monotonic() + GRACE
        if stop.is_set():
            return
        stop.asked.set()
        with suppress(RuntimeError):  # a stream that is being written to just now takes no other line
            if number != signal.SIGINT:
                note(f"stopping: what is in flight has {GRACE:.0f} s to finish, else it is handed back")
            else:
                note("stopping: the models in flight are finished first (again to stop at once)")

    numbers = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        numbers.append(signal.SIGHUP)
    kept = {each: signal.signal(each, ask) for each in numbers}
    try:
        yield stop
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)


def parse_bytes(text: str) -> int:
    """A size such as 500MB or 4GB (powers of 1,000) in bytes."""
    found = re.fullmatch(r"([0-9]{1,6}(?:\.[0-9]{1,3})?) ?([KMGT])B?", text.strip().upper())
    size = int(float(found[1]) * 1_000 ** ("KMGT".index(found[2]) + 1)) if found else 0
    if size < 100_000_000:
        raise InputError(f"run: memory is {text!r}", "write a size of at least 100MB, such as 4GB")
    return size


def _at_once(plan: Plan, device: torch.device) -> int:
    acts = max((job.acts for job in planned_jobs(plan)), default=None) if device.type == "cuda" else 0
    return default_workers(device, acts, plan.budget.images_per_step)


def _request(
    plan: Plan, options: Options, executor: str, workers: int | None, device: str, data: DataSet
) -> Request:
    scheduler = options.scheduler or plan.running.scheduler
    if scheduler is not None and executor != "dask":
        raise InputError(f"scheduler {scheduler!r} is for executor dask, and this is {executor}", "name one")
    if scheduler is not None:  # before anything is written
        (check_answers if "://" in scheduler else check_kind)(scheduler)
    cluster = dict(plan.running.cluster)
    if options.cluster is not None:
        cluster |= parse_toml(read_text(options.cluster), options.cluster)
    send = options.send_data or plan.running.send_data
    if send and folder_of_pack(plan.data) is not None:
        what = f"{plan.data} is not sent to workers: it may be larger than memory"
        raise InputError(what, "copy the pack to their machines")
    return Request(
        workers=workers,
        device=device,
        scheduler=scheduler,
        cluster=cluster,
        payload=pickle.dumps(data) if send and executor == "dask" else None,
        memory=None if plan.running.memory is None else parse_bytes(plan.running.memory),
    )


def _tell(text: str) -> None:
    print(printable(text), file=sys.stderr, flush=True)
