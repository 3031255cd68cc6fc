"""Where a quantity is best: the x at which errors are least, with an interval, from a regression.

A quadratic is the usual model, and a wrong one misleads: it bends because the curve flattens, and its vertex
is off where the two sides differ (Simonsohn 2018). Here error falls up to θ and rises from it, as a power of
the distance:

    y = controls + a · (θ − x)₊^p + b · (x − θ)₊^p,  a, b ≥ 0,  p one of 1, 1.5, 2, 3

The quadratic has a = b and p = 2, the broken line p = 1 (Hinkley 1971). T(θ) is n · log of the least residual
sum of squares of all forms with this θ, plus what each costs beyond the quadratic. The θ whose T is near the
least form the interval, as with any profile likelihood: it needs no vertex to exist, and where the curve
doesn't tell, it reaches to the end of what was drawn. An optimum lies inside what was drawn if both ends are
worse, each at 5% one-sided: the test of a U-shape of Lind & Mehlum (2010), after Sasabuchi (1980), for these
forms.

Costs and critical values were chosen by simulation: docs/calibration.md has the coverage beside that of the
quadratic's vertex with its bootstrap interval, which a V halves and less.
"""

from dataclasses import dataclass

import numpy as np
from scipy import stats

from regnetlab.analysis.statistics.intervals import LEVEL, Interval
from regnetlab.spaces.arrays import Floats, Ints, Mask

POWERS = (1.0, 1.5, 2.0, 3.0)
_COST_OF_POWER = 3.0
"""What a power other than 2 costs in T, and below what two different sides do."""
_COST_OF_SIDES = 5.0
_CRITICAL = 5.0
"""T above its least at the ends of the interval, for many networks: more than the χ² of one degree of freedom
(3.84), for θ is chosen together with the form."""
_END = 2.71
"""T of the ends above its least where an optimum lies inside: one-sided 5%."""
_ROBUST = 4.0
"""Residuals beyond so many standard deviations count as so many: one broken training may not bend a curve."""
_BEYOND, _SHARE_BEYOND = 5, 0.025
"""Networks, and their share, on either side of θ, without which both sides have one slope."""
_UNEQUAL = 0.01
"""The p below which the spread counts as depending on x."""
_COARSE, _FINE = 61, 81
ROUNDING = 1e-9
"""Values, of logs, no farther apart than this are equal."""


@dataclass(frozen=True, slots=True)
class Optimum:
    """The x with the least predicted error.

    ``at`` is that x, one of the ``drawn`` range, with its 95% interval, also inside it. ``below`` and
    ``above`` tell whether the least and the largest x drawn are worse than it; ``inside`` whether both are.
    """

    at: Interval
    drawn: tuple[float, float]
    below: bool
    above: bool

    @property
    def inside(self) -> bool:
        return self.below and self.above


def optimum(x: Floats, y: Floats, strata: Ints, controls: Floats) -> Optimum | None:
    """Where y is least, given the strata and the controls.

    Args:
        x: Shape (n,). y: The errors, shape (n,). strata: Which group each belongs to, each with its own mean,
        shape (n,). controls: Further columns, linear in the regression, shape (n, k); redundant ones
        are dropped.

    Returns:
        The optimum; ``None`` where x or y are all equal, or too few are left to tell.
    """
    if not len(x) or np.ptp(x) <= ROUNDING or np.ptp(y) == 0:
        return None
    groups = (strata[:, None] == np.unique(strata)).astype(np.float64)
    fixed = _independent(np.column_stack([groups, controls]))
    left = len(x) - fixed.shape[1] - 2
    if left < _FEWEST_LEFT:
        return None
    values, weights = _pseudo_values(x, y, groups, fixed)
    scaled = x / x.std()
    least, most = float(scaled.min()), float(scaled.max())
    limit = _CRITICAL * stats.f.ppf(LEVEL, 1, left) / stats.chi2.ppf(LEVEL, 1)

    def profile(places: Floats) -> Floats:
        return np.asarray(_profile(scaled, values, fixed, weights, places) * left / len(x))

    coarse = np.linspace(least, most, _COARSE)
    found = profile(coarse)
    kept = np.flatnonzero(found <= found.min() + limit)
    low, high = max(kept[0] - 1, 0), min(kept[-1] + 1, _COARSE - 1)
    fine = np.linspace(coarse[low], coarse[high], _FINE)
    profiled = profile(fine)
    bottom = min(profiled.min(), found.min())
    step = (fine[1] - fine[0]) / 2
    best = float(fine[profiled.argmin()])
    near = fine[profiled <= profiled.min() + limit]
    ends = [max(float(near[0]) - step, least), min(float(near[-1]) + step, most)]
    scale = float(x.std())
    at = Interval(best * scale, ends[0] * scale, ends[1] * scale)
    below, above = (bool(found[end] - bottom > _END) for end in (0, -1))
    return Optimum(at, (float(x.min()), float(x.max())), below, above)


_FEWEST_LEFT = 6
"""Networks left after controls and curve, below which nothing is told."""


