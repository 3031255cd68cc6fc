"""Who may become a network of the family: drawn, derived, named, or designed by hand."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from regnetlab.errors import InputError
from regnetlab.spaces.regime import Regime, Window, format_count
from regnetlab.spaces.space import DesignSpace
from regnetlab.study.baselines import Contender, as_contender
from regnetlab.study.effort import SIZES
from regnetlab.study.plan import Draw, Plan
from regnetlab.study.session import Session
from regnetlab.study.stages import planned_jobs, study_state
from regnetlab.study.walk import accepted, kept_spaces
from regnetlab.training.budget import mean_error
from regnetlab.trials.job import DERIVED, FINISHED, Job, training_seed

HAND_DESIGNED = ("resnet18", "vgg11_bn", "densenet_small")
"""What the family is compared with, as many of the first as there are candidates of a size."""


def candidates(session: Session, count: int) -> dict[str, list[Job]]:
    """Trainings of networks of each size at the study's own budget; so many are drawn for another size.

    Raises:
        InputError: No network of the accepted space is trained yet.
    """
    drawn: dict[str, list[Job]] = {}
    for name, factor in SIZES.items():
        try:
            drawn[name] = medium_trainings(session) if factor == 1 else _drawn(session, factor, count)
        except InputError as error:
            if factor == 1:
                raise
            session.observer.on_note(f"no {name} network: {error.what}")
    return drawn


def medium_trainings(session: Session) -> list[Job]:
    """The trainings of the accepted space, and of derived RegNets."""
    plan = session.plan
    state, space = study_state(plan, session.store), accepted(plan).name
    jobs = [job for job in state.jobs if job.space in (space, DERIVED) and job.identity in state.scores]
    if not jobs:
        raise InputError(f"study {plan.name}: no network of {space} is trained yet", begin_hint(plan))
    return jobs


def begin_hint(plan: Plan) -> str:
    """What to do where a study has no trainings."""
    return f"start with: regnetlab run {plan.name}"


def _drawn(session: Session, factor: float, count: int) -> list[Job]:
    """Networks of the accepted space at so many times the study's flops, and RegNets if a law is shown."""
    from regnetlab.analysis.derive import derive_regnets
    from regnetlab.study.results import study_trials
    from regnetlab.study.stages import derived_jobs

    plan = replace(session.plan, regime=scaled(session.plan.regime, factor))
    jobs = _first_that_has_some(plan, kept_spaces(session.plan)[::-1], count)
    with suppress(InputError):  # without evidence for a law there are none
        law = study_trials(session.plan)
        jobs += derived_jobs(plan, derive_regnets(law, count // 3, plan.template, plan.regime, plan.ranges))
    return [replace(job, space=FINISHED, replicate=0) for job in jobs]


def _first_that_has_some(plan: Plan, spaces: Sequence[DesignSpace], count: int) -> list[Job]:
    """Networks of the first of these spaces that has so many in the plan's regime.

    A narrow space may have none at another size: RegNets are never very small.
    """
    for space in spaces:
        try:
            return planned_jobs(replace(plan, draws=(Draw(space, count),), seeds=1, derived=0))
        except InputError as error:
            reason = error
    raise reason


def scaled(regime: Regime, factor: float) -> Regime:
    """The regime with all its windows at so many times their values."""
    windows: dict[str, Any] = {
        name: Window(window.low * factor, window.high * factor, window.unit)
        for name, window in regime.windows.items()
    }
    return replace(regime, **windows)


def named(plan: Plan, models: Sequence[str]) -> dict[str, list[Job]]:
    """The networks that were named, by a name that a folder can have."""
    from regnetlab.models.summary import summarise
    from regnetlab.study.members import member

    found: dict[str, list[Job]] = {}
    for number, text in enumerate(models, 1):
        model = member(plan, text)
        if model.text in [job.model for jobs in found.values() for job in jobs]:
            raise InputError(f"{text} is named twice: it is {model.text}", "name each network once")
        counts = summarise(model, plan.template)
        seed = training_seed(plan.seed, model.text, 0)
        short = "".join(c if c.isalnum() else "-" for c in text).strip("-")
        name = short if 0 < len(short) <= 40 and short not in found else f"network{number}"
        job = plan.job(
            model.text,
            seed,
            space=FINISHED,
            index=number,
            flops=counts.flops,
            params=counts.params,
            acts=counts.acts,
        )
        found[name] = [job]
    return found


def best_of(session: Session, jobs: Sequence[Job], most: int) -> list[Job]:
    """The networks with the least mean error, or the first ones where none has any."""
    scores = session.scores()
    errors: dict[str, list[float | None]] = {}
    first: dict[str, Job] = {}
    for job in jobs:
        first.setdefault(job.model, job)
        if job.identity in scores:
            errors.setdefault(job.model, []).append(scores[job.identity].error)
    means = {model: mean_error(found) for model, found in errors.items()}
    ranked = sorted((mean, model) for model, mean in means.items() if mean is not None)
    return [first[model] for _, model in ranked[:most]] or list(first.values())[:most]


def hand_designed_of(session: Session, last: Plan, flops: int, most: int) -> list[Contender]:
    """Hand-designed networks of these flops, as many as there are candidates of a size; one group."""
    found = []
    for name in HAND_DESIGNED[:most]:
        text = f"{name}@{format_count(float(f'{flops:.2g}'))}F"
        try:
            found.append(as_contender(last, name, text, "hand-designed"))
        except InputError as error:
            session.observer.on_note(f"{name} is left out: {error}")
    return found
