"""Whole spaces compared, from made-up trials."""

from dataclasses import replace

import numpy as np
import pytest

from regnetlab.analysis.compare import StepComparison, at_equal, compare
from regnetlab.analysis.space_errors import space_errors, summary
from regnetlab.errors import InputError
from regnetlab.training.guessing import Guessing
from regnetlab.trials.files import parse_trials
from regnetlab.trials.table import Trials
from regnetlab.trials.terms import Terms
from tests.analysis.frames import normal, trials_of


def step_of(margin: float = 1.0, **spaces: np.ndarray) -> StepComparison:
    (step,) = compare(trials_of(**spaces), Terms(margin)).steps
    return step


@pytest.fixture
def few_permutations(monkeypatch: pytest.MonkeyPatch) -> None:
    """P-values take half of the time of a comparison, and decide no verdict."""
    monkeypatch.setattr("regnetlab.analysis.statistics.rank_tests._PERMUTATIONS", 99)


def planned(trials: Trials, n: int) -> Trials:
    return replace(trials, planned=dict.fromkeys(trials.spaces, n))


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
    found = compare(trials, Terms(2.5))
    assert [each.verdict for each in found.steps] == ["better", "no worse", "worse", "undecided"]
    assert found.to_pandas()["verdict"].tolist() == [each.verdict for each in found.steps]
    assert "A → B better; B → C no worse" in repr(found)


def test_failed_networks_count_as_the_worst_error() -> None:
    broken = normal(1, 25)
    broken[:40] = np.nan
    found = step_of(A=normal(0, 30), B=broken)
    assert (found.a.failed, found.b.failed) == (0, 40)
    assert found.verdict == found.verdict_single == "worse"
    assert found.median.estimate > 60
    assert found.without_failures is not None
    assert found.without_failures.high < 0
    (remark,) = (each for each in found.remarks() if "failed" in each)
    assert remark.startswith("0 and 40 failed and count as 100%; without them −")
    assert remark.endswith("by itself better")


@pytest.mark.simulation
@pytest.mark.usefixtures("few_permutations")
def test_a_space_whose_worst_networks_fail_is_not_better_for_it() -> None:
    random = np.random.default_rng(3)
    claims = []
    for _ in range(200):
        a, b = random.normal(25, 4, (2, 50))
        b[b > np.quantile(b, 0.8)] = np.nan
        claims.append(step_of(A=a, B=b).verdict)
    assert claims.count("better") <= 0.05 * len(claims)


def test_without_failures_nothing_changes_by_them() -> None:
    found = step_of(A=normal(0, 30), B=normal(1, 25))
    assert found.without_failures is None
    assert not any("failed" in each for each in found.remarks())


def test_a_network_of_which_one_seed_failed_counts_as_half_failed() -> None:
    rows = ("0,20", "0,30", "1,", "1,40", "2,", "2,")
    text = "space,index,error,depths,widths\n" + "".join(f"A,{row},1 1,8 8\n" for row in rows)
    (found,) = space_errors(parse_trials(text, "test").frame)
    assert found.errors.tolist() == [25, 70]
    assert found.failed == 1
    assert found.with_failures.tolist() == [25, 70, 100]


def test_all_steps_together_are_held_to_a_wider_interval() -> None:
    for each in compare(trials_of(A=normal(0, 30), B=normal(1, 29), C=normal(2, 28))).steps:
        assert each.corrected.low <= each.single.low
        assert each.corrected.high >= each.single.high
        assert each.ks_holm >= each.tests.ks_p
        assert each.mann_whitney_holm >= each.tests.mann_whitney_p


def test_a_verdict_that_falls_with_the_number_of_steps_is_said_to() -> None:
    trials = trials_of(A=normal(0, 30), B=normal(1, 29), C=normal(2, 29), D=normal(3, 29))
    first, second, third = compare(trials).steps
    assert [each.verdict_single for each in (first, second, third)] == ["better", "undecided", "no worse"]
    assert [each.verdict for each in (first, second, third)] == ["no worse", "undecided", "undecided"]
    assert any(each.startswith("better if it were the only step, 95% interval −") for each in first.remarks())
    assert not any("only step" in each for each in second.remarks())


