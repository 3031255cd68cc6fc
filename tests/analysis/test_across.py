"""Several studies together: ratios of medians pooled over data sets, and networks trained longer."""

import math

import numpy as np
import pytest

from regnetlab.analysis.across import MARGIN, StudyResult, across, in_percent, log_ratio
from regnetlab.analysis.baselines import BaselineComparison
from regnetlab.analysis.compare import compare
from regnetlab.analysis.statistics.verdicts import BETTER, NO_WORSE, UNDECIDED
from regnetlab.analysis.width_law import fit_law
from regnetlab.errors import InputError
from tests.analysis.frames import baseline_rows, baselines_of, normal, trials_of


def study(
    name: str, data: str, contest: BaselineComparison | None = None, **spaces: np.ndarray
) -> StudyResult:
    trials = trials_of(**spaces)
    return StudyResult(name, data, trials, compare(trials), fit_law(trials), contest)


def halved(name: str, data: str, level: float, seed: int = 0) -> StudyResult:
    """A study in which the second space has half the errors of the first, whatever their level."""
    errors = np.random.default_rng(seed).normal(1, 0.05, (2, 80)) * level
    return study(name, data, AnyNetE=errors[0], RegNet=errors[1] / 2)


def test_an_effect_is_the_logarithm_of_a_ratio_of_medians() -> None:
    found = log_ratio(np.array([10.0, 20.0, 30.0]), np.array([5.0, 10.0, 15.0]))
    assert found is not None
    assert found.estimate == pytest.approx(math.log(0.5))
    assert in_percent(found.interval()).estimate == pytest.approx(-50)


def test_its_standard_error_is_how_far_resampled_medians_spread() -> None:
    random = np.random.default_rng(3)
    a, b = random.normal(20, 2, 101), random.normal(16, 2, 101)
    draws = [
        np.log(np.median(random.choice(b, 101)) / np.median(random.choice(a, 101))) for _ in range(4_000)
    ]
    found = log_ratio(a, b)
    assert found is not None
    assert found.error == pytest.approx(np.std(draws), rel=0.1)


def test_a_failed_network_counts_as_the_worst_error() -> None:
    errors = np.full(11, 20.0) + np.arange(11) / 100
    failing = np.where(np.arange(11) < 6, np.nan, errors)
    found = across([study("one", "x", AnyNetA=errors, AnyNetB=failing)])
    assert found.steps[0].effects[0].effect.estimate == pytest.approx(math.log(100 / 20.05))


def test_equal_ratios_at_different_levels_of_error_agree_and_give_a_verdict() -> None:
    levels = (2.0, 20.0, 60.0, 10.0)
    found = across([halved(f"s{i}", f"data {i}", level, i) for i, level in enumerate(levels)])
    (step,) = found.steps
    assert step.verdict == step.claim == BETTER
    assert step.pooled is not None
    assert in_percent(step.pooled.mean).estimate == pytest.approx(-50, abs=1)
    assert in_percent(step.pooled.further).high < 0


def test_studies_of_the_same_data_count_once() -> None:
    alone = across([halved("s", "x", 20.0), halved("t", "y", 20.0, 1)]).steps[0].pooled
    twice = (
        across([halved("s", "x", 20.0), halved("again", "x", 20.0), halved("t", "y", 20.0, 1)])
        .steps[0]
        .pooled
    )
    assert alone is not None
    assert twice is not None
    assert (alone.studies, twice.studies) == (2, 2)
    assert twice.mean.estimate == pytest.approx(alone.mean.estimate, abs=0.01)


def test_on_one_data_set_nothing_is_pooled() -> None:
    (step,) = across([halved("s", "x", 20.0), halved("t", "x", 30.0, 1)]).steps
    assert (step.pooled, step.verdict) == (None, "")


@pytest.mark.simulation
def test_spaces_without_a_difference_are_not_called_better_or_worse() -> None:
    claims = set()
    for seed in range(20):
        same = [
            study(
                f"s{i}",
                f"data {i}",
                AnyNetC=normal(100 * seed + i, 30),
                AnyNetD=normal(7 + 100 * seed + i, 30),
            )
            for i in range(4)
        ]
        claims.add(across(same).steps[0].verdict)
    assert claims <= {NO_WORSE, UNDECIDED}


def test_a_change_within_the_margin_is_no_worse_only_where_the_whole_interval_is() -> None:
    worse = np.linspace(19.9, 20.1, 200)
    pairs = [study(f"s{i}", f"d{i}", AnyNetA=worse, AnyNetB=worse * 1.03) for i in range(4)]
    (step,) = across(pairs).steps
    assert step.pooled is not None
    assert step.pooled.mean.high < math.log1p(MARGIN)
    assert step.verdict == NO_WORSE


