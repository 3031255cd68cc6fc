"""How often the verdicts of a whole study are right: several steps, failed networks, several looks.

    python tests/benchmarks/calibration_verdicts.py [--rounds 1000]

Tables for docs/calibration.md, where ``calibration.py`` puts them. Populations are simulated and their
truth is known; a claim is *better* or *worse*. 1,000 rounds take about ten minutes on one core.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import pairwise

import numpy as np

from regnetlab.analysis.statistics.differences import (
    ANYTIME,
    FIXED,
    SEQUENTIAL,
    Course,
    difference,
    median_difference,
)
from regnetlab.analysis.statistics.intervals import LEVEL, Interval
from regnetlab.analysis.statistics.verdicts import BETTER, verdict
from regnetlab.spaces.arrays import Floats
from regnetlab.training.budget import WORST
from tests.benchmarks.calibration import POPULATIONS, Draw, percent, row

MARGIN = 1.0
STEPS = 5
LOOKED_AT = "normal", "skewed (log-normal)", "heavy tails (t, 2 degrees)"
PLANNED = 200


def claims(difference: Interval) -> bool:
    """Whether a difference is claimed."""
    return difference.low > 0 or difference.high < 0


def step_rates(draw: Draw, n: int, rounds: int, seed: int = 0) -> dict[str, float]:
    """Shares of rounds in which at least one of five steps between equal spaces claims a difference."""
    random = np.random.default_rng(seed)
    single = together = 0
    for _ in range(rounds):
        spaces = [draw(random, n) for _ in range(STEPS + 1)]
        single += any(claims(median_difference(a, b)) for a, b in pairwise(spaces))
        together += any(claims(median_difference(a, b, 1 - (1 - LEVEL) / STEPS)) for a, b in pairwise(spaces))
    return {"alone": single / rounds, "together": together / rounds}


def failure_rates(draw: Draw, n: int, failing: float, rounds: int, seed: int = 0) -> dict[str, float]:
    """Shares of *better* for a space that is equal to the first, but whose worst networks fail."""
    random = np.random.default_rng(seed)
    dropped = counted = 0
    for _ in range(rounds):
        a, b = draw(random, n), draw(random, n)
        fails = b > np.quantile(b, 1 - failing)
        dropped += verdict(median_difference(a, b[~fails]), MARGIN) == BETTER
        counted += verdict(median_difference(a, np.where(fails, WORST, b)), MARGIN) == BETTER
    return {"dropped": dropped / rounds, "counted": counted / rounds}


def look_rates(draw: Draw, shift: float, rounds: int, seed: int = 0) -> dict[str, tuple[float, float]]:
    """By what intervals hold for: the share of rounds with a claim, and networks a space that were trained.

    Who looks at every tenth of the planned networks stops at the first claim; with ``fixed`` intervals
    each look is taken as if it were the only one, ``end`` is a single look at all networks.
    """
    random = np.random.default_rng(seed)
    found = [stops(draw(random, PLANNED), draw(random, PLANNED) - shift, LEVEL) for _ in range(rounds)]
    stopped = {kind: np.array([each[kind] for each in found]) for kind in found[0]}
    return {
        kind: (float((each > 0).mean()), float(np.where(each > 0, each, PLANNED).mean()))
        for kind, each in stopped.items()
    }


def walk_rates(draw: Draw, rounds: int, seed: int = 0) -> dict[str, float]:
    """The share of walks over five steps between equal spaces with a claim at any look of any step."""
    random = np.random.default_rng(seed)
    wrong: Counter[str] = Counter()
    for _ in range(rounds):
        spaces = [draw(random, PLANNED) for _ in range(STEPS + 1)]
        steps = [stops(a, b, 1 - (1 - LEVEL) / STEPS) for a, b in pairwise(spaces)]
        wrong.update(kind for kind in NAMES if any(each[kind] for each in steps))
    return {kind: wrong[kind] / rounds for kind in NAMES}


def stops(a: Floats, b: Floats, level: float) -> dict[str, int]:
    """The networks a space at the first look that claims a difference, 0 without one."""
    looks = range(len(a) // 10, len(a) + 1, len(a) // 10)
    found = dict.fromkeys((*NAMES, "end"), 0)
    for n in looks:
        at_look = difference(a[:n], b[:n])
        for kind in NAMES:
            factor = Course(a[:n], b[:n], (len(a), len(b)), kind).factor(level)
            interval = at_look.interval(level) if factor is None else at_look.at(factor)
            found[kind] = found[kind] or n * claims(interval)
    found["end"] = len(a) * claims(at_look.interval(level))
    return found


NAMES: Mapping[str, str] = {
    FIXED: "95% intervals, as if for one look",
    SEQUENTIAL: "planned looks (alpha spending)",
    ANYTIME: "any time (confidence sequence)",
}


def tables(rounds: int) -> Iterator[str]:
    """The lines of the section."""
    yield from ("## Several steps, failures, several looks", "")
    yield f"Made by `python tests/benchmarks/calibration_verdicts.py --rounds {rounds}`, half as many walks."
    yield from ("", "*Five equal steps*: at least one claim of *better* or *worse* in a study.", "")
    yield row(("population", "n", "each step alone", "held together"))
    yield row(["---"] * 4)
    for name, draw in POPULATIONS.items():
        for n in (14, 40, 150):
            print("steps", name, n, file=sys.stderr)
            yield row((name, n, *map(percent, step_rates(draw, n, rounds).values())))
    yield from ("", "*Failures*: false *better* where the worst networks of the second space fail.", "")
    yield row(("population", "n", "failing", "failures dropped", "failures at 100%"))
    yield row(["---"] * 5)
    for name in ("normal", "skewed (log-normal)"):
        for n in (40, 150):
            for failing in (0.1, 0.2):
                print("failures", name, n, failing, file=sys.stderr)
                found = failure_rates(POPULATIONS[name], n, failing, rounds)
                yield row((name, n, f"{failing:.0%}", *map(percent, found.values())))
    yield from (
        "",
        f"*Looks*: who looks at every tenth of {PLANNED} networks a space and stops at the first claim.",
        "False claims of one step between equal spaces, and of a walk over five; then the chance of a claim,",
        "and the networks a space trained on average, where the second space is better by one and by two",
        "points.",
        "",
    )
    yield row(("population", "intervals", "one step", "walk", "1 point", "networks", "2 points", "networks"))
    yield row(["---"] * 8)
    for name in LOOKED_AT:
        print("looks", name, file=sys.stderr)
        draw, names = POPULATIONS[name], {**NAMES, "end": "95% interval, one look at the end"}
        false, one, two = (look_rates(draw, shift, rounds) for shift in (0.0, 1.0, 2.0))
        walk = walk_rates(draw, max(rounds // 2, 1))
        for kind, what in names.items():
            powers = [
                cell for each in (one, two) for cell in (percent(each[kind][0]), f"{each[kind][1]:.0f}")
            ]
            wrong = percent(walk[kind]) if kind in walk else "–"
            yield row((name, what, percent(false[kind][0]), wrong, *powers))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=1_000)
    print("\n".join(tables(parser.parse_args().rounds)))


if __name__ == "__main__":
    main()
