"""The report's section on searches: beside everything else, and in nothing else."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from regnetlab.report.compare import step_findings
from regnetlab.report.content import study_content
from regnetlab.report.findings import overview
from regnetlab.report.page import drawn_figures
from regnetlab.report.page import page as render
from regnetlab.report.search import search_findings, searches_figure
from regnetlab.spaces.arrays import Floats
from regnetlab.spaces.space import SPACES
from regnetlab.study.plan import Plan
from regnetlab.study.plan_file import load_plan
from regnetlab.study.results import own_searches
from regnetlab.study.search.definition import protocol
from regnetlab.study.stages import planned_jobs
from regnetlab.training.budget import Score
from regnetlab.trials.csv_tables import SEARCHES
from regnetlab.trials.table import trials_of
from tests.analysis.test_search import random_errors, searches

MakeStudy = Callable[..., Path]


def scored(study: Path, least: float = 20.0, step: float = 1.0) -> Plan:
    """A study's plan, its populations with errors in trials.csv: the least, and steps above it."""
    plan = load_plan(study)
    jobs = planned_jobs(plan)
    scores = {job.identity: Score(least + step * job.index, (), 1.0, 128, "complete") for job in jobs}
    plan.trials.write_text(trials_of(jobs, scores).to_csv())
    return plan


def searched(plan: Plan, errors: Floats, space: str = "AnyNetE", sampler: str = "tpe") -> None:
    """Add a search under the study's protocol to its searches.csv."""
    kept = SEARCHES.read(plan.searches) if plan.searches.exists() else SEARCHES.frame(())
    own = protocol(plan, SPACES[space].within(plan.ranges))
    added = searches(errors, sampler).assign(space=space, protocol=own)
    plan.searches.write_text(SEARCHES.csv(pd.concat([kept, added])))


@pytest.fixture
def plan(make_study: MakeStudy) -> Plan:
    return scored(make_study())


def test_a_search_is_in_its_section_and_in_no_other_number(plan: Plan) -> None:
    before = study_content(plan)
    assert "searches" not in {each.id for each in drawn_figures(before)}
    assert "Does a search do better" not in render(before)
    searched(plan, random_errors(12))
    after = study_content(plan)
    assert overview(after) == overview(before)
    assert step_findings(after.comparison) == step_findings(before.comparison)
    assert len(after.networks) == len(before.networks)
    old_figures = {each.id: each.figure.to_json() for each in drawn_figures(before)}
    new_figures = {each.id: each.figure.to_json() for each in drawn_figures(after)}
    assert new_figures.pop("searches")
    assert new_figures == old_figures
    page = render(after)
    assert "Does a search do better than chance?" in page
    assert "TPE (seed 0) in AnyNetE" in page


def test_the_picture_draws_the_best_so_far_over_the_expected_best_at_random(plan: Plan) -> None:
    searched(plan, random_errors(12))
    searched(plan, random_errors(8), sampler="nsga2")
    found = study_content(plan).searches
    traces = {trace.name: trace for trace in searches_figure(found).data if trace.name}
    assert set(traces) == {"AnyNetE, drawn at random", "AnyNetE, TPE (seed 0)", "AnyNetE, NSGA-II (seed 0)"}
    drawn = traces["AnyNetE, TPE (seed 0)"]
    assert drawn.y[-1] == np.nanmin(random_errors(12))
    assert drawn.x[-1] == 12
    assert traces["AnyNetE, drawn at random"].x[-1] == 6


@pytest.mark.parametrize(("least", "chip"), [(1.0, "worse"), (76.0, "undecided")])
def test_a_claim_needs_ranks_that_chance_hardly_gives(make_study: MakeStudy, least: float, chip: str) -> None:
    """Six networks that all beat the search decide; six that all lose to it may have been unlucky."""
    plan = scored(make_study(), least, 0.1)
    searched(plan, random_errors(12))
    (finding,) = search_findings(study_content(plan).searches)
    assert finding.chip == chip


def test_a_space_without_a_population_is_only_measured(plan: Plan) -> None:
    searched(plan, random_errors(4), "AnyNetC")
    (finding,) = search_findings(study_content(plan).searches)
    assert finding.chip == "measured"
    assert "no population of that space" in finding.text
    assert render(study_content(plan))


def test_searches_of_another_protocol_are_left_out(plan: Plan) -> None:
    searched(plan, random_errors(4))
    path = plan.folder / "study.toml"
    for old, new, left in (("images = 128", "images = 64", 0), ("[derive]\nn = 2", "[derive]\nn = 3", 1)):
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))
        assert len(own_searches(load_plan(path))) == left
        path.write_text(text)


def test_a_file_that_is_no_searches_csv_is_refused(plan: Plan) -> None:
    plan.searches.write_text("space,sampler\nRegNet,tpe\n")
    with pytest.raises(ValueError, match="not what `regnetlab search` writes"):
        study_content(plan)
