"""The study file: study.toml, found, validated and made a plan.

Sections and their keys are the fields of the dataclasses that the rest of the package uses (Budget,
Recipe, Ranges), so a new key is one new field there.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, create_model
from pydantic_core import PydanticCustomError

from regnetlab.errors import InputError, unknown
from regnetlab.execution.clusters import check_stated
from regnetlab.models.families import is_family
from regnetlab.spaces.custom import custom_space
from regnetlab.spaces.latency import LatencyModel
from regnetlab.spaces.ranges import Ranges
from regnetlab.spaces.regime import Regime, parse_window
from regnetlab.spaces.sampler import MAX_N
from regnetlab.spaces.space import SPACES, DesignSpace
from regnetlab.spaces.template import Template, parse_input, template_named
from regnetlab.study.plan import BaselinesSection, Draw, Plan, Running, stored_at
from regnetlab.study.plan_errors import explained, line_of_message
from regnetlab.study.tomlfile import parse_toml, read_text
from regnetlab.training.budget import Budget, Recipe
from regnetlab.training.folders.decode import Reading, is_folder
from regnetlab.training.recipes import base_values
from regnetlab.trials.location import check_no_server, from_environment
from regnetlab.trials.terms import Terms


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, arbitrary_types_allowed=True)


def _section(of: type, **more: Any) -> type[BaseModel]:
    """A pydantic model with the fields of a dataclass, and ``more``."""
    hints = get_type_hints(of)
    own: dict[str, Any] = {each.name: (hints[each.name], each.default) for each in fields(of)}
    return create_model(of.__name__, __base__=_Section, **(own | more))


class _Draw(_Section):
    space: str
    n: Annotated[int, Field(ge=1, le=MAX_N)]
    parent: str | None = None
    constraints: dict[str, str] | tuple[str, ...] = ()
    block: str = "x"
    stages: Annotated[tuple[int, ...] | int, Field(union_mode="left_to_right")] = ()
    parameters: dict[str, tuple[int, ...]] = Field(default_factory=dict)


class _Regime(_Section):
    flops: str | None = None
    params: str | None = None
    acts: str | None = None
    latency: str | None = None


class _Latency(_Section):
    base: float
    flop: float
    act: float
    batch: int = 1
    device: str = "cpu"
    processor: str = ""


class _Template(_Section):
    base: str = "small"
    input: str | None = None
    classes: int | None = None
    stem_width: int | None = None
    stem_stride: int | None = None
    strides: tuple[int, ...] | None = None
    stem: str | None = None
    activation: str | None = None


class _Derive(_Section):
    n: Annotated[int, Field(ge=0, le=1_000)] = 0
    force: bool = False


class _Run(_Section):
    executor: str = "local"
    workers: Annotated[int | None, Field(ge=1, le=10_000)] = None
    scheduler: str | None = None
    storage: str | None = None
    send_data: bool = False
    memory: str | None = None
    cluster: dict[str, Any] = Field(default_factory=dict)


_Compare: Any = _section(Terms)


def _regnets(value: Any) -> Any:
    if value == "equal" or (type(value) is int and 0 <= value <= 100):
        return value
    raise PydanticCustomError("regnets", 'it must be a whole number from 0 to 100, or "equal"')


_RecipePart: Any = _section(Recipe)
_BasedRecipe: Any = _section(Recipe, base=(str, "short"))


class _Baselines(_Section):
    names: Annotated[tuple[str, ...], Field(min_length=1, max_length=100)]
    forms: Annotated[tuple[str, ...], Field(min_length=1, max_length=20)] = ("small",)
    lr: Annotated[tuple[float, ...], Field(min_length=1, max_length=20)] = (0.0125, 0.05, 0.2)
    tuning_seeds: Annotated[int, Field(ge=1, le=100)] = 1
    seeds: Annotated[int, Field(ge=3, le=100)] = 3
    regnets: Annotated[Any, BeforeValidator(_regnets)] = None
    recipe: dict[str, _RecipePart] = Field(default_factory=dict)


_BudgetPart: Any = _section(
    Budget,
    seeds=(Annotated[int, Field(ge=1, le=1_000)], 1),
    repeated=(Annotated[float, Field(gt=0, le=1)], 1.0),
)
_Study = create_model(
    "_Study",
    __base__=_Section,
    template=(str | _Template, "small"),
    data=(str, "fashion-mnist"),
    fit=(str | None, None),
    background=(str | None, None),
    skip_unreadable=(bool | None, None),
    split=(str | None, None),
    group_by=(str | None, None),
    test_split=(bool | None, None),
    seed=(Annotated[int, Field(ge=0, lt=2**63)], 0),
    regime=(_Regime, _Regime()),
    latency=(_Latency | None, None),
    ranges=(_section(Ranges), Field(default_factory=dict, validate_default=True)),
    budget=(_BudgetPart, Field(default_factory=dict, validate_default=True)),
    recipe=(_BasedRecipe, Field(default_factory=dict, validate_default=True)),
    spaces=(Annotated[tuple[_Draw, ...], Field(min_length=1)], ...),
    derive=(_Derive, _Derive()),
    compare=(_Compare, Field(default_factory=dict, validate_default=True)),
    run=(_Run, _Run()),
    baselines=(_Baselines | None, None),
)


def find_study(study: str, root: Path = Path("studies")) -> Path:
    """The study file that STUDY means: a name under ``studies/``, a folder, or a file."""
    given = Path(study)
    for path in (root / study / "study.toml", given / "study.toml", given):
        if path.is_file():
            return path
    names = sorted(each.parent.name for each in root.glob("*/study.toml")) if root.is_dir() else []
    if not names:
        raise InputError(
            f"study {study!r} is not known: there is no {root}/{study}/study.toml here",
            f"go to the folder that has {root}/, give the path of a study.toml, or start a study:"
            " regnetlab new NAME",
        )
    raise unknown("study", study, names)


def newest_study(root: Path = Path("studies")) -> str:
    """The study under ``studies/`` whose trials were written last."""
    written = [path for path in root.glob("*/trials.csv") if (path.parent / "study.toml").is_file()]
    if not written:
        raise InputError(f"no study under {root}/ has trials yet", "start with: regnetlab run STUDY")
    return max(written, key=lambda path: path.stat().st_mtime).parent.name


def load_plan(path: Path, storage: str | None = None) -> Plan:
    """The plan in this study file, its trainings kept in ``storage`` if that is given.

    An error names the line, the key and what it accepts.
    """
    return parse_plan(read_text(path), path, storage)


def parse_plan(text: str, path: Path, storage: str | None = None) -> Plan:
    """The plan that this text would be as the study file at ``path``; errors as above."""
    values = parse_toml(text, path)
    try:
        study = _Study.model_validate(_tuples(values))
    except ValidationError as error:
        raise explained(path, text, error, _known_keys) from None
    try:
        dumped = study.model_dump(exclude={"template", "baselines"})
        shape = _template(study.template)  # type: ignore[attr-defined]
        dumped["recipe"] = _based(dumped["recipe"], values.get("recipe", {}), shape.channels)
        plan = _plan(path, dumped, study.template, study.baselines)  # type: ignore[attr-defined]
    except InputError as error:
        raise error.at(f"{path}{line_of_message(text, values, str(error))}") from None
    given = values.get("budget", {})
    flops = plan.regime.windows.get("flops")
    if "time_limit" not in given and flops is not None and math.isfinite(flops.high):
        plan = replace(plan, budget=plan.budget.long_enough(flops.high))
    stated = "images" in given
    plan = stored_at(replace(plan, images_stated=stated), storage)
    if stated and not plan.terms.walk:
        return plan
    from regnetlab.study.provenance import as_recorded  # reads the store, which few studies need here

    return as_recorded(plan)


def _based(values: Mapping[str, Any], given: Mapping[str, Any], channels: int) -> dict[str, Any]:
    """The recipe's keys: those of its base, but for what the file gives."""
    base = base_values(values["base"], channels)
    found = {key: value for key, value in values.items() if key != "base"} | base
    found |= {key: values[key] for key in given if key != "base"}
    Recipe(**found).check_channels(channels)
    return found


