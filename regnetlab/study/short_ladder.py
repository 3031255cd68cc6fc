"""A short ladder of budgets on a few networks: how long a training takes here, and which budget is enough.

It decides what a walk is planned with, and counts for nothing else: its trainings are kept nowhere.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory

from regnetlab.study.minutes import Clock
from regnetlab.study.new_for_data import LEAST_STEPS, budget_for
from regnetlab.study.observer import Observer
from regnetlab.study.plan import Plan, Running
from regnetlab.study.session import Options, open_session, prepare
from regnetlab.study.stages import planned_jobs
from regnetlab.training.budget import WORST, Budget, Score
from regnetlab.training.datasets import Outline
from regnetlab.training.guessing import Guessing
from regnetlab.trials.job import Job

SHARE = 0.08
"""Of the time that there is, what the ladder may take."""
NETWORKS = 8
_RUNGS = (1, 2, 4, 8)  # times LEAST_STEPS


@dataclass(frozen=True, slots=True)
class Rung:
    """A budget of the ladder: seconds of a training, errors by network, and how these rank as those of the
    largest budget do (Spearman's correlation)."""

    budget: Budget
    seconds: float
    errors: Sequence[float]
    agreement: float = 1.0


def rung_budget(example: Budget, outline: Outline, steps: int) -> Budget:
    """So many optimiser steps on as many of the images as they can see."""
    wanted = replace(example, images=steps * example.batch_size, epochs=1)
    return replace(budget_for(wanted, outline), time_limit=max(example.time_limit, 600.0))


def short_ladder(
    plan: Plan, outline: Outline, options: Options, observer: Observer, clock: Clock
) -> tuple[list[Rung], Guessing, int]:
    """The first networks of the plan's first space at budgets that double, as long as ``SHARE`` allows.

    Returns:
        The budgets, what guessing earns, and how many trainings run at once.

    Raises:
        KeyboardInterrupt: It was stopped.
    """
    budgets = [rung_budget(plan.budget, outline, LEAST_STEPS * each) for each in _RUNGS]
    first = replace(plan.draws[0], n=NETWORKS)
    jobs = planned_jobs(replace(plan, draws=(first,)))
    ends = clock.left * (1 - SHARE)
    rungs: list[Rung] = []
    with TemporaryDirectory(prefix="regnetlab-") as folder:
        running = Running(storage=str(Path(folder) / "ladder.db"))
        adhoc = replace(plan, name="ladder", folder=Path(folder), budget=budgets[-1], draws=())
        adhoc = replace(adhoc, running=running, adhoc=True, images_stated=True)
        prepared = prepare(adhoc, options)
        with open_session(prepared, options, observer) as session:
            observer.on_note(f"measuring this machine with {len(jobs)} networks of {first.space.name}")
            for budget in budgets:
                before = clock.left
                here = [replace(job, budget=budget, space=f"{budget.steps} steps") for job in jobs]
                session.observer.on_begin(here, session.scores())
                session.train(here)
                scores = session.scores()
                if any(job.identity not in scores for job in here):
                    raise KeyboardInterrupt
                rungs.append(_rung(budget, here, scores))
                if clock.left - 2 * (before - clock.left) < ends:
                    break
        guess = prepared.data.guessing(plan.budget.validation)
    return _agreeing(rungs), guess, prepared.at_once


def _rung(budget: Budget, jobs: Sequence[Job], scores: Mapping[str, Score]) -> Rung:
    found = [scores[job.identity] for job in jobs]
    errors = [WORST if each.error is None else each.error for each in found]
    return Rung(budget, fmean(each.seconds for each in found), errors)


def _agreeing(rungs: Sequence[Rung]) -> list[Rung]:
    from scipy import stats

    last = rungs[-1].errors

    def agreement(rung: Rung) -> float:
        if len({*rung.errors}) == 1 or len({*last}) == 1:  # no ranks; as alike as can be where both have none
            return float(rung.errors == last)
        return float(stats.spearmanr(rung.errors, last).statistic)

    return [replace(each, agreement=agreement(each)) for each in rungs]
