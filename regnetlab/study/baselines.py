"""Baselines: hand-designed networks and RegNets, tuned alike, then judged on the test split.

Four steps, each fixed before the next begins and kept in the store:

1. the contenders: the networks and whole families named in the plan, and as many of the RegNets with the
   least validation error as the plan asks for;
2. tuning: each contender is trained with every learning rate of the plan, ``tuning_seeds`` times;
3. the choice: each contender's rate with the least mean validation error, and of each family the network that
   goes on. Trainings that choose have no test split, so nothing can be chosen by it;
4. the final trainings of what goes on: seeds that tuning did not use, at the rate chosen, judged on the test
   split.

Once a final training exists, other contenders, rates or budgets are refused (``check_unchanged``).
"""

import hashlib
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from itertools import product
from typing import TYPE_CHECKING, Any, NamedTuple

from regnetlab.errors import InputError, unknown
from regnetlab.models.families import family_grid, is_family
from regnetlab.spaces.regime import format_count
from regnetlab.spaces.space import REGNET
from regnetlab.study.plan import BaselinesSection, Plan
from regnetlab.training.budget import Recipe, Score, mean_error
from regnetlab.trials.job import DERIVED, FINAL, TUNING, Job, training_seed

if TYPE_CHECKING:
    from regnetlab.trials.store import Store


@dataclass(frozen=True, slots=True)
class Contender:
    """A network that competes: ``name`` as the plan has it, ``model`` with its multiplier settled.

    Of those with one ``group`` only the best by tuning goes on; one without goes on by itself.
    """

    name: str
    model: str
    family: str
    flops: int
    params: int
    acts: int
    group: str = ""

    @property
    def is_regnet(self) -> bool:
        return self.family.startswith(REGNET.name)


class Basis(NamedTuple):
    """What trainings must share to count together: the checksum of the data, and what computes, if known."""

    data: str
    device: str | None = None


@dataclass(frozen=True, slots=True)
class Baselines:
    """What is settled: who competes (empty before that), and the learning rate of each model that goes on."""

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
    return Baselines(tuple(Contender(**each) for each in kept.get("contenders", ())), kept.get("chosen"))


def check_unchanged(plan: Plan, store: "Store", data: str) -> None:
    """Raise ``InputError`` where a changed plan would choose again after the test split was used."""
    kept = store.fact("contest")
    if not kept or kept.get("data", data) != data or kept.get("key") == _key(plan):
        return
    if any(score.test_error is not None for score in store.scores(data).values()):
        raise InputError(
            f"study {plan.name}: the test split was used already, and [baselines], budget, recipe or data"
            " have changed since: a new choice now would know the test errors",
            "change them back, or begin a new study with another name",
        )


def hand_designed(plan: Plan) -> list[Contender]:
    """The plan's baselines in each of its forms, of a family every network.

    Raises ``InputError`` for one that can't be.
    """
    if plan.baselines is None:
        return []
    from regnetlab.models.registry import named_models  # torch

    families = sorted({model.family for model in named_models()})
    for family, _ in plan.baselines.recipes:
        if family not in families:
            raise unknown("baselines: family", family, families)
    try:
        return list(_designed(plan, tuple(plan.baselines.texts)))
    except InputError as error:
        raise error.at(f"study {plan.name}: baselines") from None


@lru_cache(maxsize=8)  # a status asks every few seconds
def _designed(plan: Plan, texts: tuple[str, ...]) -> tuple[Contender, ...]:
    found = []
    for text in texts:
        if is_family(text):
            grid = family_grid(text, plan.template)
            found += [as_contender(plan, f"{text}: {each}", each, text) for each in grid]
        else:
            found.append(as_contender(plan, text, text))
    different = tuple(_different(found))
    built: dict[tuple[str, int, int, int], Contender] = {}
    for each in different:
        same = built.setdefault((each.family, each.flops, each.params, each.acts), each)
        if same is not each:
            raise InputError(f"{each.name} is the network {same.name}", "name one of them")
    return different


