"""What a study has earned so far, for the analyses: its trials, its steps and its margin."""

from collections.abc import Container, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from regnetlab.analysis.baselines import BaselineComparison, baselines
from regnetlab.analysis.retrain import Retraining, retraining
from regnetlab.analysis.search import Trajectory, trajectories
from regnetlab.errors import InputError
from regnetlab.spaces.space import SPACES
from regnetlab.study.baselines import replaced_regnets
from regnetlab.study.plan import Plan
from regnetlab.study.provenance import extended_spaces, guessing_in, recorded
from regnetlab.study.search.definition import protocol
from regnetlab.study.stages import State, study_state, walk_steps
from regnetlab.study.take_in import read_tables
from regnetlab.trials.csv_tables import BASELINES, FIDELITY, LATENCY, LATENCY_BATCHES, RETRAINED, SEARCHES
from regnetlab.trials.job import FINAL, TUNING
from regnetlab.trials.table import NETWORK, Trials, trials_of
from regnetlab.trials.terms import Terms, unchanged

REPLACED = (
    "RegNets were derived again since some competed with hand-designed networks. There, names are those of"
    " the earlier ones: {}."
)
"""Of a RegNet whose name in the comparison with hand-designed networks means another one elsewhere."""
UNGROUPED = (
    "Which test images belong together is not recorded, so intervals take each image for itself and are too"
    " narrow; regnetlab run {} records it."
)
"""Of a contest on images in groups that was held before their numbers were recorded."""
_Latencies = Mapping[str, Mapping[str, Sequence[float]]]
"""Medians (and quartiles) in milliseconds by model and batch size."""


def study_so_far(plan: Plan) -> tuple[State, _Latencies]:
    """Where a study stands: by its store or, where that has no training of the plan, by its tables.

    Raises:
        InputError: A row of a table is no training that the plan asks for (``take_in.read_tables``).
    """
    state, latencies = State((), {}), {}
    if plan.store.exists():
        from regnetlab.trials.store import open_store  # SQLAlchemy

        store = open_store(plan.store)
        state, latencies = study_state(plan, store), store.fact("latencies")
    if not state.scores and plan.trials.exists():
        tables = read_tables(plan)
        return tables.state, tables.latencies
    return state, latencies


def study_trials(plan: Plan) -> Trials:
    """The trainings of populations and derived RegNets that a study has finished (``study_so_far``).

    Rows are in the order of the study's spaces, derived RegNets last.

    Raises:
        InputError: There are none yet, or a table is not the plan's.
    """
    state, _ = study_so_far(plan)
    found = trials_of(state.jobs, state.scores)
    if not found:
        raise InputError(f"study {plan.name} has no trainings yet", f"start with: regnetlab run {plan.name}")
    facts = recorded(plan)
    order = {name: place for place, name in enumerate(draw.space.name for draw in plan.draws)}
    ranks = found.frame["space"].map(lambda name: order.get(name, len(order)))
    planned = {draw.space.name: draw.n for draw in plan.draws}
    frame = _with_latencies(plan, found.frame.iloc[ranks.argsort(kind="stable")].reset_index(drop=True))
    return replace(
        found,
        frame=frame,
        steps=tuple(study_steps(plan)),
        guess=guessing_in(facts),
        template=plan.template,
        regime=plan.regime,
        ranges=plan.ranges,
        planned=planned,
        extended=extended_spaces(facts, planned, frame["space"]),
        terms=plan.terms,
        began=_began(facts),
        designs={draw.space.name: draw.space for draw in plan.draws},
    )


def _with_latencies(plan: Plan, frame: pd.DataFrame) -> pd.DataFrame:
    """The trainings with a column of their networks' milliseconds for one image, if a machine measured them.

    Of several machines it is the one that measured most networks.
    """
    measured = study_latency(plan)
    measured = measured[measured["batch"] == 1]
    if not len(measured):
        return frame
    machines = measured.groupby(["device", "processor", "threads"], sort=False)
    rows = max((group for _, group in machines), key=len).drop_duplicates(NETWORK, keep="last")
    known = rows.set_index(NETWORK)["median_ms"].to_dict()
    keys = zip(frame["space"], frame["index"], strict=True)
    return frame.assign(latency=[known.get(key, np.nan) for key in keys])


def baselines_frame(state: State, latencies: _Latencies) -> pd.DataFrame:
    """The finished trainings of tuning and final stage, tuning first, contenders in the plan's order.

    ``latencies`` are medians and quartiles in milliseconds by model and batch size.
    """
    rows = []
    for stage in (TUNING, FINAL):
        for job in state.jobs:
            score = state.scores.get(job.identity)
            if job.space == stage and score is not None:
                contender = state.baselines.contenders[job.index]
                times = latencies.get(contender.model, {})
                rows.append(
                    {
                        "stage": stage,
                        "contender": contender.name,
                        "model": contender.model,
                        "family": contender.family,
                        "flops": job.flops,
                        "params": job.params,
                        "acts": job.acts,
                        "lr": job.recipe.lr,
                        "seed": job.seed,
                        "error": score.error,
                        "test_error": score.test_error,
                        "ended": score.ended,
                        "images": score.images,
                        "seconds": round(score.seconds, 2),
                        **{
                            f"latency_{batch}_ms": round(times[str(batch)][0], 3)
                            if str(batch) in times
                            else None
                            for batch in LATENCY_BATCHES
                        },
                        "group": contender.group,
                        "correct": score.correct or "",
                    }
                )
    return BASELINES.frame(rows)


