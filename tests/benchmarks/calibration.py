"""How often the statistics of ``compare`` and ``fit-regnet`` are right, on simulated truth.

    python tests/benchmarks/calibration.py [--rounds 2000] [-o docs/calibration.md]
    python tests/benchmarks/calibration.py --only law|contests|verdicts|walk|pooled --rounds 400

Every cell is a share of the rounds, each a new pair of populations; its Monte-Carlo standard error
stands in the page's head. 2,000 rounds take about a quarter of an hour on one core.
"""

import argparse
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from scipy import stats

from regnetlab.analysis.statistics.differences import median_difference
from regnetlab.analysis.statistics.error_difference import over_seeds, over_seeds_and_images
from regnetlab.analysis.statistics.intervals import (
    Interval,
    mean_interval,
    quantile_interval,
)
from regnetlab.analysis.statistics.matching import matched
from regnetlab.analysis.statistics.planning import networks_range
from regnetlab.analysis.statistics.rank_tests import probability_of_superiority, rank_tests
from regnetlab.analysis.statistics.verdicts import BETTER, NO_WORSE, verdict
from regnetlab.spaces.arrays import Floats, Mask

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

_ABOUT_PLANS = [
    "",
    "With the estimate itself every other plan is too small. Where errors come in steps of half a point, so",
    "do the ends of an interval, which must therefore stay half a step further from a border: the margin is",
    "reduced by that, without which 430 networks reach 55%. Where three in ten networks fail to learn, the",
    "standard deviation of bootstrap medians is ruled by the few resamples whose median falls among the",
    "failed ones (it asks for 1,222 networks and reaches 94%). The scale here is the distance of the order",
    "statistics around the median, which failures spoil only where a pilot happens to hold nearly as many of",
    "them as of others. Such a pilot can't tell on which side the median lies, and asks for thousands.",
]


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


def power_reached(draw: Draw, rounds: int, pilot: int = 60, seed: int = 0) -> dict[str, float]:
    """Of pilots: networks asked for (medians), and the shares of both verdicts with so many."""
    random = np.random.default_rng(seed)
    found: dict[str, list[float]] = {"estimate": [], "n": []} | {
        f"{claim} {n}": [] for n in ("estimate", "n") for claim in (NO_WORSE, BETTER)
    }
    for _ in range(rounds):
        needed = networks_range(draw(random, pilot), draw(random, pilot), MARGIN)
        for name, number in (("estimate", needed.estimate), ("n", needed.high)):
            n = int(np.ceil(number))
            found[name].append(n)
            same = verdict(median_difference(draw(random, n), draw(random, n)), MARGIN)
            lower = verdict(median_difference(draw(random, n), draw(random, n) - MARGIN), MARGIN)
            found[f"{NO_WORSE} {name}"].append(same in (BETTER, NO_WORSE))
            found[f"{BETTER} {name}"].append(lower == BETTER)
    return {
        name: float(np.median(values) if name in ("estimate", "n") else np.mean(values))
        for name, values in found.items()
    }


def planned(rounds: int) -> list[str]:
    """The lines of the section on ``plan``."""
    lines = [
        "",
        "## Planned numbers",
        "",
        "For a chance of 80%, `regnetlab plan` asks for so many networks a space (*planned*, median over",
        "pilots of 60 networks): the upper end of what the pilot leaves open. *Estimate*: its middle.",
        "Reached: *no worse* where both are equal, *better* where the second is better by the margin.",
        f"{rounds:,} pilots a row; the standard error of 80% is {40 / np.sqrt(rounds):.1f} points.",
        "",
        row(("population", "estimate", "no worse", "better", "planned", "no worse", "better")),
        row(["---"] * 7),
    ]
    for name, draw in POPULATIONS.items():
        print(name, file=sys.stderr)
        found = power_reached(draw, rounds)
        cells: list[str] = [name]
        for kind in ("estimate", "n"):
            cells.append(f"{found[kind]:.0f}")
            cells += [percent(found[f"{claim} {kind}"]) for claim in (NO_WORSE, BETTER)]
        lines.append(row(cells))
    return lines + _ABOUT_PLANS


