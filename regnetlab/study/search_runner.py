"""Running a search: propose a batch, train it, tell its errors, until there are enough trainings.

The trainings go through the same executors as a study's (``runner.train_all``). Killed at any moment, a
search loses what was in flight; run again it makes the same proposals and trains what is missing.
"""

from collections import deque
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager

from regnetlab.errors import InputError
from regnetlab.execution.base import Place
from regnetlab.execution.worker import Report, Setup
from regnetlab.files import write_atomically
from regnetlab.spaces.sampler import sample
from regnetlab.study.replay import again
from regnetlab.study.dispatch import Stop
from regnetlab.study.lock import Lock, locked
from regnetlab.study.provenance import check_same_data, provenance
from regnetlab.study.runner import Progress, stop_on_signals, train_all, training_place
from regnetlab.study.search import Proposal, Search, Step, search_job
from regnetlab.study.search_sampler import propose
from regnetlab.study.search_store import SearchStore, kept_searches, known_scores, open_search
from regnetlab.study.search_table import searches_csv
from regnetlab.study.session import Ready
from regnetlab.study.store import open_store
from regnetlab.training.budget import Score
from regnetlab.trials.job import Job


class Course:
    """A search on its way: what is finished, and the batch in training."""

    def __init__(self, store: SearchStore, known: Mapping[str, Score]) -> None:
        """``known`` are scores of trainings done for others, by identity; they are not done again."""
        self._store, self._search, self._known = store, store.search, known
        self.steps = {k: step for k, step in store.steps().items() if k < self._search.trials}
        self._batch: dict[int, Proposal] = {}
        self._waiting: set[int] = set()

    def advance(self) -> list[Job]:
        """Keep what is known already, and return the trainings that are needed next; none at the end."""
        while len(self.steps) < self._search.trials:
            self._batch = self._next_batch()
            missing = [k for k in self._batch if k not in self.steps]
            jobs = [search_job(self._search, k, self._batch[k]) for k in missing]
            needed = []
            for job in jobs:
                if job.identity in self._known:
                    self._keep(job.index, self._known[job.identity])
                else:
                    needed.append(job)
            if needed:
                self._waiting = {job.index for job in needed}
                return needed
        return []

    def finish(self, job: Job, score: Score) -> list[Job]:
        """Keep a training, and return those that may begin now."""
        self._keep(job.index, score)
        self._waiting.discard(job.index)
        return [] if self._waiting else self.advance()

    def _keep(self, number: int, score: Score) -> None:
        step = Step(number, self._batch[number], score)
        self._store.add(step)
        self.steps[number] = step

    def _next_batch(self) -> dict[int, Proposal]:
        """The proposals of the first batch that is not finished, those kept already as they are."""
        search = self._search
        first = next(k for k in range(search.trials) if k not in self.steps) // search.batch * search.batch
        told = [self.steps[k] for k in range(first)]
        batch: dict[int, Proposal] = {}
        for number in range(first, min(first + search.batch, search.trials)):
            kept = self.steps.get(number)
            batch[number] = (
                propose(search, told, list(batch.values()), number) if kept is None else kept.proposal
            )
        return batch


def run_course(
    course: Course,
    setup: Setup,
    lock: Lock,
    progress: Progress,
    place: Callable[[], Place],
    stop: Stop,
) -> None:
    """Train until the search is complete or stopped."""
    todo = deque(course.advance())

    def keep(job: Job, report: Report) -> None:
        lock.check()
        more = course.finish(job, report.score)
        progress.finished(job, report.score, again(setup, job, report.score))
        todo.extend(more)

    train_all(todo, keep, setup, lock, progress, place, stop)


def run_search(search: Search, ready: Ready, display: AbstractContextManager[Progress]) -> list[Step]:
    """Train what a search lacks, leave store and searches.csv behind, and return its finished trainings.

    ``ready`` is what its plan needs (``session.prepare``). Raises ``InputError`` before anything is written
    where the space does not allow it.
    """
    plan, setup, data = search.plan, ready.setup, ready.data
    sample(search.space, 1, plan.template, plan.regime)  # refuses a regime that can't be met
    try:
        plan.folder.mkdir(parents=True, exist_ok=True)  # of a search without a study
    except OSError as error:
        raise InputError(f"folder {plan.folder} can't be made: {error.strerror}") from None
    with locked(plan.lock) as lock:
        known: dict[str, Score] = {}
        if plan.store.exists():
            population = open_store(plan.store)
            check_same_data(population.provenance, data)
            known = population.scores()
        store = open_search(search)
        check_same_data(store.provenance, data, plan.searches_store.name)
        store.keep_provenance(provenance(plan.folder, data, setup, ready.wanted.workers))
        known = known_scores(plan.searches_store) | known
        course = Course(store, known)
        try:
            with (
                display as progress,
                stop_on_signals(progress) as stop,
                training_place(ready.executor, ready.wanted, progress, stop) as place,
            ):
                progress.begin([], {})
                for note in ready.before(plan.budget) if len(course.steps) < search.trials else ():
                    progress.note(note)
                run_course(course, setup, lock, progress, place, stop)
        finally:
            write_atomically(plan.searches, searches_csv(kept_searches(plan.searches_store)))
    return [course.steps[k] for k in sorted(course.steps)]
