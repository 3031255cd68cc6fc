"""Tuned networks and who wins, on made-up rows with known truth."""

import math
from typing import Any

import numpy as np
import pytest
from scipy import stats

from regnetlab.analysis.baselines import EQUAL_COMPUTE, baselines, equal_compute
from regnetlab.analysis.statistics.error_difference import over_seeds_and_images
from regnetlab.errors import InputError
from regnetlab.training.correctness import pack, unpack
from regnetlab.training.guessing import Guessing
from regnetlab.trials.csv_tables import BASELINES
from tests.analysis.frames import baseline_rows, baselines_of


def test_a_network_has_mean_and_deviation_over_seeds() -> None:
    (found,) = baselines_of(baseline_rows("a", "VGG", 100, [10, 12, 14], [11, 12, 16])).networks
    assert found.test is not None
    assert found.test.mean == 13
    assert found.test.sd == pytest.approx(np.std([11, 12, 16], ddof=1))
    assert found.tries == ((0.1, 20.0), (0.2, 19.0), (0.4, None))
    assert not found.at_edge
    assert found.latencies == {1: 0.5}


def test_a_rate_tried_with_several_seeds_has_their_mean() -> None:
    rows = baseline_rows("a", "VGG", 100, [10, 12, 14], [11, 12, 16])
    again = [{**row, "seed": 99, "error": 24.0} for row in rows if row["stage"] == "tuning"][:2]
    (found,) = baselines_of(rows, again).networks
    assert found.tries == ((0.1, 22.0), (0.2, 21.5), (0.4, None))
    assert found.tuning_seeds == 2


def test_the_best_of_a_side_is_named_by_validation_not_by_test() -> None:
    table = baseline_rows("lucky", "VGG", 100, [12, 12, 13], [5, 5, 6]) + baseline_rows(
        "best", "NiN", 110, [9, 9, 10], [9, 9, 10]
    )
    table += baseline_rows("r", "RegNet", 105, [8, 8, 9], [7, 7, 8])
    (match,) = baselines_of(table).matches
    assert (match.a.name, match.b.name) == ("best", "r")
    assert match.verdict == "better"
    assert match.tried_once
    expected = stats.ttest_ind([7, 7, 8], [9, 9, 10], equal_var=False).confidence_interval(0.95)
    assert (match.difference.low, match.difference.high) == pytest.approx((expected.low, expected.high))


def test_only_equal_compute_is_compared() -> None:
    table = baseline_rows("a", "VGG", 100, [9] * 3, [9] * 3) + baseline_rows(
        "r", "RegNet", 200, [8] * 3, [8] * 3
    )
    assert baselines_of(table).matches == ()


def test_noise_is_undecided() -> None:
    table = baseline_rows("a", "VGG", 100, [9, 12, 15], [9, 12, 15]) + baseline_rows(
        "r", "RegNet", 100, [8, 12, 14], [8, 12, 14]
    )
    assert baselines_of(table).matches[0].verdict == "undecided"


def test_a_network_repeats_what_its_rows_say() -> None:
    rows = baseline_rows("a", "VGG", 100, [10, 12, 14], [11, 12, 16])
    rows[0] |= {"model": "m", "params": 7, "acts": 9, "seconds": 50.0}
    rows = [rows[0]] + [row | {"model": "m", "params": 7, "acts": 9} for row in rows[1:]]
    rows[-1] |= {"ended": "out of memory", "error": math.nan, "test_error": math.nan}
    (found,) = baselines_of(rows).networks
    assert (found.name, found.model, found.flops, found.params, found.acts) == ("a", "m", 100, 7, 9)
    assert (found.lr, found.failed, found.seconds) == (0.2, 1, 2.0)
    assert found.test is not None
    assert found.test.errors == (11, 12, 100)
    (untrained,) = baselines_of(rows[:3]).networks
    assert (untrained.lr, untrained.test, untrained.validation) == (None, None, None)
    assert math.isnan(untrained.seconds)


def test_a_rate_at_either_end_of_the_sweep_is_at_its_edge() -> None:
    for errors, edge in (((19.0, 20.0, 21.0), False), ((20.0, 19.0, 21.0), True)):
        rows = baseline_rows("a", "VGG", 100, [10] * 3, [10] * 3)
        for row, error in zip(rows, errors, strict=False):
            row["error"] = error
        for row in rows[3:]:
            row["lr"] = 0.1 if edge else 0.2
        assert baselines_of(rows).networks[0].at_edge is edge


