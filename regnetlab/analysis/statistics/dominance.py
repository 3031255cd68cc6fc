"""First-order dominance: whether one space has the larger share of networks below every error of a range."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from regnetlab.spaces.arrays import Floats

_RANGE = (0.1, 0.9)


@dataclass(frozen=True, slots=True)
class Dominance:
    """``space`` is a, b or empty: which one dominates over all errors from ``low`` to ``high``, in
    percent.
    """

    space: str
    low: float
    high: float

    def to_json(self) -> dict[str, Any]:
        return {"space": self.space or None, "low": self.low, "high": self.high}


def dominance(a: Floats, b: Floats, names: tuple[str, str], level: float) -> Dominance:
    """Which space dominates between the 10% and the 90% point of both spaces' errors together.

    The null is that it does not at some error of the range. It is rejected where the difference of the
    shares exceeds its normal bound at every error there, which needs no correction for their number
    (Davidson & Duclos 2013, section 3; near the ends of the distributions no sample can show dominance).
    """
    low, high = (float(each) for each in np.quantile(np.concatenate([a, b]), _RANGE))
    points = np.unique(np.concatenate([a, b]))
    points = points[(points >= low) & (points <= high)]
    shares = [np.searchsorted(np.sort(each), points, "right") / len(each) for each in (a, b)]
    error = np.sqrt(sum(p * (1 - p) / len(each) for p, each in zip(shares, (a, b), strict=True)))
    bound = stats.norm.isf((1 - level) / 2)
    for name, gain in zip(names, (shares[0] - shares[1], shares[1] - shares[0]), strict=True):
        if len(points) and (gain > bound * error).all():
            return Dominance(name, low, high)
    return Dominance("", low, high)
