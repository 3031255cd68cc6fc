"""What a finished study leaves: the folder of networks, and finish.json for the report."""

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import torch

from regnetlab.errors import InputError, printable
from regnetlab.execution.base import Setting
from regnetlab.execution.worker import weights_path, work
from regnetlab.models.registry import find_model
from regnetlab.models.weights import trained_network
from regnetlab.plain import plural
from regnetlab.spaces.arrays import Ints, Mask
from regnetlab.study.baselines import Contender
from regnetlab.study.finish import Family, within_a_standard_error
from regnetlab.study.finish_file import (
    MOST_LETTERS,
    Baseline,
    Finished,
    Member,
    Mistake,
    at_most_pictures,
    picture,
    write_finished,
)
from regnetlab.study.latency import this_machine
from regnetlab.study.minutes import Clock
from regnetlab.study.session import Session
from regnetlab.study.walk import accepted
from regnetlab.training.budget import WORST, Score
from regnetlab.training.correctness import unpack
from regnetlab.training.datasets import folder_of
from regnetlab.training.folders.decode import is_folder
from regnetlab.training.guessing import guessing
from regnetlab.training.latency import latency
from regnetlab.training.networks.contents import FAMILY, MODEL
from regnetlab.training.networks.family import read_family, write_family
from regnetlab.training.networks.folder import write_network
from regnetlab.training.networks.judged import Judged, judge, share_interval
from regnetlab.training.predicting import TrainedNetwork, described
from regnetlab.training.saved import saved_facts
from regnetlab.trials.job import Job

_FEW_GROUPS = 20


def check_folder(folder: Path, study: str, data: str) -> None:
    """Raise ``InputError`` unless the networks of this study can be written there.

    The folder is new, empty, a family's of this study, or holds networks of one that was being written.
    It lies outside of the data, where folders are classes.
    """
    there = next(each for each in (folder, *folder.absolute().parents) if each.exists())
    if folder.is_symlink() or not there.is_dir():
        raise InputError(f"{there} is no folder", "name another one with -o")
    if not os.access(there, os.W_OK | os.X_OK):
        raise InputError(f"{there} can't be written", "name another folder with -o")
    root = folder_of(data, None) if is_folder(data) and data.partition(":")[2] else None
    if root is not None and folder.resolve().is_relative_to(root.resolve()):
        raise InputError(f"{folder} lies in the data, where folders are classes", "name another one with -o")
    inside = list(folder.iterdir()) if folder.is_dir() else []
    if (folder / FAMILY).exists():
        of = read_family(folder).get("study")
        if of != study:
            raise InputError(f"{folder} holds the networks of study {of}", "name another folder with -o")
    elif any(not (each / MODEL).exists() and not each.name.startswith(".") for each in inside):
        raise InputError(f"{folder} holds something else than a family", "name another one with -o")


def check_classes(classes: Sequence[str]) -> None:
    """Raise ``InputError`` where a class has a name that no file of the family can hold."""
    for name in classes:
        if not name.isprintable() or len(name) > MOST_LETTERS:
            named = printable(name)[:60]
            raise InputError(f"class {named!r} has a name that can't be written", "rename its folder")


def write_finish(
    session: Session, setting: Setting, family: Family, folder: Path, clock: Clock, asked: bool = False
) -> Finished:
    """Write the family that was trained into its folder, and finish.json beside the study's file."""
    session.observer.on_note(f"writing the networks into {folder}")
    folder.mkdir(parents=True, exist_ok=True)
    ahead, groups = {each.group: each for each in family.contenders}, _groups(session)
    members, judged = [], {}
    for name in family.ours:
        contender = ahead[name]
        job, score, network = _best_training(session, setting, family, contender)
        judged[name] = judge(network, session.data.validation, session.data.test, groups)
        facts = _facts(session, family, contender, network)
        write_network(folder, name, network, judged[name], facts)
        members.append(_member(name, contender, job, score, facts, judged[name]))
    use, why = to_use(members, len(session.data.validation), asked)
    others = [each for each in family.contenders if each.group not in family.ours and _earned(family, each)]
    law = _law(session)
    found = Finished(
        folder=str(folder),
        use=use,
        why=why,
        target=session.plan.regime.text,
        test_images=len(session.data.test),
        guess=guessing(session.data.train.labels, session.data.test.labels).majority_error,
        networks=tuple(members),
        baselines=tuple(_baseline(family, each, groups) for each in others),
        difference=_difference(family, ahead[use], others[0], groups) if others else None,
        tries=(family.tries[use], family.tries[others[0].group]) if others else None,
        notes=tuple(_notes(session, family)),
        mistakes=tuple(_mistakes(session, judged[use])),
        space=accepted(session.plan).name,
        law=law,
        how=_how(session, family),
        minutes=clock.spent / 60,
    )
    write_family(folder, _document(session.plan.name, found))
    write_finished(session.plan, found)
    return found


