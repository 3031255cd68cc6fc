"""Making widths and group widths fit each other, as the paper's code does."""

import numpy as np

from regnetlab.spaces.arrays import Floats, Ints
from regnetlab.spaces.ratio import inner_widths, widening


def make_compatible(
    widths: Ints, group_widths: Ints, bottleneck_ratios: Floats | Ints, of_width: bool = False
) -> tuple[Ints, Ints]:
    """The nearest widths and group widths that a grouped convolution can have.

    The inner width is w / b. g is capped at it, then it is rounded to a multiple of g (of the least common
    multiple of g and k where b is 1/k, so that w is whole), at least that; a tie goes to the even multiple
    (24 channels in groups of 16 become 32, 40 become 32 too).
    Source: ``adjust_block_compatibility`` of pycls, the code of Radosavovic et al. 2020.

    Where groups are ``of_width``, the same is done to the width itself, which is a multiple of b too.

    Arguments and results are of one shape, usually (n, stages); group widths ≥ 1.
    """
    ratios = np.asarray(bottleneck_ratios, np.float64)
    if of_width:
        groups_of = np.minimum(group_widths, np.maximum(widths, 1))
        unit = np.lcm(groups_of, np.maximum(ratios, 1).astype(np.int64))
        return np.maximum(np.rint(widths / unit).astype(np.int64), 1) * unit, groups_of
    inner = inner_widths(widths, ratios)
    groups_of = np.minimum(group_widths, inner)
    wider = widening(ratios)
    unit = np.lcm(groups_of, wider)
    inner = np.maximum(np.rint(inner / unit).astype(np.int64), 1) * unit
    return inner // wider * np.maximum(ratios, 1).astype(np.int64), groups_of
