"""Which budget is recommended, and what is said of spaces, on ladders made to order."""

import csv
import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from regnetlab.analysis.fidelity import fidelity
from regnetlab.analysis.judged_budgets import described, file_fidelity, finding
from regnetlab.analysis.ladders import Measured, UnfinishedError, parse_ladder_csv, read_ladder
from regnetlab.errors import InputError
from regnetlab.spaces.arrays import Floats
from regnetlab.study.fidelity import COLUMNS
from regnetlab.training.budget import Budget
from regnetlab.training.guessing import Guessing

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
    found = fidelity(measured(population(0.97, np.full(3, -2.0)), 2), 1.0)
    assert found.best is found.recommended is found.rungs[0]
    assert found.rungs[0].relative.estimate == 1
    assert not found.largest.may_be_best
    assert found.largest.relative.high < 1
    assert "400 images" in finding(found)


def test_a_ranking_of_noise_is_not_recommended_however_cheap() -> None:
    found = fidelity(measured(population(0.1, np.full(3, -2.0)), 2), 1.0)
    assert found.best is found.largest


def test_budgets_that_can_not_be_told_apart_are_named() -> None:
    found = fidelity(measured(population(0.7, np.zeros(3), networks=5), 2), 1.0)
    assert len(found.candidates) > 1
    assert "can't tell it from" in finding(found)


def test_the_best_budget_is_the_recommended_one_where_no_verdict_contradicts_it() -> None:
    """Also where it ranks better than the largest ranks itself, which evidence in networks does not show."""
    random = np.random.default_rng(8)
    truth = random.normal(size=(100, 1, 1))
    noise = np.array([0.9, 0.3, 1.5])[:, None] * random.normal(size=(100, 3, 2))
    ladder = measured(50 + truth + noise, 2)
    raw = [rung.within.raw.estimate for rung in fidelity(ladder, 1.0).rungs]
    seconds = np.array([raw[0] ** 2 / 0.97, raw[1] ** 2, 100.0])  # the second has the most raw² a second
    found = fidelity(replace(ladder, seconds=np.broadcast_to(seconds[:, None], (100, 3, 2))), 1.0)
    assert found.rungs[1].validity.estimate == 1  # capped
    assert found.rungs[0].evidence.estimate > found.rungs[1].evidence.estimate
    assert found.best is found.recommended is found.rungs[1]
    assert "contradicts" not in finding(found)


def test_a_good_ranking_does_not_vouch_for_the_spaces() -> None:
    """Within spaces the cheap budgets rank as the dear one; the second space is worse there, better here."""
    found = fidelity(measured(population(0.98, np.array([4.0, -4.0, -4.0])), 2), 1.0)
    assert found.best is found.rungs[0]
    assert [step.agreement for rung in found.rungs for step in rung.steps] == [
        "contradicts",
        "agrees",
        "agrees",
    ]
    assert found.rungs[0].steps[0].change.low > 0
    assert found.recommended is found.rungs[1]
    assert "contradicts the one at 6,400" in finding(found)


def test_where_the_spread_shrinks_by_more_than_hours_grow_the_larger_budget_gives_the_cheaper_verdict() -> (
    None
):
    random = np.random.default_rng(5)
    networks = random.normal(size=(400, 1, 1)) + 0.2 * random.normal(size=(400, 3, 2))
    errors = 50 + np.array([8.0, 4.0, 1.0])[:, None] * networks
    found = fidelity(measured(errors, 2), 1.0)
    assert found.cheapest is found.largest
    for rung, spread in zip(found.rungs, (8.0, 4.0, 1.0), strict=True):
        # n = (z_0.975 + z_0.8)² · 2 · (π/2) · spread², the medians' variance of normal errors
        assert rung.needed == pytest.approx(2.80**2 * np.pi * spread**2, rel=0.5)
    assert "fewest hours at 6,400 images" in finding(found)
    assert fidelity(measured(errors, 2), 0.0).cheapest is None


def test_few_networks_leave_verdicts_undecided_and_no_interval_of_the_change() -> None:
    found = fidelity(measured(population(0.9, np.zeros(3), networks=4), 2), 1.0)
    assert {step.agreement for rung in found.rungs for step in rung.steps} == {"undecided"}
    assert found.rungs[0].steps[0].change.low == -np.inf


def test_resamples_that_allow_no_correction_widen_the_interval_to_everything() -> None:
    random = np.random.default_rng(2)
    errors = 50 + random.normal(size=(8, 1, 1)) + 1.5 * random.normal(size=(8, 3, 2))
    found = fidelity(measured(errors, 1), 1.0)
    assert found.best is not None
    for rung in found.rungs:
        assert rung.within.corrected.high == 1
        assert (rung.evidence.low, rung.evidence.high) == (0, 3600 / rung.seconds.estimate)


