import math
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from regnetlab.analysis.space_errors import space_errors
from regnetlab.analysis.width_law import fit_law
from regnetlab.errors import InputError
from regnetlab.trials.files import parse_trials, read_trials
from regnetlab.trials.table import complete, incomplete, judged

PUBLISHED = """name,se,w0,depth,group_width,depths,widths,flops,params,acts,top1_err
RegNetX-200MF,0,24,13,8,1 1 4 7,24 56 152 368,199040872,2684792,2164056,31.088
RegNetX-400MF,0,24,22,16,1 2 7 12,32 64 160 384,397678568,5157512,3143272,27.382
"""


def test_a_table_of_published_networks_is_read() -> None:
    frame = parse_trials(PUBLISHED, "here").frame
    assert frame["widths"].tolist() == [(24, 56, 152, 368), (32, 64, 160, 384)]
    assert frame["group_widths"].tolist() == [(8, 8, 8, 8), (16, 16, 16, 16)]
    assert frame["error"].tolist() == [31.088, 27.382]
    assert frame["se"].tolist() == ["0", "0"]  # other columns are let through


def test_only_depths_and_widths_are_needed() -> None:
    row = parse_trials("depths,widths\n1 2,8 16\n", "here").frame.iloc[0]
    assert row["name"] == "network 1"
    assert math.isnan(row["error"])
    assert row["group_widths"] is None


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "column depths and widths missing"),
        ("depths,widths\n", "has no networks"),
        ("depths\n1 2\n", "column widths missing"),
        ("depths,widths\n1 2,8 16\n1 2,8\n", "line 3: depths has 2 numbers and widths 1"),
        ("depths,widths\n1 x,8 16\n", "line 2: depths is '1 x'"),
        ("depths,widths\n1 0,8 16\n", "line 2: depths is '1 0'"),
        ("depths,widths\n1 2,8 -16\n", "line 2: widths"),
        ("depths,widths\n1 2,8 1e3\n", "line 2: widths"),
        ("depths,widths\n1 2\n", "more or fewer values"),
        ("depths,widths\n1 2,8 16,7\n", "more or fewer values"),
        ("depths,widths,error\n1 2,8 16,101\n", "line 2: error is '101'"),
        ("depths,widths,error\n1 2,8 16,good\n", "line 2: error is 'good'"),
        ("depths,widths,flops\n1 2,8 16,inf\n", "line 2: flops"),
        ("depths,widths,group_widths\n1 2,8 16,1 2 3\n", "line 2: group_widths has 3 numbers"),
        ('depths,widths\n"1 2,8 16\n', "line 2"),
    ],
)
def test_rows_that_are_no_networks_name_line_and_column(text: str, part: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_trials(text, "here")
    assert part in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(b"\xff\xfe\x00\x81")
    with pytest.raises(InputError, match="can't be read"):
        read_trials([path])


def test_a_table_in_another_encoding_is_refused_with_the_way_out(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("depths,widths,error\n1,8,20\n", encoding="utf-16")  # a spreadsheet's "Unicode text"
    with pytest.raises(InputError, match="save it as UTF-8"):
        read_trials([path])


def test_a_pipe_is_refused_instead_of_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    os.mkfifo(path)
    with pytest.raises(InputError, match="no regular file"):
        read_trials([path])


@pytest.mark.parametrize("values", [[48, 80], (48, 80), np.array([48, 80]), np.array([48.0, 80.0])])
def test_lists_are_read_as_pandas_writes_them(values: object) -> None:
    text = pd.DataFrame({"depths": [[1, 2]], "widths": [values]}).to_csv(index=False)
    frame = parse_trials(text, "here").frame
    assert frame["depths"].tolist() == [(1, 2)]
    assert frame["widths"].tolist() == [(48, 80)]


@pytest.mark.parametrize("between", [",", ", ", "-", ";", "; "])
def test_lists_may_have_commas_or_dashes(between: str) -> None:
    text = pd.DataFrame(
        {
            "depths": [between.join("124")],
            "widths": [between.join(("8", "16", "1024"))],
            "bottleneck_ratios": [between.join("111")],
        }
    ).to_csv(index=False)
    row = parse_trials(text, "here").frame.iloc[0]
    assert (row["depths"], row["widths"]) == ((1, 2, 4), (8, 16, 1024))
    assert row["bottleneck_ratios"] == (1, 1, 1)


@pytest.mark.parametrize("widths", ["8,16-32", "1,024", "8--16", "8,", "8 ,16", "1/2", "[np.int64(8)]"])
def test_lists_that_are_not_clear_are_refused(widths: str) -> None:
    text = pd.DataFrame({"depths": ["1 2"], "widths": [widths]}).to_csv(index=False)
    with pytest.raises(InputError, match=r"line 2: widths is .* with spaces between, as in '1 2 4'"):
        parse_trials(text, "here")


@pytest.mark.parametrize("text", ["NA", "nan", "NaN", "N/A", "#N/A", "None", "null", "<NA>", ""])
def test_what_is_not_known_may_be_written_as_r_and_spreadsheets_do(text: str) -> None:
    columns = "flops,params,acts,group_widths,bottleneck_ratios"
    row = parse_trials(f"depths,widths,{columns}\n1,8{f',{text}' * 5}\n", "here").frame.iloc[0]
    assert row[["flops", "params", "acts"]].isna().all()
    assert (row["group_widths"], row["bottleneck_ratios"]) == (None, None)


@pytest.mark.parametrize("text", ["", "NA"])
def test_a_training_that_failed_before_its_network_was_written_is_counted(text: str) -> None:
    rows = f"1,8,20\n{text},{text},NA\n2,8,21\n"
    (found,) = space_errors(parse_trials("depths,widths,error\n" + rows, "here").frame)
    assert (len(found.errors), found.failed) == (2, 1)
    for row in (f"{text},{text},20\n", f"1,{text},\n"):  # with an error, or with half a network
        with pytest.raises(InputError, match=r"line 2: (depths|widths) is"):
            parse_trials("depths,widths,error\n" + row, "here")
    with pytest.raises(InputError, match="line 2: depths is"):
        parse_trials(f"depths,widths\n{text},{text}\n", "here")


@pytest.mark.parametrize("seed", ["seed", "RNG_SEED", "Replicate", "fold", "random seed"])
def test_rows_of_one_network_are_its_seeds_where_a_column_has_them(seed: str) -> None:
    rows = [f"{depth},8,{s},{10 * depth + s}" for depth in (1, 2) for s in (0, 1, 2)]
    found = parse_trials("\n".join([f"depths,widths,{seed},error", *rows]), "x.csv")
    frame = found.frame
    assert complete(frame)["error"].tolist() == [11, 21]
    (note,) = list(found.notes)
    assert f"6 rows are trainings of 2 networks, as there is a column {seed!r}" in note


def test_networks_that_differ_in_anything_are_not_seeds_of_one() -> None:
    columns = "space,depths,widths,group_widths,bottleneck_ratios,seed,error"
    rows = ["A,1,8,1,1,0,10", "B,1,8,1,1,1,11", "A,2,8,1,1,2,12", "A,1,16,1,1,3,13", "A,1,8,2,1,4,14"]
    found = parse_trials("\n".join([columns, *rows, "A,1,8,1,2,5,15"]), "x.csv")
    frame = found.frame
    assert len(complete(frame)) == 6
    assert list(found.notes) == []


def test_seeds_of_errors_alone_are_told_by_name_or_it_is_said() -> None:
    named = parse_trials("name,seed,error\na,0,10\na,1,12\nb,0,20\nb,1,22\n", "x.csv").frame
    assert complete(named)["error"].tolist() == [11, 21]
    (note,) = list(parse_trials("seed,error\n0,10\n1,12\n", "x.csv").notes)
    assert "nothing says which rows are of one network" in note


@pytest.mark.parametrize(
    ("columns", "first"), [("depths,widths,error", ""), ("index,depths,widths,error,seed", "i")]
)
def test_equal_networks_that_count_as_several_are_said(columns: str, first: str) -> None:
    rows = [
        (f"{i}," if first else "") + f"{i % 2 + 1},8,{10 + i}" + (f",{i}" if first else "") for i in range(6)
    ]
    found = parse_trials("\n".join([columns, *rows]), "x.csv")
    frame = found.frame
    assert len(complete(frame)) == 6
    (note,) = list(found.notes)
    assert "6 networks are counted, of which 2 differ" in note


def test_a_file_may_have_a_number_sign_in_its_name(tmp_path: Path) -> None:
    path = tmp_path / "run#1" / "results #2.csv"
    path.parent.mkdir()
    path.write_text("depths,widths,error\n1,8,20\n")
    assert read_trials([path]).frame["error"].tolist() == [20]


def test_indexes_that_pandas_made_floats_name_the_same_networks() -> None:
    table = pd.DataFrame(
        {"index": [0, 0, 1, 1], "depths": "1", "widths": [8, 8, 16, 16], "error": [10, 20, 30, 40]}
    )
    whole = parse_trials(table.to_csv(index=False), "here").frame
    floats = parse_trials(table.astype({"index": float}).to_csv(index=False), "here").frame
    assert "0.0," in table.astype({"index": float}).to_csv(index=False)
    assert floats["index"].tolist() == whole["index"].tolist() == [0, 0, 1, 1]
    assert complete(floats)["error"].tolist() == [15, 35]


@pytest.mark.parametrize("index", ["", " ", "3.5", "-1", "1e3", "net-a", "nan"])
def test_an_index_that_is_no_number_names_the_line(index: str) -> None:
    with pytest.raises(InputError, match=f"line 3: index is {index.strip()!r}; it must be a whole number"):
        parse_trials(f"index,depths,widths\n0,1,8\n{index},1,8\n", "here")


def test_two_networks_are_not_averaged_because_they_share_an_index() -> None:
    rows = "A,0,1,8,10\nA,0,1,16,20\n"  # as pandas concatenates two tables with their indexes
    with pytest.raises(InputError, match="line 3: space 'A' has another network of index 0 before"):
        parse_trials("space,index,depths,widths,error\n" + rows, "here")


def test_names_of_spaces_are_read_without_blanks_around_them() -> None:
    text = "space, depths, widths, error\nA , 1, 8, 20\n A, 1, 8, 21\n"
    assert set(parse_trials(text, "here").frame["space"]) == {"A"}


def test_several_seeds_of_a_network_become_their_mean_a_failed_one_at_the_worst() -> None:
    rows = "A,0,1,8,10\nA,0,1,8,20\nA,1,1,8,30\nA,1,1,8,\nA,2,1,8,\nA,2,1,8,\n"
    networks = complete(parse_trials("space,index,depths,widths,error\n" + rows, "here").frame)
    assert networks["error"].tolist() == [15, 65]


def test_networks_are_judged_by_as_many_seeds_as_all_of_them_have() -> None:
    rows = "A,0,1,8,10\nA,0,1,8,20\nA,1,1,8,30\nA,2,1,8,\nA,2,1,8,40\n"
    networks = parse_trials("space,index,depths,widths,error\n" + rows, "here").frame
    assert complete(networks)["error"].tolist() == [10, 30]
    assert space_errors(networks)[0].failed == 1


def test_a_file_of_networks_is_fitted(tmp_path: Path) -> None:
    path = tmp_path / "published.csv"
    path.write_text(PUBLISHED)
    document = fit_law(read_trials([path]), "quantized").to_json()
    assert [model["e_fit"] for model in document["models"]] == [0, 0]
    assert document["population"]["growth"] is None
    assert "no space leaves the widths free" in document["population"]["reason"]
    assert document["derived"] == []


def test_a_network_of_which_one_seed_failed_and_one_was_stopped_has_failed() -> None:
    rows = [f"A,{i},1 1,8 16,{seed},20,complete" for i in range(3) for seed in (1, 2)]
    rows += ["A,3,1 1,8 16,1,,diverged", "A,3,1 1,8 16,2,,stopped in epoch 3 of 5"]
    rows += [f"A,4,1 1,8 16,{seed},,stopped in epoch 3 of 5" for seed in (1, 2)]
    frame = parse_trials("\n".join(["space,index,depths,widths,seed,error,ended", *rows, ""]), "test").frame
    bad = judged(frame).set_index("index").loc[3]
    assert (bad["error"], bad["failed"], bad["earned"]) == (100, True, False)
    assert incomplete(frame)["index"].tolist() == [4]
    assert len(complete(frame)) == 3


@pytest.mark.parametrize("error", ["3_0", "1_2.5"])
def test_an_underscore_is_no_part_of_a_number(error: str) -> None:
    with pytest.raises(InputError, match="line 2"):
        parse_trials(f"space,depths,widths,error\nA,1 1,8 16,{error}\n", "test")
