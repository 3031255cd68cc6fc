"""Whether the constraints of a space leave the widths of the stages free relative to each other.

Only such a space can tell how good widths grow: where widths must rise, or follow a law, those of good and of
bad networks grow alike.
"""

from dataclasses import replace
from functools import lru_cache
from itertools import islice, permutations

import numpy as np

from regnetlab.errors import InputError
from regnetlab.spaces.arrays import Ints, Mask
from regnetlab.spaces.complexity import Complexity, complexity
from regnetlab.spaces.constraints import Constraint, Link
from regnetlab.spaces.draws import draws_of
from regnetlab.spaces.population import STAGE_COLUMNS, Population
from regnetlab.spaces.space import DesignSpace
from regnetlab.spaces.template import Template

_NETWORKS = 200
_WORDS = 4_096
_ROUNDS = 32
_ORDERS = 120
"""Orders of the stages that are tried: all of five stages."""
_SEED = 20200330


@lru_cache(maxsize=64)
def leaves_widths_free(space: DesignSpace, template: Template) -> bool:
    """Whether every constraint of the space holds however the widths stand in the stages.

    The widths of networks of the space, drawn without a regime, are permuted among their stages, and each
    constraint is judged again with the complexity held as it was: a window of flops counts as a regime does.
    A constraint may also be one on the widths and group widths of the same stage (``w[i] >= 2*g[i]``), or on
    whole blocks and depths: it then holds where these are permuted together. Deterministic. A space of which
    no network is found among 131,072 draws counts as free: its study has none either.
    """
    if any(each.link is Link.RISING_WIDTH for each in space.constraints):
        return False
    try:
        found = _networks(space, template)
    except InputError:
        return True
    if found is None:
        return True
    population, counts = found
    orders = [np.array(order) for order in islice(permutations(range(population.stages)), 1, _ORDERS)]
    together = [("widths",), ("widths", "group_widths", "bottleneck_ratios"), STAGE_COLUMNS]
    return all(
        any(_keeps(each, population, counts, orders, columns) for columns in together)
        for each in space.constraints
    )


def _networks(space: DesignSpace, template: Template) -> tuple[Population, Complexity] | None:
    """Some networks of the space and their complexity; ``None`` where none is found."""
    source = draws_of(space, space.stages[0] if space.stages else len(template.strides))
    random = np.random.default_rng(_SEED)
    parts: list[Population] = []
    total = 0
    for _ in range(_ROUNDS):
        words = random.integers(0, 2**32, (source.words, _WORDS), np.uint64)
        population, _ = source.draw(words)
        counts = complexity(population, template)
        kept = np.ones(len(population), np.bool_)
        for each in space.constraints:
            if each not in source.built_in:
                kept &= _holds(each, population, counts)
        parts.append(population.take(kept))
        total += int(kept.sum())
        if total >= _NETWORKS:
            break
    if not total:
        return None
    drawn = Population.joined(parts).slice(0, _NETWORKS)
    return drawn, complexity(drawn, template)


def _keeps(
    constraint: Constraint,
    population: Population,
    counts: Complexity,
    orders: list[Ints],
    columns: tuple[str, ...],
) -> bool:
    """Whether the constraint holds for all networks in all orders of these columns."""
    for order in orders:
        changed = {
            name: getattr(population, name)[:, order] if name in columns else getattr(population, name)
            for name in STAGE_COLUMNS
        }
        if not _holds(constraint, replace(population, **changed), counts).all():
            return False
    return True


def _holds(constraint: Constraint, population: Population, counts: Complexity) -> Mask:
    if constraint.counted:
        return np.asarray(constraint.holds(population, counts))
    return np.asarray(constraint.holds(population))