def compared_with_baselines(plan: Plan) -> BaselineComparison:
    """The study's networks beside the baselines; without networks before tuning."""
    facts, stated = recorded(plan), plan.baselines
    groups = np.array(facts["test_groups"].split(), np.int64) if "test_groups" in facts else None
    state, latencies = study_so_far(plan)
    others = replaced_regnets(state.baselines, state.jobs)
    names = ", ".join(f"{each.name} is {each.model}" for each in others)
    population = (0, 0.0)
    with suppress(InputError):  # a contest may stand without the trainings of its populations
        drawn = study_trials(plan).frame
        if "seconds" in drawn:
            population = len(drawn), float(drawn["seconds"].sum()) / 3600
    judged = baselines_frame(state, latencies)
    ungrouped = len(judged) > 0 and bool(plan.reading.group_by) and groups is None
    return baselines(
        judged,
        seeds=None if stated is None else stated.seeds,
        tuning_seeds=None if stated is None else stated.tuning_seeds,
        guess=guessing_in(facts),
        guess_test=guessing_in(facts, "test"),
        population=population,
        notes=[
            *[REPLACED.format(names)] * bool(others),
            *[UNGROUPED.format(plan.name)] * ungrouped,
        ],
        groups=groups,
    )


def study_searches(plan: Plan) -> pd.DataFrame:
    """The trainings of every search in the study's folder (``csv_tables.SEARCHES``), of whatever protocol."""
    if plan.searches_store.exists():
        from regnetlab.study.search.store import kept_searches, searches_frame  # Optuna

        return searches_frame(kept_searches(plan.searches_store))
    return SEARCHES.read(plan.searches) if plan.searches.exists() else SEARCHES.frame(())


def own_searches(plan: Plan) -> list[Trajectory]:
    """The searches that cost and earn what the study's own trainings do: same space, budget, recipe, data.

    Others, such as those made before the study file was changed, are left out.
    """
    known = {name: space.within(plan.ranges) for name, space in SPACES.items()}
    known |= {draw.space.name: draw.space for draw in plan.draws}
    protocols = {name: protocol(plan, space) for name, space in known.items()}
    found = trajectories(study_searches(plan))
    return [each for each in found if protocols.get(each.space) == each.protocol]


def study_retrained(plan: Plan) -> Retraining:
    """The best networks trained again, as retrained.csv has them; without networks before that."""
    there = plan.retrained.exists()
    return retraining(RETRAINED.read(plan.retrained) if there else RETRAINED.frame(()))


def study_fidelity(plan: Plan) -> pd.DataFrame:
    """The trainings of the study's ladder of budgets (``csv_tables.FIDELITY``); empty without one."""
    return FIDELITY.read(plan.fidelity) if plan.fidelity.exists() else FIDELITY.frame(())


def study_latency(plan: Plan) -> pd.DataFrame:
    """The latencies of the study's networks (``csv_tables.LATENCY``) that were measured, on any machine."""
    return LATENCY.read(plan.latencies) if plan.latencies.exists() else LATENCY.frame(())


def study_steps(plan: Plan) -> list[tuple[str, str]]:
    """The steps of a study: every space and the one before it that has its block and stages; a custom space
    and its parent; of a walk its own. Then the blocks among each other, and the numbers of stages: the last
    space of each.
    """
    if plan.terms.walk:
        return walk_steps(plan)
    names = [draw.space.name for draw in plan.draws]
    pairs = []
    last: dict[tuple[str, tuple[int, ...]], str] = {}
    for draw in plan.draws:
        space, kind = draw.space, (draw.space.block_text, draw.space.stages)
        if space.parent in names:
            pairs.append((space.parent, space.name))
        elif kind in last:
            pairs.append((last[kind], space.name))
        last[kind] = space.name
    for (one, a), (other, b) in combinations(last.items(), 2):
        if one[0] == other[0] or one[1] == other[1]:
            pairs.append((a, b))
    return pairs


def stated_terms(plan: Plan, given: Container[str] = ()) -> Terms:
    """The terms that a study states; raises ``InputError`` unless it did before its first training.

    Those ``given`` by name elsewhere are not looked at.
    """
    return unchanged(plan.terms, _began(recorded(plan)), given, f"study {plan.name}")


def _began(facts: Mapping[str, Any]) -> Terms | None:
    """The terms that a study stated when its first training began; ``None`` before that."""
    if "margin" not in facts:
        return None
    return Terms(**{name: facts.get(name, usual) for name, usual in asdict(Terms()).items()})
