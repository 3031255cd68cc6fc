"""Searches against random search: exact where it can be counted, and never a population."""

import itertools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from regnetlab.study.search_store import kept_searches
from regnetlab.study.search_table import searches_csv
from tests.study.test_search import a_search, finished, scored

from regnetlab.analysis.searches import at_random, rivals, searched, study_searches, trajectories
from regnetlab.analysis.statistics.random_search import best_at_random, random_search
from regnetlab.errors import InputError
from regnetlab.study.plan import Plan
from regnetlab.study.plan_file import load_plan
from regnetlab.study.results import study_trials
from regnetlab.study.search import NSGA2, TPE, Search
from regnetlab.trials.files import parse_trials, read_trials

MakeStudy = Callable[..., Path]


@pytest.fixture
def plan(make_study: MakeStudy) -> Plan:
    return scored(make_study())


def kept(search: Search) -> Search:
    finished(search, lambda jobs: jobs[0])
    return search


@given(st.lists(st.integers(0, 8), min_size=1, max_size=5), st.data())
def test_the_expected_best_of_k_is_the_mean_over_all_draws(values: list[int], data: st.DataObject) -> None:
    k = data.draw(st.integers(1, len(values)))
    errors = np.array(values, float)
    found = best_at_random(errors, k, 4.0)
    bests = [min(draw) for draw in itertools.product(values, repeat=k)]
    assert found.expected == pytest.approx(np.mean(bests))
    assert found.low <= found.expected <= max(values) + 1e-9
    curve = random_search(errors)
    assert curve.expected[curve.k == k] == pytest.approx(found.expected)


def test_the_range_of_the_best_of_k_leaves_a_fortieth_on_either_side() -> None:
    """By going through all draws of three from twelve errors."""
    errors = np.sort(np.random.default_rng(7).random(12) * 20)
    bests = np.sort([min(draw) for draw in itertools.product(errors, repeat=3)])
    found = best_at_random(errors, 3, 4.0)
    for end, share in ((found.low, 0.025), (found.high, 0.975)):
        assert (bests <= end).mean() >= share > (bests < end).mean()
    curve = random_search(errors)
    assert curve.low[curve.k == 3] == found.low
    assert curve.high[curve.k == 3] == found.high


def test_an_error_that_the_population_has_too_counts_on_both_sides() -> None:
    """Two further draws of the same kind are at least as good as 2.0, which one of three networks has."""
    found = best_at_random(np.array([1.0, 2.0, 3.0]), 2, 2.0)
    bests = [min(mine) for mine in itertools.combinations(range(5), 2)]
    assert found.as_good == pytest.approx(np.mean([best - 0 <= 1 for best in bests]))
    assert found.as_bad == pytest.approx(np.mean([best >= 2 for best in bests]))


def test_the_expected_best_of_equal_errors_is_that_error() -> None:
    assert best_at_random(np.full(5, 0.7), 1, 1.0).expected == 0.7


@pytest.mark.parametrize(("n", "k", "below"), [(3, 2, 0), (3, 2, 1), (4, 3, 2), (4, 3, 4), (5, 1, 3)])
def test_chances_are_counted_over_all_orders_of_exchangeable_numbers(n: int, k: int, below: int) -> None:
    errors = np.arange(n) * 2.0
    found = best_at_random(errors, k, 2.0 * below - 1)  # so many of the population are better
    better = (
        [
            sum(rank < min(mine) for rank in set(range(n + k)) - set(mine))
            for mine in itertools.combinations(range(n + k), k)
        ]
        if k <= n
        else []
    )
    assert found.as_good == pytest.approx(np.mean([each <= below for each in better]))
    assert found.as_bad == pytest.approx(np.mean([each >= below for each in better]))


def test_more_draws_than_networks_are_refused() -> None:
    with pytest.raises(InputError, match="the best of 4 can't be told from 3"):
        best_at_random(np.array([1.0, 2.0, 3.0]), 4, 1.0)


