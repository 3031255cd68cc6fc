"""The best trained again: luck is told from merit where the truth is known."""

import numpy as np
import pytest

from regnetlab.analysis.retrain import RetrainedNetwork, Retraining, retraining
from regnetlab.trials.csv_tables import RETRAINED


def chosen_and_again(
    between: float, noise: float, spaces: int = 40, n: int = 100, seeds: int = 5
) -> Retraining:
    """The best of n networks of every space, whose true errors and seeds have these deviations."""
    random = np.random.default_rng(1)
    found = []
    for space in range(spaces):
        true = random.normal(20, between, n)
        errors = true + random.normal(0, noise, n)
        best = int(errors.argmin())
        again = tuple(map(float, true[best] + random.normal(0, noise, seeds)))
        model = f"anynet:d=1;w={8 * space + 8}"
        found.append(RetrainedNetwork(f"space {space}", best, 1, n, model, float(errors[best]), again))
    return Retraining(found)


def test_errors_that_are_all_luck_come_back_to_the_mean() -> None:
    found = chosen_and_again(between=0.0, noise=1.0)
    assert found.more is not None
    # The least of 100 normal numbers is 2.51 deviations below their mean (Tippett 1925).
    assert found.more.low < 2.51 < found.more.high
    assert "regression to the mean" in found.remarks()[0]


def test_errors_without_noise_come_back_as_they_were() -> None:
    found = chosen_and_again(between=1.0, noise=0.0)
    assert found.more is not None
    assert found.more.ends == pytest.approx([0, 0], abs=1e-9)
    assert "points worse again" in found.remarks()[0]
    assert "can't tell" in found.remarks()[0]


def test_networks_that_were_not_chosen_by_luck_show_none() -> None:
    networks = [
        RetrainedNetwork(f"s{i}", 0, 1, 1, f"anynet:d=1;w={8 * i + 8}", 20.0, (20.5, 19.0, 20.1 + 0.1 * i))
        for i in range(6)
    ]
    more = Retraining(networks).more
    assert more is not None
    assert more.low < 0
    assert "can't tell" in Retraining(networks).remarks()[0]


def test_a_network_says_what_it_was_chosen_for_and_what_it_has_again() -> None:
    errors = (13.0, 13.5, 13.58)
    found = RetrainedNetwork("AnyNetB", 7, 1, 150, "anynet:d=1;w=8", 12.48, errors)
    assert found.sentence == "best of 150 networks of AnyNetB: 12.48% in its study, 13.36 ± 0.31% again"
    assert found.again.estimate == pytest.approx(np.mean(errors))
    # Student's t with two degrees of freedom: 4.303 standard errors.
    half = 4.303 * np.std(errors, ddof=1) / np.sqrt(3)
    assert found.again.ends == pytest.approx([np.mean(errors) - half, np.mean(errors) + half], abs=1e-3)
    second = RetrainedNetwork("derived", 0, 2, 6, "anynet:d=1;w=8", 12.5, errors)
    assert second.sentence.startswith("second best of 6 derived RegNets: 12.50")
    assert RetrainedNetwork("A", 0, 4, 6, "m", 12.5, errors).sentence.startswith(
        "number 4 of 6 networks of A"
    )


def test_a_failed_training_counts_as_the_worst_and_is_named() -> None:
    found = Retraining([RetrainedNetwork("A", 0, 1, 5, "anynet:d=1;w=8", 10.0, (10.0, None))])
    assert found.networks[0].again.estimate == 55
    assert found.remarks() == ["1 training failed and counts as 100%."]
    assert found.to_json()["retrained"][0]["again"]["errors"] == [10.0, None]


def test_a_single_training_has_no_deviation_and_none_no_remarks() -> None:
    found = RetrainedNetwork("A", 0, 1, 5, "anynet:d=1;w=8", 10.0, (11.0,))
    assert found.sd is None
    assert found.spread == "11.00"
    assert not np.isfinite(found.again.ends).any()
    assert Retraining().remarks() == []
    assert Retraining([found]).more is None


def test_the_table_is_read_as_it_was_written() -> None:
    shared = {"space": "A", "of": 9, "first": 10.5, "images": 64, "seconds": 0.5}
    rows = [
        {
            **shared,
            "index": index,
            "rank": rank,
            "model": f"m{index}",
            "seed": seed,
            "error": error,
            "ended": "x",
        }
        for rank, index in ((1, 4), (2, 0))
        for seed, error in ((1, 11.25), (2, None))
    ]
    again = RETRAINED.parse(RETRAINED.csv(RETRAINED.frame(rows)), "retrained.csv")
    found = retraining(again)
    assert found == retraining(RETRAINED.frame(rows))
    assert [(each.index, each.rank, each.errors) for each in found.networks] == [
        (4, 1, (11.25, None)),
        (0, 2, (11.25, None)),
    ]


def test_a_network_that_was_chosen_twice_counts_once_with_what_it_was_chosen_by_on_average() -> None:
    errors = (13.0, 13.2)
    chosen = [
        RetrainedNetwork(*place, 9, "m", first, errors)
        for place, first in ((("A", 0, 1), 12.0), (("B", 0, 1), 14.0))
    ]
    other = RetrainedNetwork("B", 1, 2, 9, "n", 12.1, errors)
    more = Retraining([*chosen, other]).more
    assert more is not None and more.estimate == pytest.approx(((13.1 - 13.0) + (13.1 - 12.1)) / 2)
    assert "as the lowest of 2" in " ".join(Retraining([*chosen, other]).remarks())


def test_networks_that_are_better_again_were_not_lucky() -> None:
    networks = [RetrainedNetwork("A", i, 1, 9, f"m{i}", 15.0, (10.0 + i / 50, 10.1)) for i in range(6)]
    assert "no luck" in Retraining(networks).remarks()[0]