def _plan(
    path: Path, values: dict[str, Any], template: str | _Template, baselines: _Baselines | None
) -> Plan:
    ranges = Ranges(**values["ranges"])
    seeds, repeated = (values["budget"].pop(key) for key in ("seeds", "repeated"))
    draws = _draws(values["spaces"], ranges)
    check_no_server(values["run"]["storage"])
    values["run"]["storage"] = from_environment() or values["run"]["storage"]
    terms = Terms(**values["compare"])
    if terms.walk and len({(draw.space.block_text, draw.space.stages) for draw in draws}) > 1:
        raise InputError(
            "compare: a walk goes from space to space of one block and one number of stages",
            "leave walk out, or the other blocks",
        )
    if values["derive"]["n"] and all(draw.space.variant for draw in draws):
        raise InputError(
            "derive: RegNets are derived from spaces of X blocks with as many stages as the template",
            "list one of these too, or leave [derive] out",
        )
    return Plan(
        name=path.resolve().parent.name,
        folder=path.parent,
        template=_template(template),
        data=values["data"],
        seed=values["seed"],
        regime=Regime(
            **{
                name: parse_window(name, window)
                for name, window in values["regime"].items()
                if window is not None
            },
            model=None if values["latency"] is None else LatencyModel(**values["latency"]),
        ),
        budget=_budget(values["budget"]),
        seeds=seeds,
        recipe=Recipe(**values["recipe"]),
        draws=draws,
        derived=values["derive"]["n"],
        terms=terms,
        derive_forced=values["derive"]["force"],
        running=_running(values["run"]),
        repeated=repeated,
        reading=_reading(values),
        baselines=None if baselines is None else _contest(baselines, Recipe(**values["recipe"])),
    )


