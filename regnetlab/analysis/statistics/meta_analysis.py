"""Random-effects meta-analysis: what several studies say together, and what to expect of the next one.

The variance between studies is Paule and Mandel's (1982, "Consensus values and weighting factors", Journal
of Research of the National Bureau of Standards 87). The interval of the mean is Hartung and Knapp's (2001,
"A refined method for the meta-analysis of controlled clinical trials with binary outcome", Statistics in
Medicine 20), never narrower than the classical one (Röver, Knapp & Friede 2015, BMC Medical Research
Methodology 15).
The prediction interval has k − 2 degrees of freedom (Higgins, Thompson & Spiegelhalter 2009, "A re-evaluation
of random-effects meta-analysis", Journal of the Royal Statistical Society A 172). How often both cover the
truth with few studies: docs/calibration.md.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import optimize, stats

from regnetlab.analysis.statistics.intervals import LEVEL, Interval
from regnetlab.errors import InputError
from regnetlab.spaces.arrays import Floats

FEWEST_TO_PREDICT = 3
"""Studies without which nothing is expected of the next one."""


@dataclass(frozen=True, slots=True)
class Effect:
    """What one study estimates, with its standard ``error`` of about normal estimates."""

    estimate: float
    error: float

    def interval(self, level: float = LEVEL) -> Interval:
        reach = float(stats.norm.isf((1 - level) / 2)) * self.error
        return Interval(self.estimate, self.estimate - reach, self.estimate + reach)


@dataclass(frozen=True, slots=True)
class Pooled:
    """The ``mean`` effect over studies like these, and where the true effect of a ``further`` one lies.

    ``between`` is the standard deviation of the true effects between studies, ``studies`` how many there are.
    """

    mean: Interval
    further: Interval
    between: float
    studies: int


def random_effects(effects: Sequence[Effect], level: float = LEVEL) -> Pooled:
    """Pool these effects.

    Args:
        effects: Two or more, of independent studies.
        level: Of the mean's interval; that of the prediction is always 95%.

    Raises:
        InputError: There are fewer than two, or one has no standard error above 0.
    """
    if len(effects) < 2:
        raise InputError("effects are pooled over two studies or more")
    if not all(0 < each.error < math.inf for each in effects):
        raise InputError("an effect without a standard error can't be pooled")
    estimates = np.array([each.estimate for each in effects])
    variances = np.square([each.error for each in effects])
    k = len(effects)
    between = _between(estimates, variances)
    weights = 1 / (variances + between)
    mean = float(weights @ estimates / weights.sum())
    spread = float(weights @ np.square(estimates - mean)) / (k - 1)
    error = math.sqrt(max(1.0, spread) / weights.sum())
    reach = float(stats.t.isf((1 - level) / 2, k - 1)) * error
    far = math.inf
    if k >= FEWEST_TO_PREDICT:
        far = float(stats.t.isf((1 - LEVEL) / 2, k - 2)) * math.sqrt(between + error**2)
    return Pooled(
        Interval(mean, mean - reach, mean + reach),
        Interval(mean, mean - far, mean + far),
        math.sqrt(between),
        k,
    )


def standard_error(low: float, high: float) -> float:
    """That of a normal estimate whose 95% interval has these ends."""
    return (high - low) / 2 / float(stats.norm.isf((1 - LEVEL) / 2))


def averaged(effects: Sequence[Effect]) -> Effect:
    """Several estimates of one effect as one, weighted by precision."""
    weights = np.array([each.error for each in effects]) ** -2.0
    mean = float(weights @ np.array([each.estimate for each in effects]) / weights.sum())
    return Effect(mean, 1 / math.sqrt(weights.sum()))


def _between(estimates: Floats, variances: Floats) -> float:
    """The variance of the true effects at which the estimates spread as expected; at least 0."""

    def excess(between: float) -> float:
        weights = 1 / (variances + between)
        mean = weights @ estimates / weights.sum()
        return float(weights @ np.square(estimates - mean)) - (len(estimates) - 1)

    if excess(0.0) <= 0:
        return 0.0
    most = float(np.square(np.ptp(estimates))) * len(estimates)
    return float(optimize.brentq(excess, 0.0, most, xtol=1e-12 * most))