def _best_training(
    session: Session, setting: Setting, family: Family, contender: Contender
) -> tuple[Job, Score, TrainedNetwork]:
    """Of a network's last trainings the one with the least validation error, and what it came to."""
    if not _earned(family, contender):
        raise InputError(
            f"every last training of {contender.model} failed", "train it alone: regnetlab train"
        )
    job, score = _least(family, contender)
    path = weights_path(setting, job)
    if not path.exists():  # removed since; the same training gives the same weights
        work(replace(setting, checkpoints=None), job)
    network, _ = trained_network(path)
    facts = saved_facts(job.model, job.template, session.data, job.reading, job.budget, job.recipe, job.seed)
    return job, score, described(network, facts, path)


def _facts(session: Session, family: Family, contender: Contender, network: TrainedNetwork) -> dict[str, Any]:
    """What a network's folder says beside what judging it gave."""
    device = torch.device("cpu")
    measured = latency(find_model(contender.model).build, network.template, device, batch=1)
    machine = this_machine(device)
    return {
        **network.facts,
        "flops": contender.flops,
        "params": contender.params,
        "acts": contender.acts,
        "latency": {
            "batch": 1,
            "ms": [round(each, 4) for each in (measured.median, measured.low, measured.high)],
            "device": f"{machine['processor']}, {machine['threads']} thread",
        },
        "checksum": session.data.checksum,
        "processor": machine["processor"],
        "test_errors": _test_errors(family, contender),
        "chosen": _how(session, family),
    }


def _test_errors(family: Family, contender: Contender) -> list[float]:
    scores = [score for _, score in family.trainings[contender.model]]
    return [WORST if score.test_error is None else score.test_error for score in scores]


def _member(
    name: str, contender: Contender, job: Job, score: Score, facts: Mapping[str, Any], judged: Judged
) -> Member:
    tested = judged.to_json()["test"]
    return Member(
        name=name,
        model=job.model,
        flops=contender.flops,
        params=contender.params,
        acts=contender.acts,
        latency=facts["latency"],
        validation_error=score.error or 0.0,
        error=tested["error"],
        interval=tested["interval"],
        seeds=facts["test_errors"],
        lr=job.recipe.lr,
        epochs=job.budget.epochs,
        augment=job.recipe.augment,
        test=tested,
    )


def _earned(family: Family, contender: Contender) -> bool:
    """Whether one of its last trainings has an error."""
    return any(score.error is not None for _, score in family.trainings[contender.model])


def _least(family: Family, contender: Contender) -> tuple[Job, Score]:
    """Of its last trainings the one with the least validation error; of equals that of the lowest seed."""
    pairs = [pair for pair in family.trainings[contender.model] if pair[1].error is not None]
    return min(pairs, key=lambda pair: (pair[1].error or 0.0, pair[0].seed))


def _groups(session: Session) -> Ints | None:
    """The group of each test image, where images belong together."""
    survey = session.data.survey
    return np.array(survey.test_groups, np.int64) if survey is not None and survey.test_groups else None


def _right(family: Family, contender: Contender) -> Mask:
    """Which test images each last training answers right, a failed one none: (seeds, images)."""
    found = [unpack(s.correct) if s.correct else None for _, s in family.trainings[contender.model]]
    images = next(len(each) for each in found if each is not None)
    return np.array([np.zeros(images, bool) if each is None else each for each in found])


def _baseline(family: Family, contender: Contender, groups: Ints | None) -> Baseline:
    """A hand-designed network; its interval is that of the seed with the least validation error, as ours."""
    _, score = _least(family, contender)
    wrong = ~unpack(score.correct or "")
    return Baseline(
        name=contender.name,
        model=contender.model,
        flops=contender.flops,
        params=contender.params,
        error=100 * float(wrong.mean()),
        interval=share_interval(wrong, groups),
        seeds=tuple(_test_errors(family, contender)),
    )


