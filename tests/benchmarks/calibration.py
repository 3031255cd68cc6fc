"""How often the statistics of ``compare`` and ``fit-regnet`` are right, on simulated truth.

    python tests/benchmarks/calibration.py [--rounds 2000] [-o docs/calibration.md] [--only law]

Every cell is a share of the rounds, each a pair of populations drawn anew; its Monte-Carlo standard
error stands in the page's head. 2,000 rounds take about a quarter of an hour on one core.
"""

import argparse
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np

from regnetlab.analysis.statistics.intervals import (
    mean_interval,
    median_difference,
    median_scale,
    quantile_interval,
)
from regnetlab.analysis.statistics.matching import matched
from regnetlab.analysis.statistics.rank_tests import probability_of_superiority, rank_tests
from regnetlab.analysis.statistics.verdicts import BETTER, NO_WORSE, networks_needed, verdict
from regnetlab.spaces.arrays import Floats
from tests.benchmarks import law

Draw = Callable[[np.random.Generator, int], Floats]

POPULATIONS: Mapping[str, Draw] = MappingProxyType(
    {
        "normal": lambda r, n: r.normal(25, 4, n),
        "skewed (log-normal)": lambda r, n: 15 + r.lognormal(2, 0.7, n),
        "heavy tails (t, 2 degrees)": lambda r, n: 25 + 3 * r.standard_t(2, n),
        "two humps (30% fail to learn)": lambda r, n: np.where(
            r.random(n) < 0.7, r.normal(20, 2, n), r.normal(60, 8, n)
        ),
        "ties (half points)": lambda r, n: np.round(2 * r.normal(25, 4, n)) / 2,
    }
)
SIZES = ((6, 6), (10, 10), (14, 14), (40, 40), (150, 150), (15, 60), (200, 50))
MARGIN = 1.0
"""A whole point, so that a shift of it keeps ties ties."""