def regnets(
    plan: Plan, jobs: Sequence[Job], scores: Mapping[str, Score], designed: Sequence[Contender] = ()
) -> list[Contender]:
    """The RegNets with the least validation error: derived ones, then drawn ones where these are too few.

    As many as the plan says; where it says ``equal``, as many at each compute as make both sides equal, those
    in ``designed`` counted. Where a family competes in ``designed``, those of one compute compete as one.
    """
    from regnetlab.analysis.baselines import EQUAL_COMPUTE, equal_compute  # pandas, SciPy

    section = _section(plan)
    classes = equal_compute(designed, lambda each: each.flops)
    ends = [(each[0].flops, each[-1].flops) for each in classes]
    room = [sum(1 - 2 * each.is_regnet for each in there) for there in classes]
    grouped = any(each.group for each in designed)
    chosen: dict[str, Contender] = {}
    taken = {each.model for each in designed}
    for name, job in _ranked(jobs, scores):
        near = [
            i
            for i, (low, high) in enumerate(ends)
            if low / EQUAL_COMPUTE <= job.flops <= high * EQUAL_COMPUTE
        ]
        place = min(near, key=lambda i: abs(math.log(job.flops**2 / ends[i][0] / ends[i][1])), default=None)
        if job.model in taken or section.regnets == len(chosen):
            continue
        if section.regnets == "equal":
            if place is None or room[place] <= 0:
                continue
            room[place] -= 1
        middle = 0.0 if place is None else math.sqrt(ends[place][0] * ends[place][1])
        group = f"{REGNET.name} near {format_count(float(f'{middle:.2g}'))}" if middle else REGNET.name
        found = as_contender(plan, name, job.model, group if grouped else "")
        chosen.setdefault(found.model, found)
        taken.add(job.model)
    return list(chosen.values())


def _ranked(jobs: Sequence[Job], scores: Mapping[str, Score]) -> Iterator[tuple[str, Job]]:
    """Names and first trainings of derived RegNets, then of drawn ones, each the least mean error first."""
    for space in (DERIVED, REGNET.name):
        errors: dict[int, list[float | None]] = {}
        first: dict[int, Job] = {}
        for job in jobs:
            if job.space == space and job.identity in scores:
                errors.setdefault(job.index, []).append(scores[job.identity].error)
                first.setdefault(job.index, job)
        means = {index: mean_error(found) for index, found in errors.items()}
        for _, index in sorted((mean, index) for index, mean in means.items() if mean is not None):
            yield f"{REGNET.name} {index}" if space == REGNET.name else _derived_name(index), first[index]


def replaced_regnets(settled: Baselines, jobs: Iterable[Job]) -> list[Contender]:
    """The RegNets that compete under names which mean others among ``jobs``: RegNets were derived again."""
    now = {_derived_name(job.index): job.model for job in jobs if job.space == DERIVED}
    return [each for each in settled.contenders if now.get(each.name, each.model) != each.model]


def most_contenders(plan: Plan) -> tuple[int, int]:
    """How many will be tuned and how many go on, at most: which RegNets is not known before."""
    section = _section(plan)
    if section.regnets != "equal" and not any(map(is_family, section.texts)):
        return (len(section.texts) + section.regnets,) * 2
    designed = hand_designed(plan)
    balance = sum(1 - 2 * each.is_regnet for each in designed)
    more = max(0, balance) if section.regnets == "equal" else section.regnets
    groups = len({each.group or each.model for each in designed})
    return len(designed) + more, groups + more


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
    means = _means(tried)
    chosen: dict[str, float] = {}
    for _, lr, model in sorted((mean, lr, model) for (model, lr), mean in means.items() if mean is not None):
        chosen.setdefault(model, lr)
    return chosen


def _means(tried: Iterable[tuple[Job, Score]]) -> dict[tuple[str, float], float | None]:
    """The ``mean_error`` of every model and rate."""
    errors: dict[tuple[str, float], list[float | None]] = {}
    for job, score in tried:
        if job.final or score.test_error is not None:
            raise ValueError("a choice must not know the test split")
        errors.setdefault((job.model, job.recipe.lr), []).append(score.error)
    return {key: mean_error(found) for key, found in errors.items()}


def go_on(contenders: Sequence[Contender], tried: Sequence[tuple[Job, Score]]) -> dict[str, float]:
    """The rate of each model that goes on to final trainings: of every group the best by tuning."""
    from regnetlab.analysis.tuned_networks import finalists  # pandas

    errors = _means(tried)
    least = {
        model: min(
            (mean for (of, _), mean in errors.items() if of == model and mean is not None), default=None
        )
        for model, _ in errors
    }
    ahead = finalists((each.model, each.group, each.name, least.get(each.model)) for each in contenders)
    return {model: lr for model, lr in choose(tried).items() if model in ahead}


def final_jobs(plan: Plan, settled: Baselines) -> list[Job]:
    """Each contender that goes on, with new seeds at the rate chosen for it."""
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


def as_contender(plan: Plan, name: str, text: str, group: str = "") -> Contender:
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
    return Contender(name, model.text, family, counts.flops, counts.params, counts.acts, group)


def _derived_name(index: int) -> str:
    return f"{REGNET.name} {DERIVED} {index}"


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
    facts = [baselines or None, *learning, plan.template.facts(), plan.data, plan.seed]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]
