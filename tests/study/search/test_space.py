"""A space's parameters and the networks that they mean."""

import numpy as np
import pytest

from regnetlab.spaces.ranges import Ranges
from regnetlab.spaces.regime import Regime
from regnetlab.spaces.sampler import sample
from regnetlab.spaces.space import REGNET
from regnetlab.spaces.template import SMALL
from regnetlab.study.search.space import expressed, proposed

ON_GRID = Ranges(depth=(1, 12), width=(8, 256))


@pytest.mark.parametrize("bounds", [{"wa": (8.05, 256.0)}, {"wm": (1.5004, 2.9)}, {"wa": (8.0, 63.37)}])
def test_a_network_drawn_within_bounds_off_the_grid_has_parameters(
    bounds: dict[str, tuple[float, float]],
) -> None:
    space = REGNET.within(ON_GRID.changed(**bounds))
    drawn = sample(space, 40, SMALL).population
    for i, config in enumerate(drawn.configs()):
        proposal = expressed(space, SMALL, Regime(), drawn.take(np.array([i])))
        assert proposal.config == config
        assert dict(proposal.law) == {name: column[i] for name, column in drawn.law.items()}


def test_on_the_grid_a_value_is_rounded_to_the_decimals_of_the_draws() -> None:
    space = REGNET.within(ON_GRID)
    random = np.random.default_rng(0)
    rounded = 0
    for _ in range(400):
        wa, wm = float(random.uniform(8, 60)), float(random.uniform(1.5, 3))
        values = {"d": 8, "w0": 24, "wa": wa, "wm": wm, "g": 8, "b": 1}
        found = proposed(space, SMALL, Regime(), values)
        if found is not None:
            rounded += 1
            assert dict(found.law) == {"w0": 24.0, "wa": round(wa, 1), "wm": round(wm, 3)}
    assert rounded > 5