def test_the_difference_allows_for_unequal_spreads_and_numbers_of_seeds() -> None:
    """Welch's interval, not the pooled one, which is a third as wide here."""
    wide, narrow = [8.0, 12.0, 13.0], [14.0, 14.1, 14.2, 14.1, 14.0, 14.2]
    table = baseline_rows("a", "VGG", 100, wide, wide) + baseline_rows("r", "RegNet", 110, narrow, narrow)
    (match,) = baselines_of(table).matches
    mean, variances = np.mean(narrow) - np.mean(wide), [np.var(wide, ddof=1) / 3, np.var(narrow, ddof=1) / 6]
    freedom = sum(variances) ** 2 / (variances[0] ** 2 / 2 + variances[1] ** 2 / 5)
    half = stats.t.ppf(0.975, freedom) * math.sqrt(sum(variances))
    assert (match.difference.estimate, match.flops) == (pytest.approx(mean), (100, 110))
    assert (match.difference.low, match.difference.high) == pytest.approx((mean - half, mean + half))


@pytest.mark.parametrize(("a", "b"), [([9.0], [8.0, 7.0]), ([9.0, 9.0], [8.0, 8.0])])
def test_too_few_seeds_and_a_few_equal_ones_have_no_interval(a: list[float], b: list[float]) -> None:
    table = baseline_rows("a", "VGG", 100, a, a) + baseline_rows("r", "RegNet", 100, b, b)
    difference = baselines_of(table).matches[0].difference
    assert difference.estimate == pytest.approx(np.mean(b) - np.mean(a))
    assert (difference.low, difference.high) == (-math.inf, math.inf)


def test_two_seeds_have_an_interval() -> None:
    table = baseline_rows("a", "VGG", 100, [9, 10], [9, 10]) + baseline_rows(
        "r", "RegNet", 125, [8, 7], [8, 7]
    )
    (match,) = baselines_of(table).matches
    assert math.isfinite(match.difference.low)


def test_the_remarks_say_who_wins_or_why_nothing_is_compared() -> None:
    a, r = (
        baseline_rows("a", "VGG", 100, [9, 9.1], [9, 9.1]),
        baseline_rows("r", "RegNet", 105, [8, 8.1], [8, 8.1]),
    )
    first, tried = baselines_of(a, r).remarks()
    assert first.startswith("At 100 to 105 flops, the best of each side by tuning: the RegNet r beats the")
    assert "hand-designed a on the test split, 8.1% against 9.1% with 105 and 100 flops; RegNet −" in first
    assert "RegNet − hand-designed −1.00 points" in first
    assert (
        "over training seeds only. Networks × learning rates tried near that compute, all of them:" in first
    )
    assert first.endswith("1 × 3 by hand, 1 × 3 RegNets.")
    assert tried.startswith("each learning rate was tried once")
    assert baselines_of(a).remarks() == [baselines_of(a).reason]
    assert "no RegNet and hand-designed network have about the same flops" in baselines_of(a).reason
    assert "the final trainings are still to come" in baselines_of(a[:3], r[:3]).reason
    assert baselines_of().remarks() == []


def test_networks_are_final_once_every_one_that_learned_has_all_its_trainings() -> None:
    a, r = baseline_rows("a", "VGG", 100, [9, 9], [9, 9]), baseline_rows("r", "RegNet", 105, [8, 8], [8, 8])
    never = [{**row, "model": "n", "error": math.nan} for row in a[:3]]
    rows = BASELINES.frame([*a, *r, *never])
    assert baselines(rows).final
    assert baselines(rows, seeds=2, tuning_seeds=1).final
    assert not baselines(rows, seeds=3).final
    assert not baselines(BASELINES.frame([*a, *r[:-1]])).final


def test_a_network_is_held_to_guessing_on_the_split_that_judged_it() -> None:
    tuned = baseline_rows("a", "VGG", 100, [50, 50], [80, 80])
    guesses = {"guess": Guessing(60.0, 60.0, 1_000), "guess_test": Guessing(79.0, 79.0, 1_000)}
    found = baselines(BASELINES.frame(tuned), **guesses)
    assert found.not_learned == ["a has not learned: error 80.0% where guessing gives 79.0%"]
    document = found.to_json()
    assert (document["majority_error"], document["majority_error_test"]) == (60.0, 79.0)
    assert document["contenders"][0]["learned"] is False


def of_group(rows: list[dict[str, Any]], group: str, tuning: float) -> list[dict[str, Any]]:
    """The rows of a network that competes in a group, with this least error in tuning."""
    best = [row for row in rows if row["stage"] == "tuning" and row["error"] == 19.0]
    best[0]["error"] = tuning
    return [row | {"group": group, "contender": f"{group}: {row['model']}"} for row in rows]


