"""From the width law to RegNets inside a regime, as full configurations.

The law is the growth of least error with its interval, and the w_0, depth, growth of depths, group width and
bottleneck ratio of least error (``population_law``). RegNets follow from it where it claims that widths
*grow*, or where they are forced:

* The first has the growth of least error, the second the low end of the interval, the third its high end;
  then follow growths half way between those before, in logs (fractions 1/2, 1/4, 3/4, 1/8 … of the interval),
  17 in all, and these again for more RegNets. A growth of less than 1 counts as 1.
* Of every growth, candidates are w_0 (multiples of 8), depth, group width and bottleneck ratio inside the
  ranges, with the law's growth of depths and widths that never fall; those outside of the regime are left
  out. The one nearest to the law's w_0, depth, group width and bottleneck ratio, by the sum of the squares of
  the logs of their ratios, that was not taken before is the next RegNet. A growth without candidates is
  passed over.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from heapq import merge
from itertools import product

import numpy as np
import pandas as pd

from regnetlab.analysis.population_law import DOES_NOT_GROW, GROWS, PopulationLaw, population_law
from regnetlab.analysis.space_errors import SpaceErrors
from regnetlab.analysis.statistics.differences import median_difference
from regnetlab.analysis.statistics.intervals import Interval
from regnetlab.analysis.statistics.random_search import AtRandom, best_at_random
from regnetlab.analysis.statistics.verdicts import held_together, verdict
from regnetlab.errors import InputError
from regnetlab.spaces.arrays import Floats
from regnetlab.spaces.compatibility import make_compatible
from regnetlab.spaces.complexity import complexity
from regnetlab.spaces.config import Config, Number
from regnetlab.spaces.law import in_width_steps, log_linear_depths
from regnetlab.spaces.population import Population as Columns
from regnetlab.spaces.ranges import WIDTH_STEP, Ranges
from regnetlab.spaces.regime import Regime, Window
from regnetlab.spaces.space import REGNET
from regnetlab.spaces.template import PAPER, Template
from regnetlab.trials.table import Trials


def derive_regnets(
    trials: Trials, n: int, template: Template, regime: Regime, ranges: Ranges, force: bool = False
) -> list[Config]:
    """The RegNets that follow from these trials: ``derive`` from their law."""
    return derive(population_law(trials), n, template, regime, ranges, force=force)


def derive(
    law: PopulationLaw,
    n: int,
    template: Template,
    regime: Regime,
    ranges: Ranges,
    se_ratio: float = 0.0,
    force: bool = False,
) -> list[Config]:
    """At most ``n`` different RegNets over the law's interval of growth in this regime, its best growth
    first.

    Raises:
        InputError: The law does not claim that widths grow, unless forced; or nothing on it lies in the
            regime.
    """
    if law.claim != GROWS and not force:
        raise InputError(
            "the widths of good networks do not grow"
            if law.claim == DOES_NOT_GROW
            else f"the width law is undecided ({law.reason})",
            "force = true in [derive] of a study, or fit-regnet --force, derives them all the same",
        )
    queues = [iter(_on_the_law(law, growth, template, regime, ranges, se_ratio)) for growth in _growths(law)]
    found: dict[Config, None] = {}
    while queues and len(found) < n:
        for queue in list(queues):
            config = next((each for each in queue if each not in found), None)
            if config is None:
                queues.remove(queue)
            elif len(found) < n:
                found[config] = None
    if not found:
        low, high = max(law.growth.low, 1.0), max(law.growth.high, 1.0)
        raise InputError(
            f"no RegNet with growth {low:.2f} to {high:.2f} lies in the regime {regime.text or 'and ranges'}"
            f" at {template.input}",
            "widen its windows, or derive on the template that the networks were trained on",
        )
    return list(found)


@dataclass(frozen=True, slots=True)
class DerivedErrors:
    """The ``n`` derived RegNets that have an error, the least of which is ``best``, beside drawn ones.

    ``against`` has median(derived) − median(space) and the verdict on it, for the narrowest space of free
    widths and for RegNet. ``at_random`` has what the best of as many networks drawn at random is, for the
    widest and the narrowest space of free widths.
    """

    n: int
    best: float
    against: Mapping[str, tuple[Interval, str]]
    at_random: Mapping[str, AtRandom]


def derived_errors(errors: Floats, populations: Sequence[SpaceErrors], margin: float) -> DerivedErrors:
    """Set the errors of derived RegNets, at least one, beside those of the spaces that they come from."""
    free = [each for each in populations if each.space != REGNET.name]
    law = [each for each in populations if each.space == REGNET.name]
    compared = (*free[-1:], *law)
    level = held_together(len(compared))  # all of these verdicts are to hold together
    changes = {each.space: median_difference(each.with_failures, errors, level) for each in compared}
    best = float(errors.min())
    return DerivedErrors(
        len(errors),
        best,
        {space: (change, verdict(change, margin)) for space, change in changes.items()},
        {
            each.space: best_at_random(each.with_failures, len(errors), best)
            for each in (*free[:1], *free[-1:])
            if len(each.with_failures) >= len(errors)
        },
    )


def told_template(networks: pd.DataFrame) -> Template:
    """The template that files of networks tell, the paper's where they tell none.

    Raises ``InputError`` where they tell several, or one that can't be built.
    """
    if "template" not in networks:
        return PAPER
    told = {each for each in networks["template"] if isinstance(each, Template)}
    reasons = [each for each in networks["template"] if isinstance(each, InputError)]
    if reasons:
        raise InputError(f"{reasons[0]}", "to derive RegNets all the same, give --template")
    if len(told) > 1:
        inputs = ", ".join(sorted({each.input for each in told}))
        raise InputError(
            f"the networks were trained on {len(told)} different templates ({inputs})",
            "give --template, or the files one by one",
        )
    return told.pop() if told else PAPER


def told_regime(networks: pd.DataFrame) -> Regime:
    """The range of the networks' flops, as far as these are known."""
    flops = networks["flops"].dropna()
    return Regime(flops=Window(float(flops.min()), float(flops.max()))) if len(flops) else Regime()


