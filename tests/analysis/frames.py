"""Data frames of networks, as the analysis takes them."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from regnetlab.spaces.config import Config


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


def contender_rows(
    name: str, family: str, flops: int, validation: Sequence[float], test: Sequence[float]
) -> list[dict[str, str]]:
    """A contender's rows of a baselines.csv: three tries, the best of them then trained again."""
    common = {"contender": name, "model": name, "family": family, "flops": str(flops), "params": "1"}
    common |= {"acts": "1", "seconds": "2", "latency_1_ms": "0.5", "latency_256_ms": "", "ended": "complete"}
    tuning = [
        common | {"stage": "tuning", "lr": lr, "seed": "1", "error": error, "test_error": ""}
        for lr, error in (("0.1", "20"), ("0.2", "19"), ("0.4", ""))
    ]
    pairs = zip(validation, test, strict=True)
    return tuning + [
        common | {"stage": "final", "lr": "0.2", "seed": str(k), "error": str(v), "test_error": str(t)}
        for k, (v, t) in enumerate(pairs, start=2)
    ]
