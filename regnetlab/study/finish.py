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
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

from regnetlab.errors import InputError
from regnetlab.plain import plural
from regnetlab.study.baselines import (
    Baselines,
    Contender,
    as_contender,
    final_jobs,
    go_on,
    tuning_jobs,
)
from regnetlab.study.candidates import (
    HAND_DESIGNED,
    begin_hint,
    best_of,
    candidates,
    hand_designed_of,
    medium_trainings,
    named,
)
from regnetlab.study.effort import (
    AUGMENTS,
    Effort,
    effort,
    images_of,
    networks_to_draw,
    seeds_for,
)
from regnetlab.study.minutes import Clock
from regnetlab.study.observer import Observer
from regnetlab.study.plan import BaselinesSection, Plan
from regnetlab.study.session import Options, Session, open_session, own_folder, prepare
from regnetlab.study.stages import study_state
from regnetlab.training.budget import COMPLETE, MOST_SECONDS, Augment, Budget, Score
from regnetlab.training.datasets import no_test_images
from regnetlab.trials.job import FINISHED, Job, training_seed

_LARGEST_OF_TIME = 20.0  # times the time that a training is expected to take ends it


@dataclass(frozen=True, slots=True)
class Family:
    """The networks that were trained last, and by model their trainings with scores.

    Contenders whose group is among ``ours`` go into the folder; the others were designed by hand. ``tries``
    counts the trainings by which the best of each group was chosen.
    """

    effort: Effort
    contenders: Sequence[Contender]
    trainings: Mapping[str, Sequence[tuple[Job, Score]]]
    ours: Sequence[str]
    augment: str
    tries: Mapping[str, int]
    named: bool


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
    asked: bool = False,
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
        asked: Whether the user asked for the medium size, so that a larger network is not recommended.

    Returns:
        Whether it is finished; otherwise it was interrupted, and the same call goes on.

    Raises:
        InputError: Before anything is trained, where one of these can't be; or the time is too short.
    """
    from regnetlab.study.finish_files import check_classes, check_folder, write_finish

    check_folder(folder, plan.name, plan.data)
    if (options.executor or plan.running.executor) == "dask":
        raise InputError("finish trains on this machine", "leave out --executor dask, and [run] executor")
    weights = own_folder(plan, "weights")
    prepared = prepare(plan, options)
    check_classes(prepared.data.classes)
    if not len(prepared.data.test):
        raise no_test_images(plan.data, "to judge a family on")
    prepared = replace(prepared, setting=replace(prepared.setting, weights=weights))
    with open_session(prepared, options, observer) as session:
        try:
            family = _trained(session, clock, models, epochs, prepared.at_once)
        except NotFinishedError:
            return False
        write_finish(session, prepared.setting, family, folder, clock, asked)
    return True


def _trained(
    session: Session, clock: Clock, models: Sequence[str], epochs: int | None, workers: int
) -> Family:
    plan, note = session.plan, session.observer.on_note
    if models:
        found = named(plan, models)
    else:
        found = candidates(session, _drawn(session, clock, workers))
        _train(session, [job for jobs in found.values() for job in jobs])
    key = _key(plan, found)
    kept = _settled(session, key, found, clock, epochs, workers)
    seconds, chosen = kept["seconds"], Effort(**{**kept["effort"], "rates": tuple(kept["effort"]["rates"])})
    budget = _last_budget(session, chosen.epochs)
    expected = _LARGEST_OF_TIME * max(seconds.values()) * chosen.epochs
    budget = replace(budget, time_limit=min(max(budget.time_limit, expected), MOST_SECONDS))
    note(
        f"the family: {plural(chosen.candidates, 'candidate')} of each size,"
        f" {plural(len(chosen.rates), 'learning rate')}, {plural(chosen.epochs, 'epoch')} of"
        f" {budget.images:,} images"
    )
    section = BaselinesSection((), lr=chosen.rates, seeds=chosen.seeds, regnets=0)
    last = replace(plan, budget=budget, baselines=section)
    contenders = [
        as_contender(last, f"{name} {place}", job.model, name)
        for name, jobs in found.items()
        for place, job in enumerate(best_of(session, jobs, chosen.candidates), 1)
    ]
    middle = next((each for each in contenders if each.group == "medium"), contenders[0])
    augment = _augment(session, last, middle)
    last = replace(last, recipe=replace(last.recipe, augment=augment))
    contenders += hand_designed_of(session, last, middle.flops, chosen.candidates)
    tuning = tuning_jobs(last, contenders)
    scores = _train(session, tuning)
    rates = go_on(contenders, [(job, scores[job.identity]) for job in tuning])
    ahead = [each for each in contenders if each.model in rates]
    if missing := {*found} - {each.group for each in ahead}:
        raise InputError(
            f"every training of {', '.join(sorted(missing))} failed", f"look: regnetlab status {plan.name}"
        )
    seeds = kept.get("seeds") or seeds_for(seconds, chosen, clock.left, workers)
    _keep(session, key, {**kept, "seeds": seeds, "tested": True})
    finals = final_jobs(
        replace(last, baselines=replace(section, seeds=seeds)), Baselines(tuple(contenders), rates)
    )
    scores = _train(session, finals)
    trainings: dict[str, list[tuple[Job, Score]]] = {}
    for job in finals:
        trainings.setdefault(job.model, []).append((job, scores[job.identity]))
    tries = Counter(each.group for each in contenders for _ in chosen.rates)
    return Family(chosen, ahead, trainings, list(found), augment, tries, bool(models))


def _drawn(session: Session, clock: Clock, workers: int) -> int:
    """How many networks are drawn for another size; decided once."""
    kept = session.store.fact("finish")
    if "drawn" not in kept:
        seconds = _seconds(session, medium_trainings(session))
        each = seconds * images_of(session.plan.budget, session.plan.recipe)
        kept = {**kept, "drawn": networks_to_draw(each, clock.left, workers)}
        session.store.keep("finish", kept)
    return int(kept["drawn"])


def _settled(
    session: Session,
    key: str,
    found: Mapping[str, Sequence[Job]],
    clock: Clock,
    epochs: int | None,
    workers: int,
) -> Mapping[str, Any]:
    """What time allows for this family, decided once, and kept until then and after.

    Raises:
        InputError: The time is too short, or a family of the study was judged on the test split before.
    """
    plan = session.plan
    families: Mapping[str, Any] = session.store.fact("finish").get("families", {})
    kept: Mapping[str, Any] = families.get(key, {})
    if kept and epochs in (None, kept["effort"]["epochs"]):
        return kept
    if tested := [each for each in families.values() if each.get("tested")]:
        raise InputError(
            f"study {plan.name} has a family of {tested[0]['effort']['epochs']} epochs that was judged on the"
            " test split already",
            "the command that made it goes on with it; another choice now would know the test errors: begin a"
            " new study for it",
        )
    an_epoch = images_of(_last_budget(session, 1), plan.recipe)
    seconds = {name: an_epoch * _seconds(session, jobs) for name, jobs in found.items()}
    steps = _last_budget(session, 1).steps
    chosen = effort(seconds, clock.left, workers, plan.recipe.lr, steps, epochs)
    kept = {"effort": asdict(chosen), "seconds": seconds}
    _keep(session, key, kept)
    return kept


def _keep(session: Session, key: str, family: Mapping[str, Any]) -> None:
    kept = session.store.fact("finish")
    session.store.keep("finish", {**kept, "families": {**kept.get("families", {}), key: dict(family)}})


def _seconds(session: Session, jobs: Sequence[Job]) -> float:
    """Seconds a training image of these networks, as measured, or as others of the study suggest."""
    plan, scores = session.plan, session.scores()
    per_image = images_of(plan.budget, plan.recipe)
    took = [scores[job.identity].seconds for job in jobs if _complete(scores, job)]
    if took:
        return median(took) / per_image
    others = [job for job in study_state(plan, session.store).jobs if _complete(scores, job) and job.flops]
    if not others:
        raise InputError(f"study {plan.name}: no network has an error yet", begin_hint(plan))
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


def within_a_standard_error(error: float, images: int) -> float:
    """The largest error, in percent, that lies within a standard error of this one, or a single mistake."""
    share = error / 100
    return error + 100 * max(math.sqrt(share * (1 - share) / images), 1 / images) + 1e-9


def simplest_of_best(errors: Mapping[Augment, float], images: int) -> Augment:
    """The simplest augmentation whose error is within a standard error of the least.

    Args:
        errors: In percent on the same images; the simplest augmentation first.
        images: How many these are.

    The one-standard-error rule (Breiman, Friedman, Olshen & Stone 1984, section 3.4.3): images decide less
    than the least of several errors seems to say.
    """
    allowed = within_a_standard_error(min(errors.values()), images)
    return next(name for name, error in errors.items() if error <= allowed)


def _train(session: Session, jobs: Sequence[Job]) -> Mapping[str, Score]:
    """The scores of these trainings, once all are made."""
    session.observer.on_begin(jobs, session.scores())
    session.train(jobs)
    scores = session.scores()
    if any(job.identity not in scores for job in jobs):
        raise NotFinishedError
    return scores


def _key(plan: Plan, found: Mapping[str, Sequence[Job]]) -> str:
    """What the choices follow from, beside the time."""
    trainings = {name: [job.identity for job in jobs] for name, jobs in found.items()}
    facts = [plan.budget.facts(), plan.recipe.facts(), trainings, HAND_DESIGNED, AUGMENTS]
    text = json.dumps(facts, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