def told_se_ratio(networks: pd.DataFrame) -> float:
    """The squeeze-and-excitation ratio that all networks have, as far as files tell; else 0."""
    told = set(networks["se_ratio"]) if "se_ratio" in networks else set()
    return told.pop() if len(told) == 1 and all(isinstance(each, float) for each in told) else 0.0


def _growths(law: PopulationLaw) -> list[float]:
    """The growths over the interval, in the order in which RegNets have them."""
    best, low, high = (max(each, 1.0) for each in (law.growth.estimate, law.growth.low, law.growth.high))
    fractions = [0.0, 1.0, *(odd / parts for parts in (2, 4, 8, 16) for odd in range(1, parts, 2))]
    return list(dict.fromkeys([best, *(low * (high / low) ** each for each in fractions)]))


def _on_the_law(
    law: PopulationLaw, growth: float, template: Template, regime: Regime, ranges: Ranges, se_ratio: float
) -> Iterator[Config]:
    """The networks with this growth inside ranges and regime, the nearest to the law first."""

    def ranked(group_width: int, ratio: Number) -> Iterator[tuple[float, str, Config]]:
        networks = _candidates(growth, law.depth_growth, group_width, ratio, len(template.strides), ranges)
        if networks is None:
            return
        networks = networks.take(regime.holds(complexity(replace(networks, se_ratio=se_ratio), template)))
        away = np.log(networks.widths[:, 0] / law.w0.estimate) ** 2
        away += np.log(networks.depths.sum(axis=1) / law.depth) ** 2
        known = ((group_width, law.group_width), (ratio, law.bottleneck_ratio))
        away += sum(math.log(a / b) ** 2 for a, b in known if not math.isnan(b))
        for place in np.argsort(away, kind="stable").tolist():
            row = networks.config(place)
            config = Config.compatible(row.depths, row.widths, [group_width], [ratio], se_ratio)
            yield float(away[place]), config.text, config

    shapes = product(ranges.group_width, ranges.bottleneck_ratio)
    every = merge(*(ranked(*shape) for shape in shapes), key=lambda found: found[:2])
    return (config for _, _, config in every)


def _candidates(
    growth: float, depth_growth: float, group_width: int, ratio: float, stages: int, ranges: Ranges
) -> Columns | None:
    """All networks of this shape inside the ranges; ``None`` where there are none."""
    first = -(-ranges.width[0] // WIDTH_STEP) * WIDTH_STEP
    starts = np.arange(first, ranges.width[1] + 1, WIDTH_STEP)
    wanted = in_width_steps(starts[:, None] * growth ** np.arange(stages))
    wanted = wanted[wanted[:, -1] <= 4 * ranges.width[1]]
    widths, groups = make_compatible(
        wanted, np.full_like(wanted, group_width), np.full(wanted.shape, ratio, np.float64)
    )
    fits = ((widths >= ranges.width[0]) & (widths <= ranges.width[1])).all(axis=1)
    fits &= (np.diff(widths, axis=1) >= 0).all(axis=1) & (groups == group_width).all(axis=1)
    widths = widths[fits]
    totals = range(stages * ranges.depth[0], stages * ranges.depth[1] + 1)
    depths = np.array([log_linear_depths(total, depth_growth, stages) for total in totals], np.int64)
    depths = depths[((depths >= ranges.depth[0]) & (depths <= ranges.depth[1])).all(axis=1)]
    if not len(widths) or not len(depths):
        return None
    wide, deep = (each.ravel() for each in np.indices((len(widths), len(depths))))
    shape = (len(wide), stages)
    return Columns(depths[deep], widths[wide], np.full(shape, group_width), np.full(shape, float(ratio)))
