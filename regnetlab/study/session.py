"""One sitting of a study: everything around the runner, from checking the data to writing trials.csv."""

import pickle
import re
import sys
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

import torch

from regnetlab.errors import InputError
from regnetlab.execution import check_executor
from regnetlab.execution.base import Wanted
from regnetlab.execution.clusters import check_kind
from regnetlab.execution.dask import check_answers
from regnetlab.execution.worker import Setup, computed_on
from regnetlab.files import write_atomically
from regnetlab.models.registry import find_model
from regnetlab.study.changes import check_changes
from regnetlab.study.contest import check_unchanged, hand_designed
from regnetlab.study.contest_table import LATENCY_BATCHES, contest_csv
from regnetlab.study.events import Logged, log_writer, told_to
from regnetlab.study.jobs import planned_jobs
from regnetlab.study.lock import Lock, locked
from regnetlab.study.outcome import Outcome, outcome
from regnetlab.study.plan import Plan
from regnetlab.study.provenance import provenance, provenance_json, with_data_facts
from regnetlab.study.runner import Derive, Progress, run
from regnetlab.study.store import Store, open_store
from regnetlab.study.stores.lease import leased
from regnetlab.study.stores.location import mask
from regnetlab.training.batches import check_budget, settled_images
from regnetlab.training.budget import Budget
from regnetlab.training.datasets import DataSet, load_data
from regnetlab.training.devices import AUTO, check_kernels, default_workers, find_device
from regnetlab.training.folders.listener import Listener
from regnetlab.training.latency import latency
from regnetlab.trials.table import trials_of


@dataclass(frozen=True, slots=True)
class Means:
    """What a study is run with; ``None`` is what its file says in [run] (see ``Running``)."""

    executor: str | None = None
    workers: int | None = None
    device: str = "auto"
    data_dir: Path | None = None
    kernels: str = AUTO
    scheduler: str | None = None
    send_data: bool = False
    accept_change: bool = False
    skip_unreadable: bool = False
    listener: Listener = field(default_factory=Listener)


def run_study(plan: Plan, means: Means, display: AbstractContextManager[Progress], derive: Derive) -> Outcome:
    """Train what is missing and leave store and trials.csv behind, however it ends.

    A plan without a stated number of images is run with the number that ``prepare`` finds.

    Raises ``InputError`` before anything is written where the plan does not fit the data, the device
    or the executor is not there, or somebody else runs the study.
    """
    ready = prepare(plan, means)
    plan, setup, data, wanted = ready.plan, ready.setup, ready.data, ready.wanted
    hand_designed(plan)  # refuses a baseline that is not known or can't be had
    with ExitStack() as held:
        lock: Lock = held.enter_context(locked(plan.lock))
        store = open_store(plan.store)
        if not isinstance(plan.store, Path):
            lock = held.enter_context(leased(store, lock, _tell))
        check_unchanged(plan, store.contest, store.tested)
        here = ready.executor != "dask"  # else the workers' devices, which ``dispatch`` compares
        device = computed_on(torch.device(setup.device).type, setup.kernels) if here else None
        check_changes(plan, store, data.checksum, means.accept_change, device)

        @cache
        def accepted(device: str) -> None:
            """That the devices of a cluster's workers, known once they trained, are those of before."""
            check_changes(plan, store, data.checksum, means.accept_change, device)

        stated = {"margin": store.provenance.get("margin", plan.margin)}  # before the first training
        facts = {"executor": ready.executor}
        before = len(store.scores())
        missing = bool(outcome(plan, store).missing)
        if missing:  # a run that trains nothing says nothing of the errors
            store.keep_provenance(provenance(plan.folder, data, setup, wanted.workers) | facts | stated)
            write_atomically(plan.provenance, provenance_json(store))
        elif (known := with_data_facts(store.provenance, data, plan.budget)) != store.provenance:
            store.keep_provenance(known)
        write = log_writer(plan.log)
        try:
            write({"event": "run", **facts, "workers": wanted.workers, "store": str(plan.store)})
            with display as shown:
                progress = Logged(shown, write, ready.before(plan.budget) if missing else ())
                at_once = wanted.workers or 1
                told = told_to(write, accepted)
                state = run(plan, store, setup, lock, progress, derive, ready.executor, at_once, wanted, told)
                there = find_device("cpu" if ready.executor == "dask" else setup.device)
                _measure_latencies(store, state, plan, there, progress)
        except BaseException as error:
            write({"event": "broken off", "why": mask(f"{type(error).__name__}: {error}".splitlines()[0])})
            raise
        finally:
            lock.check()
            state = outcome(plan, store)
            if len(store.scores()) > before:
                store.keep_provenance(provenance(plan.folder, data, setup, wanted.workers) | facts | stated)
            write_atomically(plan.trials, trials_of(state.jobs, state.scores).to_csv())
            write_atomically(plan.provenance, provenance_json(store))
            if state.contest.contenders:
                write_atomically(plan.contest, contest_csv(plan, state, store.latencies))
        write({"event": "end", "left": len(state.missing)})
    return state


