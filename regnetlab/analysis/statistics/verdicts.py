"""Verdicts on a step from one space to another, and how many networks one needs.

The claims are made of one interval for median(b) − median(a), in percentage points of error, and of a
margin δ that is stated before the networks are trained: how much worse a median may be and still count
as no worse. That an interval holds zero is no claim at all.
"""

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # with SciPy, which takes half a second and only numbers of networks need
    from regnetlab.analysis.statistics.intervals import Interval

BETTER, NO_WORSE, WORSE, UNDECIDED = "better", "no worse", "worse", "undecided"

POWER = 0.8
"""The chance of a verdict for which numbers of networks are planned, where nothing else is said."""


def verdict(difference: "Interval", margin: float) -> str:
    """The strongest claim that the whole interval of median(b) − median(a) allows.

    *better*: below zero; *no worse*: below the margin (non-inferiority, as in ICH E9, section 3.3.2,
    whether or not the interval also holds zero); *worse*: above zero and not below the margin.
    """
    if difference.high < 0:
        return BETTER
    if difference.high < margin:
        return NO_WORSE
    return WORSE if difference.low > 0 else UNDECIDED


def held_together(verdicts: int, level: float = 0.95) -> float:
    """The level of each interval at which so many verdicts hold together (Bonferroni)."""
    return 1 - (1 - level) / max(verdicts, 1)


def is_alike(difference: "Interval", margin: float) -> bool:
    """Whether the whole interval lies within the margin on both sides (equivalence; Schuirmann 1987)."""
    return -margin < difference.low and difference.high < margin


def points(margin: float) -> str:
    """A margin in words: ``1 point``, ``0.5 points``."""
    return f"{margin:g} point" if margin == 1 else f"{margin:g} points"


def networks_needed(
    scales: tuple[float, float], gap: float, power: float = POWER, level: float = 0.95
) -> float:
    """Networks in each of two spaces that make a difference of medians stand ``gap`` clear of a border.

    ``scales`` are √n times the standard errors of both medians (``intervals.median_scale``), ``level``
    that of the interval. n = (z_(1+level)/2 + z_power)² (s_a² + s_b²) / gap² (Julious 2004, equation 18,
    with the medians' variances); not a whole number, and infinite without a gap.
    """
    if gap <= 0:
        return math.inf
    from scipy import stats

    z = stats.norm.ppf((1 + level) / 2) + stats.norm.ppf(power)
    return float(z**2 * (scales[0] ** 2 + scales[1] ** 2) / gap**2)