def test_seeds_of_the_largest_that_disagree_leave_no_recommendation() -> None:
    errors = population(0.9, np.zeros(3))
    errors[:, -1, 1] = 100 - errors[:, -1, 0]
    found = fidelity(measured(errors, 2), 1.0)
    assert found.best is found.recommended is None
    assert "No budget can be recommended" in finding(found)
    assert described(found, "x")["may_be_best"] == []


def test_a_correction_above_one_is_capped_and_said() -> None:
    random = np.random.default_rng(1)
    capped = []
    for _ in range(12):
        errors = 50 + random.normal(size=(12, 1, 1)) + 1.5 * random.normal(size=(12, 3, 2))
        capped += [rung.within for rung in fidelity(measured(errors, 1), 1.0).rungs]
    above = [each for each in capped if each.capped]
    assert above
    assert all(each.corrected.estimate == 1.0 for each in above)
    assert all(not each.corrected.high > 1 for each in capped)


def test_a_failed_training_ranks_last_and_leaves_the_median() -> None:
    errors = population(0.9, np.zeros(3))
    failed = errors.copy()
    worst = errors[:40, 0].mean(-1).argmax()
    failed[worst, 0] = np.nan
    before, after = (fidelity(measured(each, 2), 1.0).rungs[0] for each in (errors, failed))
    assert after.failed == 2
    assert after.within.raw.estimate == pytest.approx(before.within.raw.estimate, abs=0.02)
    assert after.medians[0].estimate < before.medians[0].estimate + 1e-9 < 60


def table(errors: Floats) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n", restval="")
    writer.writeheader()
    for (i, r, s), error in np.ndenumerate(errors):
        row = {"images": BUDGETS[r].images, "epochs": 1, "batch_size": 64, "validation": 5000}
        row |= {"space": "AnyNetA" if i < len(errors) / 2 else "AnyNetB", "index": i, "replicate": s}
        writer.writerow(row | {"error": f"{error:.2f}", "ended": "complete", "seconds": f"{SECONDS[r]}"})
    return text.getvalue()


def test_a_table_is_read_back(tmp_path: Path) -> None:
    errors = np.round(population(0.9, np.zeros(3), networks=8), 2)
    path = tmp_path / "fidelity.csv"
    path.write_text(table(errors))
    found = read_ladder(path)
    assert np.array_equal(found.errors, errors)
    assert found.budgets == BUDGETS
    assert found.names == ["400", "1,600", "6,400"]
    assert described(file_fidelity(path), "x")["rungs"][2]["networks_an_hour"] == 450


def test_networks_that_are_not_trained_everywhere_are_left_out() -> None:
    lines = table(population(0.9, np.zeros(3), networks=8)).splitlines()
    found = parse_ladder_csv("\n".join(lines[:-1]), "x")
    assert (len(found.strata), found.incomplete) == (15, 1)
    with pytest.raises(UnfinishedError, match="1 networks with all trainings at 1 budgets"):
        parse_ladder_csv("\n".join(lines[:2]), "x")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("images", "pictures"),
        ("seconds", "time"),
        (",1.0,", ",-1.0,"),
        (",1.0,", ",x,"),
        ("400,1,64", "1,1,64"),
    ],
)
def test_another_table_is_refused(old: str, new: str) -> None:
    text = table(population(0.9, np.zeros(3), networks=4))
    assert old in text
    with pytest.raises(InputError, match="x is not what `regnetlab fidelity` writes"):
        parse_ladder_csv(text.replace(old, new), "x")


def test_names_of_budgets_say_what_differs() -> None:
    budgets = (Budget(images=400, epochs=4), Budget(images=1600), Budget(images=1600, batch_size=16))
    found = Measured(budgets, ("A",), *(np.zeros((1, 1, 1)),) * 3, 0)  # type: ignore[arg-type]
    assert found.names == ["400 × 4 @64", "1,600 × 1 @64", "1,600 × 1 @16"]


def test_networks_that_all_have_the_error_of_guessing_are_not_ranked_and_not_a_number_is_said() -> None:
    found = fidelity(measured(np.full((12, 2, 2), 79.1), 2), 1.0)
    assert found.best is None
    assert "errors too much alike to be ranked; train them for more steps" in finding(found)
    assert "nan" not in finding(found)
    document = described(found, "icons", Guessing(79.1, 79.1, 408))
    assert document["not_learned"][0] == "AnyNetA has not learned: median 79.1% where guessing gives 79.1%"
