"""The best network of a sample: its chances against drawn samples, its band against the null."""

import numpy as np
import pytest

from regnetlab.analysis.statistics.best_of_samples import SHARE, band, chances_of_best, narrowness


@pytest.mark.parametrize("tied", [False, True])
def test_the_chance_to_be_the_best_is_what_drawing_samples_finds(tied: bool) -> None:
    random = np.random.default_rng(0)
    errors = random.normal(20, 3, 40)
    if tied:
        errors = errors.round(-1)
    rows = random.integers(40, size=(40_000, round(SHARE * 40)))
    jitter = random.uniform(0, 1e-6, rows.shape)  # equal errors: any of them
    best = rows[np.arange(len(rows)), (errors[rows] + jitter).argmin(axis=1)]
    found = chances_of_best(errors)
    assert found.sum() == pytest.approx(1)
    assert found == pytest.approx(np.bincount(best, minlength=40) / len(rows), abs=0.01)


def test_networks_that_are_all_as_good_have_equal_chances() -> None:
    assert chances_of_best(np.full(8, 30.0)) == pytest.approx(np.full(8, 1 / 8))


def test_the_ends_of_a_band_are_networks_of_its_own() -> None:
    ratios = np.tile([1.0, 2.0, 4.0], 20)
    found = band(ratios, np.abs(ratios - 2) + np.random.default_rng(1).normal(0, 0.1, 60))
    assert (found.low, found.estimate, found.high) == (2, 2, 2)


@pytest.mark.simulation
def test_errors_that_say_nothing_make_no_band_informative() -> None:
    """Properties that depend on each other, as those of networks do; 5% of rounds may be wrong."""
    random = np.random.default_rng(2)
    wrong = 0
    for _ in range(40):
        first = random.normal(size=(30, 1))
        values = np.hstack([first, first + random.normal(size=(30, 3)), random.integers(1, 4, (30, 2))])
        wrong += any(each.informative for each in narrowness(values, random.normal(30, 3, 30)))
    assert wrong <= 5  # with a chance of 5%, 6 or more come in 1.4% of such tests


def test_one_property_of_many_that_decides_is_told_from_the_others() -> None:
    random = np.random.default_rng(3)
    values = random.uniform(size=(100, 8))
    errors = 30 + 40 * np.abs(values[:, 2] - 0.6) + random.normal(0, 1, 100)
    found = narrowness(values, errors)
    assert [each.informative for each in found] == [False, False, True, *[False] * 5]
    assert found[2].inside < 0.25
    assert found[2].by_chance > 0.75


def test_the_share_inside_is_that_of_the_band_itself() -> None:
    random = np.random.default_rng(4)
    values, errors = random.normal(size=(50, 1)), random.normal(size=50)
    shown = band(values[:, 0], errors)
    inside = (values[:, 0] >= shown.low) & (values[:, 0] <= shown.high)
    assert narrowness(values, errors)[0].inside == pytest.approx(inside.mean())