def test_verdicts_are_corrected_for_the_studys_steps_also_where_one_pair_is_asked_for() -> None:
    trials = replace(trials_of(A=normal(0, 30), B=normal(1, 29)), steps=(("A", "B"), ("B", "C"), ("C", "D")))
    found = compare(trials, pairs=[("A", "B")])
    assert found.verdicts == 3
    assert found.level == pytest.approx(1 - 0.05 / 3)


@pytest.mark.simulation
@pytest.mark.usefixtures("few_permutations")
def test_five_equal_steps_claim_a_difference_in_one_study_of_twenty() -> None:
    random = np.random.default_rng(8)
    wrong = 0
    for _ in range(120):
        spaces = {name: 15 + random.gamma(2, 4, 40) for name in "ABCDEF"}
        wrong += any(each.verdict in ("better", "worse") for each in compare(trials_of(**spaces)).steps)
    assert wrong / 120 <= 0.09  # 5%, and twice the standard error


def test_alike_is_more_than_no_worse() -> None:
    a = normal(0, 30, 400)
    assert step_of(1.5, A=a, B=normal(1, 30, 400)).claim == "no worse, within margin"
    better = step_of(4.0, A=a, B=normal(1, 29, 400))
    assert (better.verdict, better.alike) == ("better", True)
    far = step_of(1.5, A=a, B=normal(1, 26, 400))
    assert (far.verdict, far.alike) == ("better", False)


@pytest.mark.parametrize("statistic", ["median", "q05", "mean", "area"])
def test_verdicts_are_on_the_statistic_that_the_terms_name(statistic: str) -> None:
    random = np.random.default_rng(1)
    narrow, wide = random.normal(30, 1, 300), random.normal(30, 6, 300)
    (step,) = compare(trials_of(A=narrow, B=wide), Terms(statistic=statistic)).steps  # type: ignore[arg-type]
    assert (step.verdict == "better") == (statistic == "q05")
    assert step.to_json()["statistic"] == statistic
    assert step.to_json()["median_difference"] == pytest.approx(np.median(wide) - np.median(narrow), abs=1e-3)


def test_the_area_between_distributions_ends_at_the_error_of_guessing() -> None:
    trials = trials_of(A=np.full(20, 30.0), B=np.r_[np.full(10, 20.0), np.full(10, np.nan)])
    guess = Guessing(50.0, 50.0, 5_000)
    (step,) = compare(replace(trials, guess=guess), Terms(statistic="area")).steps
    assert step.single.estimate == pytest.approx(35 - 30)  # half at 20, half at 50


def test_dominance_is_claimed_of_the_middle_of_the_distributions() -> None:
    found = step_of(A=normal(0, 30, 200), B=normal(1, 26, 200)).dominance
    assert found.space == "B"
    assert 20 < found.low < found.high < 36
    assert step_of(A=normal(0, 30, 200), B=normal(1, 29.8, 200)).dominance.space == ""


def test_a_verdict_before_all_planned_networks_are_trained_is_provisional() -> None:
    trials = trials_of(A=normal(0, 30), B=normal(1, 25))
    (early,) = compare(planned(trials, 100)).steps
    assert (early.verdict, early.provisional) == ("better", True)
    assert "provisional: 60 and 60 of 100 and 100 planned networks are trained" in early.remarks()
    (whole,) = compare(planned(trials, 60)).steps
    assert not whole.provisional
    (unknown_,) = compare(trials).steps
    assert not unknown_.provisional


def test_failed_networks_are_trained_ones() -> None:
    broken = normal(1, 25)
    broken[:5] = np.nan
    (step,) = compare(planned(trials_of(A=normal(0, 30), B=broken), 60)).steps
    assert not step.provisional


def test_planned_looks_end_a_study_early_where_the_difference_is_clear() -> None:
    a, b = normal(0, 30, 100), normal(1, 24, 100)
    terms = Terms(sequential=True)
    (early,) = compare(planned(trials_of(A=a[:40], B=b[:40]), 100), terms).steps
    assert (early.verdict, early.provisional, early.course.kind) == ("better", False, "sequential")
    (same,) = compare(planned(trials_of(A=a[:45], B=b[:47]), 100), terms).steps
    assert same.corrected.ends == early.corrected.ends  # between two looks nothing is looked at
    (first,) = compare(planned(trials_of(A=a[:9], B=b[:9]), 100), terms).steps
    assert (first.verdict, first.provisional) == ("undecided", True)