def bits(seed: int, *errors: float) -> list[str]:
    """What trainings with these test errors (percent) classify correctly, of 1,000 images."""
    random = np.random.default_rng(seed)
    return [pack(random.permutation(1_000) >= 10 * error) for error in errors]


def test_a_family_is_stood_for_by_its_best_in_tuning_whatever_the_final_trainings_say() -> None:
    rows = of_group(baseline_rows("deep", "ResNet", 100, [9] * 3, [5, 5, 6]), "resnet@1MF", 14.0)
    rows += of_group(baseline_rows("flat", "ResNet", 100, [9] * 3, [9, 9, 10]), "resnet@1MF", 12.0)
    (match,) = baselines_of(rows, baseline_rows("r", "RegNet", 105, [8] * 3, [7, 7, 8])).matches
    assert (match.a.name, match.a.short_name) == ("resnet@1MF: flat", "flat")
    assert "the RegNet r beats the hand-designed flat" in match.text


def test_equal_errors_in_tuning_are_decided_by_the_name() -> None:
    for names in (("x", "y"), ("y", "x")):
        rows = [row for name in names for row in of_group(baseline_rows(name, "VGG", 9, [9], [9]), "g", 12.0)]
        (match,) = baselines_of(rows, baseline_rows("r", "RegNet", 9, [8], [8])).matches
        assert match.a.short_name == "x"


def test_only_what_goes_on_is_waited_for() -> None:
    best = of_group(baseline_rows("best", "VGG", 100, [9] * 3, [9] * 3), "vgg@1MF", 12.0)
    other = of_group(baseline_rows("other", "VGG", 100, [9] * 3, [9] * 3), "vgg@1MF", 13.0)[:3]
    regnet = baseline_rows("r", "RegNet", 100, [8] * 3, [8] * 3)
    found = baselines_of(best, other, regnet)
    assert found.final
    assert [each.test is None for each in found.networks] == [False, False, True]
    assert not baselines_of(best[:4], other, regnet).final


def test_each_side_says_what_it_tried_and_an_unequal_chance_is_told() -> None:
    families = [
        row
        for i in range(4)
        for row in of_group(baseline_rows(f"n{i}", "VGG", 100 + i, [9], [9]), "vgg@1MF", 12.0 + i)
    ]
    failed = [row | {"error": math.nan} for row in baseline_rows("never", "NiN", 101, [], [])]
    regnets = [row for i in range(5) for row in baseline_rows(f"r{i}", "RegNet", 100 + i, [8], [8])]
    (equal,) = baselines_of(families, failed, regnets).matches
    assert [(t.architectures, t.rates, t.trainings) for t in equal.tries] == [(5, 3, 15), (5, 3, 15)]
    assert equal.tried_more is None
    assert "all of them: 5 × 3 by hand, 5 × 3 RegNets" in equal.text
    found = baselines_of(families, failed, regnets[:4])
    (unequal,) = found.matches
    assert unequal.tried_more == "hand-designed"
    assert any("the hand-designed side chose from more trainings, 15 against 3" in r for r in found.remarks())
    (other,) = baselines_of(families[:4], regnets).matches
    assert other.tried_more == "RegNet"


def test_a_network_below_that_compute_which_is_better_than_both_is_told() -> None:
    a, r = (
        baseline_rows("a", "VGG", 100, [9] * 2, [9, 9.2]),
        baseline_rows("r", "RegNet", 100, [8] * 2, [8, 8.1]),
    )
    small, worse = (baseline_rows(name, "NiN", 40, [7] * 2, [e, e]) for name, e in (("s", 7.5), ("w", 8.5)))
    (match,) = baselines_of(a, r, small, worse).matches
    assert [each.name for each in match.cheaper] == ["s"]
    assert "s, with only 40 flops, has less test error than both: 7.50 ± 0.00%" in match.remarks()


def test_the_hand_designed_side_wins_in_as_plain_words() -> None:
    a, r = (
        baseline_rows("a", "VGG", 100, [8] * 2, [8, 8.1]),
        baseline_rows("r", "RegNet", 100, [9] * 2, [9, 9.1]),
    )
    (match,) = baselines_of(a, r).matches
    assert match.verdict == "worse"
    assert "the hand-designed a beats the RegNet r on the test split, 8.1% against 9.1%" in match.text
    assert "RegNet − hand-designed +1.00 points" in match.text


