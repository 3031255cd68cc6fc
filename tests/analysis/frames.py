"""Data frames of networks, as the analysis takes them."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from regnetlab.analysis.baselines import BaselineComparison, baselines
from regnetlab.spaces.config import Config
from regnetlab.trials.csv_tables import BASELINES
from regnetlab.trials.files import parse_trials
from regnetlab.trials.table import Trials


def networks(configs: list[Config], errors: np.ndarray) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "depths": [c.depths for c in configs],
            "widths": [c.widths for c in configs],
            "group_widths": [c.group_widths for c in configs],
            "bottleneck_ratios": [c.bottleneck_ratios for c in configs],
            "error": errors,
        }
    )


def normal(seed: int, mean: float, n: int = 60) -> np.ndarray:
    """Normal errors of standard deviation 3."""
    return np.random.default_rng(seed).normal(mean, 3, n)


def trials_of(**spaces: np.ndarray) -> Trials:
    """Trials of networks of two stages with these errors (NaN: failed), as a file gives them."""
    lines = ["space,index,depths,widths,error,flops"]
    for space, errors in spaces.items():
        for i, error in enumerate(errors):
            text = "" if np.isnan(error) else f"{error:.4f}"
            lines.append(f"{space},{i},1 1,8 16,{text},{100_000 + 1_000 * i}")
    return parse_trials("\n".join(lines) + "\n", "test")


def baseline_rows(
    name: str, family: str, flops: int, validation: Sequence[float], test: Sequence[float]
) -> list[dict[str, Any]]:
    """A network's rows of a baselines.csv: three tries, the best of them then trained again."""
    common = {"contender": name, "model": name, "family": family, "flops": flops, "params": 1, "acts": 1}
    common |= {"images": 100, "seconds": 2.0, "latency_1_ms": 0.5, "latency_256_ms": np.nan}
    common |= {"ended": "complete"}
    tuning = [
        common | {"stage": "tuning", "lr": lr, "seed": 1, "error": error, "test_error": np.nan}
        for lr, error in ((0.1, 20.0), (0.2, 19.0), (0.4, np.nan))
    ]
    return tuning + [
        common | {"stage": "final", "lr": 0.2, "seed": seed, "error": error, "test_error": test_error}
        for seed, (error, test_error) in enumerate(zip(validation, test, strict=True), start=2)
    ]


def baselines_of(*rows: Sequence[Mapping[str, Any]]) -> BaselineComparison:
    """The comparison of the networks with these rows."""
    return baselines(BASELINES.frame([row for each in rows for row in each]))
