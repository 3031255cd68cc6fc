"""What the rungs of a ladder say, recomputed from the errors."""

import math
from dataclasses import replace

import numpy as np
import pytest

from regnetlab.analysis.statistics.budgets import Rung, _best, judged
from regnetlab.analysis.statistics.intervals import LEVEL, median_scale
from regnetlab.analysis.statistics.ladder import Measured
from regnetlab.analysis.statistics.rank_agreement import Agreement, resampled
from regnetlab.analysis.statistics.verdicts import held_together, networks_needed
from regnetlab.spaces.arrays import Floats
from regnetlab.training.budget import Budget

BUDGETS = tuple(Budget(images=images) for images in (400, 1600, 6400))
SECONDS = np.array([1.0, 2.0, 8.0])


@pytest.fixture(scope="module")
def made() -> Measured:
    """30 and 40 networks of two spaces with two seeds; the smaller budgets rank them with more noise."""
    random = np.random.default_rng(4)
    truth = random.normal(size=(70, 1, 1))
    noise = np.array([1.0, 0.6, 0.2])[:, None] * random.normal(size=(70, 3, 2))
    strata = np.repeat([0, 1], (30, 40))
    shift = strata[:, None, None] * np.array([-3.0, -2.0, -1.0])[:, None]
    seconds = np.broadcast_to(SECONDS[:, None], (70, 3, 2)) * random.uniform(0.8, 1.2, (70, 1, 1))
    return Measured(BUDGETS, ("A", "B"), strata, 40 + 2 * truth + noise + shift, seconds, 0)


@pytest.fixture(scope="module")
def rungs(made: Measured) -> tuple[Rung, ...]:
    return judged(made, 1.0, [("A", "B")])[0]


def percentiles(drawn: Floats) -> tuple[float, float]:
    low = np.quantile(drawn, (1 - LEVEL) / 2, method="lower")
    return float(low), float(np.quantile(drawn, (1 + LEVEL) / 2, method="higher"))


def test_a_step_is_the_difference_of_medians_and_its_change_is_to_the_largest_budget(
    made: Measured, rungs: tuple[Rung, ...]
) -> None:
    means = made.errors.mean(-1)
    b = made.strata == 1
    medians = np.median(means[b], axis=0) - np.median(means[~b], axis=0)
    rows = resampled(made.strata)
    drawn = np.median(means[rows][:, b], axis=1) - np.median(means[rows][:, ~b], axis=1)
    for r, rung in enumerate(rungs):
        (step,) = rung.steps
        assert (step.a, step.b) == ("A", "B")
        assert step.difference.estimate == pytest.approx(medians[r])
        assert step.change.estimate == pytest.approx(medians[r] - medians[-1])
        assert step.change.ends == pytest.approx(percentiles(drawn[:, r] - drawn[:, -1]))
    assert [rung.steps[0].agreement for rung in rungs] == ["agrees"] * 3


def test_effects_are_in_standard_deviations_and_for_the_root_of_an_hour(
    made: Measured, rungs: tuple[Rung, ...]
) -> None:
    seconds = made.seconds.mean((0, 2))
    effects = [rung.steps[0].effect.estimate for rung in rungs]
    for r, rung in enumerate(rungs):
        (step,) = rung.steps
        assert step.effect_change.estimate == pytest.approx(effects[r] - effects[-1])
        assert step.effect_change.low <= step.effect_change.estimate <= step.effect_change.high
        hourly = math.sqrt(3600 / seconds[r])
        assert step.effect_per_sqrt_hour.estimate == pytest.approx(effects[r] * hourly)
        ratios = np.array(step.effect_per_sqrt_hour.ends) / np.array(step.effect.ends)
        assert ratios == pytest.approx(hourly, rel=0.1)  # seconds are resampled, too
        assert rung.margin == pytest.approx(rung.sd / rungs[-1].sd)


