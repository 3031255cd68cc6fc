"""First lines of tables as people, pandas and spreadsheets write them."""

import pandas as pd
import pytest

from regnetlab.errors import InputError
from regnetlab.trials.files import parse_trials


def _read(names: str, values: str = "1 2,8 16,20") -> pd.DataFrame:
    return parse_trials(f"{names}\n{values}\n", "x.csv").frame


@pytest.mark.parametrize(
    "names",
    [
        "depths, widths, error",
        "Depths,Widths,Error",
        " depths , widths ,ERROR ",
        '"depths", "widths", "error"',
        "depths,widths,error (%)",
        "depths,widths,Error [percent]",
        "depths,widths,error %",
        "depths,widths,Top-1 err",
        "depths,widths,top1_error",
    ],
)
def test_names_are_read_as_they_are_meant(names: str) -> None:
    frame = _read(names)
    assert frame["depths"].tolist() == [(1, 2)]
    assert frame["widths"].tolist() == [(8, 16)]
    assert frame["error"].tolist() == [20]


def test_columns_of_several_words_are_known_in_any_writing() -> None:
    for names in ("Group Widths,Bottleneck-Ratios", "group_width,bottleneck_ratio"):
        frame = _read(f"depths,widths,{names}", "1 2,8 16,8,2")
        assert frame["group_widths"].tolist() == [(8, 8)]
        assert frame["bottleneck_ratios"].tolist() == [(2, 2)]


def test_other_columns_keep_their_names() -> None:
    assert _read("depths,widths,Seed (of 3)", "1 2,8 16,7")["Seed (of 3)"].tolist() == ["7"]


@pytest.mark.parametrize(
    ("name", "value", "flops"),
    [
        ("flops", "400", 400),
        ("flops (M)", "400.5", 400.5e6),
        ("FLOPs [G]", "0.4", 0.4e9),
        ("flops (MFLOPs)", "2", 2e6),
        ("flops (10^6)", "2", 2e6),
        ("flops (K)", "2", 2e3),
        ("flops (flops)", "2", 2),
    ],
)
def test_units_of_counts_multiply(name: str, value: str, flops: float) -> None:
    assert _read(f"depths,widths,{name}", f"1,8,{value}")["flops"].tolist() == [flops]


def test_units_hold_for_params_and_acts_too() -> None:
    frame = _read("depths,widths,params (M),acts (K)", "1,8,2.5,3")
    assert frame[["params", "acts"]].to_numpy().tolist() == [[2.5e6, 3e3]]


def test_a_header_with_a_unit_needs_no_option() -> None:
    assert _read("depths,widths,error (%)", "1,8,0.5")["error"].tolist() == [0.5]
    assert _read("depths,widths,error (fraction)", "1,8,0.5")["error"].tolist() == [50]


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        ("depths,widths,flops (parsecs)", "unit in column 'flops (parsecs)' is not known"),
        ("depths,widths,flops (s)", "unit in column 'flops (s)' is not known"),
        ("depths,widths,flops (10^7)", "unit in column 'flops (10^7)' is not known"),
        ("depths,widths,error (M)", "unit in column 'error (M)' is not known"),
        ("depths,widths (x8)", "unit in column 'widths (x8)' is not known"),
        ("depths,widths,error,Error (%)", "columns 'error' and 'Error (%)' are both error"),
        ("depths,widths,flops,flops (M)", "columns 'flops' and 'flops (M)' are both flops"),
        ("depths,widths,acc,accuracy", "columns 'acc' and 'accuracy' are both accuracy"),
        ("depths,widths,val_acc,loss", "and 'val_acc' may be meant; rename the one that counts"),
        ("depths,widths,top1", "'top1' may be meant; rename the one that counts to error or to accuracy"),
        ("depths,widths,val_top1", "'val_top1' may be meant"),
        ("depths,widths,valAcc", "'valAcc' may be meant"),
        ("space,testError", "'testError' may be meant"),
        ("sep=,", "begins with the line sep=, which only Excel understands; remove"),
        (
            "Depth s,widths",
            "column depths missing from 'Depth s', 'widths'; a CSV of networks has depths and widths",
        ),
        (
            "depths;widths;error",
            "missing from 'depths;widths;error'; write commas for ';', and decimal points",
        ),
        ("depths\twidths", "write commas for '\\t'"),
    ],
)
def test_what_is_not_clear_is_refused_in_quotation_marks(names: str, reason: str) -> None:
    with pytest.raises(InputError) as caught:
        _read(names)
    assert reason in str(caught.value)


def test_errors_of_the_best_five_are_not_taken_for_errors() -> None:
    assert _read("depths,widths,top5_err", "1,8,5")["error"].isna().all()


def test_a_table_without_errors_names_the_columns_that_may_hold_them() -> None:
    (note,) = parse_trials("depths,widths,precision\n1,8,20\n", "x.csv").notes
    assert "no column error or accuracy; if 'precision' holds one, rename it to error" in note
