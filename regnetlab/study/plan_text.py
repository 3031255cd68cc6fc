"""A plan written out as a complete study file."""

from collections.abc import Mapping
from dataclasses import fields

from regnetlab.spaces.template import TEMPLATES, Template
from regnetlab.study.plan import Plan, Running
from regnetlab.study.tomlfile import write_pairs
from regnetlab.training.folders.decode import is_folder
from regnetlab.trials.location import mask


def plan_toml(plan: Plan) -> str:
    """The plan as a complete study file, every default written out."""
    template = plan.template
    known = template == TEMPLATES[template.name]
    lines = [
        *write_pairs(
            {
                "template": template.name if known else {"base": template.name} | template_table(template),
                "data": plan.data,
            }
        ),
        *(
            write_pairs({"fit": plan.reading.fit, "background": plan.reading.background})
            if is_folder(plan.data)
            else []
        ),
        *(["skip_unreadable = true"] if plan.reading.skip_unreadable else []),
        *write_pairs({"split": plan.reading.split} if is_folder(plan.data) else {}),
        *write_pairs({"group_by": plan.reading.group_by} if plan.reading.group_by is not None else {}),
        *write_pairs({} if plan.reading.test_split else {"test_split": False}),
        f"seed = {plan.seed}",
    ]
    sections: dict[str, Mapping[str, object]] = {
        "regime": {name: window.text for name, window in plan.regime.windows.items()},
        "ranges": _fields(plan.ranges),
        "budget": {**_fields(plan.budget), "seeds": plan.seeds, "repeated": plan.repeated},
        "recipe": _fields(plan.recipe),
        "derive": {"n": plan.derived, "force": plan.derive_forced},
        "compare": {key: value for key, value in _fields(plan.terms).items() if key != "walk" or value},
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
        lines += ["", f"[{name}]", *write_pairs(section)]
    return "\n".join([*lines, *space_lines(plan)]) + "\n"


def template_table(template: Template) -> dict[str, object]:
    """The keys of a template written as a table."""
    names = ("input", "classes", "stem_width", "stem_stride", "strides")
    later = {name: value for name, value in template.facts().items() if name in ("stem", "activation")}
    return {name: getattr(template, name) for name in names} | later


def space_lines(plan: Plan) -> list[str]:
    """The [[spaces]] of a study file."""
    lines: list[str] = []
    names = [draw.space.name for draw in plan.draws]
    for draw in plan.draws:
        space = draw.space
        keys: dict[str, object] = {"space": space.name.removesuffix(space.suffix), "n": draw.n}
        made_here = space.parent not in names  # or of what its parent is made of
        if space.parent:
            parent = space.parent.removesuffix(space.suffix) if made_here else space.parent
            keys = {"space": space.name, "n": draw.n, "parent": parent}
        if made_here:
            keys |= {"block": space.block_text} if space.block_text != "x" else {}
            keys |= {"stages": list(space.stages)} if space.stages else {}
        lines += ["", "[[spaces]]", *write_pairs(keys)]
        if space.own and made_here:
            lines += ["[spaces.parameters]", *write_pairs({name: list(v) for name, v in space.own})]
        if space.parent:
            custom = {each.name: each.meaning for each in space.custom}
            lines += ["[spaces.constraints]", *write_pairs(custom)]
    return lines


def _told(running: Running) -> dict[str, object]:
    """What [run] says, without the table of the cluster; TOML has no way to write that nothing is said."""
    told = {key: value for key, value in _fields(running).items() if value is not None and key != "cluster"}
    return told | ({"storage": mask(running.storage)} if running.storage else {})


def _fields(of: object) -> dict[str, object]:
    return {each.name: getattr(of, each.name) for each in fields(of)}  # type: ignore[arg-type]