def rates(draw: Draw, sizes: tuple[int, int], rounds: int, seed: int = 0) -> dict[str, float]:
    """Shares of rounds: the interval of the medians' difference covers it; false claims at their borders."""
    random = np.random.default_rng(seed)
    covered = better = no_worse = worse = rejected_ks = rejected_mw = chance = 0
    for _ in range(rounds):
        a, b = (draw(random, n) for n in sizes)
        equal = median_difference(a, b)
        covered += equal.low <= 0 <= equal.high
        better += verdict(equal, MARGIN) == BETTER
        worse += equal.low > 0
        at_margin = median_difference(draw(random, sizes[0]), draw(random, sizes[1]) + MARGIN)
        no_worse += verdict(at_margin, MARGIN) in (BETTER, NO_WORSE)
        superiority = probability_of_superiority(a, b)
        chance += superiority.low <= 0.5 <= superiority.high
    for _ in range(rounds // 10):  # permutations are dear
        tests = rank_tests(*(draw(random, n) for n in sizes))
        rejected_ks += tests.ks_p <= 0.05
        rejected_mw += tests.mann_whitney_p <= 0.05
    return {
        "coverage": covered / rounds,
        "false better": better / rounds,
        "false no worse at δ": no_worse / rounds,
        "false worse": worse / rounds,
        "superiority": chance / rounds,
        "KS p ≤ 0.05": rejected_ks / (rounds // 10),
        "MW p ≤ 0.05": rejected_mw / (rounds // 10),
    }


def single_rates(draw: Draw, n: int, rounds: int, seed: int = 0) -> dict[str, float]:
    """Shares of rounds in which the interval of one population's median, 5% quantile or mean covers it."""
    random = np.random.default_rng(seed)
    everything = draw(np.random.default_rng(12345), 2_000_000)
    truths = {
        "median": np.median(everything),
        "5% quantile": np.quantile(everything, 0.05),
        "mean": everything.mean(),
    }
    hits = dict.fromkeys(truths, 0)
    for _ in range(rounds):
        errors = draw(random, n)
        found = {
            "median": quantile_interval(errors),
            "5% quantile": quantile_interval(errors, 0.05),
            "mean": mean_interval(errors),
        }
        for name, interval in found.items():
            hits[name] += interval.low <= truths[name] <= interval.high
    return {name: hit / rounds for name, hit in hits.items()}


def matched_rates(n: int, rounds: int, seed: int = 0) -> dict[str, float]:
    """A larger network is better, space b has the larger ones and is no better at equal flops."""
    random = np.random.default_rng(seed)
    plain = at_equal = found = 0
    for _ in range(rounds):
        sizes = tuple(10 ** random.uniform(5 + offset, 6 + offset, n) for offset in (0.0, 0.3))
        a, b = (60 - 6 * np.log10(each) + random.normal(0, 2, n) for each in sizes)
        difference = median_difference(a, b)
        plain += difference.low <= 0 <= difference.high
        at_same = matched((a, b), (sizes[0], sizes[1]))
        if at_same is not None:
            found += 1
            at_equal += at_same.difference.low <= 0 <= at_same.difference.high
    return {"plain": plain / rounds, "at equal flops": at_equal / max(found, 1)}


def power_reached(draw: Draw, rounds: int, pilot: int = 60, seed: int = 0) -> tuple[float, float, float]:
    """Networks that ``plan`` asks for (median over pilots), and the shares of both verdicts with so many."""
    random = np.random.default_rng(seed)
    asked, no_worse, better = [], 0, 0
    for _ in range(rounds):
        scales = (median_scale(draw(random, pilot)), median_scale(draw(random, pilot)))
        n = int(np.ceil(networks_needed(scales, MARGIN)))
        asked.append(n)
        no_worse += verdict(median_difference(draw(random, n), draw(random, n)), MARGIN) in (BETTER, NO_WORSE)
        better += verdict(median_difference(draw(random, n), draw(random, n) - MARGIN), MARGIN) == BETTER
    return float(np.median(asked)), no_worse / rounds, better / rounds


def page(rounds: int) -> str:
    """The tables as Markdown."""
    error = 100 * np.sqrt(0.05 * 0.95 / rounds)
    lines = [
        "# How often the verdicts are right",
        "",
        f"Made by `python tests/benchmarks/calibration.py --rounds {rounds}`: {rounds:,} pairs of simulated",
        "populations a row (a tenth of them for permutation tests, which are dear). The",
        f"Monte-Carlo standard error of a 5% share is {error:.1f} points. All numbers are percent.",
        "",
        "## Two populations",
        "",
        "*Coverage*: the 95% interval of the difference of medians holds the true one, 0. *False better*,",
        "*worse*: claimed although both are equal. *False no worse*: claimed although the second is worse by",
        f"exactly the margin ({MARGIN:g} point). *P(b<a)*: the interval of the probability of superiority",
        "holds ½. *KS*, *MW*: p ≤ 0.05 although both are equal.",
        "",
    ]
    heads = (
        "population",
        "n",
        "coverage",
        "false better",
        "false worse",
        "false no worse",
        "P(b<a)",
        "KS",
        "MW",
    )
    lines += [_row(heads), _row(["---"] * len(heads))]
    for name, draw in POPULATIONS.items():
        for sizes in SIZES:
            print(name, sizes, file=sys.stderr)
            found = rates(draw, sizes, rounds, seed=len(lines))
            keys = (
                "coverage",
                "false better",
                "false worse",
                "false no worse at δ",
                "superiority",
                "KS p ≤ 0.05",
                "MW p ≤ 0.05",
            )
            lines.append(_row([name, " + ".join(map(str, sizes)), *(_percent(found[key]) for key in keys)]))
    lines += [
        "",
        "## One population",
        "",
        "Coverage of the 95% intervals of median, 5% quantile (order statistics) and mean (Student's t).",
        "",
    ]
    lines += [_row(("population", "n", "median", "5% quantile", "mean")), _row(["---"] * 5)]
    for name, draw in POPULATIONS.items():
        for n in (10, 40, 150):
            print(name, n, file=sys.stderr)
            lines.append(
                _row([name, str(n), *map(_percent, single_rates(draw, n, rounds, seed=len(lines)).values())])
            )
    lines += [
        "",
        "## Equal complexity",
        "",
        "Larger networks are better by 6 points per factor of ten, space b has twice the flops, and at equal",
        "flops both are the same: how often the plain and the matched interval hold that difference of 0.",
        "",
        _row(("n", "plain", "at equal flops")),
        _row(["---"] * 3),
    ]
    for n in (20, 60, 150):
        found = matched_rates(n, rounds // 4)
        lines.append(_row([str(n), *map(_percent, found.values())]))
    lines += [
        "",
        "## Planned numbers",
        "",
        "`regnetlab plan` asks for so many networks a space (median over pilots of 60) for a chance of 80%;",
        "reached: *no worse* where both are equal, *better* where the second is better by the margin.",
        "",
        _row(("population", "networks", "no worse", "better")),
        _row(["---"] * 4),
    ]
    for name, draw in POPULATIONS.items():
        n_asked, no_worse, better = power_reached(draw, rounds // 4)
        lines.append(_row([name, f"{n_asked:.0f}", _percent(no_worse), _percent(better)]))
    return "\n".join([*lines, "", *law.section(max(rounds // 5, 1))]) + "\n"


def _row(cells: object) -> str:
    return "| " + " | ".join(map(str, cells)) + " |"  # type: ignore[call-overload]


def _percent(share: float) -> str:
    return f"{100 * share:.1f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=2_000)
    parser.add_argument("-o", type=Path)
    parser.add_argument("--only", choices=["law"], help="this section alone, with so many rounds a row")
    arguments = parser.parse_args()
    rounds = arguments.rounds
    text = "\n".join(law.section(rounds)) + "\n" if arguments.only else page(rounds)
    if arguments.o is None:
        print(text)
    else:
        arguments.o.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
