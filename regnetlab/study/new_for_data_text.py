"""The study file of a study that was suited to data: what was chosen, and why, for someone who edits it."""

from collections.abc import Iterator
from dataclasses import fields

from regnetlab.spaces.ranges import Ranges
from regnetlab.spaces.regime import format_count
from regnetlab.study.new_for_data import LEAST_SIDE, Suited, last_map
from regnetlab.study.plan import BaselinesSection, Plan
from regnetlab.study.plan_text import space_lines, template_table
from regnetlab.study.tomlfile import write_pairs
from regnetlab.training.budget import Budget, Recipe
from regnetlab.training.datasets import Outline
from regnetlab.training.folders.decode import Reading
from regnetlab.trials.terms import MARGIN

_CONTEST = ("names", "lr", "seeds", "regnets")  # what someone who edits [baselines] changes first


def suited_text(found: Suited, name: str, example: Plan, outline: Outline) -> str:
    """The study ``name`` as a file; ``load_plan`` reads the plan in ``found`` from it."""
    return "\n".join(_lines(found, name, example, outline)) + "\n"


def choices(found: Suited, outline: Outline) -> list[str]:
    """What was chosen, a line each for template, regime, budget, and whatever baselines changed."""
    plan, baselines = found.plan, found.plan.baselines
    lines = [_template(plan), _regime(found), _budget(plan, outline)]
    lines += [
        f"{there} would have {format_count(round(flops, -3))} flops here: {here} stands in for it"
        for there, here, flops in found.exchanged
    ]
    lines += [
        f"left out: {reason if name in reason else f'{name}: {reason}'}" for name, reason in found.left_out
    ]
    if baselines is None and found.left_out:
        lines.append("no baseline is left, so there is no [baselines]")
    return lines


def _lines(found: Suited, name: str, example: Plan, outline: Outline) -> Iterator[str]:
    plan, template, budget = found.plan, found.plan.template, found.plan.budget
    of_template, of_regime, of_budget, *of_baselines = choices(found, outline)
    total = outline.train + outline.validation + outline.test
    yield f"# Begun from the example {example.name}, on other data; every key: regnetlab run {name} --dry-run"
    yield f"# {total:,} images in {len(outline.classes):,} classes: {outline.train:,} to train on,"
    yield f"# {outline.validation:,} for validation, {outline.test:,} to test on."
    yield from write_pairs({"data": plan.data})
    yield from write_pairs(_changed(plan.reading, Reading()))
    yield f"# {of_template}"
    yield from write_pairs({"template": template_table(template)})
    yield f"seed = {plan.seed}"
    yield from ("", "[regime]", f"# {of_regime}")
    yield from write_pairs({key: window.text for key, window in plan.regime.windows.items()})
    yield from _section("ranges", _changed(plan.ranges, Ranges()))
    yield from ("", "[budget]", f"# {of_budget}")
    names = ("images", "epochs", "batch_size", "validation")
    seeds = {"seeds": plan.seeds, "repeated": plan.repeated} if plan.seeds > 1 else {}
    yield from _section(
        "", {each: getattr(budget, each) for each in names} | _changed(budget, Budget(), names) | seeds
    )
    yield from _section("recipe", _changed(plan.recipe, Recipe()))
    yield from _section("compare", {} if plan.terms.margin == MARGIN else {"margin": plan.terms.margin})
    yield from _section("derive", {"n": plan.derived} if plan.derived else {})
    if plan.derived and plan.derive_forced:
        yield "# Also where these networks don't show that good widths grow; report and tables then say so."
        yield from write_pairs({"force": True})
    yield from ("", *(f"# {line}" for line in of_baselines)) if of_baselines else ()
    if plan.baselines is not None:
        contest = {each: getattr(plan.baselines, each) for each in _CONTEST}
        usual = _changed(plan.baselines, BaselinesSection(()), (*_CONTEST, "recipes", "forms"))
        yield from _section("baselines", contest | usual)
        for family, recipe in plan.baselines.recipes:
            yield from _section(f"baselines.recipe.{family}", dict(recipe))
    yield from space_lines(plan)


def _section(name: str, values: dict[str, object]) -> Iterator[str]:
    if name and values:
        yield from ("", f"[{name}]")
    yield from write_pairs(values)


def _changed(values: object, usual: object, without: tuple[str, ...] = ()) -> dict[str, object]:
    """The fields that differ from the usual ones."""
    named = {each.name: getattr(values, each.name) for each in fields(values)}  # type: ignore[arg-type]
    return {
        name: value for name, value in named.items() if name not in without and value != getattr(usual, name)
    }


def _template(plan: Plan) -> str:
    template = plan.template
    halving = sum(stride > 1 for stride in template.strides)
    height, width = last_map(template)
    stem = f"stem stride {template.stem_stride}"
    stages = f"{halving} of {len(template.strides)} stages halve the map"
    reason = f"the last one keeps {width}×{height} px"
    least = f" (at least {LEAST_SIDE})" if min(height, width) >= LEAST_SIDE else ""
    return f"{template.width}×{template.height} px: {stem}, then {stages}; {reason}{least}"


def _regime(found: Suited) -> str:
    (there, here), space = found.shares, found.plan.draws[0].space.name
    window = found.plan.regime.windows["flops"].text
    share = f"{here:.0%} of the networks of {space} are smaller than its middle, {there:.0%} in the example"
    return f"flops {window}: as small for these images as the example's are for its own ({share})"


def _budget(plan: Plan, outline: Outline) -> str:
    budget = plan.budget
    networks = sum(draw.n for draw in plan.draws)
    images = "all" if budget.images == outline.train else f"{budget.images:,} of the {outline.train:,}"
    steps = f"{budget.steps:,} steps of {budget.batch_size} images for each of {networks:,} networks"
    return f"{steps}; they see {images} training images"
