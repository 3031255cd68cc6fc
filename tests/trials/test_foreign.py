"""Populations of others: the layouts that pycls and nds write, files without configs.

The layouts are those of pycls' tools/sweep_collect.py with pycls/core/logging.py, and of the data that the
notebooks of nds read.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regnetlab.analysis.compare import compare
from regnetlab.analysis.width_law import fit_law
from regnetlab.errors import InputError
from regnetlab.report.content import files_content
from regnetlab.report.page import page
from regnetlab.trials.files import read_trials
from regnetlab.trials.terms import Terms


def _anynet(error: float, widths: tuple[int, ...] = (16, 32, 64)) -> dict[str, Any]:
    """A job as pycls collects it."""
    stages = len(widths)
    return {
        "cfg": {
            "DESC": "",
            "MODEL": {"TYPE": "anynet"},
            "ANYNET": {
                "DEPTHS": [1, 2, 3][:stages],
                "WIDTHS": list(widths),
                "BOT_MULS": [0.5] * stages,
                "GROUP_WS": [8] * stages,
            },
        },
        "complexity": {"flops": 1_000_000, "params": 20_000, "acts": 30_000},
        "test_ema_epoch": {"min_top1_err": [60.0, error], "epoch_ind": [1, 2], "epoch_max": [2, 2]},
        "test_epoch": {"min_top1_err": [70.0, error + 1], "epoch_ind": [1, 2], "epoch_max": [2, 2]},
        "log_file": "sweep/1/stdout.log",
    }


def _regnet(error: float) -> dict[str, Any]:
    job = _anynet(error)
    job["cfg"] |= {"MODEL": {"TYPE": "regnet"}}
    job["cfg"]["REGNET"] = {"DEPTH": 22, "W0": 24, "WA": 24.48, "WM": 2.54, "GROUP_W": 16, "BOT_MUL": 1.0}
    return job


def _nds(error: float, widths: Sequence[int] = (16, 32, 64)) -> dict[str, Any]:
    """A job as nds publishes it."""
    net = {"block_type": "res_bottleneck_block", "ds": [1, 2, 3], "ws": list(widths), "ss": [1, 2, 2]}
    return {
        "net": net | {"bot_muls": [0.5, 0.5, 0.5], "num_gs": [1, 2, 4]},
        "flops": 1e6,
        "params": 2e4,
        "min_test_top1": error,
        "test_ep_top1": [60.0, error],
    }


def _written(tmp_path: Path, name: str, document: object) -> Path:
    path = tmp_path / name
    path.write_text(json.dumps(document))
    return path


def test_a_sweep_of_pycls_is_a_population(tmp_path: Path) -> None:
    unfinished = _anynet(0.0)
    del unfinished["test_ema_epoch"], unfinished["test_epoch"]
    path = _written(tmp_path, "AnyNetX.json", [_anynet(20.5), _regnet(19.5), unfinished])
    frame = read_trials([path]).frame
    assert frame["space"].tolist() == ["AnyNetX"] * 3
    assert frame["error"].tolist()[:2] == [20.5, 19.5]
    assert np.isnan(frame["error"][2])
    assert frame["depths"].tolist()[:2] == [(1, 2, 3), (1, 2, 7, 12)]
    assert frame["widths"].tolist()[:2] == [(16, 32, 64), (32, 64, 160, 384)]
    assert frame["bottleneck_ratios"][0] == (2, 2, 2)
    assert frame["group_widths"].tolist()[:2] == [(8, 8, 8), (16, 16, 16, 16)]
    assert frame["flops"][0] == 1e6


def test_a_sweep_of_nds_is_a_population(tmp_path: Path) -> None:
    frame = read_trials([_written(tmp_path, "ResNeXt-A.json", [_nds(7.5), _nds(8.0)])]).frame
    assert frame["space"].tolist() == ["ResNeXt-A"] * 2
    assert frame["error"].tolist() == [7.5, 8.0]
    assert frame["bottleneck_ratios"][0] == (2, 2, 2)
    assert frame["group_widths"][0] == (8, 8, 8)


def test_searched_cells_of_nds_have_errors_and_no_widths(tmp_path: Path) -> None:
    cell = {"net": {"genotype": {}}, "flops": 1e6, "params": 2e4, "test_ep_top1": [50.0, 9.0]}
    path = _written(tmp_path, "DARTS.json", {"top": [cell] * 4, "mid": [cell] * 4})
    frame = read_trials([path]).frame
    assert frame["error"].tolist() == [9.0] * 8
    assert frame["widths"].isna().all()
    assert "needs the depths and widths" in str(fit_law(read_trials([path])).reason)


def test_two_published_populations_are_compared_fitted_and_reported(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    files = [
        _written(
            tmp_path,
            f"{name}.json",
            [_nds(each, random.permutation([16, 32, 64]).tolist()) for each in random.normal(middle, 1, 40)],
        )
        for name, middle in (("ResNet", 9.0), ("ResNeXt", 7.0))
    ]
    (found,) = compare(read_trials(files), Terms(0.5)).to_json()["comparisons"]
    assert (found["a"], found["b"], found["verdict"]) == ("ResNet", "ResNeXt", "better")
    law = fit_law(read_trials(files))
    assert law.population is not None
    assert law.population.n == 80
    assert "ResNeXt" in page(files_content(files))


def test_a_file_of_errors_alone_is_compared_and_reported(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    path = tmp_path / "errors.csv"
    rows = [f"{space},{error}" for space in "AB" for error in random.normal(20, 2, 30)]
    path.write_text("space,error\n" + "\n".join(rows) + "\n")
    assert len(compare(read_trials([path])).steps) == 1
    assert "Which constraints hold?" in page(files_content([path]))


def test_a_space_in_two_files_is_refused(tmp_path: Path) -> None:
    files = [tmp_path / "a.csv", tmp_path / "b.csv"]
    for path in files:
        path.write_text("space,error\nA,20\n")
    with pytest.raises(InputError, match="space 'A' is in"):
        read_trials(files)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[", "can't be read as JSON"),
        ("{}", "no list of networks"),
        ("[1, 2]", "no list of networks"),
        ("[]", "no list of networks"),
        ("[{}]", "network 1: it has neither"),
        ('[{"depths": "1 2", "widths": "8 16", "error": 20}]', r"table of pandas .* table.to_csv\(FILE"),
        ('{"depths": {"0": "1 2"}, "error": {"0": 20}}', r"table of pandas .* table.to_csv\(FILE"),
        ('{"depths": "1", "error": 20}\n{"depths": "2", "error": 20}', r"table of pandas .* table.to_csv\("),
        ('[{"cfg": {}}]', "network 1: 'MODEL' is missing"),
        ('[{"cfg": 3}]', "network 1"),
        ('[{"net": {"ds": [1], "ws": "x"}, "min_test_top1": 3}]', "network 1"),
        ('[{"net": {"ds": [1], "ws": [1e999]}, "min_test_top1": 3}]', "network 1"),
        ('[{"net": {"ds": [1], "ws": [8]}, "min_test_top1": 300}]', "network 1: error is"),
        ('[{"net": {"ds": [1, 2], "ws": [8]}, "min_test_top1": 3}]', "one per stage"),
        ("[" * 100_000, "can't be read as JSON"),
        ("[" + "9" * 5_000 + "]", "can't be read as JSON"),
    ],
)
def test_json_that_is_no_population_is_one_line(tmp_path: Path, text: str, reason: str) -> None:
    path = tmp_path / "x.json"
    path.write_text(text)
    with pytest.raises(InputError, match=reason) as caught:
        read_trials([path])
    assert "\n" not in str(caught.value)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "cfg",
                    "net",
                    "ds",
                    "ws",
                    "bot_muls",
                    "num_gs",
                    "MODEL",
                    "TYPE",
                    "ANYNET",
                    "DEPTHS",
                    "WIDTHS",
                    "flops",
                    "min_test_top1",
                    "test_ep_top1",
                    "top",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=200)
@given(json_values)
def test_any_json_is_a_population_or_a_clean_error(
    tmp_path_factory: pytest.TempPathFactory, value: object
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.json"
    path.write_text(json.dumps(value))
    try:
        read_trials([path])
    except InputError as error:
        assert "\n" not in str(error)
