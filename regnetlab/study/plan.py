"""The plan of a study: study.toml, validated.

Sections and their keys are the fields of the dataclasses that the rest of the package uses (Budget,
Recipe, Ranges), so a new key is one new field there.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from regnetlab.errors import InputError, unknown
from regnetlab.spaces.latency import LatencyModel
from regnetlab.spaces.own import own_space
from regnetlab.spaces.ranges import Ranges
from regnetlab.spaces.regime import Regime, parse_window
from regnetlab.spaces.sampler import MAX_N
from regnetlab.spaces.space import SPACES, DesignSpace
from regnetlab.spaces.template import TEMPLATES, Template, parse_input, template_named
from regnetlab.study.running import Running
from regnetlab.study.stores.location import (
    Location,
    check_no_password,
    from_environment,
    from_here,
    location_of,
    mask,
)
from regnetlab.study.tomlfile import line_of, read_toml, write_value
from regnetlab.training.budget import Budget, Recipe

DERIVED = "derived"
"""The name under which a study's derived RegNets stand beside its spaces."""
TUNING, FINAL = "tuning", "final"
"""The names of the two stages in which baselines and RegNets compete."""
MARGIN = 1.0
"""How many percentage points of error worse a median may be and still be no worse, if not stated."""


@dataclass(frozen=True, slots=True)
class Draw:
    """n networks of one space."""

    space: DesignSpace
    n: int


