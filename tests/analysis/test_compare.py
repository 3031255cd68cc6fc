"""Whole spaces compared, from made-up trials."""

from dataclasses import replace

import numpy as np
import pytest

from regnetlab.analysis.compare import StepComparison, compare
from regnetlab.analysis.space_errors import space_errors, summary
from regnetlab.errors import InputError
from regnetlab.training.guessing import Guessing
from regnetlab.trials.files import parse_trials
from tests.analysis.frames import normal, trials_of


def step_of(margin: float = 1.0, **spaces: np.ndarray) -> StepComparison:
    (step,) = compare(trials_of(**spaces), margin).steps
    return step


def test_steps_run_through_the_spaces_as_they_appear() -> None:
    trials = trials_of(C=normal(0, 30), A=normal(1, 25), derived=normal(2, 20), B=normal(3, 20))
    found = compare(trials)
    assert [each.space for each in found.spaces] == ["C", "A", "B"]
    assert [each.name for each in found.steps] == ["C → A", "A → B"]


def test_a_studys_steps_are_compared_as_far_as_they_have_errors() -> None:
    trials = replace(trials_of(A=normal(0, 30), B=normal(1, 25)), steps=(("B", "A"), ("A", "C")))
    found = compare(trials)
    assert [each.name for each in found.steps] == ["B → A"]
    assert found.missing == ("C",)


def test_pairs_are_compared_by_name() -> None:
    trials = trials_of(A=normal(0, 30), B=normal(1, 25), C=normal(2, 20))
    assert [each.name for each in compare(trials, pairs=[("A", "C")]).steps] == ["A → C"]
    with pytest.raises(InputError, match="space 'D' is not known"):
        compare(trials, pairs=[("A", "D")])


def test_verdicts_follow_the_difference_of_medians() -> None:
    trials = trials_of(
        A=normal(0, 30), B=normal(1, 25), C=normal(1, 25.1), D=normal(4, 33), E=np.linspace(20, 50, 8)
    )
    found = compare(trials, margin=2.5)
    assert [each.verdict for each in found.steps] == ["better", "no worse", "worse", "undecided"]
    assert found.to_pandas()["verdict"].tolist() == [each.verdict for each in found.steps]
    assert "A → B better; B → C no worse" in repr(found)


def test_failed_networks_are_shown_apart_and_counted_as_the_worst() -> None:
    broken = normal(1, 25)
    broken[:40] = np.nan
    found = step_of(A=normal(0, 30), B=broken)
    assert (found.a.failed, found.b.failed) == (0, 40)
    assert found.verdict == "better"
    assert found.verdict_with_failures == "worse"
    assert found.failures is not None
    assert found.failures.estimate > 60
    assert "0 and 40 failed; counted as the worst error: instead worse" in found.remarks()


def test_without_failures_nothing_changes_by_them() -> None:
    found = step_of(A=normal(0, 30), B=normal(1, 25))
    assert found.failures is None
    assert found.verdict_with_failures == found.verdict
    assert not any("failed" in each for each in found.remarks())


def test_several_seeds_of_a_network_are_one_network() -> None:
    rows = ("0,20", "0,30", "1,", "1,40", "2,", "2,")
    text = "space,index,error,depths,widths\n" + "".join(f"A,{row},1 1,8 8\n" for row in rows)
    (found,) = space_errors(parse_trials(text, "test").frame)
    assert found.errors.tolist() == [25, 40]
    assert found.failed == 1


def test_all_steps_together_are_held_to_a_wider_interval() -> None:
    for each in compare(trials_of(A=normal(0, 30), B=normal(1, 29), C=normal(2, 28))).steps:
        assert each.corrected.low <= each.difference.low
        assert each.corrected.high >= each.difference.high
        assert each.ks_holm >= each.tests.ks_p
        assert each.mann_whitney_holm >= each.tests.mann_whitney_p


def test_a_verdict_that_falls_with_the_number_of_steps_is_said_to() -> None:
    trials = trials_of(A=normal(0, 30), B=normal(1, 29), C=normal(2, 29), D=normal(3, 29))
    first, second, third = compare(trials).steps
    assert (first.verdict, second.verdict, third.verdict) == ("better", "undecided", "no worse")
    assert "no worse if all steps are to hold together" in first.remarks()
    assert not any("hold together" in each for each in second.remarks())
    assert "undecided if all steps are to hold together" in third.remarks()


def test_an_undecided_step_says_how_many_networks_would_decide_it() -> None:
    found = step_of(0.5, A=normal(0, 30, 12), B=normal(1, 29.4, 12))
    assert found.verdict == "undecided"
    assert all(n > 12 for n in found.to_decide.values())
    assert any("would decide it" in each for each in found.remarks())
    few = step_of(0.5, A=normal(0, 30, 4), B=normal(1, 29, 12))
    assert few.verdict == "undecided"
    assert not few.to_decide
    assert "too few networks for an interval; 6 on each side is the least" in few.remarks()


def test_complexity_is_matched_where_both_spaces_have_it() -> None:
    found = step_of(A=normal(0, 30), B=normal(1, 25))
    assert set(found.matched) == {"flops"}
    assert found.matched["flops"].difference.high < 0


def test_the_summary_gives_each_number_its_interval() -> None:
    found = summary(space_errors(trials_of(A=normal(0, 30)).frame)[0])
    assert found.least < found.q05.estimate < found.median.estimate
    for interval in (found.median, found.mean):
        assert interval.low < 30 < interval.high


def test_the_document_says_what_the_result_holds() -> None:
    found = compare(trials_of(A=normal(0, 30), B=normal(1, 25)), 0.5, margin_stated=2.0)
    document = found.to_json()
    (step,) = document["comparisons"]
    assert (step["a"], step["b"], step["n_a"], step["n_b"]) == ("A", "B", 60, 60)
    assert step["verdict"] == "better"
    assert step["interval"][0] < step["median_difference"] < step["interval"][1] < 0
    assert document["margin"] == step["margin"] == 0.5
    assert document["margin_stated"] == 2.0
    assert document["seed_noise"] is None
    assert [each["learned"] for each in document["spaces"]] == [None, None]


def test_a_step_between_spaces_that_only_guess_is_doubted() -> None:
    trials = trials_of(A=normal(0, 30), B=normal(1, 29), C=normal(2, 10))
    found = compare(replace(trials, guess=Guessing(25.0, 25.0, 5_000)))
    assert [each.neither_learned for each in found.steps] == [True, False]
    assert found.remarks()[0].startswith("A → B: neither space has clearly learned")
    assert [each.partition(" has")[0] for each in found.not_learned] == ["A", "B"]


def test_a_space_without_errors_is_named() -> None:
    trials = trials_of(A=normal(0, 30), B=np.full(5, np.nan))
    assert compare(trials).missing == ("B",)
    with pytest.raises(InputError, match="no network of B has an error"):
        compare(trials, pairs=[("A", "B")])
