import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from regnetlab.errors import InputError
from regnetlab.models.anynet import AnyNet
from regnetlab.models.flat import flatten
from regnetlab.models.native.build import libraries
from regnetlab.spaces.law import parse_config
from regnetlab.spaces.template import SMALL
from regnetlab.training.batches import Batches, DeviceData, flips_and_shifts, on_device, shifted
from regnetlab.training.budget import COMPLETE, Budget, Recipe
from regnetlab.training.crops import shifts_of_colour
from regnetlab.training.datasets import load_data
from regnetlab.training.devices import find_device, set_up
from regnetlab.training.judging import recompute_norms
from regnetlab.training.prepared import prepared
from regnetlab.training.step import learning_rate, make_optimizer
from regnetlab.training.trainer import train
from regnetlab.training.watching import Watching

NETWORK = parse_config("anynet:d=1,1,1,1;w=8,16,16,32;g=8;b=1")
BUDGET = Budget(images=640, epochs=2, batch_size=32, validation=150)
build = partial(AnyNet, NETWORK, SMALL)


@pytest.fixture(scope="module")
def data(data_dir: Path) -> DeviceData:
    device = find_device("cpu")
    set_up(device)
    return on_device(load_data("fashion-mnist", SMALL, data_dir), device)


def test_a_network_learns_what_can_be_learnt(data: DeviceData) -> None:
    score = train(build, data, replace(BUDGET, epochs=4), Recipe(), seed=0)
    assert score.ended == COMPLETE
    assert score.error is not None
    assert score.error < 30  # chance is 90
    assert score.images == 4 * 640
    assert score.curve[-1].train_loss < score.curve[0].train_loss


def test_the_same_seed_gives_the_same_score_to_the_last_bit(data: DeviceData) -> None:
    first, again, other = (train(build, data, BUDGET, Recipe(), seed=seed) for seed in (5, 5, 6))
    assert (first.error, first.curve) == (again.error, again.curve)
    assert first.curve != other.curve


def test_a_score_says_what_computed_it(data: DeviceData) -> None:
    small = replace(BUDGET, images=64, epochs=1)
    for kernels, odd in (("torch", small), ("auto", replace(small, batch_size=20))):
        assert train(build, data, odd, Recipe(), 0, kernels).ran == "torch"  # whatever was asked for
    if libraries():
        assert train(build, data, small, Recipe(), 0, "auto").ran == "native"


def test_a_training_leaves_the_global_random_state_alone(data: DeviceData) -> None:
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    train(build, data, replace(BUDGET, images=64, epochs=1), Recipe(), seed=5)
    assert torch.equal(before, torch.random.get_rng_state())


def test_a_training_leaves_the_arithmetic_of_its_process_alone(data: DeviceData) -> None:
    train(build, data, replace(BUDGET, images=64, epochs=1), Recipe(), seed=5)
    assert 5e-324 * 1.0 > 0  # numbers this small are 0 where denormals are flushed


def test_the_curve_ends_every_epoch_with_a_validation_error(data: DeviceData) -> None:
    curve = train(build, data, BUDGET, Recipe(), seed=0).curve
    judged = [point.images for point in curve if point.error is not None]
    assert judged == [640, 1280]
    assert [point.images for point in curve] == sorted({point.images for point in curve})


def test_divergence_ends_a_model_with_its_reason(data: DeviceData) -> None:
    class Diverging(nn.Module):
        """Logits that are fine at first and infinite after some steps, as in a real divergence."""

        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.ones(1, 10))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.mean((1, 2, 3))[:, None] * torch.exp(torch.exp(self.scale * 3))

    score = train(Diverging, data, BUDGET, replace(Recipe(), lr=900.0), seed=0)
    assert score.error is None
    assert score.ended.startswith("diverged: the loss was not finite by step")


def test_running_out_of_memory_ends_a_model_with_its_reason(data: DeviceData) -> None:
    def huge() -> nn.Module:
        return nn.Linear(2**24, 2**24)

    assert train(huge, data, BUDGET, Recipe(), seed=0).ended == "out of memory"


def test_a_time_limit_ends_a_model_with_its_reason(data: DeviceData) -> None:
    score = train(build, data, replace(BUDGET, epochs=10_000, time_limit=0.2), Recipe(), seed=0)
    assert score.ended == "time limit of 0.2 s"
    assert score.error is None
    assert score.seconds < 60


def test_any_other_failure_ends_a_model_with_its_reason(data: DeviceData) -> None:
    score = train(lambda: nn.Linear(3, 3), data, BUDGET, Recipe(), seed=0)
    assert score.ended.startswith("failed: RuntimeError")


@pytest.mark.parametrize("schedule", ["cosine", "one-cycle"])
def test_the_learning_rate_rises_to_its_height_and_falls_to_nothing(schedule: str) -> None:
    recipe = replace(Recipe(), schedule=schedule, warmup=0.25, lr=0.4)
    rates = [learning_rate(step, 100, recipe) for step in range(100)]
    assert rates[:26] == sorted(rates[:26])
    assert rates[25:] == sorted(rates[25:], reverse=True)
    assert max(rates) == pytest.approx(0.4)
    assert 0 < rates[-1] < 0.01
    assert rates[0] < 0.02