def trained(
    random: np.random.Generator, seeds: tuple[int, int], images: int, spreads: tuple[float, float]
) -> tuple[Mask, Mask]:
    """Which test images the trainings of two networks of equal error (12%) classify correctly.

    ``spreads`` are standard deviations of a network's error over its seeds, in points. Whether an image is
    classified correctly hangs on how hard it is for all (70% of the variance), for this network (12%), and on
    chance (18%), so seeds of one network agree more than networks do.
    """
    border = stats.norm.isf(0.12)
    hard = _normal(random, 0.70, images)
    found = []
    for n, spread in zip(seeds, spreads, strict=True):
        shift = spread / 100 / stats.norm.pdf(border)
        level = hard + _normal(random, 0.12, images)
        level = level + _normal(random, 0.18, (n, images)) + _normal(random, shift**2, (n, 1))
        found.append(level < border * np.sqrt(1 + shift**2))
    return found[0], found[1]


def _normal(random: np.random.Generator, variance: float, shape: int | tuple[int, int]) -> Any:
    return np.float32(np.sqrt(variance)) * random.standard_normal(shape, np.float32)


def pigeonhole(random: np.random.Generator, a: Mask, b: Mask, resamples: int = 200) -> Interval:
    """The percentile interval of the pigeonhole bootstrap (Owen 2007): seeds and images are drawn again."""
    images = a.shape[1]
    drawn = random.integers(images, size=(resamples, images))
    drawn += images * np.arange(resamples)[:, None]
    weights = np.bincount(drawn.ravel(), minlength=resamples * images).reshape(resamples, images) / images
    means = []
    for side in (a, b):
        of_seeds = weights @ (100.0 * ~side.T)  # (resamples, seeds)
        which = random.integers(len(side), size=of_seeds.shape)
        means.append(np.take_along_axis(of_seeds, which, 1).mean(1))
    low, high = np.quantile(means[1] - means[0], [0.025, 0.975])
    return Interval(float(100 * (a.mean() - b.mean())), float(low), float(high))


def contest_rates(
    seeds: tuple[int, int],
    images: int,
    spreads: tuple[float, float],
    rounds: int,
    seed: int = 0,
    bootstrapped: int | None = None,
) -> dict[str, float]:
    """Shares of rounds in which intervals of the difference of two equal networks hold 0; a half-width."""
    random = np.random.default_rng(seed)
    hits = dict.fromkeys(("seeds and images", "seeds only", "pigeonhole"), 0)
    halves = []
    few = rounds // 10 if bootstrapped is None else bootstrapped  # the bootstrap is dear
    for i in range(rounds):
        a, b = trained(random, seeds, images, spreads)
        found = {
            "seeds and images": over_seeds_and_images(a, b),
            "seeds only": over_seeds(*(100 - 100 * each.mean(1) for each in (a, b))),
            **({"pigeonhole": pigeonhole(random, a, b)} if i < few else {}),
        }
        for name, interval in found.items():
            hits[name] += interval.low <= 0 <= interval.high
        halves.append(found["seeds and images"].high - found["seeds and images"].estimate)
    shares = {name: hit / max(few if name == "pigeonhole" else rounds, 1) for name, hit in hits.items()}
    return shares | {"half-width": float(np.median(halves))}


