"""Walks through spaces with known truth: how often they are wrong, and what they save (``analysis.walk``)."""

from collections.abc import Iterator, Sequence

import numpy as np

from regnetlab.analysis.statistics.verdicts import BETTER, NO_WORSE, WORSE
from regnetlab.analysis.walk import Asked, walk
from regnetlab.spaces.arrays import Floats
from regnetlab.trials.terms import Terms
from tests.benchmarks.calibration import percent, row

MARGIN = 1.0
SPREAD = 4.0
TRUTHS: Sequence[tuple[str, tuple[float, ...]]] = (
    ("no constraint matters", (0, 0, 0, 0, 0)),
    ("all worse by the margin", (1, 1, 1, 1, 1)),
    ("the first is worse by 3", (3, 0, 0, 0, 0)),
    ("the second and fourth are worse by 3", (0, 3, 0, 3, 0)),
    ("the first and third are better by 3", (-3, 0, -3, 0, 0)),
    ("all better by 3", (-3, -3, -3, -3, -3)),
)
"""What each constraint adds to every error, in points."""
PLANNED = (30, 60, 120)


class Trainer:
    """Errors instead of trainings: gamma-distributed around a median that the constraints shift."""

    def __init__(self, shifts: Sequence[float], seed: int) -> None:
        self.shifts, self.random = shifts, np.random.default_rng(seed)
        self.errors: dict[tuple[int, ...], Floats] = {}

    def spaces(self, left_out: frozenset[int]) -> list[tuple[int, ...]]:
        numbers = range(1, len(self.shifts) + 1)
        return [tuple(sorted({*numbers[:k]} - left_out)) for k in range(len(self.shifts) + 1)]

    def __call__(self, asked: Asked[tuple[int, ...]]) -> tuple[Floats, Floats]:
        return self._first(asked.a, asked.n[0]), self._first(asked.b, asked.n[1])

    def _first(self, space: tuple[int, ...], n: int) -> Floats:
        known = self.errors.setdefault(space, np.empty(0))
        drawn = (self.random.gamma(3, 1, max(0, n - len(known))) - 2.674) / 3**0.5
        shift = sum(self.shifts[k - 1] for k in space)
        self.errors[space] = np.append(known, np.clip(20 + SPREAD * drawn + shift, 0, 100))
        return self.errors[space][:n]


def tables(rounds: int) -> Iterator[str]:
    """A row for each truth and planned number."""
    yield from (
        "## Walks",
        "",
        "Five constraints, one after the other, each at looks that were planned at every tenth of *n*",
        "networks in each space; networks of the space so far count again. The margin is"
        f" {MARGIN:g} point, the",
        f"standard deviation of errors in a space {SPREAD:g} points. *False better*, *no worse*,",
        "*worse*: walks with at least one such claim that is not true (no worse: by less than the margin).",
        "*Found*: claims of the constraints that are better or worse by 3 points. *Networks*: trained on",
        f"average, as a share of the 6 *n* that a design without looks trains. {rounds:,} walks a row.",
        "",
        "A step ends with its first verdict: *no worse* is enough to keep a constraint, and ends most steps",
        "before *better* could be claimed.",
        "",
        row(("truth", "n", "false better", "false no worse", "false worse", "found", "networks")),
        row(["---"] * 7),
    )
    for name, shifts in TRUTHS:
        for planned in PLANNED:
            yield row([name, str(planned), *_rates(shifts, planned, rounds)])


def _rates(shifts: Sequence[float], planned: int, rounds: int) -> list[str]:
    wrong = dict.fromkeys((BETTER, NO_WORSE, WORSE), 0)
    found = asked = trained = 0
    for seed in range(rounds):
        trainer = Trainer(shifts, seed)
        steps = walk(trainer.spaces, [planned] * (len(shifts) + 1), trainer, Terms(margin=MARGIN, walk=True))
        pairs = list(zip(steps, shifts, strict=True))
        wrong[BETTER] += any(step.verdict == BETTER and shift >= 0 for step, shift in pairs)
        wrong[NO_WORSE] += any(step.verdict == NO_WORSE and shift >= MARGIN for step, shift in pairs)
        wrong[WORSE] += any(step.verdict == WORSE and shift <= 0 for step, shift in pairs)
        found += sum(
            step.verdict == (WORSE if shift > 0 else BETTER) for step, shift in pairs if abs(shift) > 1
        )
        asked += sum(abs(shift) > 1 for shift in shifts)
        trained += sum(map(len, trainer.errors.values()))
    share = trained / rounds / (planned * (len(shifts) + 1))
    return [
        *(percent(n / rounds) for n in wrong.values()),
        percent(found / asked) if asked else "–",
        percent(share),
    ]
