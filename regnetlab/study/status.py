"""The status of a study: what a finished or unfinished one looks like from outside."""

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from regnetlab.analysis.guessing import guessed, has_learned
from regnetlab.study.outcome import Outcome
from regnetlab.study.plan import Plan
from regnetlab.training.budget import COMPLETE
from regnetlab.training.guessing import Guessing
from regnetlab.trials.job import DERIVED, FINAL, TUNING


def status(
    plan: Plan, state: Outcome, running: int, workers: Sequence[Mapping[str, Any]] = ()
) -> dict[str, Any]:
    """How many models of each space are planned, complete and failed, and their errors.

    ``planned`` counts derived RegNets and the contest from the start, although they are settled only
    later. Errors are those on the validation split. ``workers`` are those of the run that goes on, or of
    the last one (``study.workers``).
    """
    spaces: list[dict[str, Any]] = []
    names = [draw.space.name for draw in plan.draws] + ([DERIVED] if plan.derived else [])
    names += [TUNING, FINAL] if plan.baselines is not None else []
    later = _pending(plan, state)
    for name in names:
        jobs = [job for job in state.jobs if job.space == name]
        done = [state.scores[job.identity] for job in jobs if job.identity in state.scores]
        errors = [s.error for s in done if s.ended == COMPLETE and s.error is not None]
        spaces.append(
            {
                "space": name,
                "planned": len(jobs) + later.get(name, 0),
                "complete": len(errors),
                "failed": len(done) - len(errors),
                "min": min(errors, default=None),
                "median": statistics.median(errors) if errors else None,
            }
        )
    totals = {key: sum(each[key] for each in spaces) for key in ("planned", "complete", "failed")}
    return {"study": plan.name, **totals, "running": running, "spaces": spaces, "workers": list(workers)}


def with_guessing(
    status: Mapping[str, Any], errors: Mapping[str, Sequence[float]], guess: Guessing | None
) -> dict[str, Any]:
    """A study's status with what guessing gives and which spaces have learned, by their errors."""
    spaces = [
        {**each, "learned": has_learned(errors.get(each["space"], ()), guess)} for each in status["spaces"]
    ]
    return {**status, "spaces": spaces, **guessed(guess, errors)}


def errors_by_space(state: Outcome) -> dict[str, list[float]]:
    """The errors of drawn and derived networks, a training each.

    Those of the baselines are left out: some of the learning rates that are tried are meant to be too high.
    """
    errors: dict[str, list[float]] = {}
    for job in state.jobs:
        score = state.scores.get(job.identity)
        if score is not None and score.error is not None and job.space not in (TUNING, FINAL):
            errors.setdefault(job.space, []).append(score.error)
    return errors


def _pending(plan: Plan, state: Outcome) -> dict[str, int]:
    """Trainings of stages that are planned but not settled yet; those of baselines at most so many."""
    if plan.baselines is None:
        pending = {}
    else:
        known = len(state.contest.contenders)
        most = len(plan.baselines.names) * len(plan.baselines.forms) + plan.baselines.regnets
        contenders = known or most
        tuned = state.contest.chosen is not None
        pending = {
            TUNING: 0 if known else contenders * len(plan.baselines.lr) * plan.baselines.tuning_seeds,
            FINAL: 0 if tuned else contenders * plan.baselines.seeds,
        }
    return pending | {DERIVED: 0 if state.derived else plan.derived * plan.seeds}
