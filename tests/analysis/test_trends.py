"""Trends, best and worst networks, random search and the law's test, on known truth."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from regnetlab.analysis.log_linear_fit import law_evidence
from regnetlab.analysis.statistics.intervals import Interval
from regnetlab.analysis.statistics.random_search import random_search
from regnetlab.analysis.trends import (
    PROPERTIES,
    Trend,
    best_and_worst,
    rank_correlation,
    trend,
    trends,
    with_properties,
)
from regnetlab.spaces.arrays import Floats
from regnetlab.spaces.config import Config
from regnetlab.trials.table import Trials
from tests.analysis.frames import networks


def _config(widths: tuple[int, ...], depths: tuple[int, ...] = (1, 2, 3, 4)) -> Config:
    return Config(depths, widths, (8,) * len(widths), (1,) * len(widths))


def _trend(values: Floats, errors: Floats, name: str) -> Trend | None:
    """Of one space, whose depths are not known."""
    return trend(values, errors, name, np.zeros(len(values), np.int64), np.full(len(values), np.nan))


def test_every_property_is_computed_from_the_config() -> None:
    frame = networks([_config((16, 32, 64, 128))], np.array([20.0])).assign(flops=1e6)
    (row,) = with_properties(frame).to_dict("records")
    assert (row["depth"], row["width_ratio"], row["group_width"], row["bottleneck_ratio"]) == (10, 8, 8, 1)
    assert row["growth"] == pytest.approx(2)
    assert row["w0"] == pytest.approx(16)
    assert row["e_fit"] == pytest.approx(0, abs=1e-12)
    assert (row["flops"], np.isnan(row["acts"])) == (1e6, True)
    assert set(PROPERTIES) <= set(row)


def test_a_network_without_config_has_counts_only() -> None:
    frame = pd.DataFrame({"depths": [None], "widths": [None], "error": [20.0], "flops": [1e6]})
    (row,) = with_properties(frame).to_dict("records")
    assert row["flops"] == 1e6
    assert all(np.isnan(row[name]) for name in PROPERTIES if name != "flops")


def test_the_best_lies_where_the_error_is_least() -> None:
    random = np.random.default_rng(0)
    values = random.uniform(0, 10, 400)
    found = _trend(values, (values - 6) ** 2 + random.normal(0, 1, 400), "depth")
    assert found is not None
    assert found.best.low < 6 < found.best.high
    assert found.best.high - found.best.low < 3
    assert found.correlation is not None
    assert not found.correlation.excludes_zero or found.correlation.estimate < 0


def test_where_nothing_matters_the_best_may_lie_anywhere() -> None:
    random = np.random.default_rng(1)
    values = random.uniform(0, 10, 400)
    found = _trend(values, random.normal(20, 3, 400), "depth")
    assert found is not None
    assert found.correlation is not None
    assert not found.correlation.excludes_zero
    assert found.best.high - found.best.low > 2


def _spaces_that_differ(seed: int) -> Trials:
    """Deeper networks are worse and narrower at the end, and so are those of the second space; no more."""
    random = np.random.default_rng(seed)
    frames = []
    for space, shift in (("A", 0), ("B", 1)):
        depths = random.integers(1, 6, 60)
        last = np.maximum(8 * np.round((200 - 20 * depths - 60 * shift + random.normal(0, 20, 60)) / 8), 8)
        configs = [_config((8, int(w)), (1, int(d))) for w, d in zip(last, depths, strict=True)]
        frame = networks(configs, 20 + 2 * depths + 5 * shift + random.normal(0, 2, 60))
        flops = random.permutation(60) + 1.0
        frames.append(frame.assign(space=space, index=np.arange(60), flops=flops, ended="complete"))
    return Trials(pd.concat(frames, ignore_index=True))


def test_neither_spaces_nor_depth_pass_for_a_trend_of_a_property() -> None:
    clear = 0
    for seed in range(20):
        made = _spaces_that_differ(seed)
        found = {each.name: each for each in trends(made).trends}
        ratio, depth = found["width_ratio"], found["depth"]
        assert ratio.correlation is not None
        assert depth.correlation is not None
        clear += ratio.correlation.excludes_zero
        assert (ratio.equal_depth, depth.equal_depth) == (True, False)
        assert depth.correlation.low > 0.5
        pooled = rank_correlation(
            *(with_properties(made.frame)[name].to_numpy(np.float64) for name in ("width_ratio", "error"))
        )
        assert pooled.high < -0.3
    assert clear <= 4


def test_remarks_say_within_spaces_and_at_equal_depth() -> None:
    made = _spaces_that_differ(1)
    found = trends(made)
    clear = [each for each in found.trends if each.correlation and each.correlation.excludes_zero]
    assert [each.name for each in clear] == ["depth"]
    assert found.remarks()[0].startswith("Error correlates most with depth (blocks) (+")
    made.frame["error"] += made.frame["flops"] / 2
    assert "within spaces, at equal depth except for depth itself. Below" in trends(made).remarks()[0]


def test_the_four_strongest_correlations_are_named_that_of_most_first() -> None:
    found = trends(_spaces_that_differ(1))
    (depth,) = (each for each in found.trends if each.name == "depth")
    strengths = {"flops": 0.3, "params": -0.7, "acts": 0.5, "growth": -0.4, "w0": 0.6}
    made = tuple(
        replace(depth, name=name, correlation=Interval(rho, rho, rho), equal_depth=False)
        for name, rho in strengths.items()
    )
    unclear = replace(depth, correlation=Interval(0.9, -0.1, 1.0))
    nothing = replace(depth, correlation=None)
    (sentence,) = replace(found, trends=(*made, unclear, nothing)).remarks()
    named = [PROPERTIES[each] for each in ("params", "w0", "acts", "growth")]
    places = [sentence.index(each) for each in named]
    assert places == sorted(places)
    assert f"most with {named[0]} (−0.70), then with {named[1]} (+0.60), " in sentence
    assert PROPERTIES["flops"] not in sentence
    assert "equal depth" not in sentence
    (alone,) = replace(found, trends=made[:1]).remarks()
    assert f"most with {PROPERTIES['flops']} (+0.30): rank correlations" in alone


def test_networks_stand_in_the_order_of_their_spaces_with_the_parameters_of_their_blocks() -> None:
    made = _spaces_that_differ(1)
    shuffled = replace(made, frame=made.frame.sample(frac=1, random_state=0))
    found = trends(shuffled).networks
    assert found["space"].tolist() == [space for space in shuffled.spaces for _ in range(60)]
    assert found.index.tolist() == list(range(120))


def test_a_blocks_own_parameter_is_a_property_by_its_mean_over_the_stages() -> None:
    texts = ["anynet:d=1,2;w=16,24;b=4;block=mbconv;k=3,5", "anynet:d=1,2;w=16,24;g=8;b=1", None]
    frame = pd.DataFrame({"model": texts, "depths": [None] * 3, "widths": [None] * 3, "error": [20.0] * 3})
    assert with_properties(frame)["mean k"].tolist() == pytest.approx([4.0, np.nan, np.nan], nan_ok=True)


def test_the_quick_bootstrap_of_the_best_is_the_one_that_resamples() -> None:
    random = np.random.default_rng(2)
    values = random.uniform(0, 10, 80)
    errors = np.abs(values - 4) + random.normal(0, 1, 80)
    found = _trend(values, errors, "depth")
    rows = random.integers(80, size=(20_000, 20))
    best = values[rows[np.arange(20_000), errors[rows].argmin(axis=1)]]
    assert found is not None
    assert found.best.estimate == pytest.approx(np.median(best), abs=0.3)
    assert found.best.low == pytest.approx(np.quantile(best, 0.025), abs=0.3)


def test_a_property_that_all_share_has_no_trend() -> None:
    assert _trend(np.ones(50), np.random.default_rng(0).random(50), "b") is None
    assert _trend(np.array([1.0, 2.0, np.nan, 4.0, 5.0, 6.0]), np.arange(6.0), "b") is None
    six = _trend(np.arange(6.0), 20 - np.arange(6.0), "b")
    assert six is not None
    assert (six.n, six.best.high) == (6, 5)


def test_the_interval_of_the_correlation_covers_it() -> None:
    random = np.random.default_rng(3)
    truth = 6 / np.pi * np.arcsin(0.5 / 2)  # Spearman's of a normal pair with correlation ½
    covered = 0
    for _ in range(1_000):
        x = random.normal(size=40)
        interval = rank_correlation(x, 0.5 * x + np.sqrt(0.75) * random.normal(size=40))
        covered += interval.low <= truth <= interval.high
    assert covered / 1_000 == pytest.approx(0.95, abs=0.025)


def test_the_best_and_the_worst_tenth_never_overlap() -> None:
    frame = pd.DataFrame({"error": np.random.default_rng(0).permutation(50.0 + np.arange(40))})
    best, worst = best_and_worst(frame)
    assert best["error"].tolist() == [50, 51, 52, 53]
    assert sorted(worst["error"]) == [86, 87, 88, 89]
    assert [len(each) for each in best_and_worst(frame.head(20))] == [3, 3]
    few = best_and_worst(frame.head(4))
    assert [len(each) for each in few] == [2, 2]


def test_the_expected_best_of_k_is_what_drawing_finds() -> None:
    random = np.random.default_rng(4)
    errors = random.gamma(4, 2, 50)
    found = random_search(errors, seconds=36.0)
    for place in (0, 10, len(found.k) - 1):
        k = int(found.k[place])
        least = random.choice(errors, (20_000, k)).min(axis=1)
        assert found.expected[place] == pytest.approx(least.mean(), abs=0.1)
        assert (least <= found.high[place]).mean() >= 0.97
        assert (least < found.low[place]).mean() <= 0.03
        assert found.hours[place] == pytest.approx(k / 100)
    assert found.expected[0] == pytest.approx(errors.mean())


def _widths(random: np.random.Generator, n: int, means: list[float]) -> pd.DataFrame:
    logs = np.array(means) + random.normal(0, 0.5, (n, len(means)))
    return pd.DataFrame({"widths": [tuple(np.exp(row)) for row in logs]})


def test_widths_on_a_line_are_told_from_widths_off_it() -> None:
    random = np.random.default_rng(5)
    on = law_evidence(_widths(random, 60, [2, 3, 4, 5]))
    off = law_evidence(_widths(random, 60, [2, 3, 4.8, 4.4]))
    assert on is not None
    assert off is not None
    assert (on.answer, off.answer) == ("holds", "free")
    assert on.bend < off.bend


@pytest.mark.parametrize("means", [[2, 3, 4.2], [2, 3, 4, 5], [2, 3, 4.8, 4.4], [2, 2.5, 2.8, 3.6, 4.0]])
def test_the_gain_is_bics_of_two_normal_models(means: list[float]) -> None:
    """Both likelihoods by hand: of the second differences with a free mean, and with a mean of zero."""
    widths = _widths(np.random.default_rng(8), 40, means)
    logs = np.log(widths["widths"].tolist())
    bends = logs[:, 2:] - 2 * logs[:, 1:-1] + logs[:, :-2]
    free, line = (
        stats.multivariate_normal(mean, np.atleast_2d((bends - mean).T @ (bends - mean) / 40))
        .logpdf(bends)
        .sum()
        for mean in (bends.mean(axis=0), np.zeros(bends.shape[1]))
    )
    found = law_evidence(widths)
    assert found is not None
    assert found.n == 40
    assert found.gain == pytest.approx(2 * (free - line) - bends.shape[1] * np.log(40))
    places = np.arange(len(means))
    away = logs.mean(axis=0) - np.polyval(np.polyfit(places, logs.mean(axis=0), 1), places)
    assert found.bend == pytest.approx(np.exp(np.abs(away).max()))


def test_the_law_is_rarely_denied_where_it_holds() -> None:
    random = np.random.default_rng(6)
    answers = [law_evidence(_widths(random, 30, [2, 3, 4, 5])) for _ in range(300)]
    assert np.mean([each is not None and each.answer == "free" for each in answers]) <= 0.05


def test_two_stages_or_a_handful_of_networks_can_not_tell() -> None:
    random = np.random.default_rng(7)
    assert law_evidence(_widths(random, 50, [2, 3])) is None
    assert law_evidence(_widths(random, 4, [2, 3, 4, 5])) is None
    assert law_evidence(pd.DataFrame({"widths": [(8, 16, 32, 64)] * 20})) is None
