"""Making widths and group widths fit each other, as the paper's code does."""

import numpy as np

from regnetlab.spaces.arrays import Ints


def make_compatible(widths: Ints, group_widths: Ints, bottleneck_ratios: Ints) -> tuple[Ints, Ints]:
    """The nearest widths and group widths that a grouped convolution can have.

    The inner width is w / b. g is capped at it, then it is rounded to a multiple of g, at least g;
    a tie goes to the even multiple (24 channels in groups of 16 become 32, 40 become 32 too).
    Source: ``adjust_block_compatibility`` of pycls, the code of Radosavovic et al. 2020.

    Arguments and results are of one shape, usually (n, stages); all values ≥ 1.
    """
    inner = np.maximum(widths // bottleneck_ratios, 1)
    groups_of = np.minimum(group_widths, inner)
    groups = np.maximum(np.rint(inner / groups_of).astype(np.int64), 1)
    return groups * groups_of * bottleneck_ratios, groups_of
