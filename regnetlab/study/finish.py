"""From a study to networks in use: a small, a medium and a large one, chosen, tuned, trained and written.

1. Candidates: of medium size those with the least errors in the accepted space, and derived RegNets; for
   half and twice the flops (or latency) networks of the accepted space are drawn and trained as the study's.
2. Augmentation: the best medium network is trained with each, for the last number of epochs.
3. Tuning: candidates and as many hand-designed networks of medium size are trained at each learning rate. Of
   each size the best on the validation images goes on, and of the hand-designed ones too.
4. Last trainings: several seeds of each, judged on the test split, which nothing is chosen by. The seed with
   the least validation error is the one that is written.

Everything is kept in the study's store, so a run that was interrupted goes on.
"""

import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

from regnetlab.errors import InputError
from regnetlab.spaces.regime import Regime, Window, format_count
from regnetlab.study.baselines import (
    Baselines,
    Contender,
    as_contender,
    final_jobs,
    go_on,
    tuning_jobs,
)
from regnetlab.study.effort import (
    AUGMENTS,
    SIZES,
    Augment,
    Clock,
    Effort,
    effort,
    images_of,
    networks_to_draw,
    seeds_for,
)
from regnetlab.study.observer import Observer
from regnetlab.study.plan import BaselinesSection, Draw, Plan
from regnetlab.study.session import Options, Session, open_session, prepare
from regnetlab.study.stages import planned_jobs, study_state
from regnetlab.study.walk import accepted
from regnetlab.training.budget import COMPLETE, Budget, Score, mean_error
from regnetlab.trials.job import DERIVED, FINISHED, Job, training_seed
from regnetlab.trials.terms import Terms

HAND_DESIGNED = ("resnet18", "vgg11_bn", "densenet_small")
"""What the family is compared with, as many of the first as there are candidates."""
_LARGEST_OF_TIME = 20.0  # times the time that a training is expected to take ends it


@dataclass(frozen=True, slots=True)
class Family:
    """The networks that were trained last: contenders by name, and the trainings of each with their scores.

    ``chosen`` are learning rates by model; those that are ``ours`` go into the folder.
    """

    plan: Plan
    effort: Effort
    contenders: Sequence[Contender]
    chosen: Mapping[str, float]
    trainings: Mapping[str, Sequence[tuple[Job, Score]]]
    ours: Sequence[str]
    augment: str


class NotFinishedError(Exception):
    """The session was asked to stop before the family was trained."""


def finish(
    plan: Plan,
    options: Options,
    observer: Observer,
    folder: Path,
    clock: Clock,
    models: Sequence[str] = (),
    epochs: int | None = None,
) -> bool:
    """Train a family and write it into ``folder``, and finish.json beside the study's file.

    Args:
        plan: A study with errors.
        options: What it is trained with; a cluster can't be.
        observer: Hears what happens.
        folder: Where the networks go; new, or a family's of this study.
        clock: The time that there is.
        models: Networks to take instead of a small, a medium and a large one, by their names in the study.
        epochs: Of the last trainings, instead of what the time allows.

    Returns:
        Whether it is finished; otherwise it was interrupted, and the same call goes on.

    Raises:
        InputError: Before anything is trained, where one of these can't be; or the time is too short.
    """
    from regnetlab.study.finish_files import check_folder, write_finish

    check_folder(folder)
    if (options.executor or plan.running.executor) == "dask":
        raise InputError("finish trains on this machine", "leave out --executor dask, and [run] executor")
    weights = plan.folder.absolute() / "weights"
    if weights.is_symlink():  # it may have come with the study
        raise InputError(f"{weights} is a link, which may lead anywhere", "put a folder in its place")
    prepared = prepare(plan, options)
    prepared = replace(prepared, setting=replace(prepared.setting, weights=weights))
    with open_session(prepared, options, observer) as session:
        try:
            family = _trained(session, clock, models, epochs, prepared.request.workers or 1)
        except NotFinishedError:
            return False
        write_finish(session, prepared.setting, family, folder, clock)
    return True


