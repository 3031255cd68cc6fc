"""Trained networks as files: what is read is what was written, and everything else is refused in a line."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from regnetlab.errors import InputError
from regnetlab.models.flat import flatten
from regnetlab.models.registry import find_model
from regnetlab.models.weights import (
    check_weights_path,
    load_weights,
    read_weights,
    trained_network,
    write_weights,
)
from regnetlab.spaces.template import SMALL

NAMES = ("bn_lenet", "bn_lenet_scratch", "resnet18@0.25x", "densenet_small@0.25x@32px", "regnetx_200mf@0.25x")


def facts(name: str) -> dict[str, Any]:
    return {"model": name, "template": asdict(SMALL), "classes": ["a"] * 10}


@pytest.mark.parametrize("name", NAMES)
def test_a_network_read_again_gives_the_same_outputs(name: str, tmp_path: Path) -> None:
    network = find_model(name).build(SMALL).to(memory_format=torch.channels_last)
    flatten(network)  # its parameters are then parts of one vector
    images = torch.randn(8, 1, 28, 28)
    network(images)  # moves the running averages
    path = tmp_path / "net.safetensors"
    write_weights(path, network, facts(name) | {"error": 12.5})
    again, found = trained_network(path)
    assert (found["model"], found["error"]) == (name, 12.5)
    network.eval()
    with torch.inference_mode():
        torch.testing.assert_close(again(images), network(images), rtol=1e-4, atol=1e-5)
    tensors, _ = read_weights(path)
    assert list(tensors) == sorted(network.state_dict())
    for key, value in network.state_dict().items():
        assert torch.equal(tensors[key], value)


def test_weights_of_another_network_are_refused_with_what_differs(tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    write_weights(path, find_model("bn_lenet").build(SMALL), facts("bn_lenet"))
    with pytest.raises(
        InputError, match=r"those of bn_lenet on 1x28x28, which is another network: .*missing"
    ):
        load_weights(path, find_model("resnet18@0.25x").build(SMALL))
    with pytest.raises(InputError, match=r"is 6×1×5×5 and not 16×1×5×5"):
        load_weights(path, find_model("bn_lenet@2.5x").build(SMALL))


def _folder(path: Path) -> None:
    path.mkdir()


def _rubbish(path: Path) -> None:
    path.write_bytes(b"no tensors at all, but long enough")


def _cut(path: Path) -> None:
    write_weights(path, find_model("bn_lenet").build(SMALL), facts("bn_lenet"))
    path.write_bytes(path.read_bytes()[:-100])


def _strange(path: Path) -> None:
    save_file({"a": torch.zeros(2)}, path)


def _nested(path: Path) -> None:
    save_file({"a": torch.zeros(2)}, path, metadata={"regnetlab": "[" * 100_000})


def _unknown(path: Path) -> None:
    write_weights(path, find_model("bn_lenet").build(SMALL), facts("lenet_of_tomorrow"))


def _no_template(path: Path) -> None:
    write_weights(path, find_model("bn_lenet").build(SMALL), facts("bn_lenet") | {"template": {"name": "x"}})


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: None, "there is no such file"),
        (_folder, "it is a folder"),
        (_rubbish, "can't be read as safetensors: .*; give a file that regnetlab train --save wrote"),
        (_cut, "can't be read as safetensors"),
        (_strange, "do not say which network they are"),
        (_nested, "do not say which network they are"),
        (_unknown, "can't be built: model 'lenet_of_tomorrow' is not known"),
        (_no_template, "can't be built"),
    ],
)
def test_what_is_no_trained_network_is_refused(
    make: Callable[[Path], None], words: str, tmp_path: Path
) -> None:
    path = tmp_path / "net.safetensors"
    make(path)
    with pytest.raises(InputError, match=words):
        trained_network(path)


def test_a_place_that_can_not_be_written_is_refused_beforehand(tmp_path: Path) -> None:
    (tmp_path / "folder.safetensors").mkdir()
    for path in (
        tmp_path,
        tmp_path / "net.pt",
        tmp_path / "folder.safetensors",
        tmp_path / "no/net.safetensors",
    ):
        with pytest.raises(
            InputError, match=r"output .*(end the name in|is a folder; name a file|can't be written)"
        ):
            check_weights_path(path)
