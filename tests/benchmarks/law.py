"""How often ``fit-regnet`` is right about how good widths grow, where the truth is known.

Real networks of AnyNetA, B and C, drawn on the small template, are given made-up errors: a curve of log
growth about a known optimum, effects of depth and space, noise, failures. Called by ``calibration.py``, which
has the rest:

    python tests/benchmarks/calibration.py --only law --rounds 400
"""

import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType

import numpy as np

from regnetlab.analysis.population_law import GROWS, Regression, carrying, claim_of
from regnetlab.analysis.statistics.optimum import Optimum
from regnetlab.spaces.arrays import Floats, Ints
from regnetlab.spaces.law import log_linear_fit
from regnetlab.spaces.ranges import Ranges
from regnetlab.spaces.regime import Regime, Window
from regnetlab.spaces.sampler import sample
from regnetlab.spaces.space import space_named
from regnetlab.spaces.template import SMALL
from regnetlab.trials.files import read_trials
from regnetlab.trials.table import complete

SPACES = ("AnyNetA", "AnyNetB", "AnyNetC")
OPTIMA = (1.0, 1.76, 2.2, 2.8)
STUDIES = ("fashion-mnist", "fashion-mnist-3mf", "quick")
_RANGES = Ranges(depth=(1, 12), width=(8, 256))
_REGIMES = MappingProxyType({"1 MF": (0.8e6, 1.2e6), "3 MF": (2.4e6, 3.6e6)})
_POOL = 8_000

CURVES: Mapping[str, Callable[[Floats], Floats]] = MappingProxyType(
    {
        "quadratic": lambda u: 2.7 * u**2,
        "V": lambda u: 3 * np.abs(u),
        "steep below": lambda u: 2 * (np.exp(-1.2 * u) + 1.2 * u - 1),
        "steep above": lambda u: 2 * (np.exp(1.2 * u) - 1.2 * u - 1),
        "none": lambda u: 0 * u,
        "falls throughout": lambda u: -2 * u,
    }
)
"""Error by log(growth / optimum); on studies/fashion-mnist the quadratic has 2.7, at a spread of 1.2."""
NOISES: Mapping[str, Callable[[np.random.Generator, Floats], Floats]] = MappingProxyType(
    {
        "normal": lambda r, x: r.normal(0, 1.2, len(x)),
        "gamma": lambda r, x: r.gamma(2, 0.85, len(x)),
        "heavy tails (t, 2.2 degrees)": lambda r, x: 0.8 * r.standard_t(2.2, len(x)),
        "log-normal": lambda r, x: r.lognormal(0, 0.8, len(x)),
        "wider away from 1": lambda r, x: r.normal(0, 1, len(x)) * (0.6 + 0.8 * np.abs(x)),
    }
)
DEPTHS: Mapping[str, Callable[[Floats], Floats]] = MappingProxyType(
    {
        "linear": lambda z: 3 * (z - 2.7),
        "bent": lambda z: 3 * np.abs(z - 2.5),
    }
)
"""Error by log depth."""


@dataclass(frozen=True, slots=True)
class Truth:
    """What errors are made of."""

    n: int = 150
    optimum: float = 1.76
    curve: str = "quadratic"
    noise: str = "gamma"
    depth: str = "linear"
    failing: float = 0.03
    regime: str = "1 MF"

    def errors(self, drawn: "Drawn", random: np.random.Generator) -> Floats:
        """One error for each network, NaN where it failed."""
        errors = 16 + CURVES[self.curve](drawn.growth - np.log(self.optimum))
        errors += DEPTHS[self.depth](drawn.depth) + NOISES[self.noise](random, drawn.growth)
        errors += np.array([1.0, 0.4, 0.0])[drawn.space]
        return np.where(random.random(len(errors)) < self.failing, np.nan, np.clip(errors, 0, 100))


@dataclass(frozen=True, slots=True)
class Drawn:
    """Networks: logs of growth, depth and flops, and which space, each of shape (n,)."""

    growth: Floats
    depth: Floats
    flops: Floats
    space: Ints

    def regression(self, errors: Floats) -> Regression:
        """As ``population_law`` makes it of those with an error."""
        known = np.isfinite(errors)
        logs = {"growth": self.growth[known], "depth": self.depth[known]}
        return Regression(errors[known], self.space[known], logs, self.flops[known])


