"""Flops, params and acts in closed form, over whole populations at once.

What a block costs is in ``blocks``; here are stem, stages and head. The same layers in the same order as
``models.anynet``; tests hold the two and fvcore equal. Flops are multiply-adds of convolution and linear
layers, without biases and norms; acts are the outputs of those layers (Radosavovic et al. 2020, section 4).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from regnetlab.errors import InputError
from regnetlab.spaces.arrays import Ints, Mask
from regnetlab.spaces.blocks import BLOCKS, NO_SQUEEZE, Block, Cost, Sizes, block_named, convolution, norm
from regnetlab.spaces.config import Config
from regnetlab.spaces.population import Population
from regnetlab.spaces.ratio import MOST_WIDENING, inner_widths
from regnetlab.spaces.template import Template


@dataclass(frozen=True, slots=True)
class Complexity:
    """Counts of n networks, each of shape (n,)."""

    flops: Ints
    params: Ints
    acts: Ints

    def take(self, which: Ints | Mask) -> "Complexity":
        return Complexity(self.flops[which], self.params[which], self.acts[which])

    def slice(self, start: int, stop: int) -> "Complexity":
        """Those of the networks from ``start`` up to ``stop``, without a copy."""
        return Complexity(self.flops[start:stop], self.params[start:stop], self.acts[start:stop])

    @classmethod
    def joined(cls, parts: "list[Complexity]") -> "Complexity":
        return cls(
            np.concatenate([part.flops for part in parts]),
            np.concatenate([part.params for part in parts]),
            np.concatenate([part.acts for part in parts]),
        )

    def row(self, index: int) -> dict[str, int]:
        """One network's counts, by name."""
        return {name: int(getattr(self, name)[index]) for name in ("flops", "params", "acts")}


def complexity(population: Population, template: Template) -> Complexity:
    """The counts of every network of the population, built on this template.

    Raises:
        InputError: A count is above 2⁶³ − 1.
    """
    block = block_named(population.block)
    if block.name not in BLOCKS or _upper_bound(population, template) >= 2**63:
        about = _counts(population, template, block, np.float64)
        for name in ("flops", "params", "acts"):
            most = getattr(about, name).max(initial=0)
            if most >= 2.0**63:
                raise InputError(
                    f"a network has about {most:.2g} {name}, too many to count",
                    "take a smaller input, or fewer or narrower blocks",
                )
    return _counts(population, template, block, np.int64)


def _upper_bound(population: Population, template: Template) -> int:
    """A number that no count and no step towards one exceeds; from a few maxima, so that it costs little."""
    block = block_named(population.block)
    if not len(population):
        return 0
    depth = population.stages * int(population.depths.max())
    width = max(int(population.widths.max()), template.stem_width)
    inner = width * MOST_WIDENING
    group = int(population.group_widths.max()) if "g" in block.uses else inner
    kernel = max((int(own.max()) for own in population.own.values()), default=3) ** 2
    weights = width * inner * 4 + max(9, kernel) * inner * group + 20 * width**2
    rows, columns = template.behind_stem
    stem = template.stem_kernel**2 * template.channels * template.stem_width
    return (stem + depth * weights) * rows * columns * 4 + width * template.classes


def _counts(population: Population, template: Template, block: Block, number: type[Any]) -> Complexity:
    """The counts in numbers of this type; those in ``float64`` are rounded, and do not overflow."""
    w_in: Any = np.full(len(population), template.stem_width, number)
    rows, columns = template.behind_stem
    total = stem_cost(template, w_in)

    for i, stride in enumerate(template.stage_strides(population.stages)):
        d, w, g = (
            column[:, i].astype(number, copy=False)
            for column in (population.depths, population.widths, population.group_widths)
        )
        v = inner_widths(w, population.bottleneck_ratios[:, i]).astype(number, copy=False)
        groups = g if "g" in block.uses else v
        own = {name: column[:, i].astype(number, copy=False) for name, column in population.own.items()}

        # The first block of a stage changes resolution and width, the others keep both.
        squeezed = _squeezed(w_in, population.se_ratio)
        total += block.counts(Sizes(w_in, w, v, groups, stride, rows, columns, squeezed, own))
        rows, columns = -(-rows // stride), -(-columns // stride)
        squeezed = _squeezed(w, population.se_ratio)
        total += block.counts(Sizes(w, w, v, groups, 1, rows, columns, squeezed, own)) * (d - 1)
        w_in = w

    total += convolution(w_in, template.classes, 1, 1, bias=True)
    none = np.zeros(len(population), number)
    return Complexity(*(none + each for each in (total.flops, total.params, total.acts)))


def stem_cost(template: Template, width: Any) -> Cost:
    """What the template's stem costs; ``width`` are its channels."""
    rows, columns = template.behind_stem_convolution
    return convolution(template.channels, width, template.stem_kernel, rows * columns) + norm(width)


def config_complexity(config: Config, template: Template) -> dict[str, int]:
    """One network's flops, params and acts, by name."""
    return complexity(Population.of([config]), template).row(0)


def _squeezed(w_in: Any, se_ratio: float) -> Any:
    """The channels of a squeeze."""
    return np.rint(w_in * se_ratio).astype(w_in.dtype) if se_ratio else NO_SQUEEZE
