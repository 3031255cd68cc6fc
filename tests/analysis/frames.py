"""Data frames of networks, as the analysis takes them."""

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
