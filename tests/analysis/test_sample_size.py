"""Networks for a verdict, from pilots and spreads."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from regnetlab.analysis.sample_size import sample_size
from regnetlab.errors import InputError
from regnetlab.study.plan_file import load_plan
from regnetlab.study.results import study_trials
from regnetlab.study.stages import planned_jobs
from regnetlab.training.budget import Score
from regnetlab.trials.table import trials_of as table
from regnetlab.trials.terms import Terms
from tests.analysis.frames import normal, trials_of

ORDERED = """
[[spaces]]
space = "RegNet"
n = 6
[[spaces]]
space = "AnyNetE"
n = 6
[[spaces]]
space = "narrow"
parent = "RegNet"
n = 6
constraints = ["g == 8"]
"""


def test_a_narrower_margin_needs_more_networks() -> None:
    pilot = trials_of(A=normal(0, 30), B=normal(1, 25))
    wide, narrow = (sample_size(pilot, margin).steps[0].n for margin in (2.0, 1.0))
    assert narrow == pytest.approx(4 * wide, rel=0.05)


def test_a_spread_gives_the_textbooks_number() -> None:
    (step,) = sample_size(4.0, 1.0).steps
    assert step.n == pytest.approx(2 * (1.96 + 0.8416) ** 2 * 16 * np.pi / 2, rel=0.01)
    assert (step.hours, step.n_range, step.n_estimate) == (None, None, step.n)


def test_a_step_is_planned_at_the_upper_end_of_what_its_pilot_leaves_open() -> None:
    found = sample_size(trials_of(A=normal(0, 30), B=normal(1, 25)), 1.0)
    (step,) = found.to_json()["steps"]
    assert step["n_range"][0] < step["n_estimate"] < step["n_range"][1] == step["n"]
    assert "the table plans its upper end" in " ".join(found.remarks())
    assert (step["pilot"], step["step"]) == (60, "A → B")
    assert "upper end" not in " ".join(sample_size(4.0, 1.0).remarks())
    assert "find the second space no worse within 1 point if both are equal" in found.remarks()[0]


def test_time_is_that_of_both_spaces_trainings_shared_by_the_workers() -> None:
    pilot = trials_of(A=normal(0, 30), B=normal(1, 25))
    pilot = replace(pilot, frame=pilot.frame.assign(seconds=[None, *[1.5] * 60, *[2.5] * 59]))
    plain, shared = sample_size(pilot, 1.0), sample_size(pilot, 1.0, seeds=3, workers=2)
    assert plain.seconds == pytest.approx((60 * 1.5 + 59 * 2.5) / 119)
    (one,), (other,) = plain.steps, shared.steps
    assert one.hours == pytest.approx(2 * one.n * plain.seconds / 3600)
    assert other.hours == pytest.approx(2 * one.n * 3 * plain.seconds / 2 / 3600)
    assert (
        shared.remarks()[-1]
        == f"{plain.seconds:.1f} s a training, as measured; 3 trainings a network, 2 at once"
    )
    document = shared.to_json()
    assert [document[name] for name in ("margin", "seconds", "seeds", "workers")] == [
        1.0,
        plain.seconds,
        3,
        2,
    ]


def test_a_study_judged_by_another_statistic_is_told_that_these_numbers_are_of_the_median() -> None:
    pilot = trials_of(A=normal(0, 30), B=normal(1, 25))
    found = sample_size(replace(pilot, terms=Terms(statistic="mean")), 1.0)
    assert found.to_json()["notes"] == [
        *pilot.notes,
        "these numbers are for verdicts on the median; the study's verdicts are on another statistic (mean)",
    ]
    assert sample_size(replace(pilot, terms=Terms()), 1.0).notes == pilot.notes


def test_more_power_takes_more_networks_from_a_pilot_and_from_a_spread() -> None:
    for pilot in (trials_of(A=normal(0, 30), B=normal(1, 25)), 4.0):
        often, seldom = (sample_size(pilot, 1.0, power).steps[0].n for power in (0.95, 0.8))
        assert often > 1.4 * seldom


def test_a_pilot_of_one_error_or_of_steps_wider_than_the_margin_is_refused() -> None:
    with pytest.raises(InputError, match="most networks of B in the pilot have one and the same error"):
        sample_size(trials_of(A=normal(0, 30), B=np.full(60, 90.0)), 1.0)
    with pytest.raises(InputError, match="errors come in steps of 1"):
        sample_size(trials_of(A=np.round(normal(0, 30)), B=np.round(normal(1, 30))), 0.5)


def test_the_steps_of_the_trials_are_answered_not_their_order_in_the_table() -> None:
    pilot = trials_of(A=normal(0, 30), B=normal(1, 25), C=normal(2, 27), few=normal(3, 20, 3))
    steps = (("C", "A"), ("C", "B"), ("B", "few"))
    assert [each.name for each in sample_size(replace(pilot, steps=steps)).steps] == ["C → A", "C → B"]
    assert [each.name for each in sample_size(pilot).steps] == ["A → B", "B → C"]


def test_a_study_is_asked_of_its_own_steps(make_study: Callable[..., Path]) -> None:
    """Its trials.csv is sorted by the alphabet, and a custom space is compared with its parent."""
    plan = load_plan(make_study(ORDERED))
    jobs, errors = planned_jobs(plan), normal(0, 30)
    budget = plan.budget
    seen = budget.epochs * (budget.complete_steps * budget.images_per_step + budget.incomplete)
    scores = {job.identity: Score(errors[i], (), 1.0, seen, "complete") for i, job in enumerate(jobs)}
    table(jobs, scores).to_csv(plan.trials)
    assert [each.name for each in sample_size(study_trials(plan)).steps] == [
        "RegNet → AnyNetE",
        "RegNet → narrow",
    ]


@pytest.mark.parametrize(
    ("margin", "power", "spread", "message"),
    [
        (0.0, 0.8, 4.0, "margin is 0"),
        (1.0, 1.0, 4.0, "power is 1"),
        (1.0, 0.5, 4.0, "power is 0.5"),
        (1.0, 0.8, 0.0, "spread is 0"),
        (1.0, 0.8, 100.5, "spread is 100.5"),
        (-1.0, 0.8, 4.0, "margin is -1"),
    ],
)
def test_numbers_out_of_range_are_refused(margin: float, power: float, spread: float, message: str) -> None:
    with pytest.raises(InputError, match=message):
        sample_size(spread, margin, power)


def test_a_pilot_of_one_space_is_refused() -> None:
    with pytest.raises(InputError, match="two spaces with errors of 6 networks"):
        sample_size(trials_of(A=normal(0, 30)))


def test_steps_that_are_judged_together_need_more_networks_each() -> None:
    alone = sample_size(trials_of(A=normal(0, 30), B=normal(1, 25)), 1.0).steps[0].n
    among = sample_size(trials_of(A=normal(0, 30), B=normal(1, 25), C=normal(2, 27), D=normal(3, 29)), 1.0)
    assert among.steps[0].n > 1.2 * alone
