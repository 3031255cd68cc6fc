"""Baselines: hand-designed networks and RegNets, tuned alike, then judged on the test split.

Four steps, each fixed before the next begins and kept in the store:

1. the contenders: the baselines named in the plan, and the RegNets with the least validation error;
2. tuning: each contender is trained with every learning rate of the plan, ``tuning_seeds`` times;
3. the choice: each contender's rate with the least mean validation error. ``choose`` sees trainings
   that have no test split, so nothing can be chosen by it;
4. the final trainings: seeds that tuning did not use, at the rate chosen, judged on the test split.

Once a final training exists, other contenders, rates or budgets are refused (``check_unchanged``).
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import product
from typing import TYPE_CHECKING, Any, NamedTuple

from regnetlab.errors import InputError, unknown
from regnetlab.spaces.space import REGNET
from regnetlab.study.plan import BaselinesSection, Plan
from regnetlab.training.budget import Recipe, Score, mean_error
from regnetlab.trials.job import DERIVED, FINAL, TUNING, Job, training_seed

if TYPE_CHECKING:
    from regnetlab.trials.store import Store


@dataclass(frozen=True, slots=True)
class Contender:
    """A network that competes: ``name`` as the plan has it, ``model`` with its multiplier settled."""

    name: str
    model: str
    family: str
    flops: int
    params: int
    acts: int


class Basis(NamedTuple):
    """What trainings must share to count together: the checksum of the data, and what computes, if known."""

    data: str
    device: str | None = None


@dataclass(frozen=True, slots=True)
class Baselines:
    """What is settled: who competes (empty before that), and the learning rate chosen for each model."""

    contenders: tuple[Contender, ...] = ()
    chosen: Mapping[str, float] | None = None

    def as_dict(self, plan: Plan, basis: Basis) -> dict[str, object]:
        """As a store keeps it, with what it follows from."""
        chosen = None if self.chosen is None else dict(self.chosen)
        contenders = [asdict(each) for each in self.contenders]
        return {"key": _key(plan), **basis._asdict(), "contenders": contenders, "chosen": chosen}


UNSETTLED = Baselines()


def kept_baselines(plan: Plan, kept: Mapping[str, Any], basis: Basis) -> Baselines:
    """What a store kept; nothing where it was for another plan, other data or another device."""
    same = (kept.get("data", basis.data), kept.get("device", basis.device)) == basis
    if plan.baselines is None or kept.get("key") != _key(plan) or not same:
        return UNSETTLED
    return Baselines(tuple(Contender(**each) for each in kept["contenders"]), kept["chosen"])


def check_unchanged(plan: Plan, store: "Store", data: str) -> None:
    """Raise ``InputError`` where a changed plan would choose again after the test split was used."""
    kept = store.fact("contest")
    if not kept or kept.get("data", data) != data or kept["key"] == _key(plan):
        return
    if any(score.test_error is not None for score in store.scores(data).values()):
        raise InputError(
            f"study {plan.name}: the test split was used already, and [baselines], budget, recipe or data"
            " have changed since: a new choice now would know the test errors",
            "change them back, or begin a new study with another name",
        )


def hand_designed(plan: Plan) -> list[Contender]:
    """The plan's baselines in each of its forms; raises ``InputError`` for one that can't be."""
    if plan.baselines is None:
        return []
    from regnetlab.models.registry import named_models  # torch

    families = sorted({model.family for model in named_models()})
    for family, _ in plan.baselines.recipes:
        if family not in families:
            raise unknown("baselines: family", family, families)
    texts = [
        name if "@" in name else f"{name}@{form}"
        for form in plan.baselines.forms
        for name in plan.baselines.names
    ]
    try:
        return _different(_contender(plan, text, text) for text in texts)
    except InputError as error:
        raise error.at("baselines") from None


def regnets(plan: Plan, jobs: Sequence[Job], scores: Mapping[str, Score]) -> list[Contender]:
    """The RegNets with the least validation error: derived ones, or drawn ones where none were derived."""
    count = plan.baselines.regnets if plan.baselines is not None else 0
    for space in (DERIVED, REGNET.name):
        errors: dict[int, list[float]] = {}
        models: dict[int, str] = {}
        for job in jobs:
            score = scores.get(job.identity)
            if job.space == space and score is not None and score.error is not None:
                errors.setdefault(job.index, []).append(score.error)
                models[job.index] = job.model
        if errors:
            ranked = sorted(errors, key=lambda index: (sum(errors[index]) / len(errors[index]), index))
            name = REGNET.name if space == REGNET.name else f"{REGNET.name} {space}"
            return _different(_contender(plan, f"{name} {index}", models[index]) for index in ranked[:count])
    return []


def tuning_jobs(plan: Plan, contenders: Sequence[Contender]) -> list[Job]:
    """Each contender with each learning rate, the same seeds at every one."""
    section = _section(plan)
    tries = list(product(section.lr, range(section.tuning_seeds)))
    return [
        _job(plan, TUNING, index, number, contender, lr, training_seed(plan.seed, contender.model, seed))
        for index, contender in enumerate(contenders)
        for number, (lr, seed) in enumerate(tries)
    ]


def choose(tried: Iterable[tuple[Job, Score]]) -> dict[str, float]:
    """The learning rate with the least ``mean_error`` for each model; the lower one of equals.

    A model of which every training failed is left out.
    """
    errors: dict[tuple[str, float], list[float | None]] = {}
    for job, score in tried:
        if job.final or score.test_error is not None:
            raise ValueError("a choice must not know the test split")
        errors.setdefault((job.model, job.recipe.lr), []).append(score.error)
    means = {key: mean_error(found) for key, found in errors.items()}
    chosen: dict[str, float] = {}
    for _, lr, model in sorted((mean, lr, model) for (model, lr), mean in means.items() if mean is not None):
        chosen.setdefault(model, lr)
    return chosen


def final_jobs(plan: Plan, settled: Baselines) -> list[Job]:
    """Each contender that learned, with new seeds at the rate chosen for it."""
    section = _section(plan)
    return [
        _job(plan, FINAL, index, seed - 1, contender, settled.chosen[contender.model], seed, final=True)
        for index, contender in enumerate(settled.contenders)
        if settled.chosen is not None and contender.model in settled.chosen
        for seed in range(1, section.seeds + 1)
    ]


def _job(
    plan: Plan,
    space: str,
    index: int,
    number: int,
    contender: Contender,
    lr: float,
    seed: int,
    final: bool = False,
) -> Job:
    recipe = _recipe(plan, contender.family, lr)
    seed = training_seed(plan.seed, f"{FINAL} {contender.model}", seed) if final else seed
    return plan.job(
        contender.model,
        seed,
        recipe,
        final=final,
        space=space,
        index=index,
        replicate=number,
        flops=contender.flops,
        params=contender.params,
        acts=contender.acts,
    )


def _recipe(plan: Plan, family: str, lr: float) -> Recipe:
    changes = dict(_section(plan).recipes).get(family, ())
    return replace(plan.recipe, **dict(changes), lr=lr)


def _contender(plan: Plan, name: str, text: str) -> Contender:
    from regnetlab.models.forms import settled  # torch
    from regnetlab.models.pycls_config import is_config_file
    from regnetlab.models.registry import find_model
    from regnetlab.models.summary import summarise

    model = find_model(text)
    if is_config_file(text.partition("@")[0]):  # a study is its text; what a file held then, it would not say
        raise InputError(f"baseline {text!r} is a file, which may change", f"write its network: {model.text}")
    model = settled(model, plan.template)
    counts = summarise(model, plan.template)
    family = "RegNet" if model.family == "AnyNet" else model.family
    return Contender(name, model.text, family, counts.flops, counts.params, counts.acts)


def _different(contenders: Iterable[Contender]) -> list[Contender]:
    """Each network once, under its first name."""
    return list({each.model: each for each in reversed(list(contenders))}.values())[::-1]


def _section(plan: Plan) -> BaselinesSection:
    if plan.baselines is None:
        raise InputError(f"study {plan.name} has no [baselines] in its study.toml", "name some there")
    return plan.baselines


def _key(plan: Plan) -> str:
    """What the choices depend on, hashed; not the populations, which may be extended."""
    baselines = asdict(plan.baselines) if plan.baselines is not None else {}
    if baselines.get("tuning_seeds") == 1:  # as it was before there were more
        del baselines["tuning_seeds"]
    learning = [plan.budget.facts(), plan.recipe.facts()]
    facts = [baselines or None, *learning, asdict(plan.template), plan.data, plan.seed]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]
