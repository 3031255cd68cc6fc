"""How the widths of good networks grow: the growth of least error, and whether the data show it.

That the widths of the best networks grow says nothing where all widths drawn do: a window of flops alone
makes AnyNetA's grow by 1.3 a stage, and AnyNetD's must. So the law is carried only by spaces whose
constraints leave the widths free (``regnetlab.spaces.free_widths``), and is asked for within them: which
growth has the least error, at equal depth and flops (``statistics.optimum``)? Beside it stands, for every
space, whether its best quarter grows more than all its networks do.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
import pandas as pd

from regnetlab.analysis.log_linear_fit import LawEvidence, fit_log_linears, fits_of_all, law_evidence
from regnetlab.analysis.statistics.best_quarter import BestQuarter, best_count, best_quarter
from regnetlab.analysis.statistics.intervals import Interval
from regnetlab.analysis.statistics.optimum import ROUNDING, Optimum, optimum
from regnetlab.errors import InputError
from regnetlab.spaces.arrays import Floats, Ints
from regnetlab.spaces.free_widths import leaves_widths_free
from regnetlab.spaces.law import fit_line
from regnetlab.spaces.space import SPACES
from regnetlab.spaces.template import PAPER
from regnetlab.trials.job import DERIVED
from regnetlab.trials.table import Trials, complete, networks_of, spaces_of

Claim = Literal["grows", "does not grow", "no evidence"]
GROWS: Claim = "grows"
DOES_NOT_GROW: Claim = "does not grow"
NO_EVIDENCE: Claim = "no evidence"
ABOUT_ONE = 1.1
"""Widths that certainly grow by less than this a stage do not grow."""
FEWEST = 12
"""Networks that a population needs for a law."""


@dataclass(frozen=True, slots=True)
class SpaceGrowth:
    """How the best quarter of the ``n`` networks of a space grow, and how all do.

    ``growth_best`` and ``growth_all`` are geometric means, ``difference`` the first minus the second, with an
    interval that is infinite for few networks; ``p`` is what chance makes of it, NaN for fewer than
    four networks. A space that ``carries`` the law leaves the widths free.
    """

    space: str
    n: int
    growth_best: float
    growth_all: float
    difference: Interval
    p: float
    carries: bool


@dataclass(frozen=True, slots=True)
class PopulationLaw:
    """The growth of least error over ``n`` networks of the spaces that leave the widths free.

    ``claim`` is *grows* where an optimum is shown inside what was drawn (``optimum.inside``) and the interval
    of ``growth`` lies above 1, *does not grow* where it is shown and the interval lies below ``ABOUT_ONE``,
    else *no evidence*, for this ``reason``. ``growth`` always lies inside what was drawn.

    ``w0``, ``depth``, ``depth_growth``, ``group_width`` and ``bottleneck_ratio`` are, in the same way, where
    error is least (the mean where all are equal), ``depth`` in blocks and ``w0`` beside networks of the
    same growth and depth; an end of what was drawn where error falls to that end (of w_0 unless
    ``w0_inside``); NaN where they are not known. ``best`` are the ``n_best`` networks of the spaces' best
    quarters: ``growth_best`` is their mean growth, ``r2`` the share of the variance of all their log
    widths that the line of their means explains, ``median_r2`` the median of the networks' own,
    ``evidence`` whether a line describes them, ``None`` with two stages or too few networks.
    """

    n: int
    n_best: int
    claim: Claim
    reason: str | None
    growth: Interval
    inside: bool
    w0: Interval
    w0_inside: bool
    depth: float
    depth_growth: float
    group_width: float
    bottleneck_ratio: float
    growth_best: float
    r2: float
    median_r2: float
    best: pd.DataFrame
    evidence: LawEvidence | None = None


def space_growths(trials: Trials) -> tuple[SpaceGrowth, ...]:
    """Every space with errors and networks of two stages or more, derived RegNets apart."""
    scored = complete(trials.frame)
    carriers = carrying(trials)
    found = []
    for space in spaces_of(scored):
        networks = scored[scored["space"] == space]
        growths = np.log(fits_of_all(networks).growth)
        known = np.isfinite(growths)
        if space != DERIVED and known.any():
            errors = networks["error"].to_numpy(np.float64)[known]
            best = best_quarter(errors, growths[known])
            found.append(_space_growth(space, int(known.sum()), best, space in carriers))
    return tuple(found)


def _space_growth(space: str, n: int, best: BestQuarter, carries: bool) -> SpaceGrowth:
    return SpaceGrowth(
        space, n, math.exp(best.mean), math.exp(best.mean_of_all), best.difference, best.p, carries
    )


def carrying(trials: Trials) -> list[str]:
    """The spaces whose constraints leave the widths free, in their order; of one block and number of stages.

    These are the template's and X, where some are, else those of the first space.
    They are those of a study's own spaces and of the paper's, by name. Of a space that is known by its name
    alone, the networks decide: it carries the law unless some were drawn from the law, or none of their
    widths fall from one stage to the next, or none rise.
    """
    template = trials.template or PAPER
    carriers = []
    variants = {name: design.variant for name, design in trials.designs.items()}
    alike = () if () in variants.values() else next(iter(variants.values()), ())
    for space in spaces_of(trials.frame):
        design = trials.designs.get(space) or SPACES.get(space)
        if space == DERIVED or variants.get(space, ()) != alike:
            continue
        if design is None:
            rows = networks_of(trials.frame[trials.frame["space"] == space])
            carries = _look_free(rows)
        else:
            carries = leaves_widths_free(design, template)
        carriers += [space] * carries
    return carriers


def _look_free(networks: pd.DataFrame) -> bool:
    """Whether widths both rise and fall among these networks, and none was drawn from the law."""
    if "wm" in networks and pd.to_numeric(networks["wm"], errors="coerce").notna().any():
        return False
    known = [widths for widths in networks["widths"] if isinstance(widths, tuple)]
    steps = [b - a for widths in known for a, b in pairwise(widths)]
    return min(steps, default=0) < 0 < max(steps, default=0) or not any(steps)


def population_law(trials: Trials) -> PopulationLaw:
    """The growth of least error over the networks of these trials.

    Networks that failed have no error and are left out.

    Raises:
        InputError: They can't carry a law, and why.
    """
    scored = complete(trials.frame)
    if not len(scored):
        raise InputError("no network has an error, so there are no best ones")
    carriers = carrying(trials)
    if not carriers:
        raise InputError(
            f"no space leaves the widths free ({', '.join(spaces_of(scored))}), and no other can carry a law",
            "draw networks of AnyNetA, AnyNetB or AnyNetC too",
        )
    networks = scored[scored["space"].isin(carriers)].reset_index(drop=True)
    _check(networks)
    widths = np.log(np.array(networks["widths"].tolist(), np.float64))  # (n, stages)
    depths = np.log(np.array(networks["depths"].tolist(), np.float64))
    starts, slopes = fit_line(widths)
    errors = networks["error"].to_numpy(np.float64)
    places = pd.factorize(networks["space"])[0].astype(np.int64)
    logs = {"growth": slopes, "depth": np.log(np.exp(depths).sum(axis=1)), "w0": starts}
    logs["depth growth"] = fit_line(depths)[1]
    shape = {name: _means(networks, name) for name in ("group_widths", "bottleneck_ratios")}
    logs |= {name: values for name, values in shape.items() if values is not None}
    regression = Regression(errors, places, logs, _logs(networks, "flops"))
    found = regression.growth()
    if found is None:
        raise InputError(
            f"{len(networks)} networks of {len(carriers)} spaces are too few for a regression",
            "train more of each space",
        )
    claim, reason = claim_of(found)
    others = {name: regression.least(name) for name in logs if name not in ("growth", "w0")}
    depth = others["depth"].estimate
    w0, w0_inside = regression.w0(found.at.estimate, depth)
    best = _best(errors, places)
    own = fit_log_linears(np.exp(widths[best]), np.exp(depths[best]))
    return PopulationLaw(
        n=len(networks),
        n_best=len(best),
        claim=claim,
        reason=reason,
        growth=_exponential(found.at),
        inside=found.inside,
        w0=_exponential(w0),
        w0_inside=w0_inside,
        depth=math.exp(depth),
        depth_growth=math.exp(others["depth growth"].estimate),
        group_width=math.exp(others["group_widths"].estimate) if "group_widths" in others else math.nan,
        bottleneck_ratio=math.exp(others["bottleneck_ratios"].estimate)
        if "bottleneck_ratios" in others
        else math.nan,
        growth_best=math.exp(slopes[best].mean()),
        r2=_common_r2(widths[best], starts[best].mean(), slopes[best].mean()),
        median_r2=float(np.nanmedian(own.r2)) if np.isfinite(own.r2).any() else math.nan,
        best=networks.iloc[best],
        evidence=law_evidence(networks.iloc[best]),
    )


def _check(networks: pd.DataFrame) -> None:
    """Refuse networks that can't carry a law."""
    if len(networks) < FEWEST:
        raise InputError(
            f"{len(networks)} networks with errors and free widths are too few for a law",
            f"it needs {FEWEST}",
        )
    stages = networks["widths"].map(len)
    if stages.min() < 2 or stages.nunique() > 1:
        raise InputError(
            f"the networks have {stages.min()} to {stages.max()} stages",
            "a law over a population needs the same number in each, two or more",
        )
    if networks["error"].nunique() == 1:
        raise InputError(
            f"all {len(networks)} networks have the same error", "there is no best growth to find"
        )
    if all(len(set(widths)) == 1 for widths in networks["widths"]):
        raise InputError("every network has equal widths in all its stages", "there is no growth to fit")
    slopes = fit_line(np.log(np.array(networks["widths"].tolist(), np.float64)))[1]
    if np.ptp(slopes) <= ROUNDING:
        raise InputError(
            f"the widths of every network grow by the same factor, {math.exp(slopes[0]):.2f}",
            "there is none to choose from",
        )