def test_a_study_whose_number_of_networks_was_changed_has_wider_intervals() -> None:
    trials = planned(trials_of(A=normal(0, 30), B=normal(1, 29)), 60)
    (fixed,) = compare(trials).steps
    (changed,) = compare(replace(trials, extended=frozenset({"B"}))).steps
    assert changed.course.kind == "anytime"
    width, wider = (each.corrected.high - each.corrected.low for each in (fixed, changed))
    assert wider > 1.2 * width
    assert any("changed after errors were known" in each for each in changed.remarks())


def test_an_undecided_step_says_how_many_networks_would_decide_it() -> None:
    found = step_of(0.5, A=normal(0, 30, 12), B=normal(1, 29.4, 12))
    assert found.verdict == "undecided"
    assert all(each.estimate > 12 for each in found.to_decide.values())
    assert any(each.startswith("would be “no worse” with about ") for each in found.remarks())
    few = step_of(0.5, A=normal(0, 30, 4), B=normal(1, 29, 12))
    assert few.verdict == "undecided"
    assert not few.to_decide
    assert "too few networks for an interval: it takes 6 of each space" in few.remarks()


def test_complexity_is_matched_where_both_spaces_have_it_without_a_verdict() -> None:
    found = step_of(A=normal(0, 30), B=normal(1, 25))
    assert set(found.matched) == {"flops"}  # all are equally deep
    assert found.matched["flops"].difference.high < 0
    assert found.to_json()["matched"]["flops"]["verdict"] is None
    assert found.claim_matched == ""


def test_the_matching_that_was_named_has_a_verdict_and_counts_in_the_correction() -> None:
    trials = trials_of(A=normal(0, 30), B=normal(1, 25))
    found = compare(trials, Terms(matched="flops"))
    assert found.verdicts == 2
    assert found.steps[0].claim_matched == found.steps[0].to_json()["matched"]["flops"]["verdict"] == "better"


def test_a_matching_that_the_networks_do_not_have_is_refused() -> None:
    with pytest.raises(InputError, match="matched is 'acts', which not every network of A has") as error:
        compare(trials_of(A=normal(0, 30), B=normal(1, 25)), Terms(matched="acts"))
    assert error.value.hint == "its networks have flops, depth"


def test_little_overlap_is_said() -> None:
    trials = parse_trials(
        "space,depths,widths,error,flops\n"
        + "".join(f"A,1 1,8 8,{20 + i % 7},{1000 + 10 * i}\n" for i in range(60))
        + "".join(f"B,1 1,8 8,{20 + i % 7},{1350 + 10 * i}\n" for i in range(60)),
        "test",
    )
    (step,) = compare(trials).steps
    assert step.matched["flops"].little_overlap
    assert "little overlap" in step.matched["flops"].text


def test_the_summary_gives_each_number_its_interval() -> None:
    found = summary(space_errors(trials_of(A=normal(0, 30)).frame)[0])
    assert found.least < found.q05.estimate < found.median.estimate
    for interval in (found.median, found.mean):
        assert interval.low < 30 < interval.high


def test_the_document_says_what_the_result_holds() -> None:
    found = compare(trials_of(A=normal(0, 30), B=normal(1, 25)), Terms(0.5), stated=Terms(2.0))
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


def test_a_sequential_study_of_which_the_first_network_is_still_trained_has_no_verdict_yet() -> None:
    text = trials_of(A=normal(0, 30, 20), B=normal(1, 20, 20)).frame
    trials = planned(Trials(text[text["index"] > 0]), 20)
    (step,) = compare(trials, Terms(sequential=True)).steps
    assert (step.verdict, step.provisional) == ("undecided", True)
    assert step.single.estimate < 0
    assert "no planned look has been reached yet, so there is no verdict" in step.remarks()


def test_no_number_is_promised_where_most_networks_have_one_error() -> None:
    lower = np.array([90.0] * 15 + [50, 40, 30, 20, 10])
    trials = trials_of(**{name: lower + i * (lower < 90) for i, name in enumerate("ABCDEF")})
    for step in compare(trials, Terms(matched="flops")).steps:
        assert step.verdict == "undecided" and not step.to_decide