def test_one_step_without_warm_up_learns_at_full_rate() -> None:
    assert learning_rate(0, 1, replace(Recipe(), warmup=0.0)) == Recipe().lr


@pytest.mark.parametrize("steps", [1, 2, 3, 4, 5, 100])
def test_the_longest_warm_up_reaches_the_full_rate_however_few_the_steps(steps: int) -> None:
    recipe = replace(Recipe(), warmup=0.9)
    assert max(learning_rate(step, steps, recipe) for step in range(steps)) == recipe.lr


def test_weight_decay_spares_norms_and_biases() -> None:
    model = build()
    groups = make_optimizer(flatten(model), Recipe(weight_decay=0.1)).param_groups
    assert [group["weight_decay"] for group in groups] == [0.1, 0.0]
    decayed = sum(p.numel() for p in model.parameters() if p.ndim > 1)
    assert [sum(p.numel() for p in group["params"]) for group in groups] == [
        decayed,
        sum(p.numel() for p in model.parameters()) - decayed,
    ]


def test_weight_decay_may_act_on_everything() -> None:
    groups = make_optimizer(flatten(build()), Recipe(weight_decay=0.1, decay="all")).param_groups
    assert [group["weight_decay"] for group in groups] == [0.1, 0.1]


def test_a_learning_rate_for_a_batch_grows_with_the_batch(data: DeviceData) -> None:
    scaled, plain = Recipe(lr=0.4, lr_batch=128), Recipe(lr=0.1)
    first, second = (train(build, data, BUDGET, recipe, 0) for recipe in (scaled, plain))
    assert first.curve == second.curve  # batches of 32


def test_the_average_of_all_weights_is_judged(data: DeviceData) -> None:
    """Kept from the first step to the last, it is the mean of all but for the first few steps."""
    budget = replace(BUDGET, epochs=1)
    seen: list[torch.Tensor] = []
    kept: list[nn.Module] = []

    class Watch(Watching):
        def on_begin(self, network: nn.Module) -> None:
            kept.append(network)

        def on_step(self, epoch: int, step: int, steps: int) -> None:
            seen.append(torch.cat([each.detach().reshape(-1).clone() for each in kept[0].parameters()]))

    score = train(build, data, budget, Recipe(ema=0.5), 0, "torch", Watch())
    assert score.ended == COMPLETE
    average = seen[0] * 0.9  # of 20 steps; before them were the initial weights, which 0.1 of stays
    initial = torch.cat([each.detach().reshape(-1) for each in _initial().parameters()])
    average = average + 0.1 * initial
    for step, weights in enumerate(seen[1:], start=1):
        share = min(0.5, (1 + step) / (10 + step))
        average = share * average + (1 - share) * weights
    final = torch.cat([each.detach().reshape(-1) for each in kept[0].parameters()])
    torch.testing.assert_close(final, average, rtol=1e-4, atol=1e-6)


def _initial() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return build()


def test_colours_shift_along_imagenets_components() -> None:
    shifts = shifts_of_colour(0, 1, np.arange(4_000), 0.1)
    assert np.abs(shifts.mean(0)).max() < 0.002
    spread = np.linalg.eigvalsh(np.cov(shifts.T))[::-1] ** 0.5
    assert spread / 0.1 == pytest.approx([0.2175, 0.0188, 0.0045], rel=0.05)
    with pytest.raises(InputError, match="3 channels"):
        Recipe(lighting=0.1).check_channels(1)


def test_an_epoch_shows_each_image_once(data: DeviceData) -> None:
    batches = Batches(data.train, BUDGET, Recipe(), seed=0)
    batches.begin(1)
    labels = torch.cat([batches.take(slice(at, at + 32))[1] for at in range(0, 640, 32)])
    assert torch.equal(labels.bincount(), data.train.labels[:640].bincount())


def test_images_are_normalised(data: DeviceData) -> None:
    pixels = data.train.normalised(slice(None))
    assert pixels.mean().item() == pytest.approx(0, abs=1e-4)
    assert pixels.std().item() == pytest.approx(1, abs=1e-3)
    assert pixels.is_contiguous(memory_format=torch.channels_last)


def augmented(batch: torch.Tensor, augment: str, seed: int) -> torch.Tensor:
    drawn = flips_and_shifts(augment, len(batch), *batch.shape[2:], torch.Generator().manual_seed(seed))
    if "flip" in drawn:
        batch = torch.where(drawn["flip"][:, None, None, None], batch.flip(3), batch)
    return shifted(batch, drawn["down"], drawn["right"]) if "down" in drawn else batch


