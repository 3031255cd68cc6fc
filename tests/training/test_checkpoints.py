"""A training that was interrupted goes on, and ends with the bits that it would have ended with."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import nn

from regnetlab.models.registry import find_model
from regnetlab.spaces.template import SMALL
from regnetlab.training import checkpoints
from regnetlab.training.batches import DeviceData, on_device
from regnetlab.training.budget import Budget, Recipe, Score
from regnetlab.training.checkpoints import Checkpoint
from regnetlab.training.datasets import load_data
from regnetlab.training.trainer import train
from regnetlab.training.watching import Watching

_BUDGET = Budget(images=320, epochs=3, batch_size=32, validation=200)
_NETWORK = "anynet:d=1,1,1,1;w=8,16,24,32;g=8;b=1"


@pytest.fixture(scope="module")
def data(data_dir: Path) -> DeviceData:
    return on_device(load_data("fashion-mnist", SMALL, data_dir), torch.device("cpu"), final=True)


@pytest.fixture(autouse=True)
def _after_each_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoints, "EVERY", 0.0)


class _Until(Watching):
    """Ends the training after so many steps; counts them."""

    def __init__(self, last: int = 10_000) -> None:
        self.last, self.steps = last, 0

    def on_step(self, epoch: int, step: int, steps: int) -> None:
        self.steps += 1
        if self.steps >= self.last:
            raise InterruptedError


class _Dropping(nn.Module):
    """A network that draws random numbers while it trains."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, 8, 3, 4), nn.BatchNorm2d(8), nn.Flatten(), nn.Dropout(), nn.Linear(8 * 49, 10)
        )

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.layers(images)
        return found


def _trained(
    data: DeviceData,
    checkpoint: Checkpoint | None,
    watching: Watching,
    recipe: Recipe = Recipe(augment="crop-flip"),
    kernels: str = "auto",
    dropping: bool = False,
) -> Score:
    build = _Dropping if dropping else partial(find_model(_NETWORK).build, SMALL)
    score = train(build, data, _BUDGET, recipe, 3, kernels, watching, checkpoint)
    return replace(score, seconds=0.0)


@pytest.mark.parametrize("interrupted_at", [(1,), (2,), (7,), (10,), (11,), (13, 9), (29,), (30,)])
def test_what_goes_on_ends_as_if_it_had_not_been_interrupted(
    data: DeviceData, tmp_path: Path, interrupted_at: tuple[int, ...]
) -> None:
    whole = _trained(data, None, Watching())
    for steps in interrupted_at:
        ended = _trained(data, Checkpoint(tmp_path / "x", "these"), _Until(steps))
        assert ended.error is None
    last = _Until()
    assert _trained(data, Checkpoint(tmp_path / "x", "these"), last) == whole
    assert last.steps == 30 - sum(interrupted_at) + len(interrupted_at)  # all but those since the last one


@pytest.mark.parametrize(
    ("recipe", "kernels", "dropping"),
    [
        (Recipe(momentum=0.0), "torch", False),
        (Recipe(augment="resized-crop-flip"), "torch", False),
        (Recipe(precise_bn=0), "auto", False),
        (Recipe(ema=0.9), "auto", False),
        (Recipe(), "torch", True),
    ],
)
def test_whatever_a_training_draws_and_keeps_goes_on(
    data: DeviceData, tmp_path: Path, recipe: Recipe, kernels: str, dropping: bool
) -> None:
    whole = _trained(data, None, Watching(), recipe, kernels, dropping)
    checkpoint = Checkpoint(tmp_path / "x", "these")
    _trained(data, checkpoint, _Until(14), recipe, kernels, dropping)
    assert _trained(data, checkpoint, _Until(), recipe, kernels, dropping) == whole


def test_the_time_that_was_used_before_counts(data: DeviceData, tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path / "x", "these")
    _trained(data, checkpoint, _Until(15))
    tensors, facts = checkpoint.load() or ({}, {})
    checkpoint.save(tensors, facts | {"seconds": 1_000.0})
    score = _trained(data, checkpoint, Watching())
    assert score.ended.startswith("time limit")


@pytest.mark.parametrize(
    "harm", ["of another", "cut", "no tensor", "no fact", "bad curve", "bad step", "bytes", "other step"]
)
def test_a_checkpoint_of_something_else_is_none(data: DeviceData, tmp_path: Path, harm: str) -> None:
    whole = _trained(data, None, Watching())
    checkpoint = Checkpoint(tmp_path / "x", "these")
    _trained(data, checkpoint, _Until(15))
    tensors, facts = checkpoint.load() or ({}, {})
    if harm == "of another":
        checkpoint = Checkpoint(tmp_path / "x", "those")
    elif harm == "cut":
        checkpoint.path.write_bytes(checkpoint.path.read_bytes()[:-10])
    elif harm == "no tensor":
        checkpoint.save({name: each for name, each in tensors.items() if name != "momentum0"}, facts)
    elif harm == "bytes":
        whole_file = bytearray(checkpoint.path.read_bytes())
        whole_file[-20] ^= 1
        checkpoint.path.write_bytes(bytes(whole_file))
    elif harm == "other step":
        there = checkpoint.path.read_bytes()
        assert there.count(b'\\"step\\": 14') == 1
        checkpoint.path.write_bytes(there.replace(b'\\"step\\": 14', b'\\"step\\": 13'))
    elif harm == "no fact":
        checkpoint.save(tensors, {name: each for name, each in facts.items() if name != "curve"})
    else:
        wrong = {"curve": []} if harm == "bad curve" else {"step": 10**6}
        checkpoint.save(tensors, facts | wrong)
    until = _Until()
    assert _trained(data, checkpoint, until) == whole
    assert until.steps == 30


def test_checkpoints_are_minutes_apart(
    data: DeviceData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoints, "EVERY", 120.0)
    _trained(data, Checkpoint(tmp_path / "x", "these"), Watching())
    assert not (tmp_path / "x").exists()
