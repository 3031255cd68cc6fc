"""Which budget is recommended, and what is said of spaces, on ladders made to order."""

import csv
import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from regnetlab.analysis.fidelity import _listed, fidelity, judge
from regnetlab.analysis.statistics import ladder
from regnetlab.analysis.statistics.ladder import Measured, UnfinishedError
from regnetlab.analysis.statistics.verdicts import points
from regnetlab.errors import InputError
from regnetlab.plain import duration
from regnetlab.report.fidelity import fidelity_figure
from regnetlab.spaces.arrays import Floats
from regnetlab.training.budget import Budget
from regnetlab.training.guessing import Guessing
from regnetlab.trials.csv_tables import FIDELITY

BUDGETS = tuple(Budget(images=images) for images in (400, 1600, 6400))
SECONDS = (1.0, 2.0, 8.0)


def measured(errors: Floats, spaces: int) -> Measured:
    """Networks with these errors (n, R, S), in as many spaces of equal size."""
    n, budgets, seeds = errors.shape
    seconds = np.broadcast_to(np.array(SECONDS[-budgets:])[:, None], (n, budgets, seeds))
    strata = np.repeat(np.arange(spaces), n // spaces)
    names = tuple(f"AnyNet{letter}" for letter in "ABCDE"[:spaces])
    return Measured(BUDGETS[-budgets:], names, strata, errors, seconds, 0)


def population(shared: float, shifts: Floats, seed: int = 0, networks: int = 40) -> Floats:
    """Errors around 50 of two spaces; ``shifts`` (R,) is how much worse the second is at each budget."""
    random = np.random.default_rng(seed)
    strata = np.repeat([0, 1], networks)
    truth = random.normal(size=(len(strata), 1))
    own = random.normal(size=(len(strata), len(shifts)))
    weight = np.array([shared] * (len(shifts) - 1) + [1.0])
    free = weight * truth + np.sqrt(1 - weight**2) * own + strata[:, None] * shifts
    return 50 + free[..., None] + 0.3 * random.normal(size=(*free.shape, 2))


def test_as_good_a_ranking_for_less_time_is_recommended() -> None:
    found = judge(measured(population(0.97, np.full(3, -2.0)), 2), 1.0)
    assert found.best is found.recommended is found.rungs[0]
    assert found.rungs[0].relative.estimate == 1
    assert not found.largest.may_be_best
    assert found.largest.relative.high < 1
    assert "400 images" in " ".join(found.remarks())


def test_a_ranking_of_noise_is_not_recommended_however_cheap() -> None:
    found = judge(measured(population(0.1, np.full(3, -2.0)), 2), 1.0)
    assert found.best is found.largest


def test_budgets_that_can_not_be_told_apart_are_named() -> None:
    found = judge(measured(population(0.7, np.zeros(3), networks=5), 2), 1.0)
    assert len(found.candidates) > 1
    assert "can't tell it from" in " ".join(found.remarks())


def test_the_best_budget_is_the_recommended_one_where_spaces_differ_alike() -> None:
    """Also where it ranks better than the largest ranks itself, which evidence in networks does not show."""
    random = np.random.default_rng(9)
    truth = random.normal(size=(100, 1, 1))
    noise = np.array([0.9, 0.3, 1.5])[:, None] * random.normal(size=(100, 3, 2))
    made = measured(50 + truth + noise, 2)
    raw = [rung.within.raw.estimate for rung in judge(made, 1.0).rungs]
    seconds = np.array([raw[0] ** 2 / 0.97, raw[1] ** 2, 100.0])  # the second has the most raw² a second
    found = judge(replace(made, seconds=np.broadcast_to(seconds[:, None], (100, 3, 2))), 1.0)
    assert not any(rung.differ for rung in found.rungs)
    assert found.rungs[1].validity.estimate == 1  # capped
    assert found.rungs[0].evidence.estimate > found.rungs[1].evidence.estimate
    assert found.best is found.recommended is found.rungs[1]
    assert "don't match" not in " ".join(found.remarks())


def test_a_good_ranking_does_not_vouch_for_the_spaces() -> None:
    """Within spaces the cheap budgets rank as the dear one; the second space is worse there, better here."""
    found = judge(measured(population(0.98, np.array([4.0, -4.0, -4.0]), seed=1), 2), 1.0)
    assert found.best is found.rungs[0]
    assert [step.agreement for rung in found.rungs for step in rung.steps] == [
        "contradicts",
        "agrees",
        "agrees",
    ]
    assert found.rungs[0].steps[0].change.low > 0
    assert found.rungs[0].steps[0].effect_change.low > 0
    assert [rung.differ for rung in found.rungs] == [True, False, False]
    assert found.recommended is found.rungs[1]
    text = " ".join(found.remarks())
    assert text.count("Recommended:") == 1
    assert "400 would take fewer hours, but the differences between spaces there don't match" in text


def stretched(random: np.random.Generator, effects: Floats, networks: int) -> Measured:
    """Spreads of 8, 4 and 1 points, rankings of 0.9, 0.95 and 1; ``effects`` (R,) of a step in these."""
    strata = np.repeat([0, 1], networks)[:, None]
    shared = np.array([0.9, 0.95, 1.0])
    own = random.normal(size=(2 * networks, 3))
    merit = shared * random.normal(size=(2 * networks, 1)) + np.sqrt(1 - shared**2) * own + strata * effects
    noisy = merit[..., None] + 0.5 * random.normal(size=(2 * networks, 3, 2))
    return measured(50 + np.array([8.0, 4.0, 1.0])[:, None] * noisy, 2)


def chosen(effects: list[float], networks: int, rounds: int = 25) -> list[float]:
    """How often each budget is recommended."""
    random = np.random.default_rng(1)
    found = [judge(stretched(random, np.array(effects), networks), 1.0) for _ in range(rounds)]
    return [float(np.mean([each.recommended is each.rungs[r] for each in found])) for r in range(3)]


@pytest.mark.simulation
def test_a_budget_that_only_stretches_the_errors_is_not_paid_for() -> None:
    """A margin in points is reached soonest where errors are least spread, at the dearest budget."""
    assert chosen([1.0, 1.0, 1.0], 20)[2] < 0.2
    assert chosen([0.0, 0.0, 0.0], 20)[2] < 0.2


@pytest.mark.simulation
def test_a_cheap_budget_that_does_not_show_what_the_largest_shows_is_not_recommended() -> None:
    for effects in ([0.0, 0.0, 1.0], [1.0, 1.0, 0.0]):
        assert chosen(effects, 10)[2] > 0.8


@pytest.mark.simulation
def test_without_any_effect_the_cheapest_budget_has_no_advantage_but_its_rankings() -> None:
    """Where it ranks networks by noise it is not chosen, however little an hour of it costs."""
    random = np.random.default_rng(3)
    picked = []
    for _ in range(20):
        made = population(0.1, np.zeros(3), seed=int(random.integers(1_000_000)), networks=20)
        recommended = judge(measured(made, 2), 1.0).recommended
        assert recommended is not None
        picked.append(recommended.budget.images)
    assert picked.count(6_400) > 15


def test_the_margin_is_as_many_standard_deviations_at_every_budget() -> None:
    found = judge(stretched(np.random.default_rng(5), np.zeros(3), 150), 1.0)
    assert [rung.margin for rung in found.rungs] == pytest.approx([8, 4, 1], rel=0.1)
    spread = np.sqrt(1.25)  # of networks and of seeds
    assert [rung.sd for rung in found.rungs] == pytest.approx([8 * spread, 4 * spread, spread], rel=0.1)
    # n = (z_0.975 + z_0.8)² · 2 · (π/2) · spread², the medians' variance of normal errors
    assert found.largest.needed == pytest.approx(2.80**2 * np.pi * spread**2, rel=0.5)
    for rung in found.rungs:
        better = found.largest.within.raw.estimate / rung.within.raw.estimate
        assert rung.needed == pytest.approx(found.largest.needed * better**2)
        assert rung.hours / found.largest.hours == pytest.approx(
            found.largest.relative.estimate / rung.relative.estimate
        )
    assert found.cheapest is found.recommended
    assert judge(stretched(np.random.default_rng(5), np.zeros(3), 20), 0.0).cheapest is None


def test_an_effect_is_told_in_standard_deviations_and_for_the_root_of_an_hour() -> None:
    found = judge(stretched(np.random.default_rng(6), np.array([1.0, 1.0, 1.0]), 150), 1.0)
    for rung, seconds in zip(found.rungs, SECONDS, strict=True):
        (step,) = rung.steps
        assert step.effect.low < step.effect.estimate < step.effect.high
        assert step.effect.estimate == pytest.approx(1 / np.sqrt(1.25), abs=0.3)
        assert step.effect_per_sqrt_hour.estimate == pytest.approx(
            step.effect.estimate * np.sqrt(3600 / seconds)
        )
    document = found.to_json()["rungs"][0]
    assert {"margin_scaled", "sd_within_spaces", "effects_differ"} <= set(document)
    assert {"effect", "effect_per_sqrt_hour", "effect_change"} <= set(document["comparisons"][0])


def test_few_networks_leave_verdicts_undecided_and_no_interval_of_the_change() -> None:
    found = judge(measured(population(0.9, np.zeros(3), networks=4), 2), 1.0)
    assert {step.agreement for rung in found.rungs for step in rung.steps} == {"undecided"}
    assert found.rungs[0].steps[0].change.low == -np.inf


def test_resamples_that_allow_no_correction_widen_the_interval_to_everything() -> None:
    random = np.random.default_rng(2)
    errors = 50 + random.normal(size=(8, 1, 1)) + 1.5 * random.normal(size=(8, 3, 2))
    found = judge(measured(errors, 1), 1.0)
    assert found.best is not None
    for rung in found.rungs:
        assert rung.within.corrected.high == 1
        assert (rung.evidence.low, rung.evidence.high) == (0, 3600 / rung.seconds.estimate)


def test_seeds_of_the_largest_that_disagree_leave_no_recommendation() -> None:
    errors = population(0.9, np.zeros(3))
    errors[:, -1, 1] = 100 - errors[:, -1, 0]
    found = judge(measured(errors, 2), 1.0)
    assert found.best is found.recommended is None
    assert "No budget can be recommended" in " ".join(found.remarks())
    assert found.to_json()["may_be_best"] == []


def test_a_correction_above_one_is_capped_and_said() -> None:
    random = np.random.default_rng(1)
    capped = []
    for _ in range(12):
        errors = 50 + random.normal(size=(12, 1, 1)) + 1.5 * random.normal(size=(12, 3, 2))
        capped += [rung.within for rung in judge(measured(errors, 1), 1.0).rungs]
    above = [each for each in capped if each.capped]
    assert above
    assert all(each.corrected.estimate == 1.0 for each in above)
    assert all(not each.corrected.high > 1 for each in capped)


def test_a_failed_training_ranks_last_and_leaves_the_median() -> None:
    errors = population(0.9, np.zeros(3))
    failed = errors.copy()
    worst = errors[:40, 0].mean(-1).argmax()
    failed[worst, 0] = np.nan
    before, after = (judge(measured(each, 2), 1.0).rungs[0] for each in (errors, failed))
    assert after.failed == 2
    assert after.within.raw.estimate == pytest.approx(before.within.raw.estimate, abs=0.02)
    assert after.medians[0].estimate < before.medians[0].estimate + 1e-9 < 60


def table(errors: Floats) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(FIDELITY.columns), lineterminator="\n", restval="")
    writer.writeheader()
    for (i, r, s), error in np.ndenumerate(errors):
        row = {"images": BUDGETS[r].images, "epochs": 1, "batch_size": 64, "validation": 5000}
        row |= {
            "space": "AnyNetA" if i < len(errors) / 2 else "AnyNetB",
            "index": i,
            "replicate": s,
            "seed": s,
        }
        writer.writerow(row | {"error": f"{error:.2f}", "ended": "complete", "seconds": f"{SECONDS[r]}"})
    return text.getvalue()