@lru_cache
def _pool(space: str, regime: str) -> Floats:
    low, high = _REGIMES[regime]
    found = sample(space_named(space).within(_RANGES), _POOL, SMALL, Regime(flops=Window(low, high)), seed=77)
    _, growth = log_linear_fit(found.population.widths)
    return np.log(np.stack([growth, found.population.depths.sum(axis=1), found.complexity.flops]))


def drawn(n: int, regime: str, random: np.random.Generator) -> Drawn:
    """``n`` networks of each space."""
    parts = [_pool(space, regime)[:, random.choice(_POOL, n, replace=False)] for space in SPACES]
    growth, depth, flops = np.concatenate(parts, axis=1)
    return Drawn(growth, depth, flops, np.repeat(np.arange(len(SPACES)), n))


def found_in(truth: Truth, rounds: int, seed: int = 0) -> Iterator[tuple[Optimum | None, Regression]]:
    """What is found in so many rounds of this truth."""
    for turn in range(rounds):
        random = np.random.default_rng([seed, turn])
        networks = drawn(truth.n, truth.regime, random)
        regression = networks.regression(truth.errors(networks, random))
        yield regression.growth(), regression


def rates(truth: Truth, rounds: int) -> dict[str, float]:
    """Shares of rounds with coverage and claims, the median width as a factor; the quadratic's coverage."""
    target = np.log(truth.optimum)
    covers, grows, inside, widths, naive = [], [], [], [], []
    for found, regression in found_in(truth, rounds):
        assert found is not None
        covers.append(found.at.low <= target <= found.at.high)
        grows.append(claim_of(found)[0] == GROWS)
        inside.append(found.inside)
        widths.append(found.at.high - found.at.low)
        low, high = quadratic_vertex(regression)
        naive.append(low <= target <= high)
    return {
        "covers": float(np.mean(covers)),
        "inside": float(np.mean(inside)),
        "grows": float(np.mean(grows)),
        "width": float(np.exp(np.median(widths))),
        "quadratic": float(np.mean(naive)),
    }


def quadratic_vertex(regression: Regression, resamples: int = 200) -> tuple[float, float]:
    """The rival: the 95% percentile interval of a quadratic's vertex, by bootstrap over networks."""
    growth, depth = regression.logs["growth"], regression.logs["depth"]
    x, z = growth - growth.mean(), depth - depth.mean()
    spaces = (regression.spaces[:, None] == np.unique(regression.spaces)).astype(np.float64)
    model = np.column_stack([x, x**2, z, z**2, spaces])
    n, terms = model.shape
    weights = np.random.default_rng(1).multinomial(n, np.full(n, 1 / n), resamples).astype(np.float64)
    squares = (weights @ (model[:, :, None] * model[:, None, :]).reshape(n, -1)).reshape(-1, terms, terms)
    sums = weights @ (model * regression.errors[:, None])
    fits = np.linalg.solve(squares + 1e-9 * np.eye(terms), sums[:, :, None])[:, :2, 0]
    vertices = -fits[:, 0] / (2 * fits[:, 1]) + growth.mean()
    vertices = np.where(fits[:, 1] > 0, vertices, np.sign(-fits[:, 0]) * 9)
    return float(np.quantile(vertices, 0.025)), float(np.quantile(vertices, 0.975))


def shuffled(study: str, rounds: int, seed: int = 0) -> float:
    """How often growth is claimed where a committed study's errors are shuffled within its spaces."""
    trials = read_trials([Path("studies") / study / "trials.csv"])
    networks = complete(trials.frame)
    networks = networks[networks["space"].isin(carrying(trials))].reset_index(drop=True)
    _, growth = log_linear_fit(np.array(networks["widths"].tolist()))
    depth = np.array([sum(each) for each in networks["depths"]], np.float64)
    space = networks["space"].factorize()[0].astype(np.int64)
    known = Drawn(np.log(growth), np.log(depth), np.log(networks["flops"].to_numpy(np.float64)), space)
    errors = networks["error"].to_numpy(np.float64)
    claims = []
    for turn in range(rounds):
        random = np.random.default_rng([seed, turn])
        mixed = errors.copy()
        for each in np.unique(space):
            members = np.flatnonzero(space == each)
            mixed[members] = random.permutation(errors[members])
        regression = known.regression(mixed)
        found = regression.growth()
        claims.append(found is not None and claim_of(found)[0] == GROWS)
    return float(np.mean(claims))