def test_the_interval_is_over_test_images_where_every_training_says_which_it_got_right() -> None:
    sides = []
    for name, family, errors in (("a", "VGG", (12, 13, 14)), ("r", "RegNet", (10, 11, 10))):
        rows = baseline_rows(name, family, 100, list(errors), list(errors))
        for row, text in zip(rows[3:], bits(1, *errors), strict=True):
            row["correct"] = text
        sides.append(rows)
    (match,) = baselines_of(*sides).matches
    masks = [np.array([unpack(row["correct"]) for row in rows[3:]]) for rows in sides]
    assert match.difference == over_seeds_and_images(*masks)
    assert match.difference.estimate == pytest.approx(-8 / 3)
    assert "over training seeds and test images." in match.text
    assert match.to_json()["interval_over"] == "over training seeds and test images"
    sides[1][-1]["correct"] = ""
    (match,) = baselines_of(*sides).matches
    assert not match.over_images
    assert "over training seeds only." in match.text


def test_where_test_images_belong_together_the_interval_is_over_their_groups() -> None:
    sides = []
    for name, family, errors in (("a", "VGG", (12, 13, 14)), ("r", "RegNet", (10, 11, 10))):
        rows = baseline_rows(name, family, 100, list(errors), list(errors))
        for row, text in zip(rows[3:], bits(1, *errors), strict=True):
            row["correct"] = text
        sides.append(rows)
    masks = [np.array([unpack(row["correct"]) for row in rows[3:]]) for rows in sides]
    groups = np.arange(masks[0].shape[1]) // 10
    (match,) = baselines(BASELINES.frame([*sides[0], *sides[1]]), groups=groups).matches
    assert match.difference == over_seeds_and_images(*masks, groups)
    assert f"over training seeds and {groups.max() + 1} groups of test images." in match.text
    with pytest.raises(InputError, match="have a group"):
        baselines(BASELINES.frame([*sides[0], *sides[1]]), groups=groups[:-1])


def test_what_has_not_learned_in_tuning_stands_for_no_one() -> None:
    guess = {"guess": Guessing(18.0, 18.0, 1_000), "guess_test": Guessing(18.0, 18.0, 1_000)}
    idle = baseline_rows("idle", "NiN", 100, [18] * 3, [18] * 3)  # 19% in tuning
    good = of_group(baseline_rows("good", "VGG", 100, [9] * 3, [9, 9, 10]), "g", 10.0)
    regnet = of_group(baseline_rows("r", "RegNet", 100, [8] * 3, [8, 8, 9]), "h", 10.0)
    found = baselines(BASELINES.frame([*idle, *good, *regnet]), **guess)
    (match,) = found.matches
    assert match.a.short_name == "good"
    assert len(found.not_learned) == 1
    nothing = baselines(BASELINES.frame([*idle, *regnet]), **guess)
    assert nothing.matches == ()


def test_a_best_in_tuning_that_learns_nothing_in_the_end_claims_nothing() -> None:
    guess = {"guess": Guessing(90.0, 90.0, 1_000), "guess_test": Guessing(90.0, 90.0, 1_000)}
    rows = baseline_rows("a", "VGG", 100, [90] * 3, [90] * 3) + baseline_rows(
        "r", "RegNet", 9, [8] * 3, [8] * 3
    )
    rows = [row | {"flops": 100} for row in rows]
    found = baselines(BASELINES.frame(rows), **guess)
    assert found.matches == ()
    assert found.reason.startswith(
        "Nothing is claimed at 100 flops: a, the best of a side by tuning, has not"
    )
    assert found.remarks() == [found.reason]


def test_a_side_costs_its_tuning_its_final_trainings_and_its_population() -> None:
    rows = baseline_rows("a", "VGG", 100, [9], [9]) + baseline_rows("r", "RegNet", 500, [8, 8], [8, 8])
    by_hand, regnets = baselines(BASELINES.frame(rows), population=(1_092, 1.75)).costs
    assert (by_hand.architectures, by_hand.tuning_trainings, by_hand.final_trainings) == (1, 3, 1)
    assert by_hand.hours == pytest.approx(4 * 2 / 3600)
    assert by_hand.population_trainings == 0
    assert regnets.text == (
        "RegNet: 1 architecture, 3 tuning trainings in 6 s and 2 final ones in 4 s; the study's population"
        " before that: 1,092 trainings in 1.8 h."
    )