def parsed(text: str) -> Measured:
    return ladder.measured(FIDELITY.parse(text, "x"))


def test_a_table_is_read_back(tmp_path: Path) -> None:
    errors = np.round(population(0.9, np.zeros(3), networks=8), 2)
    path = tmp_path / "fidelity.csv"
    path.write_text(table(errors))
    found = ladder.measured(FIDELITY.read(path))
    assert np.array_equal(found.errors, errors)
    assert found.budgets == BUDGETS
    assert found.names == ["400", "1,600", "6,400"]
    assert fidelity(FIDELITY.read(path)).to_json()["rungs"][2]["networks_an_hour"] == 450


def test_networks_that_are_not_trained_everywhere_are_left_out() -> None:
    lines = table(population(0.9, np.zeros(3), networks=8)).splitlines()
    found = parsed("\n".join(lines[:-1]))
    assert (len(found.strata), found.incomplete) == (15, 1)
    with pytest.raises(
        UnfinishedError, match="too little is trained: 1 network at all of 1 budget with 1 seed"
    ):
        parsed("\n".join(lines[:2]))


@pytest.mark.parametrize(
    ("old", "new", "part"),
    [
        ("images", "pictures", "not what `regnetlab fidelity` writes"),
        ("seconds", "time", "not what `regnetlab fidelity` writes"),
        (",1.0,", ",-1.0,", "seconds 0 or more"),
        (",1.0,", ",,", "seconds 0 or more"),
        (",1.0,", ",x,", "not what `regnetlab fidelity` writes"),
        ("400,1,64", "1,1,64", "images is 1"),
        ("400,1,64", "400.5,1,64", "write whole numbers"),
        ("400,1,64", ",1,64", "write whole numbers"),
    ],
)
def test_another_table_is_refused(old: str, new: str, part: str) -> None:
    text = table(population(0.9, np.zeros(3), networks=4))
    assert old in text
    with pytest.raises(InputError, match=part):
        parsed(text.replace(old, new))


