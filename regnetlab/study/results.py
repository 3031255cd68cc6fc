"""What a study has earned so far, for the analyses: its trials, its steps and its margin."""

from dataclasses import replace

from regnetlab.errors import InputError
from regnetlab.study.outcome import outcome
from regnetlab.study.plan import Plan
from regnetlab.study.provenance import guessing_in, recorded
from regnetlab.study.store import open_store
from regnetlab.trials.files import read_trials
from regnetlab.trials.table import Trials, trials_of


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
