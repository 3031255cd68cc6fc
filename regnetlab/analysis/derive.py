"""From the law of the best networks to RegNets inside a regime, as full configurations.

A derived RegNet has the law's growth in its widths and its depths, the group width and bottleneck
ratio that the best networks have most often, and the w_0 and depth nearest to theirs with which it
lies inside the regime.
"""

import math
from collections import Counter
from collections.abc import Iterator

import numpy as np

from regnetlab.analysis.width_law import PopulationLaw, population_law
from regnetlab.errors import InputError
from regnetlab.spaces.complexity import complexity
from regnetlab.spaces.config import Config, Number
from regnetlab.spaces.law import in_width_steps, log_linear_depths, log_linear_widths
from regnetlab.spaces.population import Population
from regnetlab.spaces.ranges import WIDTH_STEP, Ranges
from regnetlab.spaces.regime import Regime
from regnetlab.spaces.template import Template
from regnetlab.trials.table import Trials, complete, without_law


def derive(
    law: PopulationLaw, n: int, template: Template, regime: Regime, ranges: Ranges, se_ratio: float = 0.0
) -> list[Config]:
    """At most ``n`` different RegNets of this law in this regime, the nearest to it first.

    Raises ``InputError`` where the law does not grow, or nothing on it lies in the regime.
    """
    growth = law.growth.estimate
    if growth <= 1:
        raise InputError(
            f"the best networks' widths do not grow from stage to stage (growth {growth:.2f})",
            "no RegNet follows from that",
        )
    stages = len(template.strides)
    candidates = list(dict.fromkeys(_candidates(law, stages, ranges, se_ratio)))
    if candidates:
        inside = regime.holds(complexity(Population.of(candidates), template))
        candidates = [each for each, kept in zip(candidates, inside, strict=True) if kept]
    if not candidates:
        raise InputError(
            f"no RegNet with growth {growth:.2f} lies in the regime {regime.text or 'and ranges'}",
            "widen its windows",
        )
    return sorted(candidates, key=lambda config: _distance(config, law))[:n]


def derive_regnets(
    trials: Trials, n: int, template: Template, regime: Regime, ranges: Ranges
) -> list[Config]:
    """The RegNets that follow from these trials: ``derive`` from the law of their best networks."""
    return derive(population_law(complete(without_law(trials.frame))), n, template, regime, ranges)


def _candidates(law: PopulationLaw, stages: int, ranges: Ranges, se_ratio: float) -> Iterator[Config]:
    """Networks on the law with any w_0 and depth inside the ranges."""
    group_width = _commonest(law, "group_widths", ranges.group_width)
    ratio = _commonest(law, "bottleneck_ratios", ranges.bottleneck_ratio)
    first = -(-ranges.width[0] // WIDTH_STEP) * WIDTH_STEP
    for w0 in range(first, ranges.width[1] + 1, WIDTH_STEP):
        widths = in_width_steps(log_linear_widths(w0, law.growth.estimate, stages)).tolist()
        if widths[-1] > 4 * ranges.width[1]:
            return
        for depth in range(stages, stages * ranges.depth[1] + 1):
            depths = log_linear_depths(depth, law.depth_growth, stages)
            config = Config.compatible(depths, widths, [group_width], [ratio], se_ratio)
            rising = all(np.diff(config.widths) >= 0)
            if rising and _inside(config, ranges) and len(set(config.group_widths)) == 1:
                yield config


def _inside(config: Config, ranges: Ranges) -> bool:
    return (
        ranges.width[0] <= min(config.widths)
        and max(config.widths) <= ranges.width[1]
        and ranges.depth[0] <= min(config.depths)
        and max(config.depths) <= ranges.depth[1]
    )


def _commonest(law: PopulationLaw, column: str, allowed: tuple[Number, ...]) -> Number:
    """The allowed value that the best networks' stages have most often; the smaller of equals."""
    counts = Counter(value for stages in law.best[column] if stages for value in stages)
    return min(allowed, key=lambda value: (-counts[value], value))


def _distance(config: Config, law: PopulationLaw) -> tuple[float, str]:
    """How far w_0 and depth are from the best networks', in logs; the text breaks ties."""
    away = math.log(config.widths[0] / law.w0.estimate) ** 2 + math.log(config.depth / law.depth) ** 2
    return away, config.text
