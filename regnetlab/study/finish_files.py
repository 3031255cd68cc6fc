"""What a finished study leaves: the folder of networks, and finish.json for the report."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import torch

from regnetlab.errors import InputError
from regnetlab.execution.base import Setting
from regnetlab.execution.worker import weights_path, work
from regnetlab.models.registry import find_model
from regnetlab.models.weights import trained_network
from regnetlab.spaces.regime import format_count
from regnetlab.study.baselines import Contender
from regnetlab.study.effort import Clock
from regnetlab.study.finish import Family
from regnetlab.study.finish_file import (
    Baseline,
    Finished,
    Member,
    Mistake,
    at_most_pictures,
    picture,
    write_finished,
)
from regnetlab.study.latency import this_machine
from regnetlab.study.session import Session
from regnetlab.study.walk import accepted
from regnetlab.training.budget import Score
from regnetlab.training.correctness import unpack
from regnetlab.training.latency import latency
from regnetlab.training.networks.family import read_family, write_family
from regnetlab.training.networks.folder import write_network
from regnetlab.training.networks.judged import Judged, judge, wilson
from regnetlab.training.predicting import TrainedNetwork
from regnetlab.training.saved import saved_facts
from regnetlab.trials.job import Job


def check_folder(folder: Path) -> None:
    """Raise ``InputError`` unless the folder is new, empty, or a family's."""
    if folder.is_file() or folder.is_symlink():
        raise InputError(f"{folder} is no folder", "name another one with -o")
    if folder.is_dir() and any(folder.iterdir()):
        try:
            read_family(folder)
        except InputError:
            raise InputError(
                f"{folder} holds something else than a family", "name another one with -o"
            ) from None


def write_finish(session: Session, setting: Setting, family: Family, folder: Path, clock: Clock) -> Finished:
    """Write the family that was trained into its folder, and finish.json beside the study's file."""
    session.observer.on_note(f"writing the networks into {folder}")
    folder.mkdir(parents=True, exist_ok=True)
    ahead = {each.group: each for each in family.contenders}
    members, judged = [], {}
    for name in family.ours:
        contender = ahead[name]
        job, score, network = _best_training(session, setting, family, contender)
        judged[name] = judge(network, session.data.validation, session.data.test)
        facts = _facts(session, family, contender, job, score)
        write_network(folder, name, network, judged[name], facts)
        members.append(_member(name, contender, job, score, facts, judged[name]))
    use = _to_use(members)
    baselines = [_baseline(family, each) for each in family.contenders if each.group not in family.ours]
    law = _law(session)
    found = Finished(
        folder=str(folder),
        use=use,
        target=format_count(float(f"{_by_name(members, use).flops:.3g}")) + "F",
        test_images=len(session.data.test),
        networks=tuple(members),
        baselines=tuple(baselines),
        difference=_difference(family, ahead[use]),
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
    pairs = [pair for pair in family.trainings[contender.model] if pair[1].error is not None]
    if not pairs:
        raise InputError(
            f"every last training of {contender.model} failed", "train it alone: regnetlab train"
        )
    job, score = min(pairs, key=lambda pair: (pair[1].error or 0.0, pair[0].seed))
    path = weights_path(setting, job)
    if not path.exists():  # removed since; the same training gives the same weights
        work(setting, job)
    network, _ = trained_network(path)
    facts = saved_facts(job.model, job.template, session.data, job.reading, job.budget, job.recipe, job.seed)
    mean, std = (torch.tensor(facts["normalisation"][each]).numpy() for each in ("mean", "std"))
    classes = session.data.classes
    return job, score, TrainedNetwork(network, job.template, classes, mean, std, job.reading, facts)


def _facts(session: Session, family: Family, contender: Contender, job: Job, score: Score) -> dict[str, Any]:
    """What a network's folder says beside what judging it gave."""
    device = torch.device("cpu")
    measured = latency(find_model(job.model).build, job.template, device, batch=1)
    machine = this_machine(device)
    facts = saved_facts(job.model, job.template, session.data, job.reading, job.budget, job.recipe, job.seed)
    errors = _test_errors(family, contender)
    return facts | {
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
        "validation_error": score.error,
        "test_errors": errors,
        "chosen": _how(session, family),
    }


def _test_errors(family: Family, contender: Contender) -> list[float]:
    scores = [score for _, score in family.trainings[contender.model]]
    return [100.0 if score.test_error is None else score.test_error for score in scores]


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


def _baseline(family: Family, contender: Contender) -> Baseline:
    """A hand-designed network; its interval is that of the seed with the least validation error, as ours."""
    pairs = [pair for pair in family.trainings[contender.model] if pair[1].error is not None]
    _, score = min(pairs, key=lambda pair: pair[1].error or 0.0)
    right = unpack(score.correct or "")
    error = score.test_error if score.test_error is not None else 100.0
    return Baseline(
        name=contender.name,
        model=contender.model,
        flops=contender.flops,
        params=contender.params,
        error=error,
        interval=wilson(round(error / 100 * len(right)), len(right)),
        seeds=tuple(_test_errors(family, contender)),
    )


def _difference(family: Family, used: Contender) -> tuple[float, float, float] | None:
    """In mean test error, of the network in use less the hand-designed one."""
    from regnetlab.analysis.statistics.error_difference import over_seeds_and_images

    others = [each for each in family.contenders if each.group not in family.ours]
    if not others:
        return None
    right = [
        np.array([unpack(score.correct) for _, score in family.trainings[each.model] if score.correct])
        for each in (others[0], used)
    ]
    if not all(len(each) for each in right):
        return None
    found = over_seeds_and_images(*right)
    ends = (found.estimate, found.low, found.high)
    return ends if all(map(math.isfinite, ends)) else None


def _to_use(members: Sequence[Member]) -> str:
    """The medium network, or the small one if it is as good on validation images; of named ones the best."""
    named = [each for each in members if each.name in ("small", "medium")] or members
    return min(named, key=lambda each: (each.validation_error, each.flops)).name


def _by_name(members: Sequence[Member], name: str) -> Member:
    return next(each for each in members if each.name == name)


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
    effort, space = family.effort, accepted(session.plan).name
    rates = " or ".join(f"{each:g}" for each in effort.rates)
    several = effort.candidates > 1
    tried = f"the {effort.candidates} networks" if several else "the network"
    seeds = fmean(len(each) for each in family.trainings.values())
    return (
        f"Of each size, {tried} of {space} (of a wider space where it has none of that size) with the least"
        " validation error in short trainings"
        f" {'were' if several else 'was'} trained for {effort.epochs} epochs with learning rate {rates} and"
        f" augmentation {family.augment}. The best on the validation images was trained {seeds:.0f} times"
        " more, and the training with the least validation error is the one here. The test images were used"
        " once, to judge these last trainings."
    )


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
    return {"version": 1, "study": study, "use": found.use, "networks": networks, "baselines": baselines}