def contest(regnet: float, by_hand: float) -> BaselineComparison:
    test = np.array([-0.2, 0.0, 0.2])
    return baselines_of(
        baseline_rows("RegNet 0", "RegNet", 1_000_000, [19.0] * 3, list(regnet + test)),
        baseline_rows("resnet18@1MF", "ResNet", 1_000_000, [19.0] * 3, list(by_hand + test)),
    )


def test_contests_are_pooled_as_ratios_of_test_errors() -> None:
    errors = {"AnyNetA": normal(0, 20), "AnyNetB": normal(1, 20)}
    found = across(
        [
            study(f"s{i}", f"d{i}", contest(0.9 * level, level), **errors)
            for i, level in enumerate((10.0, 40.0))
        ]
    ).contest
    assert found.pooled is not None
    assert in_percent(found.pooled.mean).estimate == pytest.approx(-10)
    assert len(found.matches) == 2


def test_a_longer_budget_is_compared_on_the_networks_that_both_studies_have() -> None:
    short = study("short", "x", AnyNetA=normal(0, 30), AnyNetB=normal(1, 24))
    long = study("long", "x", AnyNetA=normal(0, 30)[:20] / 2, AnyNetB=normal(1, 24)[:20] / 3)
    (step,) = across([short], longer=[(short, long)]).longer
    assert step.n == (20, 20)
    medians = [np.median(normal(seed, mean)[:20]) for seed, mean in ((0, 30), (1, 24))]
    assert step.short.estimate == pytest.approx(100 * (medians[1] / medians[0] - 1), abs=0.01)
    assert step.change.estimate == pytest.approx(-100 / 3, abs=0.01)
    assert step.change.high - step.change.low < 1e-2  # every network changed by the same factor


def test_a_longer_budgets_intervals_are_those_of_resampled_networks_the_same_each_time() -> None:
    """All four medians of the same networks, drawn again and again by another way than the package's."""
    first, second = normal(0, 30), normal(1, 24)
    short = study("short", "x", AnyNetA=first, AnyNetB=second)
    long = study("long", "x", AnyNetA=first - normal(2, 9), AnyNetB=second - normal(3, 12))
    (step,) = across([short], longer=[(short, long)]).longer
    assert (step.study, step.longer, step.a, step.b) == ("short", "long", "AnyNetA", "AnyNetB")
    assert across([short], longer=[(short, long)]).longer == (step,)
    random = np.random.default_rng(7)
    pairs = np.array([[first, first - normal(2, 9)], [second, second - normal(3, 12)]]).transpose(0, 2, 1)
    drawn = [
        [np.median(each[random.integers(60, size=60)], axis=0) for each in pairs] for _ in range(4_000)
    ]  # (draws, spaces, budgets)
    logs = np.log(drawn)
    effects = logs[:, 1] - logs[:, 0]
    for found, draws in (
        (step.short, effects[:, 0]),
        (step.long, effects[:, 1]),
        (step.change, effects[:, 1] - effects[:, 0]),
    ):
        ends = 100 * np.expm1(np.quantile(draws, [0.025, 0.975]))
        assert (found.low, found.high) == pytest.approx(tuple(ends), abs=0.06 * (ends[1] - ends[0]))


def test_few_networks_at_both_budgets_and_errors_of_zero_are_not_compared() -> None:
    short = study("short", "x", AnyNetA=normal(0, 30), AnyNetB=normal(1, 24))
    few = study("few", "x", AnyNetA=normal(0, 30)[:5] / 2, AnyNetB=normal(1, 24) / 3)
    assert across([short], longer=[(short, few)]).longer == ()
    solved = study("solved", "x", AnyNetA=normal(0, 30) * (np.arange(60) > 0), AnyNetB=normal(1, 24) / 3)
    assert across([short], longer=[(short, solved)]).longer == ()


def test_a_study_in_which_a_median_is_zero_has_no_ratio_and_is_left_out_by_name() -> None:
    easy = study("easy", "z", AnyNetE=normal(0, 20), RegNet=np.where(np.arange(40) < 25, 0.0, 20.0))
    (step,) = across([halved("s", "x", 20.0), easy, halved("t", "y", 30.0, 1)]).steps
    assert step.left_out == ("easy",)
    assert [each.study for each in step.effects] == ["s", "t"]


def test_without_a_study_there_is_nothing_to_say() -> None:
    with pytest.raises(InputError, match="no study is finished"):
        across([])