def contest_lines(rounds: int) -> list[str]:
    """The table of contests."""
    lines = [
        "## Contests",
        "",
        "Two networks of 12% error, each trained with some seeds and judged on one set of test images, are",
        "equal: how often the 95% interval of their difference holds 0. In all other rounds a winner is",
        "claimed where there is none. *Spread*: deviation of an error over the seeds of either network,",
        "in points. *Seeds and images*: the interval of `compare-baselines`; *±*: its median half-width, in",
        "points. *Seeds only*: Welch's, which older studies have. *Pigeonhole*: the percentile bootstrap of",
        "seeds and images (Owen 2007; a tenth of the rounds).",
        "",
        row(("seeds", "images", "spread", "seeds and images", "±", "seeds only", "pigeonhole")),
        row(["---"] * 7),
    ]
    for images in (2_000, 10_000):
        for n in (3, 5, 8, 12):
            for spreads in ((0.3, 0.3), (0.3, 1.4), (1.4, 1.4)):
                print("contest", n, images, spreads, file=sys.stderr)
                found = contest_rates((n, n), images, spreads, rounds, seed=len(lines))
                cells = [percent(found["seeds and images"]), f"{found['half-width']:.2f}"]
                cells += [percent(found[name]) for name in ("seeds only", "pigeonhole")]
                lines.append(row([n, f"{images:,}", " and ".join(map(str, spreads)), *cells]))
    return lines


def page(rounds: int) -> str:
    """The tables as Markdown."""
    error = 100 * np.sqrt(0.05 * 0.95 / rounds)
    lines = [
        "# How often the verdicts are right",
        "",
        f"Made by `python tests/benchmarks/calibration.py --rounds {rounds}`: {rounds:,} pairs of simulated",
        f"populations a row, {rounds // 10:,} for the permutation tests (*KS*, *MW*), which take longer.",
        f"The Monte-Carlo standard error of a 5% share is {error:.1f} points, of the permutation tests",
        f"{error * np.sqrt(10):.1f}. All numbers are percent.",
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
    lines += [row(heads), row(["---"] * len(heads))]
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
            lines.append(row([name, " + ".join(map(str, sizes)), *(percent(found[key]) for key in keys)]))
    lines += [
        "",
        "## One population",
        "",
        "Coverage of the 95% intervals of median, 5% quantile (order statistics) and mean (Student's t).",
        "",
    ]
    lines += [row(("population", "n", "median", "5% quantile", "mean")), row(["---"] * 5)]
    for name, draw in POPULATIONS.items():
        for n in (10, 40, 150):
            print(name, n, file=sys.stderr)
            lines.append(
                row([name, str(n), *map(percent, single_rates(draw, n, rounds, seed=len(lines)).values())])
            )
    lines += [
        "",
        "## Equal complexity",
        "",
        "Larger networks are better by 6 points per factor of ten, space b has twice the flops, and at equal",
        "flops both are the same: how often the plain and the matched interval hold that difference of 0.",
        "",
        row(("n", "plain", "at equal flops")),
        row(["---"] * 3),
    ]
    for n in (20, 60, 150):
        found = matched_rates(n, rounds // 4)
        lines.append(row([str(n), *map(percent, found.values())]))
    lines += planned(rounds // 5)
    return "\n".join([*lines, *sections(rounds)]) + "\n"


def sections(rounds: int, only: str = "") -> Iterator[str]:
    """The lines of the other sections, or of one of them."""
    from tests.benchmarks import (  # which import this file
        calibration_pooled,
        calibration_verdicts,
        calibration_walk,
        law,
    )

    found: dict[str, tuple[Callable[[int], Iterable[str]], int]] = {
        "verdicts": (calibration_verdicts.tables, 2),
        "walk": (calibration_walk.tables, 5),
        "contests": (contest_lines, 1),
        "law": (law.section, 5),
        "pooled": (calibration_pooled.tables, 1),
    }
    for name, (make, dearer) in found.items():
        if only in ("", name):
            yield ""
            yield from make(rounds if only else max(rounds // dearer, 1))


def row(cells: object) -> str:
    return "| " + " | ".join(map(str, cells)) + " |"  # type: ignore[call-overload]


def percent(share: float) -> str:
    return f"{100 * share:.1f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=2_000)
    parser.add_argument("-o", type=Path)
    parser.add_argument(
        "--only", choices=["law", "contests", "verdicts", "walk", "pooled"], help="this section alone"
    )
    arguments = parser.parse_args()
    rounds = arguments.rounds
    text = "\n".join(sections(rounds, arguments.only)) + "\n" if arguments.only else page(rounds)
    if arguments.o is None:
        print(text)
    else:
        arguments.o.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
