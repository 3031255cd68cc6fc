"""One sitting of a study: everything around the runner, from checking the data to writing trials.csv."""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from regnetlab.files import write_atomically
from regnetlab.study.executors import Setup, check_executor
from regnetlab.study.lock import locked
from regnetlab.study.plan import Plan
from regnetlab.study.provenance import check_same_data, provenance
from regnetlab.study.runner import Derive, Outcome, Progress, outcome, run
from regnetlab.study.store import open_store
from regnetlab.study.trials import trials_csv
from regnetlab.training.batches import check_budget
from regnetlab.training.datasets import load_data
from regnetlab.training.devices import default_workers, find_device


@dataclass(frozen=True, slots=True)
class Means:
    """What a study is run with: ``workers`` trainings at once (``None``: one per core or GPU)."""

    executor: str = "local"
    workers: int | None = None
    device: str = "auto"
    data_dir: Path | None = None


def run_study(plan: Plan, means: Means, display: AbstractContextManager[Progress], derive: Derive) -> Outcome:
    """Train what is missing and leave store and trials.csv behind, however it ends.

    Raises ``InputError`` before anything is written where the plan does not fit the data, the device
    or the executor is not there, or somebody else runs the study.
    """
    check_executor(means.executor)
    device = find_device(means.device)
    workers = 1 if means.executor == "inline" else means.workers or default_workers(device)
    data = load_data(plan.data, plan.template, means.data_dir)
    data.check_fits(plan.template)
    check_budget(data, plan.budget)
    setup = Setup(plan.template, plan.data, means.data_dir, str(device), plan.budget, plan.recipe)
    with locked(plan.lock) as lock:
        store = open_store(plan.store)
        check_same_data(store.provenance, data)
        store.keep_provenance(provenance(plan.folder, data, setup.device, workers))
        try:
            with display as progress:
                run(plan, store, setup, lock, progress, derive, means.executor, workers)
        finally:
            state = outcome(plan, store)
            store.keep_provenance(provenance(plan.folder, data, setup.device, workers))
            write_atomically(plan.trials, trials_csv(plan, state))
    return state