def _trained(
    session: Session, clock: Clock, models: Sequence[str], epochs: int | None, workers: int
) -> Family:
    plan, note = session.plan, session.observer.on_note
    kept = session.store.fact("finish")
    if models:
        found = _named(plan, models)
    else:
        if "drawn" not in kept:
            usual = _seconds(session, plan, _medium(session)) * images_of(plan.budget, plan.recipe)
            kept = {"drawn": networks_to_draw(usual, clock.left, workers)}
            session.store.keep("finish", kept)
        found = dict(_candidates(session, kept["drawn"]))
    tested = _tested_key(plan, found)
    if kept.get("key") != tested or (epochs not in (None, kept["effort"]["epochs"])):
        _check_not_used(session, kept, tested)
        seconds = {name: _seconds(session, plan, jobs) for name, jobs in found.items()}
        per_epoch = {
            name: each * images_of(_last_budget(session, 1), plan.recipe) for name, each in seconds.items()
        }
        chosen = effort(per_epoch, clock.left, workers, plan.recipe.lr, epochs)
        drawn = {"drawn": kept["drawn"]} if "drawn" in kept else {}
        kept = drawn | {"key": tested, "effort": asdict(chosen), "seconds": per_epoch}
        session.store.keep("finish", kept)
    seconds, chosen = kept["seconds"], Effort(**{**kept["effort"], "rates": tuple(kept["effort"]["rates"])})
    longest = max(seconds.values()) * chosen.epochs
    budget = replace(
        _last_budget(session, chosen.epochs),
        time_limit=max(plan.budget.time_limit, _LARGEST_OF_TIME * longest),
    )
    note(
        f"the family: {chosen.candidates} candidates of each size at {len(chosen.rates)} learning rates,"
        f" {chosen.epochs} epochs of {budget.images:,} images"
    )
    section = BaselinesSection((), lr=chosen.rates, seeds=chosen.seeds, regnets=0)
    last = replace(plan, budget=budget, baselines=section)
    contenders = [
        as_contender(
            last, f"{name} {place}" if chosen.candidates > 1 and not models else name, job.model, name
        )
        for name, jobs in found.items()
        for place, job in enumerate(_best(session, jobs, chosen.candidates), 1)
    ]
    middle = next((each for each in contenders if each.group == "medium"), contenders[0])
    augment = _augment(session, last, middle)
    last = replace(last, recipe=replace(last.recipe, augment=augment))
    contenders += _hand_designed(session, last, middle.flops, chosen.candidates)
    tuning = tuning_jobs(last, contenders)
    scores = _train(session, tuning)
    rates = go_on(contenders, [(job, scores[job.identity]) for job in tuning])
    gone = {each.group for each in contenders if each.model in rates}
    if missing := [name for name in found if name not in gone]:
        raise InputError(
            f"every training of {', '.join(missing)} failed", "look at the store: regnetlab status"
        )
    if "seeds" not in kept:
        kept = {**kept, "seeds": seeds_for(seconds, chosen, clock.left, workers)}
        session.store.keep("finish", kept)
    last = replace(last, baselines=replace(section, seeds=kept["seeds"]))
    finals = final_jobs(last, Baselines(tuple(contenders), rates))
    session.store.keep("finish", {**kept, "tested": True})
    scores = _train(session, finals)
    by_model: dict[str, list[tuple[Job, Score]]] = {}
    for job in finals:
        by_model.setdefault(job.model, []).append((job, scores[job.identity]))
    ahead = [each for each in contenders if each.model in rates]
    return Family(last, chosen, ahead, rates, by_model, list(found), augment)


def _candidates(session: Session, count: int) -> Iterator[tuple[str, list[Job]]]:
    """Of each size, networks that have an error by the study's own budget; so many are drawn."""
    drawn: dict[str, list[Job]] = {}
    for name, factor in SIZES.items():
        try:
            drawn[name] = _medium(session) if factor == 1 else _drawn(session, factor, count)
        except InputError as error:
            if factor == 1:
                raise
            session.observer.on_note(f"no {name} network: {error}")
    _train(session, [job for jobs in drawn.values() for job in jobs])
    yield from drawn.items()


def _medium(session: Session) -> list[Job]:
    """The trainings of the accepted space, and of derived RegNets."""
    plan = session.plan
    state, space = study_state(plan, session.store), accepted(plan).name
    jobs = [job for job in state.jobs if job.space in (space, DERIVED) and job.identity in state.scores]
    if not jobs:
        raise InputError(f"study {plan.name}: no network of {space} is trained yet", _begin(plan))
    return jobs


def _begin(plan: Plan) -> str:
    return f"begin with: regnetlab run {plan.name}"