def test_equal_compute_does_not_chain_on_and_on() -> None:
    flops = [round(100 * 1.24**i) for i in range(12)]
    classes = equal_compute(flops, int)
    assert [each for one in classes for each in one] == flops
    assert all(one[-1] <= EQUAL_COMPUTE**2 * one[0] for one in classes)


def test_a_champion_that_failed_in_all_its_final_trainings_stands_for_no_one() -> None:
    a = baseline_rows("a", "VGG", 100, [9] * 3, [9, 9.1, 9.2])
    for row in a[-3:]:
        row |= {"ended": "out of memory", "error": math.nan, "test_error": math.nan}
    found = baselines_of(a, baseline_rows("r", "RegNet", 100, [8] * 3, [8, 8, 8.1]))
    assert not found.matches and "a, the best of a side by tuning, failed in all" in found.reason


def test_a_failed_final_training_is_told_with_the_match() -> None:
    a = baseline_rows("a", "VGG", 100, [9, 9, 9], [9, 9.1, 9.2])
    a[-1] |= {"ended": "out of memory", "error": math.nan, "test_error": math.nan}
    found = baselines_of(a, baseline_rows("r", "RegNet", 100, [8] * 3, [8, 8, 8.1]))
    assert "a: 1 of 3 final trainings failed and counts as 100%" in found.remarks()


def test_networks_come_by_test_error_then_by_error_in_tuning_and_failed_ones_last() -> None:
    tested = [baseline_rows(name, "VGG", 100, [e] * 2, [e] * 2) for name, e in (("a", 9), ("b", 8))]
    tuned = [
        [row | {"error": row["error"] - less} for row in baseline_rows(name, "VGG", 100, [], [])]
        for name, less in (("c", 0), ("d", 18))
    ]
    never = [row | {"error": math.nan} for row in baseline_rows("n", "VGG", 100, [], [])]
    found = baselines_of(never, *tuned, *tested)
    assert [each.name for each in found.networks] == ["b", "a", "d", "c", "n"]


def test_what_the_study_planned_counts_before_what_is_trained() -> None:
    rows = BASELINES.frame(baseline_rows("a", "VGG", 100, [9], [9]))
    assert [baselines(rows).tuning_seeds, baselines(rows, tuning_seeds=4).tuning_seeds] == [1, 4]
    none = baselines(rows[:0])
    assert (none.tuning_seeds, none.final, none.networks) == (0, True, ())


def test_a_network_costs_all_its_trainings_and_says_what_they_came_to() -> None:
    rows = baseline_rows("a", "VGG", 100, [10, 12, 14], [11, 12, 16])
    rows = [row | {"seconds": seconds} for row, seconds in zip(rows, (1, 2, 4, 8, 16, 32), strict=True)]
    guess = Guessing(60.0, 61.0, 1_000)
    (found,) = baselines(BASELINES.frame(rows), guess=guess).networks
    assert found.validation is not None
    assert (found.validation.errors, found.validation.mean) == ((10, 12, 14), 12)
    assert found.hours == pytest.approx(63 / 3600)
    assert (found.tuning_hours, found.seconds) == (pytest.approx(7 / 3600), 16)
    assert (found.guess, found.learned_in_tuning) == (guess, True)


def test_a_network_is_cheaper_below_that_compute_and_better_with_less_error() -> None:
    a = baseline_rows("a", "VGG", 100, [9] * 2, [9, 9.2])
    r = baseline_rows("r", "RegNet", 110, [8] * 2, [8, 8])
    others = [
        baseline_rows(name, "NiN", flops, [20] * 2, [error] * 2)
        for name, flops, error in (("same", 40, 8.0), ("less", 99, 7.0), ("beside", 100, 7.0), ("s", 70, 7.9))
    ]
    (match,) = baselines_of(a, r, *others).matches
    assert match.flops == (99, 110)
    assert [each.name for each in match.cheaper] == ["s"]


def test_tries_near_a_compute_are_those_within_its_factor_on_both_sides() -> None:
    ends = round(100 / EQUAL_COMPUTE), round(110 * EQUAL_COMPUTE)
    hand = [
        row | {"error": math.nan}  # they failed, and were tried all the same
        for flops in (ends[0] - 2, ends[0] + 1, ends[1] - 1, ends[1] + 2)
        for row in baseline_rows(f"n{flops}", "NiN", flops, [], [])
    ]
    a, r = baseline_rows("a", "VGG", 100, [9], [9]), baseline_rows("r", "RegNet", 110, [8], [8])
    (match,) = baselines_of(a, r, hand).matches
    assert [each.architectures for each in match.tries] == [3, 1]
