import math
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from regnetlab.analysis.compare import populations
from regnetlab.analysis.fitted import fitted_law
from regnetlab.analysis.networks import complete, parse_networks, read_networks, without_law
from regnetlab.errors import InputError

PUBLISHED = """name,se,w0,depth,group_width,depths,widths,flops,params,acts,top1_err
RegNetX-200MF,0,24,13,8,1 1 4 7,24 56 152 368,199040872,2684792,2164056,31.088
RegNetX-400MF,0,24,22,16,1 2 7 12,32 64 160 384,397678568,5157512,3143272,27.382
"""


def test_a_table_of_published_networks_is_read() -> None:
    frame = parse_networks(PUBLISHED, "here")
    assert frame["widths"].tolist() == [(24, 56, 152, 368), (32, 64, 160, 384)]
    assert frame["group_widths"].tolist() == [(8, 8, 8, 8), (16, 16, 16, 16)]
    assert frame["error"].tolist() == [31.088, 27.382]
    assert frame["se"].tolist() == ["0", "0"]  # other columns are let through


def test_only_depths_and_widths_are_needed() -> None:
    row = parse_networks("depths,widths\n1 2,8 16\n", "here").iloc[0]
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
        parse_networks(text, "here")
    assert part in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(b"\xff\xfe\x00\x81")
    with pytest.raises(InputError, match="can't be read"):
        read_networks([path])


def test_a_table_in_another_encoding_is_refused_with_the_way_out(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("depths,widths,error\n1,8,20\n", encoding="utf-16")  # a spreadsheet's "Unicode text"
    with pytest.raises(InputError, match="save it as UTF-8"):
        read_networks([path])


def test_a_pipe_is_refused_instead_of_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    os.mkfifo(path)
    with pytest.raises(InputError, match="no regular file"):
        read_networks([path])


@pytest.mark.parametrize("values", [[48, 80], (48, 80), np.array([48, 80]), np.array([48.0, 80.0])])
def test_lists_are_read_as_pandas_writes_them(values: object) -> None:
    text = pd.DataFrame({"depths": [[1, 2]], "widths": [values]}).to_csv(index=False)
    frame = parse_networks(text, "here")
    assert frame["depths"].tolist() == [(1, 2)]
    assert frame["widths"].tolist() == [(48, 80)]


def test_indexes_that_pandas_made_floats_name_the_same_networks() -> None:
    table = pd.DataFrame(
        {"index": [0, 0, 1, 1], "depths": "1", "widths": [8, 8, 16, 16], "error": [10, 20, 30, 40]}
    )
    whole = parse_networks(table.to_csv(index=False), "here")
    floats = parse_networks(table.astype({"index": float}).to_csv(index=False), "here")
    assert "0.0," in table.astype({"index": float}).to_csv(index=False)
    assert floats["index"].tolist() == whole["index"].tolist() == [0, 0, 1, 1]
    assert complete(floats)["error"].tolist() == [15, 35]


@pytest.mark.parametrize("index", ["", " ", "3.5", "-1", "1e3", "net-a", "nan"])
def test_an_index_that_is_no_number_names_the_line(index: str) -> None:
    with pytest.raises(InputError, match=f"line 3: index is {index.strip()!r}; it must be a whole number"):
        parse_networks(f"index,depths,widths\n0,1,8\n{index},1,8\n", "here")


def test_two_networks_are_not_averaged_because_they_share_an_index() -> None:
    rows = "A,0,1,8,10\nA,0,1,16,20\n"  # as pandas concatenates two tables with their indexes
    with pytest.raises(InputError, match="line 3: space 'A' has another network of index 0 before"):
        parse_networks("space,index,depths,widths,error\n" + rows, "here")


def test_names_of_spaces_are_read_without_blanks_around_them() -> None:
    text = "space, depths, widths, error\nA , 1, 8, 20\n A, 1, 8, 21\n"
    assert set(parse_networks(text, "here")["space"]) == {"A"}


def test_several_seeds_of_a_network_become_their_mean() -> None:
    rows = "A,0,1,8,10\nA,0,1,8,20\nA,1,1,8,30\nA,1,1,8,\nA,2,1,8,\nA,2,1,8,\n"
    networks = complete(parse_networks("space,index,depths,widths,error\n" + rows, "here"))
    assert networks["error"].tolist() == [15, 30]


def test_networks_are_judged_by_as_many_seeds_as_all_of_them_have() -> None:
    rows = "A,0,1,8,10\nA,0,1,8,20\nA,1,1,8,30\nA,2,1,8,\nA,2,1,8,40\n"
    networks = parse_networks("space,index,depths,widths,error\n" + rows, "here")
    assert complete(networks)["error"].tolist() == [10, 30]
    assert populations(networks)[0].failed == 1


def test_regnets_do_not_vouch_for_their_own_law() -> None:
    text = "space,depths,widths\nAnyNetA,1,8\nRegNet,1,8\nderived,1,8\n"
    assert without_law(parse_networks(text, "here"))["space"].tolist() == ["AnyNetA"]
    assert len(without_law(parse_networks("space,depths,widths\nRegNet,1,8\n", "here"))) == 1


def test_a_file_of_networks_is_fitted(tmp_path: Path) -> None:
    path = tmp_path / "published.csv"
    path.write_text(PUBLISHED)
    document = fitted_law(None, [path], "quantized")
    assert [model["e_fit"] for model in document["models"]] == [0, 0]
    assert document["population"]["growth"] is None
    assert "too few" in document["population"]["reason"]
    assert document["derived"] == []