def test_networks_needed_are_those_of_the_largest_by_how_well_a_budget_ranks_them(
    made: Measured, rungs: tuple[Rung, ...]
) -> None:
    scales = tuple(median_scale(made.errors[made.strata == place, -1, 0]) for place in (0, 1))
    assert rungs[-1].needed == pytest.approx(networks_needed(scales, 1.0, level=held_together(1)))
    for rung in rungs:
        ratio = rungs[-1].within.raw.estimate / rung.within.raw.estimate
        assert rung.needed == pytest.approx(rungs[-1].needed * ratio**2)
        assert rung.hours == pytest.approx(2 * rung.needed * rung.seconds.estimate / 3600)
    assert rungs[0].needed > rungs[1].needed > rungs[2].needed
    three = replace(made, spaces=("A", "B", "C"), strata=np.repeat([0, 1, 2], (30, 20, 20)))
    both = judged(three, 1.0, [("A", "B"), ("B", "C")])[0][-1]
    errors = [three.errors[three.strata == place, -1, 0] for place in (0, 1, 2)]
    wide = [
        networks_needed((median_scale(errors[a]), median_scale(errors[b])), 1.0, level=held_together(2))
        for a, b in ((0, 1), (1, 2))
    ]
    assert both.needed == pytest.approx(max(wide))


def test_few_networks_of_a_space_leave_the_number_unknown(made: Measured) -> None:
    for few, known in ((5, False), (6, True)):
        kept = np.r_[0:few, 30:70]
        part = replace(made, strata=made.strata[kept], errors=made.errors[kept], seconds=made.seconds[kept])
        (*_, largest), _ = judged(part, 1.0, [("A", "B")])
        assert math.isfinite(largest.needed) is known
        assert math.isfinite(largest.steps[0].change.low) is known
        assert largest.steps[0].change.estimate == 0


def agreement_of(raw: Floats) -> Agreement:
    return Agreement(np.ones_like(raw), raw, raw, raw)


def test_a_budget_may_be_best_unless_resamples_rule_it_out() -> None:
    """Of four budgets each may be ruled out by 2.5% over three."""
    drawn = np.full((1_000, 4), 0.5)
    drawn[:, 3] = 0.8
    drawn[:8, 0] = drawn[:9, 1] = drawn[:500, 2] = 0.9
    found, ones = agreement_of(np.array([0.5, 0.5, 0.75, 0.8])), np.ones(4)
    place, possible, shares = _best((found, agreement_of(drawn)), ones, np.ones((1_000, 4)))
    assert place == 3
    assert possible.tolist() == [False, True, True, True]
    assert [each.estimate for each in shares] == pytest.approx(
        [(x / 0.8) ** 2 for x in (0.5, 0.5, 0.75, 0.8)]
    )
    assert shares[2].ends == pytest.approx(((0.5 / 0.8) ** 2, (0.9 / 0.8) ** 2))
    assert shares[3].ends == [1, 1]


def test_two_budgets_are_held_to_two_and_a_half_percent() -> None:
    drawn = np.full((1_000, 2), 0.5)
    drawn[:, 1] = 0.8
    for n, possible in ((24, False), (26, True)):
        drawn[:n, 0] = 0.9
        found = agreement_of(np.array([0.5, 0.8]))
        assert _best((found, agreement_of(drawn)), np.ones(2), np.ones((1_000, 2)))[1][0] == possible


def test_rankings_that_agree_by_nothing_name_no_best_budget() -> None:
    nothing = agreement_of(np.array([-0.1, 0.0]))
    place, possible, shares = _best((nothing, agreement_of(np.zeros((10, 2)))), np.ones(2), np.ones((10, 2)))
    assert (place, possible.tolist()) == (None, [True, True])
    assert all(math.isnan(number) for each in shares for number in (each.estimate, *each.ends))


def test_a_resample_without_a_best_budget_may_be_anything() -> None:
    drawn = np.full((100, 2), 0.5)
    drawn[:10] = 0.0
    *_, shares = _best(
        (agreement_of(np.array([0.4, 0.5])), agreement_of(drawn)), np.ones(2), np.ones((100, 2))
    )
    assert shares[0].ends == [0, math.inf]


def test_evidence_is_at_most_a_network_for_each_training(made: Measured, rungs: tuple[Rung, ...]) -> None:
    for r, rung in enumerate(rungs):
        assert 0 <= rung.evidence.low <= rung.evidence.estimate <= rung.evidence.high
        assert rung.evidence.estimate <= 3600 / made.seconds[:, r].mean()
        assert not rung.within.capped or rung.validity.estimate == 1
