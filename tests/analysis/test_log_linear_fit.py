import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regnetlab.analysis.log_linear_fit import fit_log_linear, fits_of_all
from regnetlab.analysis.quantized_fit import fit_quantized
from regnetlab.errors import InputError
from regnetlab.models.published import PUBLISHED
from regnetlab.spaces.law import RegNetLaw
from regnetlab.spaces.sampler import sample
from regnetlab.spaces.space import ANYNET_A, REGNET
from regnetlab.spaces.template import PAPER

published = pytest.mark.parametrize("name", PUBLISHED)


@given(st.floats(8, 200), st.floats(1.05, 4), st.integers(2, 6))
def test_widths_on_a_line_give_back_the_line(w0: float, growth: float, stages: int) -> None:
    widths = [w0 * growth**i for i in range(stages)]
    fit = fit_log_linear(widths, [1] * stages)  # type: ignore[arg-type]
    assert fit.w0 == pytest.approx(w0, rel=1e-6)
    assert fit.growth == pytest.approx(growth, rel=1e-6)
    assert fit.r2 == pytest.approx(1)
    assert fit.e_fit == pytest.approx(0, abs=1e-9)


def test_the_fit_is_that_of_least_squares_and_e_fit_is_over_blocks() -> None:
    widths, depths = [32, 64, 160, 384], [1, 2, 7, 12]
    slope, start = np.polyfit(range(4), np.log(widths), 1)
    fit = fit_log_linear(widths, depths)
    assert (fit.growth, fit.w0) == (pytest.approx(math.exp(slope)), pytest.approx(math.exp(start)))
    away = np.abs(np.log(widths) - start - slope * np.arange(4))
    assert fit.e_fit == pytest.approx(np.repeat(away, depths).mean())


def test_all_networks_at_once_have_the_fits_that_each_has_alone() -> None:
    widths = [(8, 16, 64), (16,), (32, 32), None, (24, 8), (8, 16, 40)]
    depths = [(1, 2, 3), (4,), (2, 1), None, (1, 9), (3, 2, 1)]
    fits = fits_of_all(pd.DataFrame({"widths": widths, "depths": depths}))
    for i, (w, d) in enumerate(zip(widths, depths, strict=True)):
        found = [each[i] for each in (fits.w0, fits.growth, fits.r2, fits.e_fit)]
        if w is None or len(w) < 2:
            assert np.isnan(found).all()
        else:
            alone = fit_log_linear(w, d)
            assert found == pytest.approx([alone.w0, alone.growth, alone.r2, alone.e_fit], nan_ok=True)


@published
def test_published_regnets_are_log_linear(name: str) -> None:
    config = PUBLISHED[name]
    fit = fit_log_linear(config.widths, config.depths)
    assert 0.9775 <= fit.r2 <= 1
    assert 1.95 <= fit.growth <= 2.91


@published
@pytest.mark.parametrize("told", [True, False], ids=["with g", "without g"])
def test_the_quantized_fit_gives_published_regnets_back(name: str, told: bool) -> None:
    config = PUBLISHED[name]
    fit = fit_quantized(config.depths, config.widths, config.group_widths if told else None)
    assert (fit.depths, fit.widths, fit.e_fit) == (config.depths, config.widths, 0)
    if told:
        again = RegNetLaw(fit.w0, fit.wa, fit.wm, sum(fit.depths), max(config.group_widths)).config
        assert (again.depths, again.widths) == (config.depths, config.widths)


def test_the_quantized_fit_gives_back_every_regnet_that_is_drawn() -> None:
    for config in sample(REGNET, 150, PAPER, seed=1).population.configs():
        fit = fit_quantized(config.depths, config.widths, config.group_widths, config.bottleneck_ratios)
        assert (fit.depths, fit.widths, fit.e_fit) == (config.depths, config.widths, 0)


def test_networks_off_the_law_get_its_nearest() -> None:
    for config in sample(ANYNET_A, 25, PAPER, seed=1).population.configs():
        fit = fit_quantized(config.depths, config.widths, config.group_widths, config.bottleneck_ratios)
        flat = np.repeat(np.log(config.widths), config.depths)
        assert sum(fit.depths) == config.depth
        assert fit.e_fit <= np.abs(flat - np.median(flat)).mean() + 0.35  # no worse than one width


@pytest.mark.parametrize(("depths", "widths"), [((3,), (64,)), ((1,), (8,)), ((2, 2), (32, 32))])
def test_single_stages_and_equal_widths_have_a_quantized_fit(
    depths: tuple[int, ...], widths: tuple[int, ...]
) -> None:
    fit = fit_quantized(depths, widths, [8] * len(depths))
    assert fit.e_fit == 0
    assert sum(fit.depths) == sum(depths)
    assert set(fit.widths) == set(widths)


def test_one_stage_has_no_growth() -> None:
    with pytest.raises(InputError, match="one stage has no growth"):
        fit_log_linear([64], [3])


def test_equal_widths_have_growth_one_and_no_r2() -> None:
    fit = fit_log_linear([64, 64, 64], [1, 2, 3])
    assert (fit.growth, fit.w0) == (pytest.approx(1), pytest.approx(64))
    assert math.isnan(fit.r2)
