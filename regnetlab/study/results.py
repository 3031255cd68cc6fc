"""What a study has earned so far, for the analyses: its trials, its steps and its margin."""

from dataclasses import replace

import pandas as pd

from regnetlab.analysis.baselines import BaselineComparison, baselines
from regnetlab.errors import InputError
from regnetlab.study.contest_table import contest_csv
from regnetlab.study.outcome import outcome
from regnetlab.study.plan import Plan
from regnetlab.study.provenance import guessing_in, recorded
from regnetlab.study.search_store import kept_searches
from regnetlab.study.search_table import searches_csv
from regnetlab.study.store import open_store
from regnetlab.trials.files import read_trials
from regnetlab.trials.table import Trials, trials_of
from regnetlab.trials.tables import BASELINES, FIDELITY, LATENCY, SEARCHES


def study_trials(plan: Plan) -> Trials:
    """The trainings that a study has finished: from its store, or from trials.csv without one.

    Rows are in the order of the study's spaces, derived RegNets last.
    """
    found = None
    if plan.store.exists():
        state = outcome(plan, open_store(plan.store))
        found = trials_of(state.jobs, state.scores)
    elif plan.trials.exists():
        found = read_trials([plan.trials], "percent")
    if not found:
        raise InputError(f"study {plan.name} has no trainings yet", f"begin with: regnetlab run {plan.name}")
    order = {name: place for place, name in enumerate(draw.space.name for draw in plan.draws)}
    ranks = found.frame["space"].map(lambda name: order.get(name, len(order)))
    frame = found.frame.iloc[ranks.argsort(kind="stable")].reset_index(drop=True)
    return replace(found, frame=frame, steps=tuple(study_steps(plan)), guess=guessing_in(recorded(plan)))


def study_baselines(plan: Plan) -> pd.DataFrame:
    """The trainings of the comparison with the baselines (``tables.BASELINES``); empty before tuning."""
    if plan.store.exists():
        store = open_store(plan.store)
        return BASELINES.parse(contest_csv(plan, outcome(plan, store), store.latencies), plan.contest)
    return BASELINES.read(plan.contest) if plan.contest.exists() else BASELINES.frame(())


def compared_with_baselines(plan: Plan) -> BaselineComparison:
    """The study's networks beside the baselines; without networks before tuning."""
    facts, stated = recorded(plan), plan.baselines
    return baselines(
        study_baselines(plan),
        seeds=None if stated is None else stated.seeds,
        tuning_seeds=None if stated is None else stated.tuning_seeds,
        guess=guessing_in(facts),
        guess_test=guessing_in(facts, "test"),
    )


def study_searches(plan: Plan) -> pd.DataFrame:
    """The trainings of every search in the study's folder (``tables.SEARCHES``), of whatever protocol."""
    if plan.searches_store.exists():
        return SEARCHES.parse(searches_csv(kept_searches(plan.searches_store)), plan.searches)
    return SEARCHES.read(plan.searches) if plan.searches.exists() else SEARCHES.frame(())


def study_fidelity(plan: Plan) -> pd.DataFrame:
    """The trainings of the study's ladder of budgets (``tables.FIDELITY``); empty without one."""
    return FIDELITY.read(plan.fidelity) if plan.fidelity.exists() else FIDELITY.frame(())


def study_latency(plan: Plan) -> pd.DataFrame:
    """The latencies of the study's networks (``tables.LATENCY``) that were measured, on any machine."""
    return LATENCY.read(plan.latencies) if plan.latencies.exists() else LATENCY.frame(())


def study_steps(plan: Plan) -> list[tuple[str, str]]:
    """The steps of a study: every space and the one before it; a custom space and its parent."""
    names = [draw.space.name for draw in plan.draws]
    pairs = []
    for place, draw in enumerate(plan.draws):
        if draw.space.parent in names:
            pairs.append((draw.space.parent, draw.space.name))
        elif place:
            pairs.append((names[place - 1], draw.space.name))
    return pairs


def stated_margin(plan: Plan) -> float:
    """The margin that a study states; raises ``InputError`` unless it did before its first training."""
    began = recorded(plan).get("margin")
    if began is not None and began != plan.margin:
        raise InputError(
            f"study {plan.name} began with margin {began:g} and now states {plan.margin:g}",
            (
                f"a margin chosen"
                f" after the errors are known proves nothing: put {began:g} back, or give --margin"
            ),
        )
    return plan.margin
