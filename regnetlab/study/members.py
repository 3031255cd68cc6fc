"""Networks by the names that they have in a study: ``derived1``, ``AnyNetC:12``, ``resnet18@1MF``.

A study's networks exist on its template alone, so the commands that take a MODEL find it here together with
the template that it is meant on.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from regnetlab.errors import InputError, unknown
from regnetlab.spaces.config import Config
from regnetlab.spaces.template import Template, template_named
from regnetlab.study.baselines import replaced_regnets
from regnetlab.study.plan import Plan
from regnetlab.study.stages import planned_jobs
from regnetlab.training.budget import Recipe
from regnetlab.trials.job import DERIVED, training_seed

if TYPE_CHECKING:
    from regnetlab.models.model import Model

# As `compare-baselines` has it (RegNet derived 1, RegNet 2), as trials.csv does (derived,1), or in one word.
_MEMBER = re.compile(r"(?:regnet (?=\S+ \d))?(?P<space>.+?)[ :]?(?P<index>\d{1,9})", re.IGNORECASE)


def study_named(study: str | None, **own: object) -> Plan | None:
    """The plan of the study that ``--study`` names, if it names one.

    Raises ``InputError`` where one of the options in ``own`` is given too, whose value the study decides.
    """
    if study is None:
        return None
    from regnetlab.study.plan_file import find_study, load_plan  # pydantic

    plan = load_plan(find_study(study))
    for option, value in own.items():
        if value is not None:
            name = option.replace("_", "-")
            raise InputError(f"study {plan.name} has its own template", f"leave out --{name}, or --study")
    return plan


def models_on(
    texts: Sequence[str], study: str | None, template: str | None, input: str | None, classes: int | None
) -> "list[tuple[Model, Template]]":
    """Each model with the template that it is meant on: the study's, the one that is named, or its own."""
    plan = study_named(study, template=template, input=input, classes=classes)
    if plan is not None:
        return [(member(plan, text), plan.template) for text in texts]
    chosen = None if template is None else template_named(template)
    from regnetlab.models.forms import settled  # torch
    from regnetlab.models.registry import find_model

    models = map(find_model, texts)
    shaped = [(model, (chosen or model.template).changed(input, classes)) for model in models]
    return [(settled(model, shape), shape) for model, shape in shaped]


def member(plan: Plan, text: str) -> "Model":
    """The network of that name in the study, or any other model, on the study's template.

    Raises ``InputError`` with the nearest name where there is neither.
    """
    from regnetlab.models.forms import settled  # torch
    from regnetlab.models.pycls_config import is_config_file
    from regnetlab.models.registry import ANY_DEPTH, find_model, model_of, usual

    found = _MEMBER.fullmatch(text.strip())
    spaces = {each.casefold(): each for each in (*(draw.space.name for draw in plan.draws), DERIVED)}
    if found is not None and (space := spaces.get(found["space"].casefold())) is not None:
        return model_of(_config(plan, space, int(found["index"])))
    if (family := re.match(r"\S+@\S+: ", text)) is not None:  # as `compare-baselines` has a family's network
        text = text[family.end() :]
    try:
        return settled(find_model(text), plan.template)
    except InputError:
        if (
            is_config_file(text)
            or usual(text) in ANY_DEPTH
            or any(mark in text for mark in "=@")
            or text.startswith(("anynet:", "regnet:"))
        ):
            raise
        raise _unknown(plan, text, found["index"] if found else "0") from None


def first_training(plan: Plan, model: "Model") -> tuple[Recipe, int]:
    """The recipe and the seed that the study trains this network with first."""
    recipes = dict(plan.baselines.recipes) if plan.baselines is not None else {}
    recipe = replace(plan.recipe, **dict(recipes.get(model.family, ())))
    return recipe, training_seed(plan.seed, model.text, 0)


def _config(plan: Plan, space: str, index: int) -> Config:
    if space == DERIVED:
        configs = _derived(plan, index)
    else:
        jobs = (job for job in planned_jobs(plan) if job.space == space)
        configs = {job.index: job.config for job in jobs if job.config is not None}
    if index not in configs:
        last = max(configs)
        there = f"{_written(space, 0)} to {_written(space, last)}" if last else f"{_written(space, 0)} alone"
        raise InputError(f"study {plan.name} has no network {_written(space, index)}", f"there is {there}")
    return configs[index]


def _derived(plan: Plan, index: int) -> Mapping[int, Config]:
    """The derived RegNets by index.

    Raises ``InputError`` where that of this index competed as another network: a name must mean one.
    """
    from regnetlab.study.results import study_so_far  # pandas

    if not plan.derived:
        raise InputError(f"study {plan.name} derives no RegNets", "write [derive] n = 6 in its study.toml")
    state, _ = study_so_far(plan)
    configs = {job.index: job.config for job in state.jobs if job.space == DERIVED and job.config is not None}
    if state.outdated:
        raise InputError(
            f"study {plan.name} changed since its RegNets were derived: the next run derives them again",
            f"regnetlab run {plan.name}, or write the network itself, as in anynet:d=…",
        )
    if not configs and state.derived:
        raise InputError(f"study {plan.name}: its run could not derive a RegNet from the best networks")
    if not configs:
        raise InputError(
            f"study {plan.name} has no derived RegNets yet", f"get them with: regnetlab run {plan.name}"
        )
    for each in replaced_regnets(state.baselines, state.jobs):
        if each.name.endswith(f" {index}"):
            raise InputError(
                f"study {plan.name} derived its RegNets again after they had competed: {DERIVED}{index} is"
                f" {configs[index].text} now and {each.model} in compare-baselines",
                "name one of these two",
            )
    return configs


def _unknown(plan: Plan, text: str, index: str) -> InputError:
    from regnetlab.models.registry import named_models

    spaces = [draw.space.name for draw in plan.draws] + [DERIVED] * bool(plan.derived)
    own = [_written(space, index) for space in spaces]
    hint = unknown("model", text, [*own, *(model.text for model in named_models())])
    if "did you mean" in str(hint):
        return InputError(f"study {plan.name}: {hint}")
    examples = ", ".join(own)
    return InputError(
        f"study {plan.name}: model {text!r} is not known",
        f"its networks are called as in {examples}, others as `regnetlab models` lists them",
    )


def _written(space: str, index: int | str) -> str:
    return f"{space}{index}" if space == DERIVED else f"{space}:{index}"
