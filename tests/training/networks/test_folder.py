"""The folder of a trained network: every way to use it gives the same answers, and it is written whole."""

import ast
import hashlib
import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from regnetlab.errors import InputError
from regnetlab.training.networks import folder as folders
from regnetlab.training.predicting import load_network
from tests.training.networks.examples import (
    CLASSES,
    REGNET,
    facts,
    images,
    judged,
    network,
    write,
)

needs_onnx = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("onnx", "onnxscript", "onnxruntime")),
    reason="needs onnx, onnxscript and onnxruntime: pip install 'regnetlab[export]' onnxruntime",
)
_ALONE = """
import sys, torch
sys.path.insert(0, sys.argv[1])
import network
values = torch.frombuffer(bytearray(sys.stdin.buffer.read()), dtype=torch.uint8).reshape(-1, 3, 32, 40)
trained = network.load(sys.argv[1] + "/model.safetensors")
with torch.no_grad():
    logits, shares = trained(values), trained.probabilities(values)
assert "regnetlab" not in sys.modules and "safetensors" not in sys.modules
print(ascii([logits.tolist(), shares.tolist(), network.CLASS_NAMES]))
"""


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A folder that the tests only read, and what was returned of it."""
    family = tmp_path_factory.mktemp("family")
    return family / "medium", write(family)


@pytest.fixture
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where the packages for ONNX are not installed; exporting takes seconds."""
    monkeypatch.setattr("regnetlab.models.export.onnx.find_spec", lambda name: None)


def test_the_loaded_network_is_the_trained_one(written: tuple[Path, dict[str, Any]]) -> None:
    trained, loaded = network(), load_network(written[0])
    assert np.abs(loaded.logits(images(50)) - trained.logits(images(50))).max() == 0
    assert (loaded.classes, loaded.reading) == (CLASSES, trained.reading)
    assert loaded.temperature == judged(trained).temperature == written[1]["temperature"]
    assert not np.allclose(loaded.probabilities(images(50)), trained.probabilities(images(50)))


