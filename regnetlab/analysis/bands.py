"""Where the best networks of a space lie: a band for every property, beside the range of all.

The empirical bootstrap is that of Radosavovic et al. 2020, section 3.1 (``statistics.best_of_samples``). A
property that does not matter has a band too, in which most networks lie; which bands say something is decided
against errors that are shuffled.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any

import numpy as np
import pandas as pd

from regnetlab.analysis.log_linear_fit import fits_of_all
from regnetlab.analysis.statistics.best_of_samples import SHARE, Narrowness, band, narrowness
from regnetlab.analysis.statistics.intervals import FEWEST, LEVEL
from regnetlab.errors import InputError, unknown
from regnetlab.spaces.arrays import Floats, Mask
from regnetlab.spaces.expression import COUNTS
from regnetlab.spaces.ranges import WIDTH_STEP
from regnetlab.spaces.space import REGNET
from regnetlab.trials.job import DERIVED
from regnetlab.trials.table import Trials, judged, own_parameters

RATIO = "w[-1] / w[1]"
"""The last width over the first, as all properties here in the language of constraints (docs/spaces.md)."""


@dataclass(frozen=True, slots=True)
class Band:
    """Where the best networks lie in one property, ``low`` to ``high``, and where all do.

    Its ``name`` is as in a constraint: ``depth``, ``d[1]``, ``growth``. Ends are a network's own.
    """

    name: str
    low: float
    high: float
    low_all: float
    high_all: float
    narrowness: Narrowness

    @property
    def limits(self) -> tuple[Decimal | None, Decimal | None]:
        """The band rounded outward: widths to multiples of 8, depths whole, fits to two digits and counts to
        three. An end that then leaves out none of these networks is no limit."""
        low, high = (_rounded(self.name, end, up) for end, up in ((self.low, False), (self.high, True)))
        return (low if low > self.low_all else None), (high if high < self.high_all else None)

    @property
    def constraint(self) -> str | None:
        """What a space has to satisfy to lie in this band; ``None`` where the band says nothing."""
        low, high = self.limits
        if not self.narrowness.informative or (low is None and high is None):
            return None
        if low == high:
            return f"{self.name} == {low:f}"
        at_least = "" if low is None else f"{low:f} <= "
        return f"{at_least}{self.name}" + ("" if high is None else f" <= {high:f}")

    def holds(self, values: Floats) -> Mask:
        """Which of these values the limits allow."""
        low, high = self.limits
        return (values >= (-np.inf if low is None else float(low))) & (
            values <= (np.inf if high is None else float(high))
        )

    def to_json(self) -> dict[str, Any]:
        return {
            "property": self.name,
            "low": self.low,
            "high": self.high,
            "low_all": self.low_all,
            "high_all": self.high_all,
            "inside": self.narrowness.inside,
            "inside_by_chance": self.narrowness.by_chance,
            "p": self.narrowness.p,
            "informative": self.narrowness.informative,
            "constraint": self.constraint,
        }


@dataclass(frozen=True, eq=False)
class Bands:
    """The bands of one space.

    ``values`` has a row for each of its networks and a column for each property that differs between them;
    ``failed`` of them count as the worst. ``unknown`` networks, whose widths are not known, are left out.
    ``spaces`` are all that could have been chosen.
    """

    space: str
    bands: tuple[Band, ...]
    values: pd.DataFrame
    failed: int
    unknown: int
    spaces: tuple[str, ...]
    notes: tuple[str, ...] = ()

    @property
    def n(self) -> int:
        return len(self.values)

    @property
    def informative(self) -> list[Band]:
        return [each for each in self.bands if each.narrowness.informative]

    @property
    def constraints(self) -> list[str]:
        """What narrows the space to the bands that say something."""
        return [each.constraint for each in self.bands if each.constraint is not None]

    @property
    def inside_all(self) -> int:
        """How many of the networks satisfy all constraints."""
        limits = [each.holds(self.values[each.name].to_numpy()) for each in self.bands if each.constraint]
        return int(np.all(limits, axis=0).sum()) if limits else self.n

    def __repr__(self) -> str:
        return f"Bands({self.space}, {self.n} networks: {', '.join(self.constraints) or 'no constraint'})"

    def remarks(self) -> list[str]:
        """Which bands say something, and what they leave."""
        found = []
        if self.failed:
            found.append(f"{self.failed} of the {self.n} networks failed; they count as the worst.")
        if self.unknown:
            found.append(
                f"{self.unknown} of the networks are left out: their depths or widths are not known."
            )
        names = [each.name for each in self.informative]
        of = f"p at most {1 - LEVEL:.2f}, corrected for {len(self.bands)} properties"
        if not names:
            found.append(
                f"No band is narrower than by chance ({of}): these networks don't show where the best lie."
            )
        else:
            found.append(f"Narrower than by chance ({of}): {', '.join(names)}.")
        if self.constraints:
            found.append(
                f"As constraints: {', '.join(self.constraints)}. {self.inside_all} of the {self.n} networks"
                " satisfy all of them. Only new networks can show whether such a space is better."
            )
        return found

    def to_json(self) -> dict[str, Any]:
        """The document of ``regnetlab bands --json``, but for the study's name."""
        return {
            "space": self.space,
            "spaces": list(self.spaces),
            "n": self.n,
            "failed": self.failed,
            "unknown": self.unknown,
            "share": SHARE,
            "level": LEVEL,
            "bands": [each.to_json() for each in self.bands],
            "constraints": self.constraints,
            "inside_all": self.inside_all,
            "notes": list(self.notes),
        }

    def to_pandas(self) -> pd.DataFrame:
        """A row for each property."""
        return pd.DataFrame([each.to_json() for each in self.bands])


