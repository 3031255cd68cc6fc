"""The published RegNets, by name: the parameters of their law.

Source: Radosavovic et al. 2020, figures 15 and 16 (RegNetX and RegNetY with their w_a, w_0, w_m, g
and d); bottleneck ratio 1, and squeeze-and-excitation with ratio 1/4 in RegNetY.
"""

from collections.abc import Mapping
from types import MappingProxyType

from regnetlab.spaces.config import SE_RATIO, Config
from regnetlab.spaces.law import RegNetLaw

# By size, the columns w_0, w_a, w_m, d and g of the figures.
_REGNETX = {
    "200mf": (24, 36.44, 2.49, 13, 8),
    "400mf": (24, 24.48, 2.54, 22, 16),
    "600mf": (48, 36.97, 2.24, 16, 24),
    "800mf": (56, 35.73, 2.28, 16, 16),
    "1.6gf": (80, 34.01, 2.25, 18, 24),
    "3.2gf": (88, 26.31, 2.25, 25, 48),
    "4gf": (96, 38.65, 2.43, 23, 40),
    "6.4gf": (184, 60.83, 2.07, 17, 56),
    "8gf": (80, 49.56, 2.88, 23, 120),
    "12gf": (168, 73.36, 2.37, 19, 112),
    "16gf": (216, 55.59, 2.1, 22, 128),
    "32gf": (320, 69.86, 2.0, 23, 168),
}
_REGNETY = {
    "200mf": (24, 36.44, 2.49, 13, 8),
    "400mf": (48, 27.89, 2.09, 16, 8),
    "600mf": (48, 32.54, 2.32, 15, 16),
    "800mf": (56, 38.84, 2.4, 14, 16),
    "1.6gf": (48, 20.71, 2.65, 27, 24),
    "3.2gf": (80, 42.63, 2.66, 21, 24),
    "4gf": (96, 31.41, 2.24, 22, 64),
    "6.4gf": (112, 33.22, 2.27, 25, 72),
    "8gf": (192, 76.82, 2.19, 17, 56),
    "12gf": (168, 73.36, 2.37, 19, 112),
    "16gf": (200, 106.23, 2.48, 18, 112),
    "32gf": (232, 115.89, 2.53, 20, 232),
}


def _laws() -> dict[str, RegNetLaw]:
    families = (("regnetx", _REGNETX, 0.0), ("regnety", _REGNETY, SE_RATIO))
    return {
        f"{family}_{size}": RegNetLaw(w0, wa, wm, depth, group_width, se_ratio=se_ratio)
        for family, table, se_ratio in families
        for size, (w0, wa, wm, depth, group_width) in table.items()
    }


LAWS: Mapping[str, RegNetLaw] = MappingProxyType(_laws())
"""Law by name: ``regnetx_200mf`` to ``regnety_32gf``."""

PUBLISHED: Mapping[str, Config] = MappingProxyType({name: law.config for name, law in LAWS.items()})
"""Config by the same names."""
