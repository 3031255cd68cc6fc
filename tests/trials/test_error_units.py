"""Errors and accuracies, in percent and as fractions: read in the unit that is meant, or refused."""

import math

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regnetlab.errors import InputError
from regnetlab.trials.csv_tables import TRIALS
from regnetlab.trials.error_units import ErrorUnit
from regnetlab.trials.files import parse_trials

IN_UNIT = {
    "percent": lambda error: error,
    "fraction": lambda error: error / 100,
    "accuracy": lambda error: 100 - error,
    "accuracy-fraction": lambda error: 1 - error / 100,
}


def _csv(column: str, *values: object) -> str:
    return f"depths,widths,{column}\n" + "".join(f"1 2,8 16,{value}\n" for value in values)


@given(st.sampled_from(list(IN_UNIT)), st.lists(st.floats(0, 100), min_size=1, max_size=5))
def test_an_error_is_the_same_in_every_unit(unit: ErrorUnit, errors: list[float]) -> None:
    column = "accuracy" if unit.startswith("accuracy") else "error"
    text = _csv(column, *(repr(IN_UNIT[unit](error)) for error in errors))
    assert parse_trials(text, "x.csv", unit).frame["error"].tolist() == pytest.approx(errors, abs=1e-6)


@pytest.mark.parametrize(
    ("column", "remedy"), [("error", "fraction"), ("top1_err", "fraction"), ("accuracy", "accuracy-fraction")]
)
def test_numbers_of_at_most_one_are_refused_with_an_option_that_reads_them(
    column: str, remedy: ErrorUnit
) -> None:
    text = _csv(column, "0.25", "", "0.5", "1")
    with pytest.raises(InputError, match=f"no {column} is above 1, .* give --errors {remedy}, or"):
        parse_trials(text, "x.csv")
    assert parse_trials(text, "x.csv", remedy).frame["error"].notna().sum() == 3
    sure: ErrorUnit = "accuracy" if column == "accuracy" else "percent"
    assert parse_trials(text, "x.csv", sure).frame["error"].notna().sum() == 3


@pytest.mark.parametrize(
    ("column", "values", "said"),
    [
        (
            "error",
            [0.2, 0.25, 0.3, 100],
            "3 are at most 0.3 and 1 are 100; give all in one unit: --errors frac",
        ),
        ("error", [0.2, 23, 0.25, 24, 0], "2 are at most 0.25 and 2 are 23 to 24"),
        ("error", [0.2, *range(20, 60)], "1 are at most 0.2 and 40 are 20 to 59"),
        ("error", ["0.439", "43.9%"], "1 are at most 0.439 and 1 are 43.9"),
        ("accuracy", [0.8, 0.7, 0.75, 100], "--errors accuracy-fraction with"),
        ("accuracy", [0.8, 80, 0.7, 70], "2 are at most 0.8 and 2 are 70 to 80"),
    ],
)
def test_a_penalty_among_fractions_and_mixed_units_are_refused(
    column: str, values: list[object], said: str
) -> None:
    text = _csv(column, *values)
    with pytest.raises(InputError) as caught:
        parse_trials(text, "x.csv")
    assert said in str(caught.value)
    sure: ErrorUnit = "accuracy" if column == "accuracy" else "percent"
    assert sure in str(caught.value)
    assert len(parse_trials(text, "x.csv", sure).frame) == len(values)


def test_without_its_penalty_a_table_of_fractions_is_read_as_the_message_says() -> None:
    assert parse_trials(_csv("error", 0.2, 0.25, ""), "x.csv", "fraction").frame["error"].tolist()[:2] == [
        20,
        25,
    ]


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("error", [0.4, 0.9, 1.2, 1.7, 3]),
        ("error", [0, *range(20, 40)]),
        ("accuracy", [0.1, *range(60, 80)]),  # one network of a thousand classes answers always the same
        ("accuracy", [0, 0, 60, 70]),
    ],
)
def test_percent_that_begin_below_one_are_read(column: str, values: list[float]) -> None:
    assert len(parse_trials(_csv(column, *values), "x.csv").frame) == len(values)


