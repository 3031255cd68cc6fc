"""A plan written out as a complete study file."""

from collections.abc import Mapping
from dataclasses import fields

from regnetlab.spaces.template import TEMPLATES
from regnetlab.study.plan import Plan, Running
from regnetlab.study.tomlfile import write_value
from regnetlab.training.folders.decode import is_folder
from regnetlab.trials.location import mask


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
    folder = is_folder(plan.data)
    lines = [
        f"template = {shape}",
        f"data = {write_value(plan.data)}",
        *(f"{key} = {write_value(getattr(plan.reading, key))}" for key in ("fit", "background") if folder),
        *(["skip_unreadable = true"] if plan.reading.skip_unreadable else []),
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
            own = (f"{write_value(each.name)} = {write_value(each.meaning)}" for each in draw.space.custom)
            lines += [f"parent = {write_value(draw.space.parent)}", "[spaces.constraints]", *own]
    return "\n".join(lines) + "\n"


def _told(running: Running) -> dict[str, object]:
    """What [run] says, without the table of the cluster; TOML has no way to write that nothing is said."""
    told = {key: value for key, value in _fields(running).items() if value is not None and key != "cluster"}
    return told | ({"storage": mask(running.storage)} if running.storage else {})


def _fields(of: object) -> dict[str, object]:
    return {each.name: getattr(of, each.name) for each in fields(of)}  # type: ignore[arg-type]