def _budget(values: dict[str, Any]) -> Budget:
    if values.get("time_limit") == math.inf:  # which only a training by itself may have
        raise InputError("budget: time_limit is inf", "it must be above 0 seconds, at most 30 days")
    return Budget(**values)


def _running(values: dict[str, Any]) -> Running:
    check_stated(values["scheduler"], values["cluster"])
    return Running(**values)


def _reading(values: Mapping[str, Any]) -> Reading:
    """How images of a folder are read and held out; refused for data that are used as they are."""
    names = ("fit", "background", "skip_unreadable", "split", "group_by", "test_split")
    given = {key: values[key] for key in names if values[key] is not None}
    if given and not is_folder(values["data"]):
        raise InputError(
            f"{min(given)} is for folders of images", f"{values['data']} is used as it is: leave it out"
        )
    return Reading(**given)


def _draws(given: Sequence[Mapping[str, Any]], ranges: Ranges) -> tuple[Draw, ...]:
    """The spaces by name and block, and those of the study's own made from their parents and constraints."""
    known: dict[str, DesignSpace] = dict(SPACES)
    draws, names = [], list[str]()
    for each in given:
        name, parent = each["space"], each["parent"]
        if parent is None and each["constraints"]:
            raise InputError(f"space {name!r} has constraints but no parent", 'add parent = "AnyNetA"')
        base = name if parent is None else parent
        if base not in known:
            raise unknown("space" if parent is None else "parent space", base, known)
        space = known[base]
        stages = each["stages"]
        made = each["block"], each["parameters"], (stages,) if isinstance(stages, int) else stages
        if any(value not in ("x", {}, ()) for value in made):
            if space.parent:
                raise InputError(
                    f"space {name!r}: a custom space can't have another block or stages than its parent",
                    "give its constraints, and the paper's space that it narrows as its parent",
                )
            if space.variant:
                raise InputError(
                    f"space {name!r} says block, stages or parameters, as its parent {base!r} does",
                    "say them where the parent is listed",
                )
            space = space.made_of(*made)
        if parent is not None:
            space = custom_space(name, space.name, each["constraints"], {space.name: space})
        if space.name in names:
            raise InputError(f"space {space.name!r} is listed twice", "list it once, with the larger n")
        names.append(space.name)
        known[space.name] = space
        draws.append(Draw(space.within(ranges), each["n"]))
    return tuple(draws)


def _contest(given: _Baselines, recipe: Recipe) -> BaselinesSection:
    """The section as plain data; raises ``InputError`` where a recipe or learning rate can't be."""
    recipes = []
    for family, part in given.recipe.items():
        changes: dict[str, Any] = part.model_dump(exclude_unset=True)
        if "lr" in changes:
            raise InputError(
                f"baselines: the recipe of {family} has lr", "every contender tries the same: baselines.lr"
            )
        replace(recipe, **changes)
        recipes.append((family, tuple(changes.items())))
    for lr in given.lr:
        replace(recipe, lr=lr)
    if len({f"{lr:g}" for lr in given.lr}) < len(given.lr):  # as baselines.csv has them
        raise InputError(f"baselines: lr is {list(given.lr)}", "list each once")
    section = BaselinesSection(
        given.names, given.forms, given.lr, given.seeds, 2, tuple(recipes), given.tuning_seeds
    )
    usual: Literal["equal"] | int = "equal" if any(map(is_family, section.texts)) else section.regnets
    return replace(section, regnets=usual if given.regnets is None else given.regnets)


def _template(given: str | _Template) -> Template:
    if isinstance(given, str):
        return template_named(given)
    base = template_named(given.base)
    channels, height, width = parse_input(given.input or base.input)
    return Template(
        name=base.name,
        channels=channels,
        height=height,
        width=width,
        classes=base.classes if given.classes is None else given.classes,
        stem_width=base.stem_width if given.stem_width is None else given.stem_width,
        stem_stride=base.stem_stride if given.stem_stride is None else given.stem_stride,
        strides=base.strides if given.strides is None else given.strides,
        stem=base.stem if given.stem is None else given.stem,
        activation=base.activation if given.activation is None else given.activation,
    )


def _tuples(value: Any) -> Any:
    """Lists become tuples all the way down: what a strict tuple field accepts."""
    if isinstance(value, dict):
        return {key: _tuples(each) for key, each in value.items()}
    return tuple(_tuples(each) for each in value) if isinstance(value, list) else value


def _known_keys(location: tuple[str | int, ...]) -> list[str]:
    """The keys that the table at this place accepts."""
    sections: dict[str, type[BaseModel]] = {
        "template": _Template,
        "regime": _Regime,
        "latency": _Latency,
        "ranges": _section(Ranges),
        "budget": _BudgetPart,
        "recipe": _BasedRecipe,
        "spaces": _Draw,
        "derive": _Derive,
        "compare": _Compare,
        "run": _Run,
        "baselines": _Baselines,
    }
    if location[:2] == ("baselines", "recipe"):
        return list(_RecipePart.model_fields)
    model = sections.get(str(location[0]), _Study) if location else _Study
    return list(model.model_fields)
