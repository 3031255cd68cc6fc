"""Variance components of repeated trainings, on simulated truth."""

import numpy as np
import pandas as pd
import pytest

from regnetlab.analysis.statistics.seed_noise import seed_noise


def _repeated(
    random: np.random.Generator, networks: int, seeds: int, between: float, noise: float, spaces: int = 2
) -> pd.DataFrame:
    space = np.arange(networks) % spaces
    truth = 25 + 10 * space + random.normal(0, between, networks)
    index = np.repeat(np.arange(networks), seeds)
    return pd.DataFrame(
        {
            "space": [f"S{each}" for each in np.repeat(space, seeds)],
            "index": index,
            "error": truth[index] + random.normal(0, noise, networks * seeds),
        }
    )


def test_both_spreads_are_found_whatever_the_spaces_means_are() -> None:
    found = seed_noise(_repeated(np.random.default_rng(0), 400, 3, between=3.0, noise=1.0))
    assert found is not None
    assert found.between.estimate == pytest.approx(3, rel=0.1)
    assert found.seed.estimate == pytest.approx(1, rel=0.1)
    assert found.agreement.estimate == pytest.approx(0.9, abs=0.03)
    assert (found.networks, found.trainings) == (400, 1_200)


@pytest.mark.simulation
def test_the_intervals_cover_both() -> None:
    random = np.random.default_rng(1)
    found = [seed_noise(_repeated(random, 60, 2, between=2.0, noise=1.0)) for _ in range(200)]
    for name, truth in (("between", 2.0), ("seed", 1.0)):
        intervals = [getattr(each, name) for each in found]
        assert np.mean([each.low <= truth <= each.high for each in intervals]) > 0.88


def test_networks_that_do_not_differ_have_no_spread_between_them() -> None:
    found = seed_noise(_repeated(np.random.default_rng(2), 300, 2, between=0.0, noise=2.0))
    assert found is not None
    assert found.between.low == 0
    assert found.agreement.high < 0.2


def test_networks_trained_once_say_nothing_of_seeds() -> None:
    random = np.random.default_rng(3)
    assert seed_noise(_repeated(random, 50, 1, 3.0, 1.0)) is None
    mixed = pd.concat(
        [_repeated(random, 50, 1, 3.0, 1.0), _repeated(random, 10, 2, 3.0, 1.0).assign(space="T")]
    )
    found = seed_noise(mixed)
    assert found is not None
    assert found.networks == 10


def test_one_network_a_space_says_nothing_of_the_spread_between_networks() -> None:
    lonely = _repeated(np.random.default_rng(5), 4, 3, between=2.0, noise=1.0, spaces=4)
    assert seed_noise(lonely) is None
    assert seed_noise(_repeated(np.random.default_rng(5), 4, 3, between=2.0, noise=1.0, spaces=3)) is not None


def test_components_of_networks_with_few_and_many_seeds_are_those_of_the_textbook() -> None:
    """Searle, Casella & McCulloch (1992), section 3.6, by hand for two spaces of unequal networks."""
    errors = {
        ("A", 0): [10.0, 12.0],
        ("A", 1): [15.0, 16.0, 20.0],
        ("A", 2): [11.0, 12.0, 13.0, 14.0],
        ("B", 0): [40.0, 41.0],
        ("B", 1): [44.0, 50.0],
    }
    rows = [(space, index, error) for (space, index), found in errors.items() for error in found]
    found = seed_noise(pd.DataFrame(rows, columns=["space", "index", "error"]))
    assert found is not None
    inside = sum(float(np.square(np.array(each) - np.mean(each)).sum()) for each in errors.values())
    seed = inside / (13 - 5)
    squares, sizes = 0.0, 0.0
    for space in "AB":
        groups = [each for (name, _), each in errors.items() if name == space]
        n = np.array([len(each) for each in groups], float)
        middle = np.concatenate([np.array(each) for each in groups]).mean()
        squares += sum(len(each) * (np.mean(each) - middle) ** 2 for each in groups)
        sizes += n.sum() - np.square(n).sum() / n.sum()
    between = (squares - 3 * seed) / sizes  # five networks in two spaces leave three degrees of freedom
    assert found.seed.estimate == pytest.approx(np.sqrt(seed))
    assert found.between.estimate == pytest.approx(np.sqrt(between))
    assert found.agreement.estimate == pytest.approx(between / (between + seed))
    assert found.to_json().keys() == {"networks", "trainings", "between_sd", "seed_sd", "agreement"}
