"""From images and minutes to the plan of a walk: regime, budget, spaces and networks.

What was measured on a few networks (``short_ladder``) decides before the first training of the study.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from regnetlab.analysis.guessing import has_learned
from regnetlab.analysis.statistics.intervals import median_scale_draws
from regnetlab.analysis.statistics.verdicts import POWER, held_together, networks_needed, points
from regnetlab.errors import InputError
from regnetlab.spaces.latency import LatencyModel
from regnetlab.spaces.regime import Regime, Window, format_count
from regnetlab.spaces.space import REGNET, SPACES
from regnetlab.study.effort import (
    LEAST_DRAWN,
    LEAST_EPOCHS,
    LEAST_STEPS,
    SIZES,
    epochs_of,
    images_of,
    least_seconds,
)
from regnetlab.study.minutes import WALK_SHARE, Clock
from regnetlab.study.new_for_data import suited
from regnetlab.study.observer import Observer
from regnetlab.study.plan import Draw, Plan
from regnetlab.study.plan_text import plan_toml
from regnetlab.study.session import Options
from regnetlab.study.short_ladder import SHARE, Rung, short_ladder
from regnetlab.study.stages import planned_jobs
from regnetlab.training.datasets import Outline, no_test_images
from regnetlab.training.folders.decode import Reading
from regnetlab.training.guessing import Guessing
from regnetlab.trials.terms import Terms

WALKS = (
    ("AnyNetA", "AnyNetB", "AnyNetC", "AnyNetD", "AnyNetE", "RegNet"),
    ("AnyNetA", "AnyNetC", "AnyNetE", "RegNet"),
    ("AnyNetA", "RegNet"),
)
"""The spaces of a walk, the longest that time allows."""
FEW_A_CLASS, TOO_FEW_A_CLASS = 20, 5
"""Images of a class below which there is a warning, and below which there is no study."""
_RANKS_ALIKE = 0.6
_ENOUGH, _FEWEST, _MOST, _PLENTY = 40, 16, 200, 100  # networks of each space
_ENDS_EARLY = 1.3  # times the networks that would fit if no step ended before its last look
_NEAR = (0.8, 1.2)  # a window around the size that was asked for
_MARGINS = (0.2, 0.5, 1.0)
_TIMED, _TIMED_SECONDS = 16, 0.15
_CAUTION = 0.8  # the quantile of what the scatter of errors may truly be


@dataclass(frozen=True, slots=True)
class Explored:
    """The plan of a walk and what it rests on, as lines for the user and for the study file."""

    plan: Plan
    lines: tuple[str, ...]

    @property
    def text(self) -> str:
        """The study file."""
        return "".join(f"# {line}\n" for line in self.lines) + plan_toml(self.plan)


def check_images(outline: Outline) -> str:
    """A warning where a class has few images, else nothing; raises ``InputError`` where one has too few, or
    no test image would judge the family."""
    if not outline.test:
        raise no_test_images(outline.name, "to judge a family on")
    if outline.survey is None:
        return ""
    counts = outline.survey.counts.values()
    images = {name: sum(each[i] for each in counts) for i, name in enumerate(outline.classes)}
    least = min(images, key=lambda name: images[name])
    few = sum(n < FEW_A_CLASS for n in images.values())
    if images[least] < TOO_FEW_A_CLASS:
        raise InputError(
            f"class {least!r} has {images[least]} image{'s' * (images[least] != 1)}",
            f"{TOO_FEW_A_CLASS} of each class are the least, {FEW_A_CLASS} and more are better",
        )
    return (
        f"warning: {few} of {len(images)} classes have fewer than {FEW_A_CLASS} images ({least!r} has"
        f" {images[least]}): errors by class will say little"
        if few
        else ""
    )


def explored(
    name: str,
    folder: Path,
    example: Plan,
    outline: Outline,
    reading: Reading,
    options: Options,
    observer: Observer,
    clock: Clock,
    target: tuple[str, float] | None = None,
    input: str | None = None,
    final_epochs: int | None = None,
) -> Explored:
    """The plan of a walk on these data.

    Args:
        name: Of the study, whose file will lie in ``folder``.
        folder: Where the study will be; nothing is written here.
        example: The study that ranges, recipe and relative size of the networks are taken from.
        outline: What the data hold.
        reading: How a folder's images are read.
        options: What the study is trained with.
        observer: Hears what happens.
        clock: The minutes that there are.
        target: ``flops`` or ``latency`` (in milliseconds) and how much the medium network may have.
        input: Another input than the images' own, as CxHxW.
        final_epochs: Of the last trainings, where the user asks for some.

    Raises:
        InputError: The images or the minutes are too few, or no network meets the target.
    """
    start = suited(replace(example, baselines=None), outline, input, reading).plan
    start = replace(
        start,
        name=name,
        folder=folder,
        derived=6,
        derive_forced=False,
        seeds=1,
        repeated=1.0,
        terms=Terms(),
        draws=_draws(start, WALKS[0], _FEWEST),
    )
    regime, of_regime = _regime(start, target)
    start = replace(start, regime=regime)
    possible, reason = _possible(start)
    if reason:
        observer.on_note(f"the walk ends before {REGNET.name}: {reason}")
    rungs, guess, workers = short_ladder(start, outline, options, observer, clock)
    family = partial(_least_family, start, workers, outline, final_epochs)
    return _chosen(start, _walks(possible), rungs, guess, workers, clock, outline, of_regime, family)


def _draws(plan: Plan, names: Sequence[str], n: int) -> tuple[Draw, ...]:
    return tuple(Draw(SPACES[name].within(plan.ranges), n) for name in names)


def _regime(plan: Plan, target: tuple[str, float] | None) -> tuple[Regime, str]:
    """The window of the walk, and where it comes from."""
    if target is None:
        window = plan.regime.windows["flops"]
        return plan.regime, f"flops {window.text}: small networks for images of {plan.template.input}"
    kind, value = target
    low, high = (value * each for each in _NEAR)
    if kind == "flops":
        window = Window(round(low), round(high))
        return Regime(flops=window), f"flops {window.text}, around the {format_count(value)} asked for"
    model = _latency_model(plan)
    window = Window(float(f"{low:.4g}"), float(f"{high:.4g}"), "ms")
    return (
        Regime(latency=window, model=model),
        f"latency {window.text} for one image, around the {value:g} ms asked for; predicted by a line"
        f" fitted to {_TIMED} networks on this machine",
    )


def _latency_model(plan: Plan) -> LatencyModel:
    """Latency as a line in flops and acts, measured on networks of very different sizes."""
    import torch

    from regnetlab.analysis.latency import fit, groups
    from regnetlab.models.registry import find_model
    from regnetlab.study.latency import network_columns, this_machine
    from regnetlab.training.latency import latency
    from regnetlab.trials.csv_tables import LATENCY

    device = torch.device("cpu")
    wide = replace(plan, regime=Regime(), draws=_draws(plan, ("AnyNetC",), _TIMED))
    rows = []
    for job in planned_jobs(wide):
        took = latency(find_model(job.model).build, plan.template, device, 1, _TIMED_SECONDS)
        times = {"median_ms": took.median, "low_ms": took.low, "high_ms": took.high}
        rows.append(
            network_columns(job) | this_machine(device) | times | {"batch": 1, "runs": took.runs, "host": ""}
        )
    return fit(groups(LATENCY.frame(rows))[0]).model


def _possible(plan: Plan) -> tuple[list[str], str]:
    """The spaces that have networks in the window, and why others don't.

    Raises ``InputError`` where those that leave the widths free have too few.
    """
    found, reason = [], ""
    for draw in plan.draws:
        try:
            planned_jobs(replace(plan, draws=(draw,)))
        except InputError as error:
            if draw.space.name != REGNET.name:
                hint = "choose another --flops or --latency"
                raise InputError(f"no walk at {plan.regime.text}: {error.what}", hint) from None
            reason = error.what
        else:
            found.append(draw.space.name)
    return found, reason


def _walks(possible: Sequence[str]) -> list[tuple[str, ...]]:
    """The walks over these spaces, the longest first."""
    shorter = [tuple(name for name in walk if name in possible) for walk in WALKS]
    return [walk if len(walk) > 1 else (possible[0], possible[-1]) for walk in shorter]


def _chosen(
    plan: Plan,
    walks: Sequence[tuple[str, ...]],
    rungs: Sequence[Rung],
    guess: Guessing,
    workers: int,
    clock: Clock,
    outline: Outline,
    of_regime: str,
    least_family: Callable[[Rung], float],
) -> Explored:
    """The cheapest budget that ranks networks as the largest does, a dearer one where time is plentiful; the
    longest walk with enough networks to find differences of the size that there may be."""
    there = workers * (clock.left - 60 * (clock.minutes or 0.0) * (1 - WALK_SHARE)) * _ENDS_EARLY

    def networks(rung: Rung, spaces: int) -> int:
        return min(_MOST, int(there / (spaces * rung.seconds)))

    place = next(
        (
            i
            for i, each in enumerate(rungs)
            if has_learned(each.errors, guess) and each.agreement >= _RANKS_ALIKE
        ),
        len(rungs) - 1,
    )
    while place + 1 < len(rungs) and networks(rungs[place + 1], len(walks[0])) >= _PLENTY:
        place += 1
    while place and networks(rungs[place], len(walks[-1])) < _FEWEST:
        place -= 1
    rung = rungs[place]

    def trained(walk: Sequence[str]) -> int:
        return int(networks(rung, len(walk)) / _ENDS_EARLY)

    walk = next((each for each in walks if decides(each, trained(each), rung)), walks[-1])
    n = networks(rung, len(walk))
    walking = _FEWEST * len(walk) * rung.seconds / workers / _ENDS_EARLY
    needed = max(walking, least_family(rung)) / WALK_SHARE
    if n < _FEWEST or (clock.minutes is not None and needed > clock.left):
        enough = math.ceil(needed / 60 / (1 - 2 * SHARE)) + 1
        raise InputError(
            f"{clock.minutes:g} minutes are too few: a training of {rung.budget.steps} steps takes"
            f" {rung.seconds:.1f} s here; {_FEWEST} networks of {len(walk)} spaces, and one of each size"
            " trained to the end, are the least",
            f"give about {enough} minutes, or smaller networks with --flops",
        )
    median = float(np.median(rung.errors))
    margin = max((each for each in _MARGINS if each <= median / 10), default=_MARGINS[0])
    time_limit = max(rung.budget.time_limit, math.ceil(rung.seconds * 30 / 100) * 100.0)
    found = replace(
        plan,
        budget=replace(rung.budget, time_limit=time_limit),
        draws=_draws(plan, walk, n),
        terms=Terms(margin=margin, walk=True),
    )
    lines = list(_lines(found, rungs, rung, outline, of_regime, clock, workers))
    if not has_learned(rung.errors, guess):
        lines.append(
            f"warning: these networks have hardly learned in {rung.budget.steps} steps, where guessing has"
            f" {guess.majority_error:.1f}%: verdicts will say little; give more minutes, or larger networks"
        )
    return Explored(found, tuple(lines))


def decides(walk: Sequence[str], n: int, rung: Rung) -> bool:
    """Whether so many networks of each space find what the steps of this walk may gain.

    All of them together may gain the distance from the median to the best of the networks of the widest
    space, since constraints that leave the good networks move the median towards the best; each has its part.
    """
    steps = len(walk) - 1
    gain = float(np.median(rung.errors)) - min(rung.errors)
    return n >= _ENOUGH and finest_difference(rung.errors, n, steps) <= gain / steps


def _least_family(plan: Plan, workers: int, outline: Outline, epochs: int | None, rung: Rung) -> float:
    """Seconds of the least family, by the trainings of the ladder."""
    last = replace(rung.budget, images=outline.train, epochs=1, validation=outline.validation)
    medium = rung.seconds / images_of(rung.budget, plan.recipe) * images_of(last, plan.recipe)
    least = epochs or epochs_of(LEAST_EPOCHS, LEAST_STEPS, last.steps)
    drawn = LEAST_DRAWN * (sum(SIZES.values()) - 1) * rung.seconds / workers
    return drawn + least_seconds({name: share * medium for name, share in SIZES.items()}, workers, least)


def _lines(
    plan: Plan,
    rungs: Sequence[Rung],
    rung: Rung,
    outline: Outline,
    of_regime: str,
    clock: Clock,
    workers: int,
) -> Iterator[str]:
    """What was chosen and why, and what the time can decide."""
    names, n = [draw.space.name for draw in plan.draws], plan.draws[0].n
    yield (
        f"{outline.train + outline.validation + outline.test:,} images in {len(outline.classes):,} classes:"
        f" {outline.train:,} to train on, {outline.validation:,} for validation, {outline.test:,} to test on"
    )
    yield f"networks: {of_regime}"
    tried = ", ".join(
        f"{each.budget.steps} steps ({each.seconds:.1f} s each, median error {np.median(each.errors):.1f}%"
        + f", rank correlation with the longest {each.agreement:.2f}" * (each is not rungs[-1])
        + ")"
        for each in rungs
    )
    yield f"{len(rung.errors)} networks of {names[0]} were trained for {tried}"
    yield (
        f"budget: {rung.budget.steps} steps, so about {3600 * workers / rung.seconds:,.0f} networks an hour"
        f" with {workers} at once"
    )
    yield f"walk: {' → '.join(names)}, up to {n} networks each; steps end early where they are decided"
    an_image = 100 / min(plan.budget.validation, outline.validation)
    finest = max(finest_difference(rung.errors, n, len(names) - 1), an_image)
    yield (
        f"verdicts: up to {points(plan.terms.margin)} of error more counts as no worse; this time finds"
        f" {POWER:.0%} of differences of {finest:.1f} points and more, and smaller ones may stay undecided"
    )
    if clock.minutes is not None:
        yield (
            f"time: the walk until minute {clock.minutes * WALK_SHARE:.0f} of {clock.minutes:g}, then the"
            " family: a small, a medium and a large network, tuned and trained to the end"
        )


def finest_difference(errors: Sequence[float], n: int, steps: int) -> float:
    """The difference of medians that n networks in each space find with a chance of ``POWER``.

    A few networks say little of how errors scatter: a wide estimate counts (``_CAUTION``).
    """
    random = np.random.default_rng(0)
    scale = float(np.quantile(median_scale_draws(np.asarray(errors), random), _CAUTION))
    if not math.isfinite(scale):
        return math.inf
    needed: Any = networks_needed((scale, scale), 1.0, POWER, held_together(steps))
    return math.sqrt(needed / n)