def bands(trials: Trials, space: str | None = None) -> Bands:
    """Where the best networks of a space lie.

    Args:
        trials: Trainings; several of one network are averaged, and a failed one counts as the worst error.
        space: One of their spaces. By default the last that is drawn with free widths, not from a law.

    Raises:
        InputError: The space is not there, or its networks can't tell: too few, all failed, all equally good.
    """
    spaces = trials.spaces
    name = _default(spaces) if space is None else space
    if name not in spaces:
        raise unknown("space", name, spaces)
    networks = judged(trials.frame[trials.frame["space"] == name])
    if not networks["earned"].any():
        raise InputError(f"no network of {name} has an error", "there is no best among them")
    known = networks[["depths", "widths"]].map(lambda each: isinstance(each, tuple)).all(axis=1)
    count = len(networks)
    networks = networks[known] if known.any() else networks
    if len(networks) < FEWEST:
        raise InputError(
            f"{name} has {len(networks)} network{'s' * (len(networks) != 1)}, too few for bands",
            f"{FEWEST} are the least",
        )
    if networks["error"].nunique() == 1:
        raise InputError(f"all networks of {name} have the same error", "there is no best among them")
    values = properties(networks)
    if values.empty:
        raise InputError(
            f"the networks of {name} are alike in everything that is known of them",
            "bands are of depths, widths, flops, params and acts",
        )
    errors, columns = networks["error"].to_numpy(np.float64), values.to_numpy(np.float64)
    named = zip(map(str, values), columns.T, narrowness(columns, errors), strict=True)
    return Bands(
        space=name,
        bands=tuple(_band(*each, errors) for each in named),
        values=values,
        failed=int(networks["failed"].sum()),
        unknown=count - len(networks),
        spaces=tuple(spaces),
        notes=trials.notes,
    )


def properties(networks: pd.DataFrame) -> pd.DataFrame:
    """The properties that are known of all these networks and differ between them, a column each.

    Group width and bottleneck ratio are one number where every network has one for all its stages.
    """
    found: dict[str, Any] = {}
    if _all_known(networks, "depths") and _all_known(networks, "widths"):
        stages = range(networks["widths"].map(len).min())
        found["depth"] = [sum(each) for each in networks["depths"]]
        for letter, column in (("d", "depths"), ("w", "widths")):
            found |= {f"{letter}[{i + 1}]": [each[i] for each in networks[column]] for i in stages}
        fits = fits_of_all(networks)
        found |= {"w0": fits.w0, "growth": fits.growth}
        found[RATIO] = [each[-1] / each[0] for each in networks["widths"]]
        for letter, column in (("g", "group_widths"), ("b", "bottleneck_ratios")):
            if not _all_known(networks, column):
                continue
            if all(len(set(each)) == 1 for each in networks[column]):
                found[letter] = [each[0] for each in networks[column]]
            else:
                found |= {f"{letter}[{i + 1}]": [each[i] for each in networks[column]] for i in stages}
        for name, own in own_parameters(networks).items():
            known = [each for each in own if each is not None]
            if len(known) < len(networks):
                continue
            if all(len(set(each)) == 1 for each in known):
                found[name] = [each[0] for each in known]
            else:
                found |= {f"{name}[{i + 1}]": [each[i] for each in known] for i in stages}
    for name in ("params", "acts", "flops"):
        if name in networks:
            found[name] = pd.to_numeric(networks[name], errors="coerce")
    values = {name: np.asarray(each, np.float64) for name, each in found.items()}
    return pd.DataFrame({name: x for name, x in values.items() if np.isfinite(x).all() and np.ptp(x) > 0})


def _all_known(networks: pd.DataFrame, column: str) -> bool:
    return column in networks and all(isinstance(each, tuple) for each in networks[column])


def _default(spaces: Iterable[str]) -> str:
    names = list(spaces)
    free = [name for name in names if name not in (REGNET.name, DERIVED)]
    return (free or names)[-1]


def _band(name: str, values: Floats, narrow: Narrowness, errors: Floats) -> Band:
    best = band(values, errors)
    return Band(name, best.low, best.high, float(values.min()), float(values.max()), narrow)


def _rounded(name: str, value: float, up: bool) -> Decimal:
    """The nearest sensible value that leaves none of the band out."""
    exact = Decimal(repr(value))
    letter = name.partition("[")[0]
    if name in ("w0", "growth", RATIO):
        step = _digits(exact, 2)
    elif name in COUNTS or letter == "b":
        step = _digits(exact, 3)
    else:
        step = Decimal(WIDTH_STEP if letter == "w" else 1)
    steps = (exact / step).to_integral_value(ROUND_CEILING if up else ROUND_FLOOR)
    return (steps * step).normalize()


def _digits(value: Decimal, digits: int) -> Decimal:
    return Decimal(1).scaleb(value.adjusted() - digits + 1)
