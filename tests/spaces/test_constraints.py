"""The law as a constraint: it judges depths and widths alike. The other constraints: ``test_chain``."""

from dataclasses import replace

import numpy as np

from regnetlab.spaces.constraints import QUANTIZED_LINEAR
from regnetlab.spaces.population import Population
from regnetlab.spaces.sampler import sample
from regnetlab.spaces.space import REGNET
from regnetlab.spaces.template import PAPER

DRAWN = sample(REGNET, 200, PAPER).population


def moved_a_block() -> Population:
    """The same widths and total depth, one block more in the last stage and one less where there are most."""
    depths = DRAWN.depths.copy()
    depths[np.arange(len(depths)), depths[:, :-1].argmax(axis=1)] -= 1
    depths[:, -1] += 1
    return replace(DRAWN, depths=depths)


def test_a_network_that_leaves_its_law_by_depths_or_widths_alone_is_refused() -> None:
    assert QUANTIZED_LINEAR.holds(DRAWN).all()
    assert not QUANTIZED_LINEAR.holds(moved_a_block()).any()
    assert not QUANTIZED_LINEAR.holds(replace(DRAWN, widths=DRAWN.widths + 32)).any()
