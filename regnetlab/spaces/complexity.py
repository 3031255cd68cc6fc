"""Flops, params and acts in closed form, over whole populations at once.

The same layers in the same order as ``models.blocks``; tests hold the two and fvcore equal. Flops
are multiply-adds of convolution and linear layers, without biases and norms; acts are the outputs
of those layers (Radosavovic et al. 2020, section 3.1). A batch norm has two parameters a channel.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from regnetlab.errors import InputError
from regnetlab.spaces.arrays import Ints, Mask
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


def complexity(population: Population, template: Template, se_ratio: float = 0.0) -> Complexity:
    """The counts of every network of the population, built on this template.

    Raises:
        InputError: A count is above 2⁶³ − 1.
    """
    if _upper_bound(population, template) >= 2**63:
        about = _counts(population, template, se_ratio, np.float64)
        for name in ("flops", "params", "acts"):
            most = getattr(about, name).max()
            if most >= 2.0**63:
                raise InputError(
                    f"a network has about {most:.2g} {name}, too many to count",
                    "take a smaller input, or fewer or narrower blocks",
                )
    return _counts(population, template, se_ratio, np.int64)


def _upper_bound(population: Population, template: Template) -> int:
    """A number that no count and no step towards one exceeds; from a few maxima, so that it costs little."""
    if not len(population):
        return 0
    depth = population.stages * int(population.depths.max())
    width = max(int(population.widths.max()), template.stem_width)
    inner = width * MOST_WIDENING
    weights = width * inner * 4 + 9 * inner * int(population.group_widths.max()) + width**2
    area = next(_sizes(template, population.stages))
    stem = 9 * template.channels * template.stem_width
    return (stem + depth * weights) * area + width * template.classes


def _counts(population: Population, template: Template, se_ratio: float, number: type[Any]) -> Complexity:
    """The counts in numbers of this type; those in ``float64`` are rounded, and do not overflow."""
    w_in: Any = np.full(len(population), template.stem_width, number)
    sizes = _sizes(template, population.stages)
    area = next(sizes)

    flops = 9 * template.channels * w_in * area
    params = 9 * template.channels * w_in + 2 * w_in
    acts = w_in * area

    for i, stride in enumerate(template.stage_strides(population.stages)):
        d, w = (column[:, i].astype(number, copy=False) for column in (population.depths, population.widths))
        v = inner_widths(w, population.bottleneck_ratios[:, i]).astype(number, copy=False)
        area_in, area = area, next(sizes)
        grouped = 9 * v * population.group_widths[:, i]  # 3×3 weights: each output sees g inputs
        norms = 2 * (2 * v + w)

        # The first block of a stage changes resolution and width, and then has a 1×1 shortcut.
        shortcut = ((w_in != w) | (stride != 1)).astype(np.int64)
        flops += w_in * v * area_in + (grouped + v * w + shortcut * w_in * w) * area
        params += w_in * v + grouped + v * w + norms + shortcut * (w_in * w + 2 * w)
        acts += v * area_in + (v + w + shortcut * w) * area

        # The others keep both.
        flops += (d - 1) * (2 * w * v + grouped) * area
        params += (d - 1) * (2 * w * v + grouped + norms)
        acts += (d - 1) * (2 * v + w) * area

        if se_ratio:
            first, others = _squeeze(w_in, v, se_ratio), _squeeze(w, v, se_ratio)
            flops += first.flops + (d - 1) * others.flops
            params += first.params + (d - 1) * others.params
            acts += first.acts + (d - 1) * others.acts
        w_in = w

    flops += w_in * template.classes
    params += w_in * template.classes + template.classes
    acts += template.classes
    return Complexity(flops, params, acts)


def config_complexity(config: Config, template: Template) -> dict[str, int]:
    """One network's flops, params and acts, by name."""
    return complexity(Population.of([config]), template, config.se_ratio).row(0)


def _squeeze(w_in: Ints, v: Ints, se_ratio: float) -> Complexity:
    """Squeeze-and-excitation on v channels: two 1×1 convolutions with bias on one pixel."""
    s = np.rint(w_in * se_ratio).astype(w_in.dtype)  # 0 leaves it out
    used = (s > 0).astype(np.int64)
    return Complexity(2 * v * s, used * (2 * v * s + s + v), used * (s + v))


def _sizes(template: Template, stages: int) -> Iterator[int]:
    """Pixels behind the stem, then behind each stage (3×3, padding 1: ⌈size / stride⌉)."""
    height, width = template.height, template.width
    for stride in (template.stem_stride, *template.stage_strides(stages)):
        height, width = -(-height // stride), -(-width // stride)
        yield height * width