def section(rounds: int) -> list[str]:
    """The tables as lines of Markdown."""
    lines = [
        "## The width law",
        "",
        f"{rounds:,} rounds a row: real networks of AnyNetA, B and C at 0.8 to 1.2 MF, with made-up errors.",
        "*Covers*: the 95% interval holds the true growth of least error. *Inside*: an optimum is shown",
        "inside what was drawn. *Grows*: growth is claimed. *Width*: the interval's high end over its low",
        "end, median. *Quadratic*: how often the usual rival covers, the percentile bootstrap of a",
        "quadratic's vertex. With u = log(growth / optimum), errors are 16% + 2.7 u² (V: 3 |u|; steep below",
        "and above: 2 (e^∓1.2u ± 1.2u − 1)) + 3 log depth + up to 1 for the space + gamma noise of standard",
        "deviation 1.2; 3% fail. *n* is of each space.",
        "",
    ]
    heads = ("curve", "optimum", "n", "covers", "inside", "grows", "width", "quadratic")
    lines += [_row(heads), _row(["---"] * len(heads))]
    for curve in ("quadratic", "V", "steep below", "steep above"):
        for optimum in OPTIMA:
            for n in (150, 50):
                truth = Truth(n=n, optimum=optimum, curve=curve)
                lines.append(_row([curve, f"{optimum:g}", str(n), *_cells(truth, rounds)]))
    lines += [
        "",
        "Other noise, other effects of depth, more failures, another regime; a quadratic.",
        "",
        _row(("what", "optimum", "n", *heads[3:])),
        _row(["---"] * len(heads)),
    ]
    for name, truth in _variants():
        for optimum in (1.0, 1.76, 2.2):
            for n in (150, 50):
                varied = replace(truth, optimum=optimum, n=n)
                lines.append(_row([name, f"{optimum:g}", str(n), *_cells(varied, rounds)]))
    lines += [
        "",
        "Claims of growth where there is none to claim: errors that don't depend on growth, errors that",
        "fall throughout, so that no optimum lies inside, and errors of studies shuffled within spaces.",
        "",
        _row(("errors", "n", "inside", "grows")),
        _row(["---"] * 4),
    ]
    for noise in NOISES:
        for curve in ("none", "falls throughout"):
            for n in (150, 50, 14):
                found = rates(Truth(n=n, curve=curve, noise=noise), rounds)
                lines.append(
                    _row([f"{curve}, {noise}", str(n), _percent(found["inside"]), _percent(found["grows"])])
                )
    for study in STUDIES:
        lines.append(_row([f"{study}, shuffled", "", "", _percent(shuffled(study, rounds))]))
    return lines


def _variants() -> Iterator[tuple[str, Truth]]:
    for noise in NOISES:
        if noise != "gamma":
            yield noise, Truth(noise=noise)
    yield "depth: 3 · abs(log depth − 2.5)", Truth(depth="bent")
    yield "10% fail", Truth(failing=0.1)
    yield "2.4 to 3.6 MF", Truth(regime="3 MF")


def _cells(truth: Truth, rounds: int) -> list[str]:
    print(truth, file=sys.stderr)
    found = rates(truth, rounds)
    shares = [_percent(found[key]) for key in ("covers", "inside", "grows")]
    return [*shares, f"{found['width']:.2f}", _percent(found["quadratic"])]


def _row(cells: object) -> str:
    return "| " + " | ".join(map(str, cells)) + " |"  # type: ignore[call-overload]


def _percent(share: float) -> str:
    return f"{100 * share:.1f}"