def test_a_flip_mirrors_some_images_and_changes_nothing_else() -> None:
    batch = torch.arange(64.0).reshape(16, 1, 2, 2)
    out = augmented(batch, "flip", 0)
    mirrored = [bool(torch.equal(a, b.flip(2))) for a, b in zip(out, batch, strict=True)]
    kept = [bool(torch.equal(a, b)) for a, b in zip(out, batch, strict=True)]
    assert all(a != b for a, b in zip(mirrored, kept, strict=True))
    assert 0 < sum(mirrored) < 16


def test_a_crop_shifts_the_image_and_pads_with_zero() -> None:
    batch = torch.zeros(200, 1, 8, 8)
    batch[:, 0, 4, 4] = 1
    out = augmented(batch, "crop-flip", 0)
    assert torch.equal(out.sum((1, 2, 3)), torch.ones(200))
    rows = {int(each.nonzero()[0, 1]) for each in out}
    assert rows == {3, 4, 5}


def test_a_crop_without_a_flip_shifts_in_every_direction_and_mirrors_nothing() -> None:
    batch = torch.zeros(200, 1, 8, 8)
    batch[:, 0, 4, 3] = 1
    batch[:, 0, 4, 4] = 2  # always to the right of the 1
    out = augmented(batch, "crop", 0)
    ones, twos = ((out == value).nonzero()[:, 2:] for value in (1, 2))
    assert torch.equal(twos - ones, torch.tensor([0, 1]).expand(200, 2))
    assert {tuple(place) for place in ones.tolist()} == {(y, x) for y in (3, 4, 5) for x in (2, 3, 4)}


@pytest.mark.parametrize(("augment", "total"), [("none", 5120.0), ("flip", 5080.0), ("crop-flip", 3692.0)])
def test_what_is_drawn_for_an_augmentation_stays_the_same(augment: str, total: float) -> None:
    batch = torch.arange(64.0).reshape(4, 1, 4, 4)
    out = augmented(batch, augment, 7)
    assert (out * torch.arange(1.0, 5.0)).sum().item() == total


@pytest.mark.parametrize(("height", "width"), [(64, 16), (16, 64), (32, 32), (4, 8)])
def test_a_crop_shifts_by_an_eighth_of_each_side(height: int, width: int) -> None:
    batch = torch.zeros(2_000, 1, height, width)
    batch[:, 0, height // 2, width // 2 - 1 : width // 2 + 1] = 1  # a flip leaves it where it is
    out = augmented(batch, "crop-flip", 0)
    places = torch.stack([each[0].nonzero()[0] for each in out if each.sum() == 2])
    spread = places.amax(0) - places.amin(0)
    assert spread.tolist() == [2 * max(1, side // 8) for side in (height, width)]


def test_precise_norms_equal_the_statistics_of_the_training_images(data: DeviceData) -> None:
    model = nn.Sequential(nn.BatchNorm2d(1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(1, 10))
    budget = Budget(images=640, batch_size=640)
    recompute_norms(model, data.train, budget, Recipe())
    assert isinstance(model[0], nn.BatchNorm2d)
    expected = data.train.normalised(slice(0, 640))
    assert model[0].running_mean is not None
    assert model[0].running_mean.item() == pytest.approx(expected.mean().item(), abs=1e-5)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_cuda_trains_as_well_as_the_cpu(data_dir: Path, data: DeviceData) -> None:
    device = find_device("cuda")
    set_up(device)
    there = on_device(load_data("fashion-mnist", SMALL, data_dir), device)
    budget = replace(BUDGET, epochs=4)
    scores = [train(build, each, budget, Recipe(), seed=0) for each in (there, data)]
    assert all(score.ended == COMPLETE and score.error is not None for score in scores)
    assert math.isclose(scores[0].error or 0, scores[1].error or 0, abs_tol=15)


def test_builders_are_called_with_the_seed_set(data: DeviceData) -> None:
    seen: list[float] = []

    def recording() -> nn.Module:
        seen.append(torch.rand(1).item())
        return build()

    builders: list[Callable[[], nn.Module]] = [recording, recording]
    for each in builders:
        train(each, data, replace(BUDGET, images=64, epochs=1), Recipe(), seed=9)
    assert seen[0] == seen[1]


def test_few_channels_on_a_large_map_have_the_gradients_of_torchs_other_order() -> None:
    """oneDNN's backward through such a shortcut ends the process where it is not gone around."""
    torch.manual_seed(0)
    network = parse_config("anynet:d=1,1,1;w=8,16,16;g=8;b=1")
    plain = AnyNet(network, replace(SMALL.changed("3x72x128"), strides=(1, 2, 2)))
    images = torch.randn(8, 3, 72, 128)
    plain(images).square().sum().backward()
    wanted = {name: each.grad.clone() for name, each in plain.named_parameters() if each.grad is not None}
    fast, flat = prepared(plain, Budget(batch_size=8), "torch")
    flat.grads.zero_()
    fast(images.contiguous(memory_format=torch.channels_last)).square().sum().backward()
    for name, parameter in fast.named_parameters():
        torch.testing.assert_close(parameter.grad, wanted[name], rtol=1e-3, atol=1e-3)
