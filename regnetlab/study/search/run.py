"""Running a search: propose a batch, train it, tell its errors, until there are enough trainings.

Killed at any moment, a search loses what was in flight; run again it makes the same proposals and trains what
is missing.
"""

from collections.abc import Mapping
from contextlib import suppress

from regnetlab.errors import InputError
from regnetlab.spaces.sampler import sample
from regnetlab.study.observer import Observer
from regnetlab.study.provenance import provenance
from regnetlab.study.search.definition import Candidate, Search, Step, search_job
from regnetlab.study.search.sampler import propose
from regnetlab.study.search.store import (
    SearchStore,
    kept_searches,
    known_scores,
    open_search,
    searches_frame,
)
from regnetlab.study.session import Options, Prepared, Session, open_session
from regnetlab.trials.csv_tables import SEARCHES
from regnetlab.trials.job import Job, Trial


def run_search(search: Search, prepared: Prepared, options: Options, observer: Observer) -> list[Step]:
    """Train what a search lacks, leave store and searches.csv behind, and return its finished trainings.

    ``prepared`` is what its plan needs (``session.prepare``).

    Raises:
        InputError: Before anything is trained: the regime can't be met, or data or study changed.
    """
    plan, data = search.plan, prepared.data
    sample(search.space, 1, plan.template, plan.regime)  # refuses a regime that can't be met
    try:
        plan.folder.mkdir(parents=True, exist_ok=True)  # of a search without a study
    except OSError as error:
        raise InputError(f"folder {plan.folder} can't be made: {error.strerror}") from None
    with open_session(prepared, options, observer) as session:
        store = open_search(search)
        known = store.provenance.get("data_checksum", data.checksum)
        if known != data.checksum:
            raise InputError(
                f"data {data.name} changed since this search began (checksum {data.checksum[:12]}, was"
                f" {known[:12]})",
                f"bring the old data back, or move {plan.searches_store.name} away to begin again",
            )
        facts = provenance(plan.folder, data, prepared.setting, plan.budget, prepared.request.workers)
        store.keep_provenance(facts)
        observer.on_begin([], {})
        try:
            steps = _train_batches(search, store, session)
        except BaseException:
            with suppress(Exception):  # what happened first is told
                _write_table(store, session)
            raise
        _write_table(store, session)
    return steps


def _write_table(store: SearchStore, session: Session) -> None:
    store.check_there()
    plan = session.plan
    kept = searches_frame(kept_searches(plan.searches_store))
    if backup := SEARCHES.write(plan.searches, SEARCHES.csv(kept)):
        session.observer.on_note(backup)


def _train_batches(search: Search, store: SearchStore, session: Session) -> list[Step]:
    checksum = session.data.checksum
    others = known_scores(search.plan.searches_store, checksum)
    steps = {number: step for number, step in store.steps().items() if number < search.trials}
    while len(steps) < search.trials and not session.stop.is_set():
        batch = next_batch(search, steps)
        jobs = {number: search_job(search, number, batch[number]) for number in batch if number not in steps}
        for job in jobs.values():
            if job.identity in others:  # of a search that kept its trainings apart, as they once were
                session.store.add(Trial(job, others[job.identity], checksum))
        known = (search_job(search, number, step.proposal) for number, step in steps.items())
        try:
            session.train(list(jobs.values()), known)
        except BaseException:  # interrupted too, a search has the proposals whose trainings are kept
            with suppress(Exception):
                _add_trained(store, session, jobs, batch)
            raise
        steps |= _add_trained(store, session, jobs, batch)
    return [steps[number] for number in sorted(steps)]


def _add_trained(
    store: SearchStore, session: Session, jobs: Mapping[int, Job], batch: Mapping[int, Candidate]
) -> dict[int, Step]:
    """Keep the proposals whose trainings are kept; returns them by number."""
    scores = session.scores()
    found = {
        number: Step(number, batch[number], scores[job.identity])
        for number, job in jobs.items()
        if job.identity in scores
    }
    for step in found.values():
        store.add(step)
    return found


def next_batch(search: Search, steps: dict[int, Step]) -> dict[int, Candidate]:
    """The proposals of the first batch that is not finished, those kept already as they are."""
    first = next(k for k in range(search.trials) if k not in steps) // search.batch * search.batch
    told = [steps[number] for number in range(first)]
    batch: dict[int, Candidate] = {}
    for number in range(first, min(first + search.batch, search.trials)):
        if number in steps:
            batch[number] = steps[number].proposal
        else:
            batch[number] = propose(search, told, list(batch.values()), number)
    return batch
