"""Constraints: what narrows a space. Each one judges whole populations at once.

A constraint is its name, its meaning and ``holds``. The four of the paper also have a ``link``:
they only relate each stage to the next, so the sampler draws exactly the networks that satisfy
them instead of drawing and rejecting (``chain``). Any other constraint works by rejection.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

import numpy as np

from regnetlab.spaces.arrays import Mask
from regnetlab.spaces.blocks import block_named
from regnetlab.spaces.compatibility import make_compatible
from regnetlab.spaces.law import quantized_stages
from regnetlab.spaces.population import Population


class Link(Enum):
    """How a stage must relate to the next one."""

    SAME_BOTTLENECK_RATIO = "b_i = b_{i+1}"
    SAME_GROUP_WIDTH = "g_i = g_{i+1}"
    RISING_WIDTH = "w_i ≤ w_{i+1}"
    RISING_DEPTH = "d_i ≤ d_{i+1}"


@dataclass(frozen=True, slots=True)
class Constraint:
    """A name, its meaning in the papers' symbols, and which networks satisfy it.

    ``holds`` maps a population of n networks to a mask of shape (n,); with ``counted`` it takes their
    complexity as its second argument. ``link`` may say the same as a relation of neighbouring
    stages; a test keeps the two equal.
    """

    name: str
    meaning: str
    holds: Callable[..., Mask]
    link: Link | None = None
    counted: bool = False


def _each_row(holds: Mask) -> Mask:
    return np.asarray(holds.all(axis=1), np.bool_)


def _shared_bottleneck(population: Population) -> Mask:
    ratios = population.bottleneck_ratios
    return _each_row(ratios == ratios[:, :1])


def _shared_group_width(population: Population) -> Mask:
    groups = population.group_widths
    return _each_row(groups == groups[:, :1])


def _rising_widths(population: Population) -> Mask:
    return _each_row(np.diff(population.widths, axis=1) >= 0)


def _rising_depths(population: Population) -> Mask:
    return _each_row(np.diff(population.depths, axis=1) >= 0)


def _on_the_law(population: Population) -> Mask:
    """The widths and depths are those that the row's own w_0, w_a, w_m and depth give."""
    law = population.law
    widths, depths, whole = quantized_stages(
        law["w0"], law["wa"], law["wm"], population.depths.sum(axis=1), population.stages
    )
    of_width = block_named(population.block).groups_of == "width"
    fitted, _ = make_compatible(widths, population.group_widths, population.bottleneck_ratios, of_width)
    return whole & _each_row((depths == population.depths) & (fitted == population.widths))


SHARED_BOTTLENECK = Constraint(
    "shared bottleneck ratio", "b_i = b", _shared_bottleneck, Link.SAME_BOTTLENECK_RATIO
)
SHARED_GROUP_WIDTH = Constraint("shared group width", "g_i = g", _shared_group_width, Link.SAME_GROUP_WIDTH)
RISING_WIDTHS = Constraint("rising widths", "w_i ≤ w_{i+1}", _rising_widths, Link.RISING_WIDTH)
RISING_DEPTHS = Constraint("rising depths", "d_i ≤ d_{i+1}", _rising_depths, Link.RISING_DEPTH)
QUANTIZED_LINEAR = Constraint(
    "quantized linear widths", "w_j = w_0 · w_m^round(log(1 + w_a j / w_0) / log w_m)", _on_the_law
)
