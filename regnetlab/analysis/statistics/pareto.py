"""The Pareto front: what is not beaten in cost and error at once."""

import math

import numpy as np

from regnetlab.spaces.arrays import Floats


def pareto_front(flops: Floats, errors: Floats) -> list[int]:
    """Places of the points that no other beats in flops and error at once, by rising flops."""
    front: list[int] = []
    best = math.inf
    for place in np.lexsort((errors, flops)).tolist():
        if errors[place] < best:
            best = float(errors[place])
            front.append(place)
    return front