def test_an_error_above_all_is_refused() -> None:
    trainings = FIDELITY.parse(table(population(0.9, np.zeros(3), networks=4)), "x")
    with pytest.raises(InputError, match="errors are 0 to 100 percent"):
        fidelity(trainings.assign(error=101.0))


def test_names_of_budgets_say_what_differs() -> None:
    budgets = (Budget(images=400, epochs=4), Budget(images=1600), Budget(images=1600, batch_size=16))
    found = Measured(budgets, ("A",), *(np.zeros((1, 1, 1)),) * 3, 0)  # type: ignore[arg-type]
    assert found.names == ["400 × 4 @64", "1,600 × 1 @64", "1,600 × 1 @16"]


def test_networks_that_all_have_the_error_of_guessing_are_not_ranked_and_not_a_number_is_said() -> None:
    found = judge(measured(np.full((12, 2, 2), 79.1), 2), 1.0)
    assert found.best is None
    assert "errors too much alike to be ranked; train them for more steps" in " ".join(found.remarks())
    assert "nan" not in " ".join(found.remarks())
    document = replace(found, guess=Guessing(79.1, 79.1, 408)).to_json()
    assert document["not_learned"][0] == "AnyNetA has not learned: median 79.1% where guessing gives 79.1%"


def test_guessing_counts_where_as_many_images_judge_as_at_the_largest_budget() -> None:
    trainings = FIDELITY.parse(table(population(0.9, np.zeros(3), networks=4)), "x")
    same, other = (fidelity(trainings, guess=Guessing(90.0, 90.0, n)) for n in (5_000, 4_000))
    assert same.to_json()["majority_error"] == 90
    assert other.to_json()["majority_error"] is None