def _drawn(session: Session, factor: float, count: int) -> list[Job]:
    """Networks of the accepted space at so many times the study's flops, and RegNets if a law is shown."""
    from regnetlab.analysis.derive import derive_regnets
    from regnetlab.study.results import study_trials
    from regnetlab.study.stages import derived_jobs

    plan = replace(
        session.plan,
        regime=scaled(session.plan.regime, factor),
        terms=Terms(),
        stated=(),
        left_out=(),
        ended=(),
    )
    jobs = planned_jobs(replace(plan, draws=(Draw(accepted(session.plan), count),), seeds=1, derived=0))
    with suppress(InputError):  # without evidence for a law there are none
        law = study_trials(session.plan)
        jobs += derived_jobs(plan, derive_regnets(law, count // 3, plan.template, plan.regime, plan.ranges))
    return [replace(job, space=FINISHED, replicate=0) for job in jobs]


def scaled(regime: Regime, factor: float) -> Regime:
    """The regime with all its windows at so many times their values."""
    windows: dict[str, Any] = {
        name: Window(window.low * factor, window.high * factor, window.unit)
        for name, window in regime.windows.items()
    }
    return replace(regime, **windows)


def _named(plan: Plan, models: Sequence[str]) -> dict[str, list[Job]]:
    """The networks that were named, by a name that a folder can have."""
    from regnetlab.models.summary import summarise
    from regnetlab.study.members import member

    found: dict[str, list[Job]] = {}
    for number, text in enumerate(models, 1):
        model = member(plan, text)
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


def _best(session: Session, jobs: Sequence[Job], most: int) -> list[Job]:
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


def _seconds(session: Session, plan: Plan, jobs: Sequence[Job]) -> float:
    """Seconds a training image of these networks, as measured, or as others of the study suggest."""
    scores, per_image = session.scores(), images_of(plan.budget, plan.recipe)
    took = [scores[job.identity].seconds for job in jobs if _complete(scores, job)]
    if took:
        return median(took) / per_image
    others = [job for job in study_state(plan, session.store).jobs if _complete(scores, job) and job.flops]
    if not others:
        raise InputError(f"study {plan.name}: no network has an error yet", _begin(plan))
    a_flop = median(scores[job.identity].seconds / job.flops for job in others)
    return a_flop * jobs[0].flops / per_image


def _complete(scores: Mapping[str, Score], job: Job) -> bool:
    return job.identity in scores and scores[job.identity].ended == COMPLETE


def _last_budget(session: Session, epochs: int) -> Budget:
    """All images, for so many epochs."""
    data = session.data
    return replace(
        session.plan.budget, images=len(data.train), epochs=epochs, validation=len(data.validation)
    )


def _augment(session: Session, last: Plan, medium: Contender) -> Augment:
    """The augmentation with which the medium network does best on the validation images."""
    jobs = {
        augment: last.job(
            medium.model,
            training_seed(last.seed, f"augment {medium.model}", 0),
            replace(last.recipe, augment=augment),
            space=FINISHED,
            flops=medium.flops,
            params=medium.params,
            acts=medium.acts,
        )
        for augment in AUGMENTS
    }
    scores = _train(session, list(jobs.values()))
    errors = {name: scores[job.identity].error for name, job in jobs.items()}
    known = {name: error for name, error in errors.items() if error is not None}
    if not known:
        raise InputError(f"every training of {medium.model} failed: {scores[jobs['none'].identity].ended}")
    best = simplest_of_best(known, len(session.data.validation))
    listed = ", ".join(f"{name} {error:.2f}%" for name, error in known.items())
    session.observer.on_note(f"augmentation: {best} (validation errors: {listed})")
    return best


def simplest_of_best(errors: Mapping[Augment, float], images: int) -> Augment:
    """The simplest augmentation whose error is within a standard error of the least.

    Args:
        errors: In percent on the same images; the simplest augmentation first.
        images: How many these are.

    The one-standard-error rule (Breiman, Friedman, Olshen & Stone 1984, section 3.4.3): images decide less
    than the least of several errors seems to say.
    """
    least = min(errors.values())
    share = max(least / 100, 1 / images)
    allowed = least + 100 * math.sqrt(share * (1 - share) / images)
    return next(name for name, error in errors.items() if error <= allowed)


def _hand_designed(session: Session, last: Plan, flops: int, most: int) -> list[Contender]:
    """Hand-designed networks of these flops, as many as there are candidates of a size; one group."""
    found = []
    for name in HAND_DESIGNED[:most]:
        text = f"{name}@{format_count(float(f'{flops:.2g}'))}F"
        try:
            found.append(as_contender(last, name, text, "hand-designed"))
        except InputError as error:
            session.observer.on_note(f"{name} is left out: {error}")
    return found


def _train(session: Session, jobs: Sequence[Job]) -> Mapping[str, Score]:
    """The scores of these trainings, once all are made."""
    session.observer.on_begin(jobs, session.scores())
    session.train(jobs)
    scores = session.scores()
    if any(job.identity not in scores for job in jobs):
        raise NotFinishedError
    return scores


def _tested_key(plan: Plan, found: Mapping[str, Sequence[Job]]) -> str:
    """What the choices follow from, beside the time."""
    facts = [
        plan.budget.facts(),
        plan.recipe.facts(),
        {name: [j.identity for j in jobs] for name, jobs in found.items()},
    ]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]


def _check_not_used(session: Session, kept: Mapping[str, Any], key: str) -> None:
    """Raise ``InputError`` where the same family was judged on the test split with other epochs."""
    if kept.get("tested") and kept.get("key") == key:
        raise InputError(
            f"study {session.plan.name} has a family of {kept['effort']['epochs']} epochs, judged on the test"
            " split already",
            "leave out --final-epochs to go on with it: a new choice now would know the test errors",
        )