def test_a_changed_study_needs_more_networks_to_decide_than_an_unchanged_one() -> None:
    trials = planned(trials_of(A=normal(0, 30), B=normal(1, 30.5)), 60)
    steps = (compare(each).steps[0] for each in (trials, replace(trials, extended=frozenset({"B"}))))
    fixed, changed = (next(iter(each.to_decide.values())) for each in steps)
    price = changed.estimate / fixed.estimate
    assert price > 1.3
    assert f"it takes about {price:.1f} times as many" in compare(trials).remarks()[-1]


def test_a_matching_of_few_networks_claims_nothing() -> None:
    text = "space,depths,widths,error,flops\n"
    text += "".join(f"A,1 1,8 8,{30 + i / 9},{1000 + 100 * i}\n" for i in range(60))
    text += "".join(f"A,1 1,8 8,{37 + i / 9},6953\n" for i in range(6))
    text += "".join(f"B,1 1,8 8,{10 + i / 9},{6920 + i}\n" for i in range(30))
    text += "".join(f"B,1 1,8 8,{13 + i / 9},{6953 + 10 * (i > 9)}\n" for i in range(30))
    (step,) = compare(parse_trials(text, "test"), Terms(matched="flops")).steps
    assert step.matched["flops"].used[0] == 6
    assert step.matched["flops"].estimate < -15
    assert step.claim_matched == "undecided"
    (sentence,) = at_equal(compare(parse_trials(text, "test"), Terms(matched="flops")))
    assert sentence == "A → B at equal flops: no verdict, too few networks for an interval (6 and 17)"


def test_a_matching_without_common_networks_is_said() -> None:
    text = "space,depths,widths,error,flops\n"
    text += "".join(f"A,1 1,8 8,{30 + i / 9},{1000 + i}\n" for i in range(30))
    text += "".join(f"B,1 1,8 8,{10 + i / 9},{9000 + i}\n" for i in range(30))
    (sentence,) = at_equal(compare(parse_trials(text, "test"), Terms(matched="flops")))
    assert (
        sentence
        == "A → B at equal flops: no verdict, since the two have too few networks of about the same flops"
    )


def test_terms_that_are_not_the_studys_are_said_to_be_chosen_now() -> None:
    trials = trials_of(A=normal(0, 30), B=normal(1, 25))
    found = compare(trials, Terms(2.0, "mean"), stated=Terms())
    assert found.chosen_now == (
        "chosen after the errors were known: margin 2.0 (the study states 1.0), statistic mean (the study"
        " states median)"
    )
    assert found.to_json()["stated"]["statistic"] == "median"
    assert compare(trials, stated=Terms()).chosen_now == ""


def test_a_pair_of_a_file_is_corrected_as_if_all_its_steps_were_asked_for() -> None:
    trials = trials_of(A=normal(0, 30), B=normal(1, 25), C=normal(2, 20))
    assert compare(trials, pairs=[("A", "B")]).verdicts == compare(trials).verdicts == 2


def test_a_study_that_is_trained_as_planned_has_nothing_to_remark_on() -> None:
    trials = trials_of(A=normal(0, 30), B=normal(1, 25))
    (whole,) = compare(planned(trials, 60)).steps
    assert (whole.missing, whole.dominance.space) == (False, "B")
    assert [each.split()[0] for each in whole.remarks()] == ["B"]  # on dominance alone
    (fixed,) = compare(planned(trials, 100)).steps
    assert not any("looks" in each for each in fixed.remarks())


def test_looks_are_counted_and_a_verdict_at_one_is_not_provisional() -> None:
    a, b = normal(0, 30, 100), normal(1, 24, 100)
    (step,) = compare(planned(trials_of(A=a[:40], B=b[:40]), 100), Terms(sequential=True)).steps
    assert (step.missing, step.verdict) == (True, "better")
    assert "40 and 40 of 100 and 100 planned networks are trained" in step.remarks()
    assert "planned looks so far: 4 of 10" in step.remarks()
    assert not any("too few" in each or "no planned look" in each for each in step.remarks())


def test_without_its_failures_a_step_is_held_to_the_margin_of_the_terms() -> None:
    b = normal(1, 30)
    b[0] = np.nan
    claims = {}
    for margin in (0.5, 5.0):
        (remark,) = (each for each in step_of(margin, A=normal(0, 30), B=b).remarks() if "failed" in each)
        claims[margin] = remark.rpartition("by itself ")[2]
    assert claims == {0.5: "undecided", 5.0: "no worse"}
