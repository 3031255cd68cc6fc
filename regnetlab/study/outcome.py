"""Where a study stands: its jobs, and what the finished ones scored. Needs no torch."""

from dataclasses import dataclass

from regnetlab.study.contest import NO_CONTEST, Contest, final_jobs, kept_contest, tuning_jobs
from regnetlab.study.jobs import derived_jobs, planned_jobs, population_hash
from regnetlab.study.plan import Plan
from regnetlab.study.store import Store
from regnetlab.training.budget import Score
from regnetlab.trials.job import Job


@dataclass(frozen=True, slots=True)
class Outcome:
    """The jobs of a study and the scores they have so far, by identity.

    ``derived`` tells whether the derived RegNets were chosen already and are among the jobs, ``contest``
    what was settled of the comparison with the baselines.
    """

    jobs: tuple[Job, ...]
    scores: dict[str, Score]
    derived: bool = False
    contest: Contest = NO_CONTEST

    @property
    def missing(self) -> list[Job]:
        return [job for job in self.jobs if job.identity not in self.scores]


def outcome(plan: Plan, store: Store) -> Outcome:
    """Where a study stands."""
    population = planned_jobs(plan)
    configs = store.derived(population_hash(population)) if plan.derived else None
    jobs = [*population, *derived_jobs(plan, configs or [])]
    contest = kept_contest(plan, store.contest)
    if contest.contenders:
        jobs += [*tuning_jobs(plan, contest.contenders), *final_jobs(plan, contest)]
    wanted = {job.identity for job in jobs}
    scores = {key: score for key, score in store.scores().items() if key in wanted}
    return Outcome(tuple(jobs), scores, derived=configs is not None, contest=contest)