def test_the_file_for_torch_alone_gives_the_same(
    written: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    loaded, shown = load_network(written[0]), images(20)
    done = subprocess.run(
        [sys.executable, "-c", _ALONE, str(written[0])],
        input=shown.tobytes(),
        capture_output=True,
        cwd=tmp_path,
        check=True,
    )
    logits, shares, names = ast.literal_eval(done.stdout.decode())
    assert np.allclose(logits, loaded.logits(shown), rtol=1e-4, atol=1e-4)
    assert np.allclose(shares, loaded.probabilities(shown), atol=1e-5)
    assert names == CLASSES


def test_the_file_for_torch_alone_runs_by_itself(
    written: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    done = subprocess.run(
        [sys.executable, "-I", written[0] / "network.py"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=True,
    )
    assert "3 classes\nimages: uint8 (n, 3, 32, 40)\na grey image would be" in done.stdout


@needs_onnx
def test_onnx_gives_the_same(written: tuple[Path, dict[str, Any]]) -> None:
    import onnxruntime

    loaded = load_network(written[0])
    session = onnxruntime.InferenceSession(written[0] / "model.onnx", providers=["CPUExecutionProvider"])
    for n in (1, 7):
        logits, shares = session.run(["logits", "probabilities"], {"images": images(n)})
        assert np.allclose(logits, loaded.logits(images(n)), rtol=1e-4, atol=1e-4)
        assert np.allclose(shares, loaded.probabilities(images(n)), atol=1e-5)


def test_timm_gives_the_same(written: tuple[Path, dict[str, Any]]) -> None:
    pytest.importorskip("timm", reason="timm is no dependency; pip install timm to compare with it")
    import torch
    from safetensors.torch import load_file

    card = (written[0] / "README.md").read_text()
    snippet = card[card.index("from timm") :].partition("from safetensors")[0]
    names: dict[str, Any] = {}
    exec(compile(snippet, "snippet", "exec"), names)
    theirs = names["model"].eval()
    theirs.load_state_dict(load_file(written[0] / "timm.safetensors"), strict=True)
    loaded, shown = load_network(written[0]), images(8)
    mean, std = (torch.from_numpy(each).reshape(1, 3, 1, 1) for each in (loaded.mean, loaded.std))
    with torch.no_grad():
        logits = theirs((torch.from_numpy(shown) / 255 - mean) / std).numpy()
    assert np.allclose(logits, loaded.logits(shown), rtol=1e-4, atol=1e-4)


def test_model_json_says_everything_and_the_checksums_of_all_files(
    written: tuple[Path, dict[str, Any]],
) -> None:
    path, returned = written
    document = json.loads((path / "model.json").read_text())
    assert document == returned
    assert set(document) == {
        *("version", "name", "model", "template", "flops", "params", "acts", "latency", "classes", "data"),
        *("data_checksum", "reading", "normalisation", "recipe", "budget", "seed", "temperature"),
        *("validation", "test", "chosen", "made", "files", "left_out"),
    }
    assert set(document["test"]) == {
        *("images", "groups", "error", "interval", "by_class", "confusion", "calibration", "seeds"),
    }
    assert document["data"] == "folder:photos"  # and not where they lay
    assert set(document["files"]) == {each.name for each in path.iterdir()} - {"model.json"}
    for name, digest in document["files"].items():
        assert hashlib.sha256((path / name).read_bytes()).hexdigest() == digest


def test_it_is_a_repository_as_hugging_face_has_them(written: tuple[Path, dict[str, Any]]) -> None:
    path, document = written
    config = json.loads((path / "config.json").read_text())
    assert config["id2label"] == dict(zip("012", CLASSES, strict=True))
    assert config["label2id"] == {name: i for i, name in enumerate(CLASSES)}
    assert (config["num_labels"], config["image_size"]) == (3, [32, 40])
    _, metadata, _ = (path / "README.md").read_text().split("---\n", 2)
    found = yaml.safe_load(metadata)
    assert (found["pipeline_tag"], found["library_name"]) == ("image-classification", "pytorch")
    [result] = found["model-index"][0]["results"]
    assert result["metrics"][0]["value"] == pytest.approx(1 - document["test"]["error"] / 100)
    assert "# license:" in metadata
    assert "license" not in found


def test_names_of_classes_stay_text_in_the_card(written: tuple[Path, dict[str, Any]]) -> None:
    card = (written[0] / "README.md").read_text()
    assert "<b>" not in card
    assert r'a\|b "c"' in card
    assert r"&lt;b&gt;é \{x\}" in card
    assert "/home/someone" not in card


@pytest.mark.usefixtures("quickly")
def test_what_a_network_has_no_words_for_is_left_out_with_the_reason(tmp_path: Path) -> None:
    document = write(tmp_path, "small", "resnet18@0.125x")
    assert {each.name for each in (tmp_path / "small").iterdir()} == {
        *("README.md", "config.json", "model.json", "model.safetensors"),
    }
    assert set(document["left_out"]) == {"network.py", "model.onnx", "timm.safetensors"}
    card = (tmp_path / "small" / "README.md").read_text()
    assert "There is no network.py" in card
    assert "is no AnyNet" in card
    assert "There is no model.onnx" in card
    trained, loaded = network("resnet18@0.125x"), load_network(tmp_path / "small")
    assert np.allclose(loaded.logits(images(9)), trained.logits(images(9)))


@pytest.mark.usefixtures("quickly")
def test_an_interrupt_leaves_what_was_there_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path)
    before = {each.name: each.read_bytes() for each in (tmp_path / "medium").iterdir()}

    def interrupted(*_: object) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(folders, "card", interrupted)
    for name in ("medium", "large"):
        with pytest.raises(KeyboardInterrupt):
            write(tmp_path, name)
    assert [each.name for each in tmp_path.iterdir()] == ["medium"]
    assert {each.name: each.read_bytes() for each in (tmp_path / "medium").iterdir()} == before


@pytest.mark.usefixtures("quickly")
def test_a_network_is_replaced_and_anything_else_is_not(tmp_path: Path) -> None:
    write(tmp_path)
    assert write(tmp_path)["name"] == "medium"
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "dear.jpg").touch()
    with pytest.raises(InputError, match="is no trained network; name another folder"):
        write(tmp_path, "photos")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["medium", "photos"]
    trained = network()
    for name in ("..", "../up", "", ".hidden", "a/b", "x" * 101):
        with pytest.raises(InputError, match="can't be named"):
            folders.write_network(tmp_path, name, trained, judged(trained), facts(REGNET))