def test_where_most_networks_share_one_error_at_the_largest_budget_the_number_is_not_known() -> None:
    errors = population(0.9, np.zeros(3), networks=40)
    errors[[*range(36), *range(40, 76)], 2] = 90.0
    found = judge(measured(errors, 2), 1.0)
    assert np.isnan(found.largest.needed)
    assert found.cheapest is None
    assert "nan" not in " ".join(found.remarks())


def test_a_budget_without_any_spread_tells_nothing_of_the_spaces() -> None:
    errors = population(0.9, np.zeros(3), networks=10)
    errors[:, 0] = 90.0
    first = judge(measured(errors, 2), 1.0).rungs[0]
    assert first.differ
    assert np.isnan(first.p)
    assert first.steps[0].verdict == "no worse" or first.steps[0].verdict == "undecided"


def test_seconds_that_round_to_zero_are_half_a_millisecond() -> None:
    text = table(population(0.97, np.zeros(3), networks=8)).replace(",1.0,", ",0.000,")
    found = fidelity(FIDELITY.parse(text, "x"))
    assert found.rungs[0].seconds.estimate == pytest.approx(0.0005)
    assert found.rungs[0].evidence.high <= 3600 / 0.0005 + 1
    assert "inf" not in " ".join(found.remarks())
    assert len(fidelity_figure(found).data) == 3


