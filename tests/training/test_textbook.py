"""The textbook recipe trains as plain torch code does that was written from the chapter."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import nn

from regnetlab.models.registry import find_model
from regnetlab.spaces.template import SMALL
from regnetlab.training.batches import DeviceData, on_device
from regnetlab.training.budget import COMPLETE, Budget, Recipe
from regnetlab.training.datasets import load_data
from regnetlab.training.devices import find_device, set_up
from regnetlab.training.recipes import recipe_values
from regnetlab.training.trainer import train
from regnetlab.training.watching import Epoch, Watching


@pytest.fixture(scope="module")
def data(data_dir: Path) -> DeviceData:
    device = find_device("cpu")
    set_up(device)
    return on_device(load_data("fashion-mnist", SMALL, data_dir), device)


def textbook(family: str) -> Recipe:
    values = recipe_values("textbook", family)
    return Recipe(**{name: values[name] for name in Recipe.__slots__ if name in values})


class Kept(Watching):
    """The network as it began, the random numbers of its first step, and what it was told."""

    def __init__(self) -> None:
        self.began: dict[str, torch.Tensor] = {}
        self.network: nn.Module = nn.Identity()
        self.random = torch.empty(0)
        self.epochs: list[Epoch] = []

    def on_begin(self, network: nn.Module) -> None:
        self.network = network
        self.began = {name: each.detach().clone() for name, each in network.state_dict().items()}
        self.random = torch.random.get_rng_state()

    def on_epoch(self, epoch: Epoch) -> None:
        self.epochs.append(epoch)


def lenet() -> nn.Module:
    return nn.Sequential(
        *(nn.LazyConv2d(6, 5), nn.LazyBatchNorm2d(), nn.Sigmoid(), nn.AvgPool2d(2, 2)),
        *(nn.LazyConv2d(16, 5), nn.LazyBatchNorm2d(), nn.Sigmoid(), nn.AvgPool2d(2, 2)),
        *(nn.Flatten(), nn.LazyLinear(120), nn.LazyBatchNorm1d(), nn.Sigmoid()),
        *(nn.LazyLinear(84), nn.LazyBatchNorm1d(), nn.Sigmoid(), nn.LazyLinear(10)),
    )


def slim_vgg() -> nn.Module:
    layers: list[nn.Module] = []
    for convolutions, width in ((1, 16), (1, 32), (2, 64), (2, 128), (2, 128)):
        for _ in range(convolutions):
            layers += [nn.LazyConv2d(width, 3, padding=1), nn.ReLU()]
        layers.append(nn.MaxPool2d(2, 2))
    for _ in range(2):
        layers += [nn.Flatten(), nn.LazyLinear(4096), nn.ReLU(), nn.Dropout(0.5)]
    return nn.Sequential(*layers, nn.LazyLinear(10))


def alexnet() -> nn.Module:
    return nn.Sequential(
        *(nn.LazyConv2d(96, 11, 4, 1), nn.ReLU(), nn.MaxPool2d(3, 2)),
        *(nn.LazyConv2d(256, 5, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2)),
        *(nn.LazyConv2d(384, 3, padding=1), nn.ReLU(), nn.LazyConv2d(384, 3, padding=1), nn.ReLU()),
        *(nn.LazyConv2d(256, 3, padding=1), nn.ReLU(), nn.MaxPool2d(3, 2), nn.Flatten()),
        *(nn.LazyLinear(4096), nn.ReLU(), nn.Dropout(0.5)),
        *(nn.LazyLinear(4096), nn.ReLU(), nn.Dropout(0.5), nn.LazyLinear(10)),
    )


def nin() -> nn.Module:
    layers: list[nn.Module] = []
    for width, kernel, stride, padding in ((96, 11, 4, 0), (256, 5, 1, 2), (384, 3, 1, 1), (10, 3, 1, 1)):
        if width == 10:
            layers.append(nn.Dropout(0.5))
        layers += [nn.LazyConv2d(width, kernel, stride, padding), nn.ReLU()]
        layers += [nn.LazyConv2d(width, 1), nn.ReLU(), nn.LazyConv2d(width, 1), nn.ReLU()]
        layers.append(nn.AdaptiveAvgPool2d(1) if width == 10 else nn.MaxPool2d(3, 2))
    return nn.Sequential(*layers, nn.Flatten())


class Paths(nn.Module):
    """The four paths of an Inception block."""

    def __init__(self, c1: int, c2: tuple[int, int], c3: tuple[int, int], c4: int) -> None:
        super().__init__()

        def conv(width: int, kernel: int) -> nn.Module:
            return nn.Sequential(nn.LazyConv2d(width, kernel, padding=kernel // 2), nn.ReLU())

        self.paths = nn.ModuleList(
            [
                conv(c1, 1),
                nn.Sequential(conv(c2[0], 1), conv(c2[1], 3)),
                nn.Sequential(conv(c3[0], 1), conv(c3[1], 5)),
                nn.Sequential(nn.MaxPool2d(3, 1, 1), conv(c4, 1)),
            ]
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([path(x) for path in self.paths], 1)


def googlenet() -> nn.Module:
    return nn.Sequential(
        *(nn.LazyConv2d(64, 7, 2, 3), nn.ReLU(), nn.MaxPool2d(3, 2, 1)),
        *(nn.LazyConv2d(64, 1), nn.ReLU(), nn.LazyConv2d(192, 3, padding=1), nn.ReLU()),
        *(nn.MaxPool2d(3, 2, 1), Paths(64, (96, 128), (16, 32), 32), Paths(128, (128, 192), (32, 96), 64)),
        *(nn.MaxPool2d(3, 2, 1), Paths(192, (96, 208), (16, 48), 64), Paths(160, (112, 224), (24, 64), 64)),
        *(Paths(128, (128, 256), (24, 64), 64), Paths(112, (144, 288), (32, 64), 64)),
        *(Paths(256, (160, 320), (32, 128), 128), nn.MaxPool2d(3, 2, 1)),
        *(Paths(256, (160, 320), (32, 128), 128), Paths(384, (192, 384), (48, 128), 128)),
        *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.LazyLinear(10)),
    )


def one_step(
    plain: nn.Module, kept: Kept, images: torch.Tensor, labels: torch.Tensor, lr: float
) -> tuple[float, float]:
    """Loss and share of right answers of plain torch's step from the same weights, dropout's the same."""
    images = images.contiguous(memory_format=torch.channels_last)  # the order in which dropout draws
    plain(images[:2])  # what is lazy learns its sizes
    state = dict(zip(plain.state_dict(), kept.began.values(), strict=True))
    plain.load_state_dict(state)
    plain.train()
    optimizer = torch.optim.SGD(plain.parameters(), lr=lr)
    with torch.random.fork_rng():
        torch.random.set_rng_state(kept.random)
        scores = plain(images)
    loss = nn.CrossEntropyLoss()(scores, labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item(), (scores.argmax(1) == labels).float().mean().item()


@pytest.mark.parametrize(
    ("name", "family", "plain", "side"),
    [
        ("bn_lenet", "LeNet", lenet, 28),
        ("vgg11_slim@64px", "VGG", slim_vgg, 64),
        ("alexnet@224px", "AlexNet", alexnet, 224),
        ("nin@96px", "NiN", nin, 96),
        ("googlenet@96px", "GoogLeNet", googlenet, 96),
    ],
)
def test_one_step_is_that_of_plain_torch(
    data: DeviceData, name: str, family: str, plain: Callable[[], nn.Module], side: int
) -> None:
    n, kept, recipe = 16, Kept(), textbook(family)
    budget = Budget(images=n, batch_size=n, validation=n, drop_last=False)
    score = train(partial(find_model(name).build, SMALL), data, budget, recipe, 3, watching=kept)
    assert score.ended == COMPLETE
    order = torch.randperm(n, generator=torch.Generator().manual_seed(3))  # dropout is by place in the batch
    pixels = data.train.pixels[order].float() / 255
    images = nn.functional.interpolate(pixels, (side, side), mode="bilinear", antialias=True)
    chapter = plain()
    loss, right = one_step(chapter, kept, images, data.train.labels[order], recipe.lr)
    [epoch] = kept.epochs
    assert epoch.train_loss == pytest.approx(loss, abs=1e-5)
    assert epoch.train_accuracy == pytest.approx(100 * right)
    moved = 0.0
    for before, ours, theirs in zip(
        kept.began.values(), kept.network.state_dict().values(), chapter.state_dict().values(), strict=True
    ):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)
        moved += (ours - before).abs().sum().item()
    assert moved > 0


def test_the_judging_is_that_of_plain_torch(data: DeviceData) -> None:
    kept, budget = Kept(), Budget(images=320, epochs=2, batch_size=32, validation=150)
    score = train(
        partial(find_model("bn_lenet").build, SMALL), data, budget, textbook("LeNet"), 0, watching=kept
    )
    plain = lenet()
    images = data.validation.pixels[:150].float() / 255
    plain(images[:2])
    plain.load_state_dict(dict(zip(plain.state_dict(), kept.network.state_dict().values(), strict=True)))
    plain.eval()
    scores = plain(images)
    labels = data.validation.labels[:150]
    assert kept.epochs[-1].loss == pytest.approx(nn.CrossEntropyLoss()(scores, labels).item(), abs=1e-5)
    assert score.error == pytest.approx(100 * (scores.argmax(1) != labels).float().mean().item())
    assert kept.epochs[-1].accuracy == pytest.approx(100 - (score.error or 0))
    assert [each.epoch for each in kept.epochs] == [1, 2]


def test_pixels_of_0_to_1_are_those_levels_over_255(data: DeviceData) -> None:
    images = data.scaled("0-1").train.normalised(slice(0, 50))
    torch.testing.assert_close(images, data.train.pixels[:50].float() / 255)
    assert data.scaled("standardised") is data


def test_an_epoch_that_keeps_its_last_batch_shows_every_image(data: DeviceData) -> None:
    budget = Budget(images=330, epochs=2, batch_size=32, validation=50, drop_last=False)
    kept = Kept()
    score = train(partial(find_model("bn_lenet").build, SMALL), data, budget, Recipe(), 0, watching=kept)
    assert budget.steps == 22
    assert score.images == 660
    assert [point.images for point in score.curve if point.error is not None] == [330, 660]
    assert all(0 <= each.train_accuracy <= 100 for each in kept.epochs)


def test_the_means_of_an_epoch_count_every_image_once(data: DeviceData) -> None:
    """At a rate of nearly nothing each batch sees the same weights, so batches of any size give one mean."""
    still = replace(Recipe(), lr=1e-9, momentum=0)
    epochs = []
    for size in (250, 100, 48):
        kept, budget = Kept(), Budget(images=250, batch_size=size, validation=50, drop_last=False)
        train(partial(find_model("vgg11_slim@32px").build, SMALL), data, budget, still, 0, watching=kept)
        epochs += kept.epochs
    losses = [each.train_loss for each in epochs]
    assert losses == pytest.approx([losses[0]] * 3, rel=0.05)  # dropout differs


@pytest.mark.parametrize("how", ["xavier", "he"])
def test_initial_weights_have_the_spread_that_the_recipe_asks_for(data: DeviceData, how: str) -> None:
    kept = Kept()
    recipe = replace(Recipe(), init=how)
    budget = Budget(images=16, batch_size=16, validation=16)
    for name in ("vgg11_slim@32px", "resnet18@0.25x", "anynet:d=1,1;w=64,64;g=16;b=1"):
        train(partial(find_model(name).build, SMALL), data, budget, recipe, 0, watching=kept)
        weights = {name: each for name, each in kept.began.items() if each.ndim > 1 and each.numel() > 2_000}
        assert weights
        for key, each in weights.items():
            fan_in, fan_out = each[0].numel(), each.shape[0] * each[0, 0].numel()
            variance = 2 / (fan_in + fan_out) if how == "xavier" else 2 / fan_in
            assert each.var().item() == pytest.approx(variance, rel=0.1), key
            if how == "xavier":
                assert each.abs().max().item() <= (3 * variance) ** 0.5


@pytest.mark.parametrize("scale", ["standardised", "0-1"])
@pytest.mark.parametrize("init", ["paper", "xavier"])
def test_slim_vgg_at_the_chapters_rate_needs_the_chapters_weights_or_pixels(
    data: DeviceData, init: str, scale: str
) -> None:
    """With this package's pixels and the family's own weights the rate of 0.1 is too high by far; it takes
    one of the two, and that is why both are keys."""
    recipe = replace(textbook("VGG"), init=init, input_scale=scale)
    budget = Budget(images=192, batch_size=32, validation=10)
    score = train(partial(find_model("vgg11_slim@64px").build, SMALL), data, budget, recipe, 0)
    assert score.ended.startswith("diverged") == ((init, scale) == ("paper", "standardised"))