@dataclass(frozen=True, slots=True)
class Baselines:
    """Which networks compete at the end of a study, and how their learning rates are chosen.

    Every name in every form (see ``models.forms``), and the ``regnets`` derived RegNets with the least
    validation error. Each is trained once with each ``lr``; the best on the validation split is trained
    ``seeds`` times more and judged on the test split. ``recipes`` holds what differs for a family.
    """

    names: tuple[str, ...]
    forms: tuple[str, ...] = ("small",)
    lr: tuple[float, ...] = (0.0125, 0.05, 0.2)
    seeds: int = 3
    regnets: int = 2
    recipes: tuple[tuple[str, tuple[tuple[str, Any], ...]], ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that a study file says, with its defaults filled in.

    ``seeds`` trainings of each network, or of the share ``repeated`` of every space's networks and one
    of the others; ``derived`` RegNets from the law of the best networks; ``margin`` in percentage points
    of error, for verdicts on the steps between spaces.
    """

    name: str
    folder: Path
    template: Template
    data: str
    seed: int
    regime: Regime
    budget: Budget
    seeds: int
    recipe: Recipe
    draws: tuple[Draw, ...]
    derived: int
    margin: float = MARGIN
    baselines: Baselines | None = None
    running: Running = field(default_factory=Running)
    repeated: float = 1.0

    @property
    def trainings_each(self) -> float:
        """Trainings of a network, on average."""
        return 1 + (self.seeds - 1) * self.repeated

    @property
    def store(self) -> Location:
        """Where the trainings are kept: study.db beside the file, if nothing else is said."""
        return location_of(self.running.storage, self.folder, self.name)

    @property
    def lock(self) -> Path:
        return self.folder / "study.lock"

    @property
    def log(self) -> Path:
        return self.folder / "study.log.jsonl"

    @property
    def trials(self) -> Path:
        return self.folder / "trials.csv"

    @property
    def provenance(self) -> Path:
        return self.folder / "provenance.json"

    @property
    def contest(self) -> Path:
        return self.folder / "baselines.csv"

    @property
    def searches_store(self) -> Path:
        """Searches have a store of their own: their trainings are no random sample (``search``)."""
        return self.folder / "searches.db"

    @property
    def searches(self) -> Path:
        return self.folder / "searches.csv"

    @property
    def fidelity(self) -> Path:
        return self.folder / "fidelity.csv"

    @property
    def latencies(self) -> Path:
        return self.folder / "latency.csv"

    @property
    def ranges(self) -> Ranges:
        """The ranges that all spaces of the study share."""
        return self.draws[0].space.ranges


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


class _Derive(_Section):
    n: Annotated[int, Field(ge=0, le=1_000)] = 0


class _Run(_Section):
    executor: str = "local"
    workers: Annotated[int | None, Field(ge=1, le=10_000)] = None
    scheduler: str | None = None
    storage: str | None = None
    send_data: bool = False
    memory: str | None = None
    cluster: dict[str, Any] = Field(default_factory=dict)


class _Compare(_Section):
    margin: Annotated[float, Field(ge=0, le=100)] = MARGIN


_RecipePart: Any = _section(Recipe)


class _Baselines(_Section):
    names: Annotated[tuple[str, ...], Field(min_length=1, max_length=100)]
    forms: Annotated[tuple[str, ...], Field(min_length=1, max_length=20)] = ("small",)
    lr: Annotated[tuple[float, ...], Field(min_length=1, max_length=20)] = (0.0125, 0.05, 0.2)
    seeds: Annotated[int, Field(ge=3, le=100)] = 3
    regnets: Annotated[int, Field(ge=0, le=100)] = 2
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
    seed=(Annotated[int, Field(ge=0, lt=2**63)], 0),
    regime=(_Regime, _Regime()),
    latency=(_Latency | None, None),
    ranges=(_section(Ranges), Field(default_factory=dict, validate_default=True)),
    budget=(_BudgetPart, Field(default_factory=dict, validate_default=True)),
    recipe=(_section(Recipe), Field(default_factory=dict, validate_default=True)),
    spaces=(Annotated[tuple[_Draw, ...], Field(min_length=1)], ...),
    derive=(_Derive, _Derive()),
    compare=(_Compare, _Compare()),
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
            f"study {study!r} is not known: there is no {root}/{study}/study.toml; make one (see the"
            " README) or give the path of a study.toml"
        )
    raise unknown("study", study, names)


def newest_study(root: Path = Path("studies")) -> str:
    """The study under ``studies/`` whose trials were written last."""
    written = [path for path in root.glob("*/trials.csv") if (path.parent / "study.toml").is_file()]
    if not written:
        raise InputError(f"no study under {root}/ has trials yet; begin with: regnetlab run STUDY")
    return max(written, key=lambda path: path.stat().st_mtime).parent.name


def load_plan(path: Path) -> Plan:
    """The plan in this study file; an error names the line, the key and what it accepts."""
    values, text = read_toml(path)
    try:
        study = _Study.model_validate(_tuples(values))
    except ValidationError as error:
        raise _explained(path, text, error) from None
    try:
        dumped = study.model_dump(exclude={"template", "baselines"})
        return _plan(path, dumped, study.template, study.baselines)  # type: ignore[attr-defined]
    except InputError as error:
        raise InputError(f"{path}{_line_of_message(text, values, str(error))}: {error}") from None


def stored_at(plan: Plan, storage: str | None) -> Plan:
    """The plan with its trainings kept elsewhere than its file says, if anything is said."""
    if storage is None:
        return plan
    return replace(plan, running=replace(plan.running, storage=from_here(storage)))


def _plan(
    path: Path, values: dict[str, Any], template: str | _Template, baselines: _Baselines | None
) -> Plan:
    ranges = Ranges(**values["ranges"])
    seeds, repeated = (values["budget"].pop(key) for key in ("seeds", "repeated"))
    names = [draw["space"] for draw in values["spaces"]]
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"space {name!r} is listed twice; list it once, with the larger n")
    check_no_password(values["run"]["storage"])
    values["run"]["storage"] = from_environment() or values["run"]["storage"]
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
        budget=Budget(**values["budget"]),
        seeds=seeds,
        recipe=Recipe(**values["recipe"]),
        draws=_draws(values["spaces"], ranges),
        derived=values["derive"]["n"],
        margin=values["compare"]["margin"],
        running=Running(**values["run"]),
        repeated=repeated,
        baselines=None if baselines is None else _contest(baselines, Recipe(**values["recipe"])),
    )


def _draws(given: Sequence[Mapping[str, Any]], ranges: Ranges) -> tuple[Draw, ...]:
    """The spaces by name, those of the study's own made from their parents and constraints."""
    known: dict[str, DesignSpace] = dict(SPACES)
    draws = []
    for each in given:
        name, parent = each["space"], each["parent"]
        if parent is None and each["constraints"]:
            raise InputError(f'space {name!r} has constraints but no parent; add parent = "AnyNetA"')
        if parent is not None:
            known[name] = own_space(name, parent, each["constraints"], known)
        elif name not in known:
            raise unknown("space", name, known)
        draws.append(Draw(known[name].within(ranges), each["n"]))
    return tuple(draws)


def _contest(given: _Baselines, recipe: Recipe) -> Baselines:
    """The section as plain data; raises ``InputError`` where a recipe or learning rate can't be."""
    recipes = []
    for family, part in given.recipe.items():
        changes: dict[str, Any] = part.model_dump(exclude_unset=True)
        if "lr" in changes:
            raise InputError(
                f"baselines: the recipe of {family} has lr; every contender tries the same: baselines.lr"
            )
        replace(recipe, **changes)
        recipes.append((family, tuple(changes.items())))
    for lr in given.lr:
        replace(recipe, lr=lr)
    if len(set(given.lr)) < len(given.lr):
        raise InputError(f"baselines: lr is {list(given.lr)}; list each once")
    return Baselines(given.names, given.forms, given.lr, given.seeds, given.regnets, tuple(recipes))


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
    )