def test_a_search_reads_the_same_from_its_store_and_its_file(plan: Plan) -> None:
    kept(a_search(plan, NSGA2))
    from_store = study_searches(plan)
    plan.searches.write_text(searches_csv(kept_searches(plan.searches_store)))
    plan.searches_store.unlink()
    (from_file,) = study_searches(plan)
    assert from_file.models == from_store[0].models
    np.testing.assert_array_equal(from_file.errors, from_store[0].errors)
    assert from_file.failed == int(np.isnan(from_file.errors).sum()) > 0


def test_the_best_so_far_never_rises_and_passes_over_failures(plan: Plan) -> None:
    kept(a_search(plan, TPE, 20))
    (search,) = study_searches(plan)
    best = search.best_so_far
    known = best[~np.isnan(best)]
    assert (np.diff(known) <= 0).all()
    assert search.best is not None
    assert best[-1] == search.errors[search.best] == np.nanmin(search.errors)


def test_no_network_of_the_search_beats_one_of_the_front(plan: Plan) -> None:
    kept(a_search(plan, NSGA2, 24))
    (search,) = study_searches(plan)
    for place in search.front:
        better = (search.errors <= search.errors[place]) & (search.flops < search.flops[place])
        better |= (search.errors < search.errors[place]) & (search.flops <= search.flops[place])
        assert not better.any()
    document = searched(search, "tiny", None)
    assert document["front"][-1]["error"] == document["best"]["error"]
    assert document["random"] is None


def test_the_comparison_is_at_equal_cost_even_where_the_population_is_smaller(plan: Plan) -> None:
    kept(a_search(plan, TPE, 20))
    (search,) = study_searches(plan)
    population = rivals(plan, study_trials(plan).frame)["AnyNetE"]
    found = at_random(search, population)
    assert (found.n, found.k) == (6, 6)
    document = searched(search, "tiny", population)
    assert document["random"]["search"] == search.best_so_far[5]
    assert document["trials"] == document["complete"] + document["failed"] == 20
    few = at_random(search.first(2), population)
    assert few.k == 2


def test_searches_of_another_protocol_are_left_out(plan: Plan) -> None:
    kept(a_search(plan, TPE, 4))
    assert len(study_searches(plan)) == 1
    assert study_searches(replace(plan, budget=replace(plan.budget, images=64))) == []
    assert len(study_searches(replace(plan, budget=replace(plan.budget, time_limit=1.0)))) == 1


def test_a_population_of_another_budget_is_no_rival(plan: Plan) -> None:
    networks = study_trials(plan).frame
    assert set(rivals(plan, networks)) == {"AnyNetA", "AnyNetE", "RegNet"}
    assert rivals(replace(plan, budget=replace(plan.budget, images=64)), networks) == {}
    again = networks.assign(replicate="1", error=0.0)
    both = rivals(plan, pd.concat([networks, again]))
    assert both["AnyNetE"].errors.min() == 20


def test_no_population_takes_in_a_search(plan: Plan) -> None:
    before, frame = study_trials(plan).to_csv(), study_trials(plan).frame
    search = kept(a_search(plan, TPE, 8))
    kept(a_search(plan, TPE, 4, seed=1))  # a second study in the store
    text = searches_csv(kept_searches(plan.searches_store))
    plan.searches.write_text(text)
    assert study_trials(plan).to_csv() == before
    pd.testing.assert_frame_equal(study_trials(plan).frame, frame)
    for source in (plan.searches, plan.searches_store, Path(f"{plan.searches_store}#{search.name}")):
        with pytest.raises(InputError, match="no random sample"):
            read_trials([source])
    with pytest.raises(InputError, match="no random sample"):
        parse_trials(text, "renamed.csv")


def test_what_a_killed_search_trained_beyond_a_gap_waits(plan: Plan) -> None:
    kept(a_search(plan, TPE, 8))
    lines = searches_csv(kept_searches(plan.searches_store)).splitlines()
    header = lines[0].split(",")
    rows = [dict(zip(header, line.split(","), strict=True)) for line in lines[1:]]
    (search,) = trajectories([row for row in rows if row["number"] != "5"])
    assert len(search) == 5


def test_a_file_that_is_no_searches_csv_is_refused(make_study: MakeStudy) -> None:
    plan = load_plan(make_study())
    plan.searches.write_text("space,sampler\nRegNet,tpe\n")
    with pytest.raises(InputError, match="not what a search writes"):
        study_searches(plan)
