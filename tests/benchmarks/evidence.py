"""How far ``fidelity`` finds the evidence of budgets whose truth is known.

``python tests/benchmarks/evidence.py [ROUNDS]`` (150): simulated ladders of three budgets, spaces × networks
as named; the mean of the evidence an hour that was found, how often its 95% interval held the true one, how
often the truly best budget was ruled out, and how many budgets could not be told apart. Then, where a step
has the same effect at all budgets, none, or one at some of them only: how often each budget is recommended.
Docs: fidelity.md.
"""

import sys

import numpy as np

from regnetlab.analysis.fidelity import judge
from regnetlab.analysis.statistics.ladder import Measured
from regnetlab.training.budget import Budget
from tests.analysis.statistics.test_rank_agreement import SECONDS, VALIDITY, population
from tests.analysis.test_fidelity import stretched

EFFECTS = {
    "none": (0.0, 0.0, 0.0),
    "1 at all": (1.0, 1.0, 1.0),
    "1 at the largest only": (0.0, 0.0, 1.0),
    "1 at all but the smallest": (0.0, 1.0, 1.0),
    "1 at the smaller ones only": (1.0, 1.0, 0.0),
}


def main(rounds: int) -> None:
    truth = 3600 / SECONDS * VALIDITY**2
    best = int(np.argmax(truth))
    budgets = tuple(Budget(images=images) for images in (1_600, 3_200, 6_400))
    print(f"true evidence an hour: {', '.join(f'{each:.0f}' for each in truth)}; {rounds} rounds\n")
    print("| spaces × networks | found, mean | interval holds it | best ruled out | not told apart |")
    print("|---|---|---|---|---|")
    for spaces, networks in ((2, 6), (6, 10), (5, 16), (6, 40)):
        random = np.random.default_rng(0)
        found, held, lost, open_ = np.zeros(3), np.zeros(3), 0, 0
        for _ in range(rounds):
            errors, strata = population(random, spaces, networks)
            seconds = np.broadcast_to(SECONDS[:, None], errors.shape)
            names = tuple(f"AnyNet{letter}" for letter in "ABCDEF"[:spaces])
            result = judge(Measured(budgets, names, strata, errors + 50, seconds, 0), 1.0)
            intervals = [rung.evidence for rung in result.rungs]
            found += np.nan_to_num([each.estimate for each in intervals])
            held += [each.low <= value <= each.high for each, value in zip(intervals, truth, strict=True)]
            lost += not result.rungs[best].may_be_best
            open_ += len(result.candidates)
        print(
            f"| {spaces} × {networks} | {', '.join(f'{each:.0f}' for each in found / rounds)} |"
            f" {', '.join(f'{each:.0%}' for each in held / rounds)} | {lost / rounds:.0%}"
            f" | {open_ / rounds:.1f} of 3 |"
        )
    print("\n| effect | networks | recommended: smallest, middle, largest |")
    print("|---|---|---|")
    for name, effects in EFFECTS.items():
        for networks in (10, 20, 40):
            random = np.random.default_rng(0)
            counts = np.zeros(3, np.int64)
            for _ in range(rounds):
                result = judge(stretched(random, np.array(effects), networks), 1.0)
                counts += [result.recommended is rung for rung in result.rungs]
            print(f"| {name} | {networks} | {', '.join(f'{each:.0%}' for each in counts / rounds)} |")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 150)