def plan_toml(plan: Plan) -> str:
    """The plan as a complete study file, every default written out."""
    template = plan.template
    if template == TEMPLATES[template.name]:
        shape = write_value(template.name)
    else:
        parts = {
            "base": template.name,
            "input": template.input,
            "classes": template.classes,
            "stem_width": template.stem_width,
            "stem_stride": template.stem_stride,
            "strides": template.strides,
        }
        inner = ", ".join(f"{key} = {write_value(value)}" for key, value in parts.items())
        shape = f"{{ {inner} }}"
    lines = [
        f"template = {shape}",
        f"data = {write_value(plan.data)}",
        f"seed = {plan.seed}",
    ]
    sections: dict[str, Mapping[str, object]] = {
        "regime": {name: window.text for name, window in plan.regime.windows.items()},
        "ranges": _fields(plan.ranges),
        "budget": {**_fields(plan.budget), "seeds": plan.seeds, "repeated": plan.repeated},
        "recipe": _fields(plan.recipe),
        "derive": {"n": plan.derived},
        "compare": {"margin": plan.margin},
        "run": _told(plan.running),
    }
    if plan.baselines is not None:
        contest = _fields(plan.baselines)
        del contest["recipes"]
        sections["baselines"] = contest
        sections |= {f"baselines.recipe.{name}": dict(part) for name, part in plan.baselines.recipes}
    if plan.regime.model is not None:
        sections["latency"] = _fields(plan.regime.model)
    if plan.running.cluster:
        sections["run.cluster"] = plan.running.cluster
    for name, section in sections.items():
        lines += [
            "",
            f"[{name}]",
            *(f"{key} = {write_value(value)}" for key, value in section.items()),
        ]
    for draw in plan.draws:
        lines += ["", "[[spaces]]", f"space = {write_value(draw.space.name)}", f"n = {draw.n}"]
        if draw.space.parent:
            own = (f"{write_value(each.name)} = {write_value(each.meaning)}" for each in draw.space.own)
            lines += [f"parent = {write_value(draw.space.parent)}", "[spaces.constraints]", *own]
    return "\n".join(lines) + "\n"


