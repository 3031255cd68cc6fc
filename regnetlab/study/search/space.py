"""A space as Optuna's parameters, and from their values to a network.

An AnyNet space has d1, w1, g1, b1, d2, …, a shared group width or bottleneck ratio one g or b, and RegNet its
law's d, w0, wa, wm, g and b, log-uniform or uniform as in the space's own draws (``spaces.draws``). Where
widths or depths must rise, the values are put in order; equal neighbours and large shared group widths are
then rarer than in the space's own draws, so a search with the random sampler is near to random search in
the space, and the study's population is random search itself. Whatever else a space demands is judged on
the network.
"""

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

import numpy as np

from regnetlab.spaces.arrays import Ints
from regnetlab.spaces.compatibility import make_compatible
from regnetlab.spaces.complexity import complexity
from regnetlab.spaces.constraints import QUANTIZED_LINEAR, Link
from regnetlab.spaces.draws import law_bounds, multiples
from regnetlab.spaces.law import quantized_stages
from regnetlab.spaces.population import Population
from regnetlab.spaces.ranges import WIDTH_STEP
from regnetlab.spaces.regime import Regime
from regnetlab.spaces.space import DesignSpace
from regnetlab.spaces.template import Template
from regnetlab.study.search.definition import Candidate


def distributions(space: DesignSpace, stages: int) -> dict[str, Any]:
    """Optuna's distribution of every parameter; raises ``InputError`` where the ranges hold no network."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    ranges, shared = space.ranges, _links(space)
    group_width = CategoricalDistribution(ranges.group_width)
    bottleneck_ratio = CategoricalDistribution(ranges.bottleneck_ratio)
    if QUANTIZED_LINEAR in space.constraints:
        least, most, starts = law_bounds(ranges, stages)
        return {
            "d": IntDistribution(least, most),
            "w0": IntDistribution(_below(starts[0]), starts[-1], log=True),
            "wa": FloatDistribution(*ranges.wa, log=True),
            "wm": FloatDistribution(*ranges.wm, log=True),
            "g": group_width,
            "b": bottleneck_ratio,
        }
    widths = multiples(ranges.width)
    found: dict[str, Any] = {}
    for i in range(1, stages + 1):
        found[f"d{i}"] = IntDistribution(*ranges.depth, log=True)
        found[f"w{i}"] = IntDistribution(_below(widths[0]), widths[-1], log=True)
        for name, link, choice in (
            ("g", Link.SAME_GROUP_WIDTH, group_width),
            ("b", Link.SAME_BOTTLENECK_RATIO, bottleneck_ratio),
        ):
            found[name if link in shared else f"{name}{i}"] = choice
    return found


def proposed(
    space: DesignSpace, template: Template, regime: Regime, values: Mapping[str, Any]
) -> Candidate | None:
    """The network that these values mean; none where the space or the regime has no such network.

    The proposal's parameters are the network's own: rounded widths, in order where they must be.
    """
    stages = len(template.strides)
    drawn = _law_network if QUANTIZED_LINEAR in space.constraints else _free_network
    found = drawn(space, stages, values)
    if found is None:
        return None
    params, population = found
    for column, (least, most) in (
        (population.depths, space.ranges.depth),
        (population.widths, space.ranges.width),
    ):
        if column.min() < least or column.max() > most:
            return None
    if not all(each.holds(population).all() for each in space.constraints if not each.counted):
        return None
    counts = complexity(population, template)
    if not regime.holds(counts).all():
        return None
    if not all(each.holds(population, counts).all() for each in space.constraints if each.counted):
        return None
    law = tuple((name, float(column[0])) for name, column in population.law.items())
    return Candidate(params, {}, population.config(0), law, counts.row(0))


def expressed(space: DesignSpace, template: Template, regime: Regime, network: Population) -> Candidate:
    """The proposal of this network, a population of one that was drawn from the space in the regime."""
    config, shared = network.config(0), _links(space)
    values: dict[str, Any] = {name: float(column[0]) for name, column in network.law.items()}
    lawful = bool(values)
    if lawful:
        values["d"] = config.depth
        values["w0"] = int(values["w0"])
    stages = range(1, config.stages + 1)
    # Several group widths may mean the same network: those above a stage's inner width count as it.
    fitting = [
        {g for g in space.ranges.group_width if min(g, inner) == group}
        for group, inner in zip(config.group_widths, config.inner_widths, strict=True)
    ]
    common = set.intersection(*fitting)
    for i, fits in zip(stages, fitting, strict=True):
        if not lawful:
            values |= {f"d{i}": config.depths[i - 1], f"w{i}": config.widths[i - 1]}
        together = lawful or Link.SAME_GROUP_WIDTH in shared
        values["g" if together else f"g{i}"] = min(common if together else fits)
        together = lawful or Link.SAME_BOTTLENECK_RATIO in shared
        values["b" if together else f"b{i}"] = config.bottleneck_ratios[i - 1]
    found = proposed(space, template, regime, values)
    if found is None or found.config != config:
        raise ValueError(f"{config.text} was not drawn from {space.name}")
    return found


def _free_network(
    space: DesignSpace, stages: int, values: Mapping[str, Any]
) -> tuple[dict[str, Any], Population]:
    links = _links(space)
    depths, widths, groups, ratios = (
        np.array([[values.get(f"{name}{i}", values.get(name)) for i in range(1, stages + 1)]])
        for name in "dwgb"
    )
    if Link.RISING_DEPTH in links:
        depths = np.sort(depths)
    if Link.RISING_WIDTH in links:
        widths = np.sort(widths)
    widths, groups = make_compatible(_rounded_up(widths), groups, ratios)
    own = {f"{name}{i + 1}": int(v) for name, c in (("d", depths), ("w", widths)) for i, v in enumerate(c[0])}
    return {**values, **own}, Population(depths, widths, groups, ratios.astype(np.float64))


def _law_network(
    space: DesignSpace, stages: int, values: Mapping[str, Any]
) -> tuple[dict[str, Any], Population] | None:
    own = {
        "w0": int(_rounded_up(np.array(values["w0"]))),
        "wa": _on_grid(values["wa"], 1, space.ranges.wa),
        "wm": _on_grid(values["wm"], 3, space.ranges.wm),
    }
    law = {name: np.array([value], np.float64) for name, value in own.items()}
    widths, depths, whole = quantized_stages(**law, depth=np.array([values["d"]]), stages=stages)
    if not whole.all():
        return None
    groups, ratios = np.full((1, stages), values["g"]), np.full((1, stages), float(values["b"]))
    widths, groups = make_compatible(widths, groups, ratios)
    return {**values, **own}, Population(depths, widths, groups, ratios, law)


def _links(space: DesignSpace) -> frozenset[Link]:
    return frozenset(each.link for each in space.constraints if each.link is not None)


def _below(width: int) -> int:
    """The least number that is rounded up to this width, which begins at half itself at the most."""
    return width - min(WIDTH_STEP, width // 2) + 1


def _rounded_up(widths: Ints) -> Ints:
    return np.asarray(-(-widths // WIDTH_STEP) * WIDTH_STEP, np.int64)


def _on_grid(value: float, decimals: int, bounds: tuple[float, float]) -> float:
    """The nearest value that the space's own draws have: the low bound and steps of so many decimals."""
    low, high = (Decimal(str(bound)) for bound in bounds)
    step = Decimal(1).scaleb(-decimals)
    offset = low % step
    last = low + (high - low) // step * step
    return float(min(max(round(Decimal(value) - offset, decimals) + offset, low), last))


def with_notes(proposal: Candidate, notes: Mapping[str, object]) -> Candidate:
    return replace(proposal, notes=dict(notes))