@dataclass(frozen=True, slots=True)
class Ready:
    """What trainings need: the plan, what they share, the data, where they run, and notes on the data."""

    plan: Plan
    setup: Setup
    data: DataSet
    executor: str
    wanted: Wanted
    notes: tuple[str, ...]

    def before(self, budget: Budget) -> tuple[str, ...]:
        """What is said before trainings of this budget."""
        return tuple(filter(None, (*self.notes, budget.few_steps())))


def prepare(plan: Plan, means: Means) -> Ready:
    """Everything that a run needs before it writes something.

    Raises ``InputError`` where the plan does not fit the data, or the device or executor is not there.
    """
    executor = means.executor or ("dask" if means.scheduler else plan.running.executor)
    check_executor(executor)
    check_kernels(means.kernels)
    here = executor != "dask"  # whether this machine trains; a cluster's workers have devices of their own
    device = find_device(means.device) if here else torch.device("cpu")
    skip = means.skip_unreadable or plan.reading.skip_unreadable
    reading = replace(plan.reading, skip_unreadable=skip)
    data = load_data(plan.data, plan.template, means.data_dir, reading, means.listener)
    data.check_fits(plan.template)
    budget, note = (plan.budget, "") if plan.images_stated else settled_images(data, plan.budget)
    check_budget(data, budget)
    plan = replace(plan, budget=budget)
    workers = means.workers or plan.running.workers or (_at_once(plan, device) if here else None)
    name = str(device) if here else means.device
    shared = (plan.template, plan.data, means.data_dir, name, budget, means.kernels)
    setup = Setup(*shared, checksum=data.checksum, reading=reading)
    majority = data.majority_error(budget.validation)
    guess = f"always answering the commonest class has an error of {majority:.2f}%"
    notes = (*data.lines(), note, guess)
    return Ready(plan, setup, data, executor, _wanted(plan, means, executor, workers, name, data), notes)


def _at_once(plan: Plan, device: torch.device) -> int:
    acts = max(job.acts for job in planned_jobs(plan)) if device.type == "cuda" else 0
    return default_workers(device, acts, plan.budget.images_per_step)


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _wanted(
    plan: Plan, means: Means, executor: str, workers: int | None, device: str, data: DataSet
) -> Wanted:
    scheduler = means.scheduler or plan.running.scheduler
    if scheduler is not None and executor != "dask":
        raise InputError(f"scheduler {scheduler!r} is for executor dask, and this is {executor}", "name one")
    if scheduler is not None:  # before anything is written
        (check_answers if "://" in scheduler else check_kind)(scheduler)
    send = means.send_data or plan.running.send_data
    return Wanted(
        workers=workers,
        device=device,
        scheduler=scheduler,
        cluster=plan.running.cluster,
        payload=pickle.dumps(data) if send and executor == "dask" else None,
        memory=None if plan.running.memory is None else parse_bytes(plan.running.memory),
    )


def parse_bytes(text: str) -> int:
    """A size such as 500MB or 4GB (powers of 1,000) in bytes."""
    found = re.fullmatch(r"([0-9]{1,6}(?:\.[0-9]{1,3})?) ?([KMGT])B?", text.strip().upper())
    size = int(float(found[1]) * 1_000 ** ("KMGT".index(found[2]) + 1)) if found else 0
    if size < 100_000_000:
        raise InputError(f"run: memory is {text!r}", "write a size of at least 100MB, such as 4GB")
    return size


def _measure_latencies(
    store: Store, state: Outcome, plan: Plan, device: torch.device, progress: Progress
) -> None:
    """Latencies of the contenders, once everything is trained and the machine is quiet."""
    if state.missing or state.contest.chosen is None:
        return
    known = dict(store.latencies)
    missing = [each.model for each in state.contest.contenders if each.model not in known]
    if missing:
        progress.note("measuring the contenders' inference latency")
    for model in missing:
        build = find_model(model).build
        measured = [latency(build, plan.template, device, batch) for batch in LATENCY_BATCHES]
        known[model] = {str(each.batch): [each.median, each.low, each.high] for each in measured}
        store.keep_latencies(known)
