"""The report's section on searches: beside everything else, and in nothing else."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from regnetlab.study.outcome import outcome
from regnetlab.study.store import open_store
from tests.study.test_search import a_search, finished, scored

from regnetlab.report.content import study_content
from regnetlab.report.findings import overview, step_findings
from regnetlab.report.page import drawn_figures
from regnetlab.report.page import page as render
from regnetlab.report.search import search_findings, searches_figure
from regnetlab.study.plan import Plan
from regnetlab.study.plan_file import load_plan
from regnetlab.study.search import NSGA2, TPE
from regnetlab.training.budget import Score

MakeStudy = Callable[..., Path]


@pytest.fixture
def plan(make_study: MakeStudy) -> Plan:
    return scored(make_study())


def test_a_search_is_in_its_section_and_in_no_other_number(plan: Plan) -> None:
    before = study_content(plan)
    assert "searches" not in {each.id for each in drawn_figures(before)}
    assert "Does a search do better" not in render(before)
    finished(a_search(plan, TPE, 12), lambda jobs: jobs[0])
    after = study_content(plan)
    assert overview(after) == overview(before)
    assert step_findings(after) == step_findings(before)
    assert len(after.networks) == len(before.networks)
    for old, new in zip(before.populations, after.populations, strict=True):
        np.testing.assert_array_equal(old.errors, new.errors)
    old_figures = {each.id: each.figure.to_json() for each in drawn_figures(before)}
    new_figures = {each.id: each.figure.to_json() for each in drawn_figures(after)}
    assert new_figures.pop("searches")
    assert new_figures == old_figures
    page = render(after)
    assert "Does a search do better than chance?" in page
    assert "TPE (seed 0) in AnyNetE" in page


def test_the_picture_draws_the_best_so_far_over_the_expected_best_at_random(plan: Plan) -> None:
    finished(a_search(plan, TPE, 12), lambda jobs: jobs[0])
    finished(a_search(plan, NSGA2, 8), lambda jobs: jobs[0])
    content = study_content(plan)
    traces = {trace.name: trace for trace in searches_figure(content).data if trace.name}
    assert set(traces) == {"AnyNetE, drawn at random", "AnyNetE, TPE (seed 0)", "AnyNetE, NSGA-II (seed 0)"}
    search = next(each for each in content.searches if each.sampler == TPE)
    drawn = traces["AnyNetE, TPE (seed 0)"]
    assert drawn.y[-1] == np.nanmin(search.errors)
    assert drawn.x[-1] == len(search) == 12
    assert traces["AnyNetE, drawn at random"].x[-1] == 6


@pytest.mark.parametrize(("shift", "chip"), [(-15.0, "worse"), (60.0, "undecided")])
def test_a_claim_needs_ranks_that_chance_hardly_gives(make_study: MakeStudy, shift: float, chip: str) -> None:
    """Six networks that all beat the search decide; six that all lose to it may have been unlucky."""
    plan = load_plan(make_study())
    store = open_store(plan.store)
    for job in outcome(plan, store).jobs:
        store.add(job, Score(16.0 + shift + job.index / 10, (), 1.0, 128, "complete"))
    finished(a_search(plan, TPE, 12), lambda jobs: jobs[0])
    (finding,) = search_findings(study_content(plan))
    assert finding.chip == chip


def test_a_space_without_a_population_is_only_measured(plan: Plan) -> None:
    finished(a_search(plan, TPE, 4, "AnyNetC"), lambda jobs: jobs[0])
    (finding,) = search_findings(study_content(plan))
    assert finding.chip == "measured"
    assert "no population of that space" in finding.text
    assert render(study_content(plan))
