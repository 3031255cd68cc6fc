import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regnetlab.analysis.log_linear_fit import fit_log_linear, fits_of_all, population_law
from regnetlab.analysis.quantized_fit import fit_quantized
from regnetlab.errors import InputError
from regnetlab.models.published import PUBLISHED
from regnetlab.spaces.law import RegNetLaw
from regnetlab.spaces.sampler import sample
from regnetlab.spaces.space import ANYNET_A, REGNET
from regnetlab.spaces.template import PAPER
from tests.analysis.frames import networks

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


def test_the_law_of_a_population_is_that_of_its_best() -> None:
    """Networks whose error is their distance from growth 2: the law of the best is growth 2."""
    configs = list(sample(ANYNET_A, 400, PAPER, seed=4).population.configs())
    growths = np.array([fit_log_linear(c.widths, c.depths).growth for c in configs])
    law = population_law(networks(configs, 10 + np.abs(np.log(growths / 2.0))))
    assert law.n_best == 100
    assert law.growth.low < 2 < law.growth.high
    assert law.growth.high - law.growth.low < 0.3
    assert law.growth.estimate == pytest.approx(2, abs=0.1)


def test_the_laws_r2_is_of_the_best_networks_widths_about_one_line() -> None:
    """By hand: the mean line of the best, and the variance of their log widths about their mean."""
    configs = list(sample(ANYNET_A, 40, PAPER, seed=6).population.configs())
    law = population_law(networks(configs, np.arange(40.0)))
    best = np.log([c.widths for c in configs[:10]])
    line = np.mean([np.polyval(np.polyfit(range(4), row, 1), range(4)) for row in best], axis=0)
    assert (law.n, law.n_best) == (40, 10)
    assert law.r2 == pytest.approx(1 - ((best - line) ** 2).sum() / ((best - best.mean()) ** 2).sum())
    assert law.median_r2 == pytest.approx(
        np.median([fit_log_linear(c.widths, c.depths).r2 for c in configs[:10]])
    )
    assert law.depth == np.median([c.depth for c in configs[:10]])
    slopes = [np.polyfit(range(4), np.log(c.depths), 1)[0] for c in configs[:10]]
    assert law.depth_growth == pytest.approx(np.exp(np.mean(slopes)))


def test_errors_that_say_nothing_give_an_interval_that_holds_the_whole_populations_growth() -> None:
    random = np.random.default_rng(0)
    configs = list(sample(ANYNET_A, 120, PAPER, seed=5).population.configs())
    mean = np.exp(np.mean([np.log(fit_log_linear(c.widths, c.depths).growth) for c in configs]))
    laws = [population_law(networks(configs, random.random(120))).growth for _ in range(40)]
    assert np.mean([law.low <= mean <= law.high for law in laws]) > 0.85


@pytest.mark.parametrize(
    ("widths", "part"),
    [
        ([(8, 16)] * 5, "5 networks with errors are too few"),
        ([(8,)] * 20, "1 to 1 stages"),
        ([(8, 16)] * 10 + [(8, 16, 24)] * 10, "2 to 3 stages"),
        ([(16, 16)] * 20, "equal widths in all its stages"),
    ],
)
def test_a_population_that_cannot_carry_a_law_says_why(widths: list[tuple[int, ...]], part: str) -> None:
    frame = pd.DataFrame(
        {
            "widths": widths,
            "depths": [tuple(1 for _ in w) for w in widths],
            "error": 1.0 * np.arange(len(widths)),
        }
    )
    with pytest.raises(InputError, match=part):
        population_law(frame)
