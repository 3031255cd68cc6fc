"""Searches against random search, and what of a table is one."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from regnetlab.analysis.guessing import Guessing, guessed
from regnetlab.analysis.search import SearchResult, Trajectory, against_random, trajectories
from regnetlab.analysis.statistics.random_search import best_at_random
from regnetlab.spaces.arrays import Floats
from regnetlab.trials.csv_tables import SEARCHES, TRIALS
from regnetlab.trials.files import parse_trials, read_trials
from regnetlab.trials.table import Trials

NETWORK = {
    **{"id": "x", "depths": (1, 1), "widths": (8, 16), "group_widths": (8, 8), "bottleneck_ratios": (1, 1)},
    **{"flops": 1e6, "params": 1e4, "acts": 1e4, "w0": np.nan, "wa": np.nan, "wm": np.nan},
    **{"images": 128, "epochs": 1, "batch_size": 32, "seconds": 2.0},
}


def searches(
    errors: Floats, sampler: str = "tpe", seed: int = 0, flops: Floats | None = None
) -> pd.DataFrame:
    """A search with these errors, NaN where a training failed."""
    costs = 1e6 * (1 + np.arange(len(errors))) if flops is None else flops
    return SEARCHES.frame(
        NETWORK
        | {"space": "AnyNetE", "sampler": sampler, "search_seed": seed, "batch": 4, "number": number}
        | {"error": error, "ended": "diverged" if np.isnan(error) else "complete", "flops": cost}
        | {"data": "fashion-mnist", "protocol": "p"}
        for number, (error, cost) in enumerate(zip(errors, costs, strict=True))
    )


def one(errors: Floats, sampler: str = "tpe", flops: Floats | None = None) -> Trajectory:
    (search,) = trajectories(searches(errors, sampler, flops=flops))
    return search


def population(errors: Floats, space: str = "AnyNetE", replicate: int = 0, images: int = 128) -> pd.DataFrame:
    return TRIALS.frame(
        NETWORK
        | {"space": space, "index": index, "replicate": replicate, "error": error, "seed": 1, "curve": ()}
        | {"ended": "complete", "images": images}
        for index, error in enumerate(errors)
    )


def random_errors(n: int, seed: int = 0) -> Floats:
    errors = np.random.default_rng(seed).uniform(10, 30, n)
    errors[::5] = np.nan
    return errors


def test_the_best_so_far_never_rises_and_passes_over_failures() -> None:
    search = one(random_errors(20))
    best = search.best_so_far
    known = best[~np.isnan(best)]
    assert search.failed == 4
    assert (np.diff(known) <= 0).all()
    assert search.best is not None
    assert best[-1] == search.errors[search.best] == np.nanmin(search.errors)


def test_no_network_of_the_search_beats_one_of_the_front() -> None:
    random = np.random.default_rng(3)
    search = one(random_errors(24), "nsga2", np.round(random.uniform(1e6, 2e6, 24), -5))
    for place in search.front:
        better = (search.errors <= search.errors[place]) & (search.flops < search.flops[place])
        better |= (search.errors < search.errors[place]) & (search.flops <= search.flops[place])
        assert not better.any()
    found = against_random(search)
    document = found.to_json()
    assert document["front"][-1]["error"] == document["best"]["error"]
    assert document["random"] is None
    assert "least error by flops" in found.remarks()[-1]
    assert "no population of that space" in found.remarks()[0]


def test_the_comparison_is_at_equal_cost_even_where_the_population_is_smaller() -> None:
    search = one(random_errors(20))
    trials = Trials(population(np.linspace(15, 25, 6)))
    found = against_random(search, trials)
    assert found.at_random is not None
    assert (found.at_random.n, found.at_random.k) == (6, 6)
    document = found.to_json()
    assert document["random"]["search"] == search.best_so_far[5]
    assert document["trials"] == document["complete"] + document["failed"] == 20
    few = against_random(search.first(2), trials)
    assert few.at_random is not None
    assert few.at_random.k == 2
    assert len(few.to_pandas()) == 2


def test_the_training_at_equal_cost_is_the_last_that_counts_and_the_best_of_all_is_named() -> None:
    search = one(np.array([24.0, 22.0, 20.0, 9.0, np.nan]))
    trials = Trials(population(np.array([15.0, 21.0, 23.0])))
    found = against_random(search, trials, Guessing(90.0, 90.0, 1_000))
    assert found.at_random == best_at_random(np.array([15.0, 21.0, 23.0]), 3, 20.0)
    first, best, failed = found.remarks()
    assert first.startswith(
        "TPE (seed 0) in AnyNetE: the best of 3 trainings has 20.00%; of 3 drawn at random, "
    )
    assert best.endswith("anynet:d=1,1;w=8,16;g=8;b=1, 9.00%, 4M flops, found by training 4")
    assert failed == "1 of the 5 trainings failed; they count as trained"
    assert found.to_json()["majority_error"] == guessed(found.guess, {}, 1)["majority_error"] is not None
    assert "best 9.00%" in repr(found)
    assert search.first(2).models == search.models[:2]
    unlucky = against_random(one(np.array([np.nan, np.nan, 9.0])), Trials(population(np.array([15.0, 21.0]))))
    assert unlucky.at_random == best_at_random(np.array([15.0, 21.0]), 2, 100.0)
    assert "AnyNetE: all failed; of 2 drawn" in unlucky.remarks()[0]
    assert len(against_random(search, Trials(population(np.full(3, np.nan)))).population) == 0


def test_a_search_that_all_failed_says_so() -> None:
    found = against_random(one(np.full(4, np.nan)), Trials(population(np.linspace(15, 25, 6))))
    assert found.remarks() == ["TPE (seed 0) in AnyNetE: all 4 trainings failed."]
    assert (found.to_json()["best"], found.to_json()["random"]["search"]) == (None, None)
    assert "no error" in repr(found)


def compared(*tables: pd.DataFrame) -> SearchResult:
    return against_random(one(random_errors(8)), Trials(pd.concat(tables, ignore_index=True)))


def test_one_training_each_of_the_same_space_and_budget_is_what_a_search_is_compared_with() -> None:
    own = population(np.linspace(15, 25, 6))
    others = [
        population(np.zeros(6), "AnyNetA"),
        population(np.zeros(6), replicate=1),
        population(np.zeros(6), images=64),
        population(np.zeros(6)).assign(epochs=2.0),
    ]
    assert compared(own, *others).population.tolist() == np.linspace(15, 25, 6).tolist()
    assert len(compared(*others).population) == 0
    assert len(compared(own.drop(columns="epochs")).population) == 0


def test_failed_trainings_of_the_population_count_as_the_worst() -> None:
    found = compared(population(np.array([20.0, np.nan, 22.0])))
    assert found.population.tolist() == [20, 100, 22]


def test_searches_of_a_table_are_told_apart_and_ordered() -> None:
    table = pd.concat([searches(random_errors(6)), searches(random_errors(4, 1), seed=1)])
    first, second = trajectories(table.sample(frac=1, random_state=0).sort_values("search_seed"))
    assert (first.seed, len(first), second.seed, len(second)) == (0, 6, 1, 4)
    np.testing.assert_array_equal(first.errors, random_errors(6))
    assert first.models[0] == "anynet:d=1,1;w=8,16;g=8;b=1"
    assert list(trajectories(SEARCHES.frame(()))) == []


def test_what_a_killed_search_trained_beyond_a_gap_waits() -> None:
    table = searches(random_errors(8))
    (search,) = trajectories(table[table["number"] != 5])
    assert len(search) == 5


@pytest.mark.parametrize("name", ["searches.csv", "renamed.csv"])
def test_no_population_takes_in_a_search(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_text(SEARCHES.csv(searches(random_errors(8))))
    for read in (lambda: read_trials([path]), lambda: parse_trials(path.read_text(), name)):
        with pytest.raises(ValueError, match="no random sample"):
            read()
