"""``regnetlab summary --weights``."""

import json
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from regnetlab.cli import main
from regnetlab.models.registry import find_model
from regnetlab.models.weights import write_weights
from regnetlab.spaces.template import PAPER, SMALL
from tests.cli.asked import Capture, answer, complaint

GREY = PAPER.changed("1x32x20", 7)


@pytest.fixture
def saved(tmp_path: Path) -> str:
    """Weights of a LeNet with batch norm at 1×32×20 and 7 classes."""
    torch.manual_seed(0)
    path = tmp_path / "net.safetensors"
    metadata = {"regnetlab": json.dumps({"model": "bn_lenet", "template": asdict(GREY)})}
    save_file(find_model("bn_lenet").build(GREY).state_dict(), path, metadata)
    return str(path)


def test_a_file_says_its_network_and_template(capsys: Capture, saved: str) -> None:
    found = answer(capsys, "summary", "--weights", saved)
    assert (found["model"], found["input"], found["classes"]) == ("bn_lenet", "1x32x20", 7)
    assert len(found["weights"]) == 26
    one = answer(capsys, "summary", "bn_lenet", "--weights", saved, "--layer", "block1.norm")["weights"]
    assert [each["role"] for each in one] == ["gamma", "beta", "running mean", "running var"]
    assert one[0]["values"] == [1.0] * 6


def test_the_table_has_a_row_a_tensor_and_a_layer_its_values(capsys: Capture, saved: str) -> None:
    assert main(["summary", "--weights", saved]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3 + 26
    assert max(map(len, lines[2:])) <= 80
    assert main(["summary", "--weights", saved, "--layer", "block2.norm"]) == 0
    assert f"block2.norm gamma: {' '.join(['1'] * 16)}" in capsys.readouterr().out


def test_weights_without_metadata_need_a_name(capsys: Capture, tmp_path: Path) -> None:
    path = tmp_path / "bare.safetensors"
    save_file(find_model("bn_lenet").build(GREY).state_dict(), path)
    words = ("--input", "1x32x20", "--classes", "7")
    assert "does not say its network" in complaint(capsys, ("summary", "--weights", str(path), *words))
    assert len(answer(capsys, "summary", "bn_lenet", "--weights", str(path), *words)["weights"]) == 26


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (
            ("resnet18@small",),
            "holds weights of bn_lenet: these are not weights of resnet18@small: conv.weight",
        ),
        (("bn_lenet", "--classes", "8"), "15.weight is 7×84 instead of 8×84"),
        (("--layer", "block9"), "layer 'block9' is not known; did you mean"),
        (("--depth", "1"), "choose a part with --layer"),
        (("--template", "small"), "9.weight is 120×160 instead of 120×256"),
    ],
)
def test_weights_that_do_not_fit_are_refused(
    capsys: Capture, saved: str, words: tuple[str, ...], part: str
) -> None:
    assert part in complaint(capsys, ("summary", *words, "--weights", saved))


def test_what_is_no_file_of_weights_is_refused(capsys: Capture, tmp_path: Path, saved: str) -> None:
    text = tmp_path / "text.safetensors"
    text.write_text("no weights")
    half = tmp_path / "half.safetensors"
    half.write_bytes(Path(saved).read_bytes()[:5_000])
    for path in (text, half, tmp_path):
        assert "can't be read as safetensors" in complaint(capsys, ("summary", "--weights", str(path)))
    assert "there is no such file" in complaint(capsys, ("summary", "--weights", str(tmp_path / "nowhere")))
    assert "name the file of weights too" in complaint(capsys, ("summary", "resnet18", "--layer", "stem"))


@pytest.mark.parametrize("layer", ["s1", "s1.b1", "stage1.block1", "stage1"])
def test_a_layer_is_found_by_the_name_that_summary_shows(capsys: Capture, tmp_path: Path, layer: str) -> None:
    shape = SMALL.changed("1x28x28", 10)
    network = find_model("resnet18@0.1x").build(shape)
    path = tmp_path / "x.safetensors"
    write_weights(path, network, {"model": "resnet18@0.1x", "template": asdict(shape)})
    document = answer(capsys, "summary", "--weights", str(path), "--layer", layer)
    assert {each["part"].partition(".")[0] for each in document["weights"]} == {"stage1"}
