"""The best networks of a study, trained again with seeds that they were not chosen by.

Of every space, of the derived RegNets and of every search under the study's protocol, the networks with the
least errors. Their trainings lie in the study's store like all others, so they are made once; retrained.csv
holds those of the networks that were the best when ``retrain`` ran last.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import numpy as np
import pandas as pd

from regnetlab.analysis.retrain import Retraining, retraining
from regnetlab.analysis.search import Trajectory
from regnetlab.errors import InputError
from regnetlab.spaces.law import parse_config
from regnetlab.study.observer import Observer
from regnetlab.study.plan import Plan
from regnetlab.study.results import own_searches, study_trials
from regnetlab.study.session import Options, open_session, prepare
from regnetlab.study.stages import State, study_state
from regnetlab.trials.csv_tables import RETRAINED as TABLE
from regnetlab.trials.job import MOST_AGAIN, RETRAINED, Job, fresh_seeds
from regnetlab.trials.table import complete, networks_of, trials_of

MOST_NETWORKS = 1_000


@dataclass(frozen=True, slots=True)
class Chosen:
    """A network to train again: number ``rank`` by the error ``first`` among ``of`` of ``space``, a space or
    a search. ``job`` is any training of it."""

    space: str
    index: int
    rank: int
    of: int
    first: float
    job: Job


def retrain(
    plan: Plan, options: Options, observer: Observer, top: int = 3, seeds: int = 5
) -> tuple[Retraining, int]:
    """Train what is missing, leave store and retrained.csv behind, and return the result so far.

    Args:
        plan: The study.
        options: What it is trained with.
        observer: Told what happens.
        top: Networks of each space and search.
        seeds: Fresh trainings of each.

    Returns:
        The networks that were trained again, and how many trainings are left where it was stopped.

    Raises:
        InputError: Before anything is trained: one of the numbers can't be, no network has an error, or as
            ``run.run_study`` does.
    """
    if not 1 <= top <= MOST_NETWORKS:
        raise InputError(
            f"top is {top}", f"it must be between 1 and {MOST_NETWORKS:,} networks of each space"
        )
    if not 2 <= seeds <= MOST_AGAIN:
        raise InputError(f"seeds is {seeds}", f"2 to {MOST_AGAIN} trainings each: one has no deviation")
    if study_trials(plan).frame["error"].isna().all():
        raise _no_errors(plan)
    prepared = prepare(plan, options)
    with open_session(prepared, options, observer) as session:
        state = study_state(session.plan, session.store)
        best = choose(state, own_searches(session.plan), session.plan, top)
        if not best:  # after a change that was accepted, such as of the data
            raise _no_errors(plan)
        jobs = [_jobs(session.plan, state, place, each, seeds) for place, each in enumerate(best)]
        every = [job for trainings in jobs for job in trainings]
        asked = {job.identity for job in every}
        known = {key: score for key, score in session.scores().items() if key in asked}
        session.observer.on_begin(every, known)
        try:
            session.train(every)
        finally:
            scores = session.scores()
            rows = TABLE.frame(
                {
                    **{name: getattr(each, name) for name in ("space", "index", "rank", "of", "first")},
                    "model": job.model,
                    "seed": job.seed,
                    "error": score.error,
                    "ended": score.ended,
                    "images": score.images,
                    "seconds": round(score.seconds, 2),
                }
                for each, trainings in zip(best, jobs, strict=True)
                for job in trainings
                if (score := scores.get(job.identity)) is not None
            )
            _write(plan, rows, observer)
        return retraining(rows), len({job.identity for job in every} - {*scores})


def choose(state: State, searches: Sequence[Trajectory], plan: Plan, top: int) -> list[Chosen]:
    """The ``top`` networks with the least errors of each space, derived RegNets among them, and each search.

    Of networks with several trainings the mean of as many as all have; of equal errors the lower number.
    """
    frame = trials_of(state.jobs, state.scores).frame
    jobs = {(job.space, job.index): job for job in reversed(state.jobs)}
    sizes = networks_of(frame).groupby("space").size()
    scored = complete(frame)
    found = []
    for space, rows in scored.groupby("space", sort=False):
        best = rows.sort_values(["error", "index"], kind="stable").head(top)
        for rank, (index, error) in enumerate(zip(best["index"], best["error"], strict=True), 1):
            place = (str(space), int(index))
            found.append(Chosen(*place, rank, int(sizes[space]), float(error), jobs[place]))
    labels = [f"{each.space}, {each.label}" for each in searches]
    for label, each in zip(labels, searches, strict=True):
        name = label if labels.count(label) == 1 else f"{label}, batch {each.batch}"
        order = [int(i) for i in np.argsort(each.errors, kind="stable") if np.isfinite(each.errors[i])]
        for rank, i in enumerate(order[:top], 1):
            counts: dict[str, Any] = {key: int(getattr(each, key)[i]) for key in ("flops", "params", "acts")}
            job = plan.job(each.models[i], 0, config=parse_config(each.models[i]), **counts)
            found.append(Chosen(name, i, rank, len(each), float(each.errors[i]), job))
    return found


def _jobs(plan: Plan, state: State, place: int, chosen: Chosen, seeds: int) -> list[Job]:
    model = chosen.job.model
    used = {job.seed for job in state.jobs if job.model == model}
    return [
        replace(chosen.job, seed=seed, space=RETRAINED, index=place, replicate=replicate, final=False)
        for replicate, seed in enumerate(islice(fresh_seeds(plan.seed, model, used), seeds))
    ]


def _write(plan: Plan, rows: pd.DataFrame, observer: Observer) -> None:
    if len(rows) and (kept := TABLE.write(plan.retrained, TABLE.csv(rows))):
        observer.on_note(kept)


def _no_errors(plan: Plan) -> InputError:
    return InputError(
        f"study {plan.name}: no training has earned an error yet", f"go on with: regnetlab run {plan.name}"
    )
