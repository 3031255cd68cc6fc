"""Statistics of norms before judging, for every norm that there is."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import nn

from regnetlab.models.registry import find_model
from regnetlab.spaces.template import SMALL
from regnetlab.training.batches import DeviceData, on_device
from regnetlab.training.budget import Budget, Recipe
from regnetlab.training.datasets import load_data
from regnetlab.training.devices import find_device, set_up
from regnetlab.training.judging import recompute_norms
from regnetlab.training.trainer import train


@pytest.fixture(scope="module")
def data(data_dir: Path) -> DeviceData:
    device = find_device("cpu")
    set_up(device)
    return on_device(load_data("fashion-mnist", SMALL, data_dir), device)


def test_the_batch_norm_written_out_earns_what_torchs_earns(data: DeviceData) -> None:
    """Few steps, after which the running averages still hold weights of long ago."""
    budget = Budget(images=960, batch_size=64, validation=200)
    scores = [
        train(partial(find_model(name).build, SMALL), data, budget, Recipe(), seed=3)
        for name in ("bn_lenet", "bn_lenet_scratch")
    ]
    assert scores[0].error == pytest.approx(scores[1].error, abs=1.0)
    plain = train(
        partial(find_model("bn_lenet_scratch").build, SMALL), data, budget, Recipe(precise_bn=0), seed=3
    )
    assert plain.error != scores[1].error  # the statistics were recomputed


def test_statistics_are_means_over_batches_and_momentum_stays(data: DeviceData) -> None:
    budget = Budget(images=250, batch_size=100, drop_last=False)
    for norm in (nn.BatchNorm2d(1), find_model("bn_lenet_scratch").build(SMALL)[1].__class__(1)):
        model = nn.Sequential(norm)
        recompute_norms(model, data.train, budget, Recipe())
        seen = data.train.normalised(slice(0, 200)).double().reshape(2, -1)  # whole batches alone
        assert norm.running_mean.item() == pytest.approx(seen.mean(1).mean().item(), abs=1e-5)
        assert norm.running_var.item() == pytest.approx(seen.var(1).mean().item(), rel=1e-4)
        assert norm.momentum == 0.1


def test_an_interrupt_leaves_the_running_averages_as_they_were(data: DeviceData) -> None:
    class Stopped(nn.Module):
        def __init__(self, after: int) -> None:
            super().__init__()
            self.left = iter(range(after))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            if next(self.left, None) is None:
                raise KeyboardInterrupt
            return x

    model = nn.Sequential(nn.BatchNorm2d(1), Stopped(2))
    with pytest.raises(KeyboardInterrupt):
        recompute_norms(model, data.train, Budget(images=640, batch_size=64), Recipe())
    norm = model[0]
    assert isinstance(norm, nn.BatchNorm2d)
    assert norm.running_mean is not None
    assert (norm.running_mean.item(), norm.momentum) == (0, 0.1)


def _interrupted(model: nn.Module, calls: int) -> nn.Module:
    def count() -> Iterator[int]:
        yield from range(calls)

    left = count()

    def stop(*_: object) -> None:
        if next(left, None) is None:
            raise KeyboardInterrupt

    model.register_forward_pre_hook(stop)
    return model


def test_only_a_training_that_is_watched_keeps_what_an_interrupt_leaves(data: DeviceData) -> None:
    from regnetlab.training.watching import Watching

    model = find_model("bn_lenet")
    budget = replace(Budget(), images=640, batch_size=64, epochs=3, validation=50)

    def build() -> nn.Module:
        return _interrupted(model.build(SMALL), 31)  # in the second epoch, behind norms and judging

    with pytest.raises(KeyboardInterrupt):
        train(build, data, budget, Recipe(precise_bn=0), 0, "torch")
    score = train(build, data, budget, Recipe(precise_bn=0), 0, "torch", Watching())
    assert (score.ended, score.error, score.network_is_usable) == ("interrupted", None, True)
    assert score.images > 640
