"""``regnetlab export`` as a user or a script meets it."""

import ast
import importlib.util
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from regnetlab.cli import main
from regnetlab.models.export.formats import FORMATS
from tests.cli import asked
from tests.cli.asked import NETWORK, Capture

TEXTS = [name for name, each in FORMATS.items() if each.write is not None]
COUNTS = {"flops": 397_677_568, "params": 5_157_512, "acts": 3_143_272}


def answer(capsys: Capture, *words: str) -> dict[str, Any]:
    """The JSON document of ``export``."""
    return asked.answer(capsys, "export", *words)


def complaint(capsys: Capture, *words: str) -> str:
    """What ``export`` says when it refuses."""
    return asked.complaint(capsys, ["export", *words])


@pytest.mark.parametrize("name", TEXTS)
def test_text_goes_to_stdout_to_a_file_and_into_json_the_same(
    capsys: Capture, tmp_path: Path, name: str
) -> None:
    words = ("regnetx_400mf", "--to", name)
    capsys.readouterr()
    assert main(["export", *words]) == 0
    printed = capsys.readouterr().out
    document = answer(capsys, *words)
    assert document["text"] == printed
    assert {"model": "regnetx_400mf", "format": name, "classes": 1000, **COUNTS}.items() <= document.items()
    assert document["input"] == "3x224x224"
    assert ("kwargs" in document) == (name != "pytorch")

    path = tmp_path / f"network{FORMATS[name].endings[0]}"
    written = answer(capsys, *words, "-o", str(path))
    assert written["file"] == str(path)
    assert "text" not in written
    assert path.read_text() == printed
    assert max(map(len, printed.splitlines())) <= 120


def test_text_is_python_or_yaml(capsys: Capture) -> None:
    for name in TEXTS:
        text = answer(capsys, "regnety_4gf", "--to", name)["text"]
        if name == "pycls":
            assert set(yaml.safe_load(text)) == {"MODEL", "REGNET", "TRAIN"}
        else:
            ast.parse(text)


def test_template_input_and_classes_are_those_of_summary(capsys: Capture) -> None:
    words = (NETWORK, "--template", "small", "--input", "3x20x20", "--classes", "7")
    document = answer(capsys, *words, "--to", "torchvision")
    assert {"input": "3x20x20", "classes": 7}.items() <= document.items()
    assert document["kwargs"]["block_params"]["strides"] == [1, 2, 2, 2]
    assert {"num_classes": 7, "stem_width": 16}.items() <= document["kwargs"].items()
    capsys.readouterr()
    assert main(["summary", *words, "--json"]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert all(document[each] == summary[each] for each in ("flops", "params", "acts"))


def test_timm_finds_the_law_of_a_network_that_lies_on_one(capsys: Capture) -> None:
    text = "anynet:d=1,2,7,12;w=32,64,160,384;g=16;b=1"
    document = answer(capsys, text, "--to", "timm")
    law = document["kwargs"]["cfg"]
    called = {each.func.id for each in ast.walk(ast.parse(document["text"])) if isinstance(each, ast.Call)}
    assert called == {"RegNet", "RegNetCfg"}
    notation = f"regnet:w0={law['w0']},wa={law['wa']},wm={law['wm']},d={law['depth']},g={law['group_size']}"
    again = answer(capsys, notation, "--to", "torchvision")["kwargs"]["block_params"]
    assert again["depths"] == [1, 2, 7, 12]
    assert again["widths"] == [32, 64, 160, 384]


def test_a_form_is_exported_as_it_is_built(capsys: Capture) -> None:
    document = answer(capsys, "regnetx_400mf@4MF", "--to", "pytorch")
    assert document["input"] == "1x28x28"
    assert abs(document["flops"] - 4e6) < 4e5
    assert f"{document['params']:,} params" in document["text"]


@pytest.mark.skipif(
    any(importlib.util.find_spec(each) is None for each in ("onnx", "onnxscript")),
    reason="needs onnx and onnxscript; pip install 'regnetlab[export]'",
)
def test_onnx_takes_any_network_and_writes_one_file(capsys: Capture, tmp_path: Path) -> None:
    import onnx

    path = tmp_path / "network.onnx"
    document = answer(capsys, "bn_lenet", "--to", "onnx", "-o", str(path), "--seed", "4")
    assert {"model": "bn_lenet", "format": "onnx", "seed": 4, "file": str(path)}.items() <= document.items()
    onnx.checker.check_model(onnx.load_model(path))
    assert [each.name for each in tmp_path.iterdir()] == ["network.onnx"]


def test_onnx_needs_a_file_and_its_packages(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("regnetlab.models.export.onnx.find_spec", lambda name: object())
    assert "--to onnx needs a file to write; give -o network.onnx" in complaint(
        capsys, NETWORK, "--to", "onnx"
    )
    monkeypatch.setattr("regnetlab.models.export.onnx.find_spec", lambda name: None)
    said = complaint(capsys, NETWORK, "--to", "onnx", "-o", "network.onnx")
    assert said.endswith("--to onnx needs onnx and onnxscript; pip install 'regnetlab[export]'")


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("--to", "torchvison"), "format 'torchvison' is not known; did you mean 'torchvision'?"),
        (("--to", "timm"), "no law gives exactly the widths and depths"),
        (("--to", "timm", "--template", "small"), "stage strides 1, 2, 2, 2"),
        (("--to", "torchvision", "--template", "small"), "give --input 3x28x28"),
        (("--to", "pycls", "--input", "3x28x32"), "give --input 3x28x28"),
        (("--to", "pycls", "-o", "network.py"), "end the name in .yaml or .yml"),
        (("--to", "pytorch", "-o", "missing/network.py"), "missing must be a folder"),
        (("--to", "pytorch", "--seed", "3"), "--to pytorch writes no weights"),
    ],
)
def test_what_cannot_be_written_is_refused(capsys: Capture, words: Sequence[str], reason: str) -> None:
    assert reason in complaint(capsys, NETWORK, *words)


def test_hand_designed_networks_go_to_onnx_only(capsys: Capture, tmp_path: Path) -> None:
    path = tmp_path / "resnet18.py"
    said = complaint(capsys, "resnet18", "--to", "torchvision", "-o", str(path))
    assert "resnet18 is no AnyNet" in said
    assert "--to onnx takes any network" in said
    assert not path.exists()


@pytest.mark.parametrize("text", ['anynet:d=1;w=8;g=8;b=1"""', "anynet:d=1;w=8;g=8;b=1\nimport os", '"'])
def test_nothing_but_a_network_gets_into_a_file(capsys: Capture, text: str) -> None:
    complaint(capsys, text, "--to", "pytorch")
