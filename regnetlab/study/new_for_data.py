"""What suits a data set: template, regime, budget and baselines of a study that begins as an example does.

The example says which spaces, which recipe, and how large its networks are among those of its first space;
the data say the rest. What is chosen here is drawn and solved before it is handed on, as a dry run does it.
``new_for_data_text`` writes it down.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import ceil, log10
from pathlib import Path

import numpy as np

from regnetlab.errors import InputError
from regnetlab.models.families import is_family
from regnetlab.spaces.regime import Regime, Window, format_count
from regnetlab.spaces.sampler import sample
from regnetlab.spaces.template import SMALL, Template
from regnetlab.study.baselines import hand_designed
from regnetlab.study.plan import BaselinesSection, Plan
from regnetlab.study.stages import planned_jobs
from regnetlab.training.budget import Budget
from regnetlab.training.datasets import Outline, load_data
from regnetlab.training.folders.decode import Reading, takes_any_input
from regnetlab.training.folders.listener import Listener

LEAST_SIDE = 4
"""Pixels a side that the last stage keeps, at least, where the images have more."""
LEAST_STEPS = 100
"""Optimiser steps of a training; 26 of them on 2,448 icons left every network at the error of guessing."""
IMAGES_A_CLASS = 20
"""Training images that a budget has for each class, at least, where there are so many."""
LEAST_IMAGES = {"train": 24, "validation": 4, "test": 4}
"""Images without which a study is refused; two a class to train on, too."""

_STAGES = 4
_MOST_HALVINGS = 5
_HALVED_BY_STEM = 3  # from so many halvings on the stem takes one
_DRAWN = 1_000
_ROUND = (1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0)
_NEARBY = (1.0, 1.5, 2.0, 3.0, 0.7, 5.0, 0.5)  # where a space has too few networks at the first choice
_DEAR = 2.0  # a baseline of a fixed size above so many times the window gets the window's size instead
_LEAST_BATCH, _LEAST_STEPS_AN_EPOCH = 16, 4  # 16: the fewest that ``models.native`` takes


@dataclass(frozen=True, slots=True)
class Suited:
    """The plan, and what its text says about it.

    ``shares`` of the networks of the first space have flops below the middle of the window: in the example
    and here. ``exchanged`` baselines are (of the example, here, flops here in the example's form), those
    ``left_out`` (name, reason).
    """

    plan: Plan
    shares: tuple[float, float]
    exchanged: tuple[tuple[str, str, int], ...]
    left_out: tuple[tuple[str, str], ...]


def suited(example: Plan, outline: Outline, input: str | None = None, reading: Reading = Reading()) -> Suited:
    """The example's study on these data, on images of another ``input`` than their own if it is given.

    Raises ``InputError`` where there are too few images, with the number that would do.
    """
    template = _template(outline, input)
    window = example.regime.flops or Window(0.8e6, 1.2e6)
    middle = (window.low + window.high) / 2
    space = example.draws[0].space
    there, here = (sample(space, _DRAWN, each).complexity.flops for each in (example.template, template))
    share = float(np.mean(there < middle))
    plan = replace(
        example,
        template=template,
        data=outline.name,
        reading=reading,
        budget=budget_for(example.budget, outline),
        baselines=None,
    )
    plan, scale = _drawn(plan, window, middle, float(np.quantile(here, share)))
    plan = replace(plan, budget=plan.budget.long_enough(plan.regime.windows["flops"].high))
    shares = share, float(np.mean(here < scale * middle))
    if example.baselines is None:
        return Suited(plan, shares, (), ())
    if not outline.test:
        return Suited(plan, shares, (), (("baselines", "there are no test images to judge them on"),))
    kept, exchanged, left_out = _solved(plan, example.baselines, scale)
    if kept:
        plan = replace(plan, baselines=replace(example.baselines, names=tuple(kept), forms=("small",)))
    return Suited(plan, shares, tuple(exchanged), tuple(left_out))


def as_read(
    outline: Outline, data_dir: Path | None, input: str | None, reading: Reading, listener: Listener
) -> Outline:
    """The same once every image was decoded: a folder's headers don't tell all that can't be. What is decoded
    stays in the cache, for the run.

    Raises ``InputError`` as ``suited`` does, and where an image can't be read that may not be skipped.
    """
    if outline.survey is None:
        return outline
    return outline.of(load_data(outline.name, _template(outline, input), data_dir, reading, listener))


def _template(outline: Outline, input: str | None) -> Template:
    check_enough(outline)
    template = template_for(SMALL.changed(input or outline.input, len(outline.classes)))
    if input is not None:
        _check_input(template, outline)
    return template


def check_enough(outline: Outline) -> None:
    """Raise ``InputError`` where the images are too few for a study, with the number that would do."""
    least = LEAST_IMAGES | {"train": max(LEAST_IMAGES["train"], 2 * len(outline.classes))}
    if not outline.test:  # none are held out
        del least["test"]
    have = {name: getattr(outline, name) for name in least}
    if all(have[name] >= least[name] for name in least):
        return
    total = sum(have.values())
    # Splits held out are rounded down, and the training images have what that leaves: up to two more.
    sure = have | {"train": have["train"] - 2}
    share = max(least[name] / max(sure[name], 1) for name in least)
    enough = 10 * ceil((share * total + 6) / 10)
    raise InputError(
        f"data {outline.name} has {total:,} images in {len(outline.classes):,} classes: {_listed(have)}",
        (
            f"a study of so many classes needs at least {_listed(least)}; {enough:,} images in all, split"
            " alike, would do"
        ),
    )


def _check_input(template: Template, outline: Outline) -> None:
    if not takes_any_input(outline.name) and template.input != outline.input:
        raise InputError(
            f"data {outline.name} has images {outline.input}", f"leave out --input {template.input}"
        )
    if template.channels not in (1, 3):
        raise InputError(f"--input {template.input}: a folder of images is read in 1 or 3 channels")


def template_for(base: Template) -> Template:
    """The base with a stem and four stages that suit its resolution.

    As many of them halve the map as leave its shorter side ``LEAST_SIDE`` pixels: the last stages first, and
    the stem, which sees the most pixels, where there are three halvings or more.
    """
    side, halvings = min(base.height, base.width), 0
    while halvings < _MOST_HALVINGS and ceil(side / 2) >= LEAST_SIDE:
        side, halvings = ceil(side / 2), halvings + 1
    stem = int(halvings >= _HALVED_BY_STEM)
    strides = (1,) * (_STAGES - halvings + stem) + (2,) * (halvings - stem)
    return replace(base, stem_stride=1 + stem, strides=strides)


def last_map(template: Template) -> tuple[int, int]:
    """Height and width of the last stage's map."""
    height, width = template.height, template.width
    for stride in (template.stem_stride, *template.strides):
        height, width = ceil(height / stride), ceil(width / stride)
    return height, width


def budget_for(example: Budget, outline: Outline) -> Budget:
    """The example's number of steps, at least ``LEAST_STEPS``, on the images that there are."""
    wanted = max(example.images, IMAGES_A_CLASS * len(outline.classes))
    images = min(wanted, outline.train)
    batch = example.batch_size
    while batch > _LEAST_BATCH and images < _LEAST_STEPS_AN_EPOCH * batch:
        batch //= 2
    steps = max(LEAST_STEPS, example.steps)
    return replace(
        example,
        images=images,
        batch_size=batch,
        epochs=ceil(steps / max(1, images // batch)),
        validation=min(example.validation, outline.validation),
    )


def _drawn(plan: Plan, window: Window, middle: float, flops: float) -> tuple[Plan, float]:
    """The plan with the example's window at these flops, or near them if a space has too few networks there.

    Also by how much the window was scaled.
    """
    first: InputError | None = None
    for factor in _NEARBY:
        scale = _rounded(factor * flops) / middle
        regime = Regime(flops=Window(round(scale * window.low), round(scale * window.high)))
        there = replace(plan, regime=regime)
        try:
            planned_jobs(there)
        except InputError as error:
            first = first or error
        else:
            return there, scale
    raise first or InputError("no window of flops was tried")


def _rounded(flops: float) -> float:
    """The round number nearest to these flops."""
    power = 10.0 ** int(log10(flops))
    return power * min(_ROUND, key=lambda each: abs(each - flops / power))


def _solved(
    plan: Plan, baselines: BaselinesSection, scale: float
) -> tuple[list[str], list[tuple[str, str, int]], list[tuple[str, str]]]:
    """The baselines that there are on this plan's template, those of another form, and those left out."""
    kept: dict[str, None] = {}
    exchanged, left_out = [], []
    window = plan.regime.flops or Window()
    size = format_count(round((window.low + window.high) / 2))
    for text, here in _scaled(baselines, scale):
        try:
            flops = _flops(plan, baselines, here)
            if here == text and flops > _DEAR * window.high:
                smaller = f"{text.rpartition('@')[0]}@{size}F"
                _flops(plan, baselines, smaller)
                exchanged.append((text, smaller, flops))
                kept[smaller] = None
            else:
                kept[here] = None
        except InputError as error:
            left_out.append((text, str(error).removeprefix(f"study {plan.name}: baselines: ")))
    return list(kept), exchanged, left_out


def _scaled(baselines: BaselinesSection, scale: float) -> Iterator[tuple[str, str]]:
    """Each baseline with its form, and the same with the flops in its form scaled as the window was."""
    from regnetlab.models.registry import find_model  # torch

    for text in baselines.texts:
        name, _, form = text.rpartition("@")
        flops = find_model(f"resnet18@{form}" if is_family(text) else text).flops
        yield text, text if flops is None else f"{name}@{format_count(round(scale * flops))}F"


def _flops(plan: Plan, baselines: BaselinesSection, text: str) -> int:
    """Of a family those of its first network: all are near."""
    alone = replace(plan, baselines=replace(baselines, names=(text,), forms=("small",)))
    return hand_designed(alone)[0].flops


def _listed(counts: dict[str, int]) -> str:
    purposes = {"train": "to train on", "validation": "for validation", "test": "to test on"}
    return ", ".join(f"{count:,} {purposes[name]}" for name, count in counts.items())