@dataclass(frozen=True, slots=True)
class Regression:
    """Errors of n networks and what they are set against.

    ``logs`` has *growth*, *depth* and others that are known, by name; ``spaces`` and log ``flops``, where
    these are known, are always controlled for. All arrays have shape (n,).
    """

    errors: Floats
    spaces: Ints
    logs: Mapping[str, Floats]
    flops: Floats | None

    def growth(self) -> Optimum | None:
        """Where error is least in growth at equal depth; ``None`` where too few networks are left to tell."""
        return self.best(self.logs["growth"], ("depth",))

    def least(self, name: str) -> Interval:
        """Where error is least in ``name``, given all others but w_0, which follows from them in a regime."""
        values = self.logs[name]
        given = tuple(each for each in self.logs if each not in (name, "w0"))
        found = self.best(values, given) or self.best(values, ("growth",))
        return Interval(*(float(values.mean()),) * 3) if found is None else found.at

    def w0(self, growth: float, depth: float) -> tuple[Interval, bool]:
        """Where error is least in log w_0 for networks of this growth and depth, given as logs; if inside.

        A network of large growth has a small w_0, or it leaves the regime: only beside others of its growth
        and depth is a w_0 large or small.
        """
        values, known = self.logs["w0"], (self.logs["growth"], self.logs["depth"])
        model = np.column_stack(
            [np.ones(len(values)), *(part for each in known for part in _square(each, each))]
        )
        fitted = np.linalg.lstsq(model, values, rcond=None)[0]
        point = [1.0]
        for value, each in zip((growth, depth), known, strict=True):
            point += [float(part[0]) for part in _square(np.array([value]), each)]
        usual = float(np.array(point) @ fitted)
        found = self.best(values - model @ fitted, ("growth", "depth"))
        if found is None:
            return Interval(usual, usual, usual), False
        return Interval(*(usual + each for each in (found.at.estimate, *found.at.ends))), found.inside

    def best(self, x: Floats, given: Sequence[str]) -> Optimum | None:
        """Where error is least in x, given the logs of these names and their squares."""
        columns = [] if self.flops is None else [self.flops - self.flops.mean()]
        for name in given:
            columns += _square(self.logs[name], self.logs[name])
        return optimum(x, self.errors, self.spaces, np.column_stack(columns))


