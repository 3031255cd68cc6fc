"""The law of a set of trials as one result."""

from pathlib import Path

import numpy as np
import pytest

from regnetlab.analysis.width_law import fit_law
from regnetlab.errors import InputError
from regnetlab.spaces.template import SMALL
from regnetlab.trials.files import read_trials
from regnetlab.trials.table import Trials
from tests.cli.asked import pilot

QUICK = Path("studies/quick/trials.csv")


@pytest.fixture(scope="module")
def trials() -> Trials:
    return read_trials([QUICK])


def test_a_law_says_the_same_in_words_and_numbers(trials: Trials) -> None:
    law = fit_law(trials)
    population = law.to_json()["population"]
    assert law.population is not None
    assert population["growth"] == law.population.growth.estimate
    assert f"by a factor of {population['growth']:.2f} a stage" in law.remarks()[0]
    assert law.formula in repr(law)
    assert "BIC" in law.remarks()[1]


def test_regnets_are_derived_where_they_are_asked_for(trials: Trials) -> None:
    law = fit_law(trials)
    derived = law.derive(3, template=SMALL, flops="0.8M:1.2M")
    assert len(derived) == 3
    assert law.to_json(SMALL, derived)["derived"][0]["model"] == derived[0].text
    with pytest.raises(InputError, match="lies in the regime"):
        law.derive(3, template=SMALL, flops="1:2")


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
    assert few.remarks() == [f"No width law: {few.reason}."]
    with pytest.raises(InputError, match="too few"):
        few.derive()
    unknown = read_trials([pilot(tmp_path)]).frame.assign(widths=None)
    assert "needs the depths and widths" in str(fit_law(Trials(unknown)).reason)
    untrained = fit_law(Trials(read_trials([QUICK]).frame.assign(error=np.nan)))
    assert untrained.to_json()["population"] is None
    assert "no best ones" in str(untrained.reason)
