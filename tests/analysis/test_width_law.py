"""The law of a set of trials as one result."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from regnetlab.analysis.width_law import fit_law
from regnetlab.errors import InputError
from regnetlab.spaces.law import log_linear_fit
from regnetlab.spaces.template import SMALL
from regnetlab.study.plan_file import load_plan
from regnetlab.study.results import study_trials
from regnetlab.trials.files import read_trials
from regnetlab.trials.table import Trials
from tests.cli.asked import pilot

QUICK = Path("studies/quick/trials.csv")


@pytest.fixture(scope="module")
def large() -> Trials:
    return read_trials([Path("studies/fashion-mnist/trials.csv")])


@pytest.fixture(scope="module")
def trials() -> Trials:
    return read_trials([QUICK])


def test_a_law_says_the_same_in_words_and_numbers(large: Trials) -> None:
    law = fit_law(large)
    population = law.to_json()["population"]
    assert law.population is not None
    assert population["claim"] == law.claim == "grows"
    assert population["growth"] == law.population.growth.estimate
    assert population["growth_interval"][0] > 1
    assert law.remarks()[0].startswith("Good widths grow")
    assert f"by a factor of {population['growth']:.2f} a stage" in law.remarks()[0]
    assert law.formula in repr(law)
    assert "BIC" in law.remarks()[3]


@pytest.mark.parametrize("best", [None, 16.0])
def test_the_law_names_a_first_width_only_where_one_is_shown_to_be_best(
    large: Trials, best: float | None
) -> None:
    frame = large.frame
    if best is not None:  # errors that a first width of 16 makes least
        starts = log_linear_fit(np.array(frame["widths"].tolist()))[0]
        frame = frame.assign(error=frame["error"] + 8 * np.log(starts / best) ** 2)
    law = fit_law(replace(large, frame=frame))
    assert law.population is not None and law.population.inside
    assert law.population.w0_inside == (best is not None) == law.formula[0].isdigit()
    low, high = law.to_json()["population"]["w0_interval"]
    sentence = next(each for each in law.remarks() if "w_0" in each)
    assert f"{low:.1f} to {high:.1f}" in sentence and ("is not shown" in sentence) == (best is None)


def test_the_spaces_are_told_apart_in_the_document(large: Trials) -> None:
    rows = {each["space"]: each for each in fit_law(large).to_json()["population"]["spaces"]}
    assert [name for name, row in rows.items() if row["carries"]] == ["AnyNetA", "AnyNetB", "AnyNetC"]
    assert set(rows) == {"AnyNetA", "AnyNetB", "AnyNetC", "AnyNetD", "AnyNetE", "RegNet"}
    for row in rows.values():
        assert row["interval"][0] <= row["difference"] <= row["interval"][1]
        assert row["difference"] == pytest.approx(row["growth_best"] - row["growth_all"])
        assert 0 < row["p"] <= 1


def test_no_evidence_says_so_and_keeps_the_interval(trials: Trials) -> None:
    law = fit_law(trials)
    population = law.to_json()["population"]
    assert population["claim"] == law.claim == "no evidence"
    assert population["growth"] is None and not law.formula
    assert population["growth_interval"][0] > 1
    assert population["reason"] in law.remarks()[0]
    assert law.remarks()[0].startswith("The width law is undecided")


def test_regnets_are_derived_where_growth_is_claimed(large: Trials) -> None:
    law = fit_law(large)
    derived = law.derive(3, template=SMALL, flops="0.8M:1.2M")
    assert len(derived) == 3
    document = law.to_json(SMALL, derived)["derived"]
    assert (document[0]["model"], document[0]["forced"]) == (derived[0].text, False)
    with pytest.raises(InputError, match="lies in the regime"):
        law.derive(3, template=SMALL, flops="1:2")


def test_regnets_are_forced_and_marked_where_it_is_not(trials: Trials) -> None:
    law = fit_law(trials)
    with pytest.raises(InputError, match="the width law is undecided"):
        law.derive(3, template=SMALL, flops="0.8M:1.2M")
    derived = law.derive(3, template=SMALL, flops="0.8M:1.2M", force=True)
    assert [each["forced"] for each in law.to_json(SMALL, derived)["derived"]] == [True] * 3


def test_a_study_of_constrained_widths_has_fits_and_no_evidence(large: Trials) -> None:
    law = fit_law(Trials(large.frame[large.frame["space"].isin(["AnyNetD", "AnyNetE"])]))
    population = law.to_json()["population"]
    assert (population["claim"], population["growth"], len(law.fits)) == ("no evidence", None, 300)
    assert "no space leaves the widths free (AnyNetD, AnyNetE)" in population["reason"]
    assert [each["space"] for each in population["spaces"]] == ["AnyNetD", "AnyNetE"]


def test_widths_of_other_blocks_and_stages_are_told_from_constrained_ones() -> None:
    law = fit_law(study_trials(load_plan(Path("studies/blocks/study.toml"))))
    said = {each.space: law.widths_in(each) for each in law.spaces}
    assert (said["AnyNetA"], said["AnyNetE"]) == ("free", "constrained")
    assert {text for space, text in said.items() if space.endswith("-mbconv")} == {"another block"}
    assert {text for space, text in said.items() if space.endswith("stages")} == {"other stages"}


def test_a_space_known_by_its_name_alone_is_noted(large: Trials) -> None:
    law = fit_law(Trials(large.frame.replace({"space": {"AnyNetA": "mine"}})))
    assert [note for note in law.notes if "the constraints of mine are not known" in note]
    assert law.claim == "grows"


def test_both_notations_have_a_row_for_every_network(trials: Trials) -> None:
    laws = [fit_law(trials, notation) for notation in ("log-linear", "quantized")]  # type: ignore[arg-type]
    tables = [law.to_pandas() for law in laws]
    assert len(tables[0]) == len(tables[1]) == len(laws[0].to_json()["models"])
    assert {"w0", "growth", "r2", "e_fit"} <= set(tables[0])
    assert {"w0", "wa", "wm", "fitted_depths"} <= set(tables[1])
    assert laws[0].to_json()["population"] == laws[1].to_json()["population"]


def test_trials_that_carry_no_law_say_why(tmp_path: Path) -> None:
    few = fit_law(Trials(read_trials([QUICK]).frame.head(5)))
    assert few.population is None
    assert few.remarks() == [f"No evidence of a width law: {few.reason}."]
    with pytest.raises(InputError, match="too few"):
        few.derive()
    unknown = read_trials([pilot(tmp_path)]).frame.assign(widths=None)
    assert "needs the depths and widths" in str(fit_law(Trials(unknown)).reason)
    untrained = fit_law(Trials(read_trials([QUICK]).frame.assign(error=np.nan)))
    population = untrained.to_json()["population"]
    assert (population["claim"], population["n"], population["spaces"]) == ("no evidence", 0, [])
    assert "no best ones" in str(untrained.reason)
