"""``regnetlab sample``: what is drawn, in every format."""

import json
from pathlib import Path

import pandas as pd
import pytest

from regnetlab.cli import main
from regnetlab.spaces.space import SPACES
from tests.cli.asked import Capture, MakeStudy, answer


@pytest.mark.parametrize("space", SPACES)
def test_sample_answers_in_json(capsys: Capture, space: str) -> None:
    document = answer(capsys, "sample", "--space", space, "--n", "5", "--flops", "300M:500M")
    assert {"space": space, "seed": 0, "n": 5, "template": "paper"}.items() <= document.items()
    assert len(document["models"]) == 5
    for model in document["models"]:
        assert {"id", "depths", "widths", "group_widths", "bottleneck_ratios"} <= set(model)
        assert 300e6 <= model["flops"] <= 500e6
        assert ("wm" in model) == (space == "RegNet")


@pytest.mark.parametrize("space", SPACES)
def test_the_table_of_a_sample_fits_80_columns(capsys: Capture, space: str) -> None:
    main(["sample", "--space", space, "--n", "500"])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 501
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize("ending", ["csv", "parquet", "json"])
def test_a_sample_is_written_in_any_format(capsys: Capture, tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"sample.{ending}"
    words = ("sample", "--space", "RegNet", "--n", "7", "--template", "small")
    models = answer(capsys, *words, "-o", str(path))["models"]
    if ending == "json":
        assert json.loads(path.read_text())["models"] == models
        return
    frame = pd.read_csv(path) if ending == "csv" else pd.read_parquet(path)
    assert frame["id"].tolist() == [model["id"] for model in models]
    assert frame["widths"][0] == " ".join(map(str, models[0]["widths"]))
    if ending == "csv":
        assert len(answer(capsys, "fit-regnet", "--from", str(path))["models"]) == 7


def test_the_help_shows_a_constraint_as_it_is_written(capsys: Capture) -> None:
    main(["sample", "--help"])
    assert "w[i] <= w[i+1]" in " ".join(capsys.readouterr().out.replace("│", " ").split())


def test_ranges_of_the_command_line_hold(capsys: Capture) -> None:
    words = "sample --space AnyNetB --n 20 --depth 2:3 --width 16:64 --group-width 8 --bottleneck-ratio 1,2"
    models = answer(capsys, *words.split())["models"]
    assert {d for m in models for d in m["depths"]} <= {2, 3}
    assert all(16 <= w <= 64 for m in models for w in m["widths"])
    assert {b for m in models for b in m["bottleneck_ratios"]} <= {1, 2}


def test_a_sample_takes_what_is_not_given_from_a_study(capsys: Capture, make_study: MakeStudy) -> None:
    document = answer(capsys, "sample", "--space", "AnyNetE", "--study", str(make_study()))
    assert {"n": 6, "seed": 3, "template": "small"}.items() <= document.items()
    assert all(50_000 <= model["flops"] <= 400_000 for model in document["models"])


@pytest.mark.parametrize("ending", ["csv", "parquet", "json"])
def test_a_sample_is_the_same_in_whatever_portions_it_is_written(
    capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    words = ["sample", "--space", "RegNet", "--n", "7"]
    outputs = []
    for portion in (100, 3):
        monkeypatch.setattr("regnetlab.cli.drawn._PORTION", portion)
        path = tmp_path / f"{portion}.{ending}"
        assert main([*words, "-o", str(path)]) == 0
        file = pd.read_parquet(path).to_dict() if ending == "parquet" else path.read_text()
        capsys.readouterr()
        assert main(words) == 0
        table = capsys.readouterr().out
        outputs.append((file, table, answer(capsys, *words)))
    assert outputs[0] == outputs[1]
