"""Whether extrapolating a learning curve ranks networks better than its last value does.

Reads the curves of a finished study (``python tests/benchmarks/extrapolation.py [STUDY]``): from the part
of each network's curve up to a share of its training, predict the order of the final validation errors, by
the last training error seen, and by the power law e(t) = a + b·t^(−c) through the part (one of Domhan et
al. 2015's; least squares over a grid of c, a and b ≥ 0), taken at the end. Prints Spearman's correlation of
both with the final error, and the difference with its bootstrap interval. Figures: docs/fidelity.md.
"""

import json
import sys

import numpy as np
from scipy import optimize, stats

from regnetlab.spaces.arrays import Floats
from regnetlab.study.plan_file import find_study, load_plan
from regnetlab.trials.files import read_trials

_POWERS = np.linspace(0.1, 3.0, 30)
_RESAMPLES = 2_000


def extrapolated(images: Floats, errors: Floats, end: float) -> float:
    """The error at ``end`` images by the power law with the least squares over these points."""
    best = (np.inf, float(errors[-1]))
    for power in _POWERS:
        columns = np.column_stack([np.ones(len(images)), (images / images[-1]) ** -power])
        (a, b), rest = optimize.nnls(columns, errors)
        if rest < best[0]:
            best = (float(rest), float(a + b * (end / images[-1]) ** -power))
    return best[1]


def main(study: str) -> None:
    networks = read_trials([load_plan(find_study(study)).trials]).frame
    networks = networks[networks["error"].notna()]
    curves = [np.array([point[:3] for point in json.loads(text)], np.float64) for text in networks["curve"]]
    final = networks["error"].to_numpy(np.float64)
    rows = np.random.default_rng(0).integers(len(final), size=(_RESAMPLES, len(final)))
    print(f"{len(final)} networks of {study}\n")
    print("| share of the curve | last value | extrapolated | difference (95%) |\n|---|---|---|---|")
    for points in (3, 4, 5, 6, 7, 8, 9):
        parts = [curve[:points] for curve in curves]
        last = np.array([part[-1, 2] for part in parts])
        ahead = np.array(
            [
                extrapolated(part[:, 0], part[:, 2], curve[-1, 0])
                for part, curve in zip(parts, curves, strict=True)
            ]
        )
        drawn = [_rho(ahead[row], final[row]) - _rho(last[row], final[row]) for row in rows]
        low, high = np.quantile(drawn, [0.025, 0.975])
        difference = _rho(ahead, final) - _rho(last, final)
        print(
            f"| {100 * points / len(curves[0]):.0f}% | {_rho(last, final):.2f} | {_rho(ahead, final):.2f} |"
            f" {difference:+.2f} ({low:+.2f} to {high:+.2f}) |"
        )


def _rho(x: Floats, y: Floats) -> float:
    return float(stats.spearmanr(x, y).statistic)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "quick")