def test_cells_with_a_sign_are_in_percent_in_any_file() -> None:
    assert parse_trials(_csv("error", "43.9%", "20 %"), "x.csv").frame["error"].tolist() == [43.9, 20]
    assert parse_trials(_csv("accuracy (fraction)", "80%"), "x.csv").frame["error"].tolist() == [20]
    for text in ("%", "nan%", "143%"):
        with pytest.raises(InputError, match="error is"):
            parse_trials(_csv("error", text), "x.csv")


def test_one_error_above_one_shows_percent() -> None:
    assert parse_trials(_csv("error", "0.25", "1.01"), "x.csv").frame["error"].tolist() == [0.25, 1.01]


def test_a_space_in_fractions_beside_one_in_percent_is_refused() -> None:
    text = "space,error\nA,0.20\nA,0.25\nB,23\nB,24\n"
    with pytest.raises(InputError, match=r"errors of space 'A' are at most 0.25, others reach 24"):
        parse_trials(text, "x.csv")
    assert parse_trials(text, "x.csv", "percent").frame["error"].max() == 24


def test_networks_without_any_error_have_no_unit() -> None:
    assert parse_trials(_csv("error", "", "nan"), "x.csv").frame["error"].isna().all()


@pytest.mark.parametrize(
    ("column", "unit", "reason"),
    [
        ("accuracy", "fraction", "holds accuracies; give --errors accuracy-fraction"),
        ("Top1 Acc", "percent", "'Top1 Acc' of x.csv holds accuracies; give --errors accuracy"),
        ("error", "accuracy", "holds errors by its name; give --errors percent"),
        ("error (%)", "fraction", "says percent, and --errors fraction does not"),
        ("error (fraction)", "percent", "says fraction, and --errors percent does not"),
    ],
)
def test_an_option_that_contradicts_the_file_is_refused(column: str, unit: ErrorUnit, reason: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_trials(_csv(column, "0.5"), "x.csv", unit)
    assert reason in str(caught.value)


def test_a_unit_for_a_file_without_errors_means_nothing() -> None:
    found = parse_trials("depths,widths\n1,8\n", "x.csv", "accuracy")
    frame = found.frame
    assert frame["error"].isna().all()
    assert list(found.notes) == []


@pytest.mark.parametrize(("value", "unit"), [("20", "fraction"), ("101", "percent"), ("-0.1", "fraction")])
def test_a_number_outside_its_unit_names_the_line(value: str, unit: ErrorUnit) -> None:
    with pytest.raises(InputError, match=f"line 3: error is '{value}'; it must be a number of 0 to"):
        parse_trials(_csv("error", "0.5", value), "x.csv", unit)


def test_accuracies_become_errors_and_it_is_said() -> None:
    found = parse_trials(_csv("top1_acc", "79.90", "77.74"), "x.csv")
    frame = found.frame
    assert frame["error"].tolist() == [20.1, 22.26]
    assert list(found.notes)[:1] == ["x.csv has accuracies (in percent; error = 100% − accuracy)"]


def test_of_errors_and_accuracies_those_are_read_that_are_asked_for() -> None:
    text = "error,accuracy\n20,70\n"
    assert parse_trials(text, "x.csv").frame["error"].tolist() == [20]
    assert parse_trials(text, "x.csv", "accuracy").frame["error"].tolist() == [30]


@pytest.mark.parametrize("text", ["", "nan", "NaN", "inf", "-inf", "NA", "N/A", "#N/A", "None", "null"])
def test_what_is_no_number_is_a_failed_training(text: str) -> None:
    frame = parse_trials(_csv("error", text, "20"), "x.csv").frame
    assert math.isnan(frame["error"][0])
    assert frame["ended"].tolist() == ["unknown", "complete"]


def test_failures_as_pandas_writes_them_are_failures() -> None:
    table = pd.DataFrame({"depths": ["1 2"] * 3, "widths": ["8 16"] * 3, "error": [20.5, math.nan, math.inf]})
    errors = parse_trials(table.to_csv(), "x.csv").frame["error"]
    assert errors.isna().tolist() == [False, True, True]


def test_a_table_that_a_study_wrote_is_in_percent() -> None:
    row = dict.fromkeys(TRIALS.columns, "") | {
        "space": "A",
        "index": "0",
        "depths": "1",
        "widths": "8",
        "error": "0.5",
    }
    text = ",".join(row) + "\n" + ",".join(row.values()) + "\n"
    assert parse_trials(text, "trials.csv").frame["error"].tolist() == [0.5]