def test_a_result_has_a_row_for_every_budget_and_says_which_it_recommends() -> None:
    found = judge(measured(population(0.97, np.full(3, -2.0)), 2), 1.0)
    assert found.to_pandas()["rung"].tolist() == ["400", "1,600", "6,400"]
    assert "recommended: 400" in repr(found)


def test_failed_networks_count_as_the_worst_in_verdicts() -> None:
    """As in ``compare``: a space does not look better for losing its worst networks."""
    errors = population(0.97, np.full(3, -3.0), networks=60)
    failing = errors.copy()
    failing[60:][np.argsort(errors[60:, -1, 0])[-29:]] = np.nan
    sound, broken = (judge(measured(each, 2), 1.0).largest.steps[0] for each in (errors, failing))
    assert sound.verdict == "better"
    assert broken.verdict != "better"


def test_a_recommendation_says_why_and_what_a_verdict_takes() -> None:
    found = judge(measured(population(0.97, np.full(3, -2.0)), 2), 1.0)
    first, largest = found.rungs[0], found.largest
    assert found.remarks()[0] == (
        "Recommended: 400 images. It gives the verdicts of 6,400 for the fewest hours: about"
        f" {first.needed:,.0f} networks a space, {duration(3600 * first.hours)} of one worker for both spaces"
        f" of a step, at a margin of {points(float(f'{first.margin:.2g}'))} (as many standard deviations as"
        f" 1 point at 6,400, where it takes {duration(3600 * largest.hours)})."
    )
    only = replace(found, recommended=largest, rungs=(replace(first, differ=True), largest))
    assert only.remarks()[0].startswith(
        "Recommended: 6,400 images. At no smaller budget do the differences between spaces match those at"
        f" 6,400: about {largest.needed:,.0f} networks"
    )
    assert "as many standard deviations" not in only.remarks()[0]
    unknown = replace(first, needed=np.nan)
    assert replace(found, recommended=unknown, best=unknown).remarks()[0] == (
        "Recommended: 400 images. It gives the verdicts of 6,400 for the fewest hours."
    )
    alone = judge(measured(population(0.97, np.full(3, -2.0))[:40], 1), 1.0)
    assert alone.remarks()[0].startswith("Recommended: 400 images. An hour there says most about how 6,400")


def test_a_result_counts_what_it_was_judged_on() -> None:
    made = replace(measured(population(0.9, np.zeros(3), networks=8), 2), incomplete=3)
    found = judge(made, 1.0, [("AnyNetB", "AnyNetA"), ("AnyNetA", "AnyNetZ")])
    assert (found.networks, found.incomplete, found.seeds) == (16, 3, 2)
    assert [(each.a, each.b) for each in found.rungs[0].steps] == [("AnyNetB", "AnyNetA")]
    assert {name: each.tolist() for name, each in found.errors.items()} == {
        name: made.errors[made.strata == i, -1].mean(-1).tolist()
        for i, name in enumerate(("AnyNetA", "AnyNetB"))
    }
    (first, *_), table = found.to_json()["rungs"], found.to_pandas()
    assert first["networks_an_hour"] == 3600
    assert table["seconds_estimate"].tolist() == [1.0, 2.0, 8.0]
    assert [[each["a"], each["b"]] for each in judge(made, 1.0).to_json()["rungs"][0]["comparisons"]] == [
        ["AnyNetA", "AnyNetB"]
    ]


def test_several_budgets_are_listed_as_one_would_say_them() -> None:
    names = ["1", "2", "3"]
    assert [_listed(names[:n]) for n in (1, 2, 3)] == ["1", "1 or 2", "1, 2 or 3"]
    assert _listed(names, "and") == "1, 2 and 3"
