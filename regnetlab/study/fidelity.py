"""The trainings behind ``regnetlab fidelity``: some networks of a study, each at a ladder of budgets.

They lie in the study's store, whose identities hold the budget, so a killed run goes on, what the study
itself has trained is used again, and no population can come to hold them: a population consists of the
identities that its plan asks for. The design and its reasons: docs/fidelity.md.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pandas as pd

from regnetlab.errors import InputError
from regnetlab.study.plan import Plan
from regnetlab.study.stages import basis_of, planned_jobs
from regnetlab.training.budget import Budget, Score
from regnetlab.trials.csv_tables import FIDELITY
from regnetlab.trials.job import Job
from regnetlab.trials.store import open_store

if TYPE_CHECKING:
    from regnetlab.study.observer import Observer
    from regnetlab.study.session import Options, Prepared

LADDER = (1_600, 3_200, 6_400)
"""Training images of the budgets that are tried where nothing else is said; the study's own joins them.
Where there are fewer images, a quarter, half and all of them are tried."""
NETWORKS = 10
"""Networks of each space that are trained at every budget, where nothing else is said."""
FEWEST_NETWORKS = 3
SEEDS = 2
"""Trainings of a network at each budget: the least that shows what seeds alone do to a ranking."""

_MOST_RUNGS = 20
_RUNG = re.compile(r"\s*(\d{1,9})(?:x(\d{1,5}))?(?:@(\d{1,7}))?(?:/(\d{1,9}))?\s*")


@dataclass(frozen=True, slots=True)
class Ladder:
    """The jobs of each budget, smallest budget first, and the scores that they have, by identity."""

    rungs: tuple[tuple[Budget, tuple[Job, ...]], ...]
    scores: Mapping[str, Score]

    @property
    def jobs(self) -> list[Job]:
        return [job for _, jobs in self.rungs for job in jobs]

    @property
    def missing(self) -> list[Job]:
        return [job for job in self.jobs if job.identity not in self.scores]


def default_ladder(there: int | None) -> str:
    """The budgets that are tried where nothing else is said, with so many images to train on."""
    most = LADDER[-1] if there is None else min(there, LADDER[-1])
    rungs = LADDER if most == LADDER[-1] else (max(2, most // 4), max(2, most // 2), most)
    return ",".join(map(str, rungs))


def parse_ladder(text: str, own: Budget) -> tuple[Budget, ...]:
    """The budgets written ``IMAGES[xEPOCHS][@BATCH][/VALIDATION]`` with commas between, and the ``own`` one.

    What a budget does not say is as in the study's own; the time limit grows with the images seen.
    Smallest first: by images seen, then steps, then validation images.
    """
    found = {own}
    for part in text.split(","):
        match = _RUNG.fullmatch(part)
        if match is None:
            raise InputError(
                f"--ladder {part.strip()[:40]!r} is no budget",
                "write IMAGES[xEPOCHS][@BATCH][/VALIDATION], as in 1600,3200 or 1600x4@16/1000",
            )
        names = ("images", "epochs", "batch_size", "validation")
        given: dict[str, Any] = {
            name: int(each) for name, each in zip(names, match.groups(), strict=True) if each
        }
        found.add(_in_time(replace(own, **given), own))
    if len(found) < 2:
        raise InputError("--ladder has the study's own budget alone", "add a smaller or a larger one")
    if len(found) > _MOST_RUNGS:
        raise InputError(f"--ladder has {len(found)} budgets", f"{_MOST_RUNGS} at most")
    return tuple(sorted(found, key=_size))


def ladder(plan: Plan, budgets: Sequence[Budget], networks: int) -> Ladder:
    """The jobs of the first ``networks`` of each space at every budget, and what the store has of them."""
    if networks < FEWEST_NETWORKS:
        raise InputError(
            f"--networks is {networks}", f"{FEWEST_NETWORKS} of each space are the least to rank"
        )
    few = tuple(replace(draw, n=min(draw.n, networks)) for draw in plan.draws)
    jobs = planned_jobs(replace(plan, draws=few, seeds=SEEDS, repeated=1.0))
    rungs = [(budget, tuple(replace(job, budget=budget) for job in jobs)) for budget in budgets]
    scores: Mapping[str, Score] = {}
    if plan.store.exists():
        store = open_store(plan.store)
        scores = store.scores(*basis_of(store))
    asked = {job.identity for _, there in rungs for job in there}
    return Ladder(tuple(rungs), {key: score for key, score in scores.items() if key in asked})


def run_fidelity(
    plan: Plan,
    options: "Options",
    observer: "Observer",
    budgets: Sequence[Budget],
    networks: int,
    prepared: "Prepared | None" = None,
) -> Ladder:
    """Train what the ladder has not yet, and leave store and fidelity.csv behind, however it ends.

    ``prepared`` is what the plan needs, where that was loaded already.

    Raises:
        InputError: As ``run.run_study`` does.
    """
    from regnetlab.study.session import open_session, prepare  # torch
    from regnetlab.study.take_in import read_ladder
    from regnetlab.training.batches import check_budget

    prepared = prepared or prepare(plan, options)
    for budget in budgets:
        check_budget(prepared.data, budget)
    with open_session(prepared, options, observer) as session:  # also notices what changed
        state = ladder(prepared.plan, budgets, networks)
        kept = read_ladder(prepared.plan, state.missing, basis_of(session.store))
        if kept:
            session.store.add_all(kept)
            count = f"{len(kept):,} training{'s' * (len(kept) != 1)}"
            session.observer.on_note(f"{count} taken in from {plan.fidelity.name}")
            state = ladder(prepared.plan, budgets, networks)
        try:
            session.observer.on_begin(state.jobs, state.scores)
            session.train(state.jobs)
        finally:
            state = ladder(prepared.plan, budgets, networks)
            _write(plan, state, observer)
    return state


def _write(plan: Plan, state: Ladder, observer: "Observer") -> None:
    if not state.scores:
        return
    if backup := FIDELITY.write(plan.fidelity, FIDELITY.csv(fidelity_frame(state))):
        observer.on_note(backup)


def fidelity_frame(state: Ladder) -> pd.DataFrame:
    """The finished trainings of the ladder as a table (``csv_tables.FIDELITY``), smallest budget first."""
    return FIDELITY.frame(
        {
            "images": budget.images,
            "epochs": budget.epochs,
            "batch_size": budget.batch_size,
            "validation": budget.validation,
            "space": job.space,
            "index": job.index,
            "replicate": job.replicate,
            "model": job.model,
            "flops": job.flops,
            "params": job.params,
            "acts": job.acts,
            "error": score.error,
            "ended": score.ended,
            "seed": job.seed,
            "seconds": round(score.seconds, 3),
            "curve": score.curve,
        }
        for budget, jobs in state.rungs
        for job in jobs
        if (score := state.scores.get(job.identity)) is not None
    )


def _in_time(budget: Budget, own: Budget) -> Budget:
    longer = budget.images * budget.epochs / (own.images * own.epochs)
    return replace(budget, time_limit=own.time_limit * max(1.0, longer))


def _size(budget: Budget) -> tuple[int, int, int]:
    return budget.images * budget.epochs, budget.steps, budget.validation
