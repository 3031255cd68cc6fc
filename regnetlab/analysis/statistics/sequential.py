"""Intervals for those who look more than once: at looks that were planned, or at any time.

A verdict that is looked for until it comes is found too often: with ten looks at two equal spaces, 95%
intervals claim a difference in about 20% of cases. Two ways out:

* *Planned looks* (``boundaries``): the chance of a false claim is spent over the looks by a function of
  O'Brien and Fleming's kind (Lan & DeMets 1983), little at first. The intervals of all looks hold
  together (repeated confidence intervals; Jennison & Turnbull 1989), at nearly the power of a single look
  at the end.
* *Any time* (``anytime_factor``): where networks were added after errors were known, without a plan, an
  asymptotic confidence sequence (Waudby-Smith, Arbour, Sinha, Kennedy & Ramdas 2024, theorem 2.2), which
  holds whenever one stops, and is wider.
"""

import math
from functools import lru_cache, partial

import numpy as np
from scipy import optimize, stats

from regnetlab.spaces.arrays import Floats
from regnetlab.trials.terms import LOOKS

_CAP = 8.0
"""Standard errors that no boundary exceeds: beyond, a normal tail is no longer known to this precision."""
_GRID = 801
_NARROWEST = 100


@lru_cache(maxsize=256)
def boundaries(alpha: float, times: tuple[float, ...] = LOOKS) -> tuple[float, ...]:
    """How many standard errors a two-sided interval takes to each side at every look.

    Args:
        times: Share of the networks at each look, ascending, the last one 1.
        alpha: The chance that an interval of any look misses the truth.

    The spending function is 2 · (2 − 2Φ(z / √t)) with z = Φ⁻¹(1 − α/4) (Lan & DeMets 1983, example α₁*,
    one half for each side); the boundaries follow by integrating the density of the paths that have not
    crossed yet (Armitage, McPherson & Rowe 1969; Jennison & Turnbull 2000, section 19.2).
    """
    z = stats.norm.isf(alpha / 4)
    spent, before, found = 0.0, 0.0, []
    places, inside = (
        np.zeros(1),
        np.ones(1),
    )  # where the paths are that crossed nothing so far, and their mass
    for time in times:
        step, root = math.sqrt(time - before), math.sqrt(time)
        crossing = partial(_crossing, places / step, inside, root / step)
        allowed = 4 * float(stats.norm.sf(z / root)) - spent
        factor = _CAP
        if crossing(_CAP) < allowed:
            factor = optimize.brentq(lambda f, crossing=crossing, a=allowed: crossing(f) - a, 0.0, _CAP)
        found.append(float(factor))
        spent += crossing(factor)
        grid = np.linspace(-factor * root, factor * root, _GRID)
        mass = stats.norm.pdf((grid[:, None] - places) / step) @ inside * (grid[1] - grid[0]) / step
        mass[[0, -1]] /= 2  # the trapezoidal rule
        places, inside, before = grid, mass, time
    return tuple(found)


def _crossing(places: Floats, inside: Floats, edge: float, factor: float) -> float:
    """The mass that leaves by either side of ±factor · edge in one standard step from these places."""
    return float(inside @ (stats.norm.sf(factor * edge - places) + stats.norm.cdf(-factor * edge - places)))


def anytime_factor(n: float, alpha: float) -> float:
    """How many standard errors an interval takes to each side that holds at every number of networks.

    Args:
        n: Networks of a space (the harmonic mean of both) that the standard error is of.
        alpha: The chance that it ever misses the truth.

    Its parameter ρ makes it narrowest at 100 networks, whatever was planned.
    """
    rho2 = (-2 * math.log(alpha) + math.log(1 - 2 * math.log(alpha))) / _NARROWEST
    spread = n * rho2 + 1
    return math.sqrt(2 * spread / (n * rho2) * math.log(math.sqrt(spread) / alpha))