def _told(running: Running) -> dict[str, object]:
    """What [run] says, without the table of the cluster; TOML has no way to write that nothing is said."""
    told = {key: value for key, value in _fields(running).items() if value is not None and key != "cluster"}
    return told | ({"storage": mask(running.storage)} if running.storage else {})


def _fields(of: object) -> dict[str, object]:
    return {each.name: getattr(of, each.name) for each in fields(of)}  # type: ignore[arg-type]


def _tuples(value: Any) -> Any:
    """Lists become tuples all the way down: what a strict tuple field accepts."""
    if isinstance(value, dict):
        return {key: _tuples(each) for key, each in value.items()}
    return tuple(_tuples(each) for each in value) if isinstance(value, list) else value


def _explained(path: Path, text: str, error: ValidationError) -> InputError:
    """One line for the first mistake that pydantic found."""
    found = error.errors()[0]
    location = tuple(each for each in found["loc"] if each not in _UNIONS)
    line = line_of(text, location)
    where = f"{path}" + (f", line {line}" if line else "")
    key = ".".join(str(each) for each in location)
    if found["type"] == "missing" and isinstance(location[-1], int):
        return InputError(f"{where}: {key.rpartition('.')[0]} must be a list of two: [low, high]")
    if found["type"] == "missing":
        example = ' [[spaces]] with space = "AnyNetA" and n = 20' if key == "spaces" else ""
        return InputError(f"{where}: {key} is missing; add{example or f' {location[-1]} = …'}")
    if found["type"] == "extra_forbidden":
        hint = unknown("key", str(location[-1]), _known_keys(location[:-1]))
        inside = f" of [{key.rpartition('.')[0]}]" if "." in key else ""
        return InputError(f"{where}: {str(hint).replace(' is not known', inside + ' is not known')}")
    message = _ACCEPTS.get(found["type"]) or found["msg"].replace("Input should be", "it must be")
    return InputError(f"{where}: {key} is {_shown(found['input'])}; {message}")


_UNIONS = ("str", "_Template", "dict[str,str]", "tuple[str, ...]")
"""What pydantic adds to a place where a key may be of several types."""

_ACCEPTS: Mapping[str, str] = MappingProxyType(
    {
        "tuple_type": "it must be a list",
        "dict_type": "it must be a table of names and texts, or a list of texts",
        "model_type": "it must be a table of keys",
        "too_long": "it must be a list of two: [low, high]",
        "too_short": "it must have at least one entry",
    }
)
"""What a key accepts, where pydantic says it in Python's words."""


def _known_keys(location: tuple[str | int, ...]) -> list[str]:
    """The keys that the table at this place accepts."""
    sections: dict[str, type[BaseModel]] = {
        "template": _Template,
        "regime": _Regime,
        "latency": _Latency,
        "ranges": _section(Ranges),
        "budget": _BudgetPart,
        "recipe": _section(Recipe),
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


def _shown(value: object) -> str:
    text = repr(list(value) if isinstance(value, tuple) else value)
    return text if len(text) <= 60 else f"{text[:57]}…"


def _parts(value: Any) -> list[Any]:
    """The value, or the texts in a table or list of constraints."""
    if isinstance(value, dict):
        return list(value.values())
    return list(value) if isinstance(value, list) else [value]


def _line_of_message(text: str, values: Mapping[str, Any], message: str) -> str:
    """Where the key that a message of ``Budget``, ``Recipe``, … speaks of stands in the file."""
    places: list[tuple[str | int, ...]] = []
    for section, inner in values.items():
        if isinstance(inner, dict):
            places += [(section, key) for key in inner if f"{key} " in message]
        elif isinstance(inner, list):
            places += [
                (section, i, key)
                for i, each in enumerate(inner)
                if isinstance(each, dict)
                for key, value in each.items()
                if any(repr(part) in message for part in _parts(value))
            ]
        elif repr(inner) in message:
            places.append((section,))
    lines = [line for place in places if (line := line_of(text, place))]
    return f", line {lines[-1]}" if lines else ""