def _square(values: Floats, of: Floats) -> list[Floats]:
    """The values about the mean ``of`` all networks, and their squares."""
    centred = values - of.mean()
    return [centred, centred**2]


def claim_of(found: Optimum) -> tuple[Claim, str | None]:
    """What an optimum of log growth claims, and why it claims no more."""
    low, high = math.exp(found.at.low), math.exp(found.at.high)
    least, most = (math.exp(end) for end in found.drawn)
    if found.inside:
        if low > 1:
            return GROWS, None
        if high < ABOUT_ONE:
            return DOES_NOT_GROW, None
        return NO_EVIDENCE, f"the best growth may lie on either side of 1 ({low:.2f} to {high:.2f})"
    if found.below:
        why = f"the best growth may lie above all that were drawn, which end at {most:.2f}"
    elif found.above:
        why = f"the best growth may lie below all that were drawn, which begin at {least:.2f}"
    else:
        why = f"no growth is clearly better than the least and the largest drawn, {least:.2f} and {most:.2f}"
    return NO_EVIDENCE, why


def _best(errors: Floats, spaces: Ints) -> Ints:
    """The places of the best quarter of each space, the least errors first."""
    chosen = []
    for space in np.unique(spaces):
        members = np.flatnonzero(spaces == space)
        order = np.argsort(errors[members], kind="stable")
        chosen.append(members[order[: best_count(len(members))]])
    found = np.concatenate(chosen)
    return np.asarray(found[np.argsort(errors[found], kind="stable")])


def _logs(networks: pd.DataFrame, column: str) -> Floats | None:
    """The logs of a column of numbers, ``None`` unless all are known and above 0."""
    if column not in networks:
        return None
    values = pd.to_numeric(networks[column], errors="coerce").to_numpy(np.float64)
    return np.log(values) if (values > 0).all() else None


def _means(networks: pd.DataFrame, column: str) -> Floats | None:
    """The mean log over stages of that column; ``None`` unless all are known."""
    if column not in networks or not all(isinstance(each, tuple) for each in networks[column]):
        return None
    return np.asarray(np.log(np.array(networks[column].tolist(), np.float64)).mean(axis=1))


def _common_r2(widths: Floats, start: float, slope: float) -> float:
    """The share of the variance of log widths of shape (n, stages) that this line explains."""
    spread = ((widths - widths.mean()) ** 2).sum()
    away = ((widths - start - slope * np.arange(widths.shape[1])) ** 2).sum()
    return float(1 - away / spread) if spread > 0 else math.nan


def _exponential(interval: Interval) -> Interval:
    return Interval(*(math.exp(each) for each in (interval.estimate, interval.low, interval.high)))
