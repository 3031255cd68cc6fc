"""What `new` chooses for a data set exists, and fits it: the plan is drawn and solved for any images."""

from dataclasses import replace
from math import ceil
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regnetlab.errors import InputError
from regnetlab.spaces.template import SMALL
from regnetlab.study.baselines import hand_designed
from regnetlab.study.examples import examples
from regnetlab.study.new_for_data import check_enough, last_map, suited, template_for
from regnetlab.study.new_for_data_text import suited_text
from regnetlab.study.plan import Plan
from regnetlab.study.plan_file import load_plan, parse_plan
from regnetlab.study.plan_text import plan_toml
from regnetlab.study.stages import planned_jobs
from regnetlab.training.datasets import Outline

sides = st.integers(16, 224)


def outline_of(images: int, classes: int, channels: int, height: int, width: int) -> Outline:
    """Images in one folder, from which a sixth is held out twice."""
    test = images // 6
    validation = (images - test) // 6
    names = tuple(f"class {i}" for i in range(classes))
    train = images - test - validation
    return Outline("folder:some images", names, train, validation, test, channels, height, width)


def written(example: str, outline: Outline) -> Plan:
    """The plan in the file that is written for these data, which is the one that was chosen."""
    begun = load_plan(examples()[example] / "study.toml")
    found = suited(begun, outline)
    plan = parse_plan(suited_text(found, "mine", begun, outline), Path("studies/mine/study.toml"))
    assert plan_toml(plan) == plan_toml(found.plan)
    return plan


def check_fits(plan: Plan, outline: Outline) -> None:
    template, budget = plan.template, plan.budget
    assert (template.input, template.classes) == (outline.input, len(outline.classes))
    assert budget.images <= outline.train
    assert budget.validation <= outline.validation
    assert budget.steps >= 100
    window = plan.regime.windows["flops"]
    jobs = planned_jobs(plan)
    assert len({job.model for job in jobs if job.space == plan.draws[0].space.name}) == plan.draws[0].n
    assert all(window.low <= job.flops <= window.high for job in jobs)


@settings(max_examples=40)
@given(
    example=st.sampled_from(["falling-widths", "regnetx", "inverted-bottleneck", "fashion-mnist-budget"]),
    images=st.integers(60, 100_000),
    classes=st.integers(2, 1_000),
    channels=st.sampled_from([1, 3]),
    height=sides,
    width=sides,
)
def test_the_populations_of_the_file_exist_for_any_images(
    example: str, images: int, classes: int, channels: int, height: int, width: int
) -> None:
    outline = outline_of(images, min(classes, images // 3), channels, height, width)
    check_fits(written(example, outline), outline)


@pytest.mark.parametrize(
    "outline",
    [
        outline_of(60, 2, 1, 16, 16),
        outline_of(3_000, 1_000, 3, 16, 24),
        outline_of(60_000, 10, 3, 32, 32),
        outline_of(2_448, 17, 3, 64, 64),
        outline_of(100_000, 1_000, 3, 96, 48),
        outline_of(500, 5, 1, 224, 16),
        outline_of(100_000, 2, 3, 224, 224),
    ],
    ids=lambda outline: outline.input,
)
def test_the_baselines_of_the_file_exist(outline: Outline) -> None:
    plan = written("quick", outline)
    check_fits(plan, outline)
    window = plan.regime.windows["flops"]
    contenders = hand_designed(plan)
    assert contenders
    assert all(each.flops <= 2 * window.high for each in contenders)


@given(sides, sides)
def test_the_last_stage_keeps_four_pixels_and_not_many_more(height: int, width: int) -> None:
    template = template_for(SMALL.changed(f"3x{height}x{width}"))
    assert len(template.strides) == 4
    assert 4 <= min(last_map(template)) <= 7
    halvings = (template.stem_stride, *template.strides).count(2)
    assert min(last_map(template)) == ceil(min(height, width) / 2**halvings)


def test_a_budget_has_the_steps_of_its_example() -> None:
    few, many = outline_of(800, 4, 3, 32, 32), outline_of(90_000, 4, 3, 32, 32)
    assert written("fashion-mnist", many).budget.steps == 400
    budget = written("fashion-mnist", few).budget
    assert 400 <= budget.steps < 410
    assert budget.images == few.train


def test_many_classes_get_images_of_each() -> None:
    assert written("regnetx", outline_of(100_000, 1_000, 3, 32, 32)).budget.images == 20_000
    assert written("regnetx", outline_of(100_000, 100, 3, 32, 32)).budget.images == 6_400


@given(st.integers(6, 3_000), st.integers(2, 1_000))
def test_as_many_images_as_an_error_asks_for_are_enough(images: int, classes: int) -> None:
    try:
        check_enough(outline_of(images, classes, 3, 32, 32))
    except InputError as error:
        enough = int(str(error).rpartition("; ")[2].split()[0].replace(",", ""))
        assert enough > images
        check_enough(outline_of(enough, classes, 3, 32, 32))


def test_sixty_images_of_two_classes_are_enough() -> None:
    check_enough(outline_of(60, 2, 3, 32, 32))


def test_a_family_moves_with_the_window_as_a_network_does() -> None:
    example = load_plan(examples()["quick"] / "study.toml")
    assert example.baselines is not None
    names = ("resnet@1MF", "vgg11@1MF", "nin@d@1MF")
    example = replace(example, baselines=replace(example.baselines, names=names, regnets="equal"))
    found = suited(example, outline_of(60_000, 10, 3, 64, 64)).plan
    assert found.baselines is not None
    family, network, *_ = found.baselines.names
    assert family.removeprefix("resnet@") == network.removeprefix("vgg11@") != "1MF"
    assert len([each for each in hand_designed(found) if each.group == family]) > 0