def _difference(
    family: Family, used: Contender, other: Contender, groups: Ints | None
) -> tuple[float, float, float] | None:
    """In mean test error, of the network in use less the hand-designed one."""
    from regnetlab.analysis.statistics.error_difference import over_seeds_and_images

    found = over_seeds_and_images(_right(family, other), _right(family, used), groups)
    ends = (found.estimate, found.low, found.high)
    if not all(map(math.isfinite, ends)):
        return None
    return found.estimate, max(found.low, -WORST), min(found.high, WORST)


def to_use(members: Sequence[Member], images: int, asked: bool) -> tuple[str, str]:
    """The smallest network whose validation error is within a standard error of the least, and why it is
    the one to use; no reason where there is no other.

    Where the user ``asked`` for the medium size, of the small and the medium one.
    """
    small = [each for each in members if each.name in ("small", "medium")] if asked else []
    pool = sorted(small or members, key=lambda each: each.flops)
    least = min(each.validation_error for each in pool)
    allowed = within_a_standard_error(least, images)
    use = next(each for each in pool if each.validation_error <= allowed)
    if len(members) == 1:
        return use.name, ""
    if len(pool) == 1:
        return use.name, "it is the only one up to the size asked for"
    others = [each.validation_error for each in pool if each is not use]
    reason = (
        "it has the least validation error"
        if use.validation_error < min(others)
        else "it is the smallest whose validation error is within chance (a standard error) of the least"
    )
    up_to = ", among the networks up to the size asked for" if len(pool) < len(members) else ""
    errors = ", ".join(f"{each.name} {each.validation_error:.1f}%" for each in pool)
    return use.name, f"{reason}{up_to} ({errors}); test errors have no say in it"


def _mistakes(session: Session, judged: Judged) -> list[Mistake]:
    images = session.data.test.images
    return at_most_pictures(
        [
            Mistake(
                png=picture(images[each.index]),
                label=each.true,
                predicted=each.predicted,
                probability=each.probability,
            )
            for each in judged.mistakes
        ]
    )


def _law(session: Session) -> str:
    from regnetlab.analysis.population_law import GROWS, population_law
    from regnetlab.study.results import study_trials

    try:
        law = population_law(study_trials(session.plan))
    except InputError:
        return "no evidence"
    if law.claim != GROWS:
        return law.claim
    return f"{law.claim} {law.growth.estimate:.2f} ({law.growth.low:.2f} to {law.growth.high:.2f})"


def _how(session: Session, family: Family) -> str:
    """How the networks were chosen, in words."""
    effort = family.effort
    rates = " or ".join(f"{each:g}" for each in effort.rates)
    several = effort.candidates > 1 and not family.named
    if family.named:
        first = "The networks that were named were"
    else:
        tried = f"the {effort.candidates} networks" if several else "the network"
        space = accepted(session.plan).name
        first = (
            f"Of each size, {tried} of {space} (of a wider space where it has none of that size) with the"
            f" least validation error in short trainings {'were' if several else 'was'}"
        )
    seeds = fmean(len(each) for each in family.trainings.values())
    return (
        f"{first} trained for {plural(effort.epochs, 'epoch')} with learning rate {rates} and augmentation"
        f" {family.augment}, which was chosen with a network of ours. The best on the validation images was"
        f" trained {seeds:.0f} times more, and the training with the least validation error is the one here."
        " The test images were used once, to judge these last trainings."
    )


def _notes(session: Session, family: Family) -> Iterator[str]:
    """What the errors don't say."""
    survey = session.data.survey
    if survey is not None and survey.shared:
        yield (
            f"{survey.shared:,} groups of files are equal byte for byte and lie in more than one split, so"
            " that errors are somewhat too low"
        )
    if survey is not None and survey.test_groups:
        n = len({*survey.test_groups})
        few = ", which are few" if n < _FEW_GROUPS else ""
        yield f"the test images are of {n:,} groups{few}; intervals are over groups"
    for each in family.contenders:
        if not _earned(family, each):
            yield f"every last training of {each.name} failed"


def _document(study: str, found: Finished) -> dict[str, Any]:
    """What family.json says."""
    networks = [
        {
            **{key: getattr(each, key) for key in ("name", "model", "flops", "params", "error")},
            "interval": list(each.interval),
            "latency": None if each.latency is None else each.latency.model_dump(mode="json"),
        }
        for each in found.networks
    ]
    baselines = [
        {
            **{key: getattr(each, key) for key in ("name", "model", "flops", "params", "error")},
            "interval": list(each.interval),
            "latency": None,
        }
        for each in found.baselines
    ]
    return {
        "version": 1,
        "study": study,
        "use": found.use,
        "why": found.why,
        "networks": networks,
        "baselines": baselines,
    }
