"""The Pareto front on made-up points."""

import numpy as np

from regnetlab.analysis.statistics.pareto import pareto_front


def test_the_pareto_front_is_what_no_other_point_beats() -> None:
    random = np.random.default_rng(1)
    flops, errors = random.random((2, 50))
    front = set(pareto_front(flops, errors))
    for i in range(50):
        beaten = any((flops[j] <= flops[i]) & (errors[j] <= errors[i]) for j in range(50) if j != i)
        assert (i in front) is not beaten
