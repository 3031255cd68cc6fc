"""Boundaries of planned looks, and intervals that hold at any time."""

import numpy as np
import pytest

from regnetlab.analysis.statistics.sequential import anytime_factor, boundaries
from regnetlab.trials.terms import LOOKS


def test_one_look_is_the_usual_interval() -> None:
    assert boundaries(0.05, (1.0,)) == pytest.approx((1.95996,), abs=1e-4)


def test_two_looks_are_as_published() -> None:
    """Jennison & Turnbull 2000, table 7.1 has 2.963 and 1.969 for a spending function of this kind."""
    assert boundaries(0.05, (0.5, 1.0)) == pytest.approx((2.963, 1.969), abs=2e-3)


@pytest.mark.parametrize("alpha", [0.05, 0.01])
def test_paths_without_drift_cross_as_rarely_as_is_allowed(alpha: float) -> None:
    random = np.random.default_rng(1)
    sums = np.cumsum(random.normal(size=(100_000, len(LOOKS))), axis=1)
    z = np.abs(sums) / np.sqrt(np.arange(1, len(LOOKS) + 1))
    crossed = (z > np.array(boundaries(alpha))).any(axis=1).mean()
    assert crossed == pytest.approx(alpha, abs=3 * np.sqrt(alpha / 100_000))


def test_little_is_spent_early() -> None:
    factors = boundaries(0.05)
    assert list(factors) == sorted(factors, reverse=True)
    assert factors[-1] < 2.1


def test_a_confidence_sequence_holds_whenever_one_stops() -> None:
    random = np.random.default_rng(2)
    n = np.arange(10, 2_001)
    z = np.abs(np.cumsum(random.normal(size=(2_000, 2_000)), axis=1)[:, 9:]) / np.sqrt(n)
    left = (z > [anytime_factor(float(each), 0.05) for each in n]).any(axis=1).mean()
    assert left <= 0.05


def test_the_sequence_is_the_normal_mixtures_and_narrowest_at_a_hundred_networks() -> None:
    """Robbins (1970): √((nρ² + 1) / (nρ²) · log((nρ² + 1) / α²)), with ρ chosen for n = 100."""

    def mixture(n: float, rho2: float, alpha: float) -> float:
        return float(np.sqrt((n * rho2 + 1) / (n * rho2) * np.log((n * rho2 + 1) / alpha**2)))

    for alpha in (0.05, 0.01):
        rho2 = min(np.geomspace(1e-3, 10, 5_000), key=lambda each, a=alpha: mixture(100, each, a))
        for n in (20, 100, 3_000):
            assert anytime_factor(n, alpha) == pytest.approx(mixture(n, rho2, alpha), rel=0.01)
