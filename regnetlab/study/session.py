"""One sitting of a study: everything around the runner, from checking the data to writing trials.csv."""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import torch

from regnetlab.files import write_atomically
from regnetlab.models.registry import find_model
from regnetlab.study.contest import check_unchanged, hand_designed
from regnetlab.study.contest_table import LATENCY_BATCHES, contest_csv
from regnetlab.study.executors import Setup, check_executor
from regnetlab.study.lock import locked
from regnetlab.study.outcome import Outcome, outcome
from regnetlab.study.plan import Plan
from regnetlab.study.provenance import check_same_data, provenance
from regnetlab.study.runner import Derive, Progress, run
from regnetlab.study.store import Store, open_store
from regnetlab.study.trials import trials_csv
from regnetlab.training.batches import check_budget
from regnetlab.training.datasets import DataSet, load_data
from regnetlab.training.devices import AUTO, check_kernels, default_workers, find_device
from regnetlab.training.latency import latency


@dataclass(frozen=True, slots=True)
class Means:
    """What a study is run with: ``workers`` trainings at once (``None``: one per core or GPU)."""

    executor: str = "local"
    workers: int | None = None
    device: str = "auto"
    data_dir: Path | None = None
    kernels: str = AUTO


def run_study(plan: Plan, means: Means, display: AbstractContextManager[Progress], derive: Derive) -> Outcome:
    """Train what is missing and leave store and trials.csv behind, however it ends.

    Raises ``InputError`` before anything is written where the plan does not fit the data, the device
    or the executor is not there, or somebody else runs the study.
    """
    setup, data, workers = prepare(plan, means)
    hand_designed(plan)  # refuses a baseline that is not known or can't be had
    with locked(plan.lock) as lock:
        store = open_store(plan.store)
        check_same_data(store.provenance, data)
        check_unchanged(plan, store.contest, store.tested)
        stated = {"margin": store.provenance.get("margin", plan.margin)}  # before the first training
        store.keep_provenance(provenance(plan.folder, data, setup, workers) | stated)
        try:
            with display as progress:
                state = run(plan, store, setup, lock, progress, derive, means.executor, workers)
                _measure_latencies(store, state, plan, find_device(means.device), progress)
        finally:
            state = outcome(plan, store)
            store.keep_provenance(provenance(plan.folder, data, setup, workers) | stated)
            write_atomically(plan.trials, trials_csv(plan, state))
            if state.contest.contenders:
                write_atomically(plan.contest, contest_csv(plan, state, store.latencies))
    return state


def prepare(plan: Plan, means: Means) -> tuple[Setup, DataSet, int]:
    """What all trainings share, the data, and how many train at once; writes nothing.

    Raises ``InputError`` where the plan does not fit the data, or the device or executor is not there.
    """
    check_executor(means.executor)
    check_kernels(means.kernels)
    device = find_device(means.device)
    workers = 1 if means.executor == "inline" else means.workers or default_workers(device)
    data = load_data(plan.data, plan.template, means.data_dir)
    data.check_fits(plan.template)
    check_budget(data, plan.budget)
    setup = Setup(plan.template, plan.data, means.data_dir, str(device), plan.budget, means.kernels)
    return setup, data, workers


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