def _independent(columns: Floats) -> Floats:
    """An orthonormal basis of what these columns span, shape (n, rank)."""
    sizes = np.linalg.norm(columns, axis=0)
    known = columns[:, sizes > ROUNDING] / sizes[sizes > ROUNDING]
    basis, strength, _ = np.linalg.svd(known, full_matrices=False)
    return np.asarray(basis[:, strength > 1e-9 * strength[0]])


def _pseudo_values(x: Floats, y: Floats, groups: Floats, fixed: Floats) -> tuple[Floats, Floats]:
    """The errors with wild ones drawn in, and each one's weight, both of shape (n,); values are weighted.

    Least squares of them is Huber's M-estimate about a flexible curve (Huber 1981, section 7.4). The weights
    are one over the spread, modelled from the logs of residuals as a quadratic of x and a level for each
    group (Harvey 1976), where it depends on these at all; else 1.
    """
    n = len(x)
    z = (x - x.mean()) / x.std()
    knots = np.quantile(z, [0.25, 0.5, 0.75]) if n >= _FLEXIBLE else []
    curve = np.column_stack([z, z**2, z**3, *(np.clip(z - knot, 0, None) ** 3 for knot in knots)])
    model = np.column_stack([fixed, curve])
    weights = np.ones(n)
    values, spread = _drawn_in(y, model)
    away = np.log(np.abs(values.residuals) + 0.1 * spread)
    shape = np.column_stack([groups, z, z**2])
    fitted = shape @ np.linalg.lstsq(shape, away, rcond=None)[0]
    terms = np.linalg.matrix_rank(shape) - 1
    rest = ((away - fitted) ** 2).sum()
    gain = ((away - away.mean()) ** 2).sum() - rest
    if spread > 0 and rest > 0 and n > terms + 1:
        ratio = gain / terms / (rest / (n - terms - 1))
        if stats.f.sf(ratio, terms, n - terms - 1) < _UNEQUAL:
            weights = np.exp(fitted.mean() - fitted)
            values, _ = _drawn_in(y * weights, model * weights[:, None])
    return values.all, weights


_FLEXIBLE = 60
"""Networks from which on the flexible curve has knots."""


@dataclass(frozen=True, slots=True)
class _Values:
    all: Floats
    residuals: Floats


def _drawn_in(y: Floats, model: Floats) -> tuple[_Values, float]:
    """The values as ``_ROBUST`` has them, and the robust standard deviation about the model."""
    basis = _independent(model)
    values = y
    for _ in range(5):
        fitted = basis @ (basis.T @ values)
        residuals = y - fitted
        middle = np.median(residuals)
        spread = 1.4826 * float(np.median(np.abs(residuals - middle)))
        if spread == 0:
            return _Values(y, residuals), 0.0
        most = _ROBUST * spread
        values = fitted + middle + np.clip(residuals - middle, -most, most)
    inside = float((np.abs(residuals - middle) < most).mean())
    return _Values(fitted + (values - fitted) / inside, residuals - middle), spread


def _profile(x: Floats, values: Floats, fixed: Floats, weights: Floats, places: Floats) -> Floats:
    """T at these places of θ, shape (m,); ``values`` are weighted."""
    n = len(x)
    basis = _independent(fixed * weights[:, None])

    def free(columns: Floats) -> Floats:
        return np.asarray(columns - basis @ (basis.T @ columns))

    beyond = np.sort(x)
    fewest = max(_BEYOND, _SHARE_BEYOND * n)
    ahead, behind = (np.searchsorted(beyond, places, side) for side in ("left", "right"))
    told = np.minimum(ahead, n - behind) >= fewest
    told |= (places <= beyond[0]) | (places >= beyond[-1])
    y = free(values)
    total = float(y @ y)
    away = x[:, None] - places
    sides = [np.clip(-away, 0, None), np.clip(away, 0, None)]
    best = np.full(len(places), np.inf)
    for power in POWERS:
        cost = _COST_OF_POWER * (power != 2)
        before, after = (free(side**power * weights[:, None]) for side in sides)
        equal, unequal = _gains(before, after, y)
        for gain, more in ((equal, 0.0), (unequal, _COST_OF_SIDES)):
            rest = np.maximum(total - gain, 1e-12 * total)
            judged = n * np.log(rest / total) + cost + more
            best = np.minimum(best, np.where(told | (more == 0), judged, np.inf))
    return best


def _gains(before: Floats, after: Floats, y: Floats) -> tuple[Floats, Floats]:
    """What is gained in squares with one coefficient for both sides, and with two; none is below zero."""
    aa, bb = (np.maximum((side**2).sum(axis=0), 1e-12) for side in (before, after))
    ab = (before * after).sum(axis=0)
    ya, yb = before.T @ y, after.T @ y
    equal = np.where(ya + yb > 0, (ya + yb) ** 2 / np.maximum(aa + bb + 2 * ab, 1e-12), 0.0)
    lone = np.maximum(*(np.where(each > 0, each**2 / size, 0.0) for each, size in ((ya, aa), (yb, bb))))
    size = np.maximum(aa * bb - ab**2, 1e-9 * aa * bb)
    a, b = (bb * ya - ab * yb) / size, (aa * yb - ab * ya) / size
    both: Mask = (a > 0) & (b > 0)
    return np.asarray(equal), np.where(both, a * ya + b * yb, lone)
