"""A step as the loop of a textbook takes it, and as a GPU does: recorded once, then replayed."""

import math
import subprocess
import sys
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from regnetlab.models.flat import flatten
from regnetlab.models.registry import find_model
from regnetlab.spaces.template import SMALL
from regnetlab.training import graphs, judging
from regnetlab.training import step as steps
from regnetlab.training.batches import Batches, DeviceData, on_device
from regnetlab.training.budget import COMPLETE, Budget, Recipe, Score
from regnetlab.training.checkpoints import Checkpoint
from regnetlab.training.datasets import load_data
from regnetlab.training.devices import set_up
from regnetlab.training.graphs import EAGER, GRAPH
from regnetlab.training.prepared import heads, prepared
from regnetlab.training.step import Step, learning_rate, make_optimizer
from regnetlab.training.trainer import train
from regnetlab.training.watching import Watching
from tests.training.replaying import Recording, as_if_on_a_gpu

ANYNET = "anynet:d=1,1,2,1;w=8,16,24,32;g=8;b=1"
BUDGET = Budget(images=330, epochs=2, batch_size=32, validation=200, drop_last=False)
RECIPE = Recipe(augment="crop-flip")


@pytest.fixture(scope="module")
def data(data_dir: Path) -> DeviceData:
    return on_device(load_data("fashion-mnist", SMALL, data_dir), torch.device("cpu"), final=True)


@pytest.fixture(
    params=[
        "stand-in",
        pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")),
    ]
)
def gpu(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, data_dir: Path) -> DeviceData:
    """The images where steps are recorded: on a GPU, and on a CPU that does as if."""
    device = torch.device("cpu" if request.param == "stand-in" else "cuda")
    if request.param == "stand-in":
        as_if_on_a_gpu(monkeypatch)
    set_up(device)
    return on_device(load_data("fashion-mnist", SMALL, data_dir), device, final=True)


def built(model: str) -> nn.Module:
    torch.manual_seed(0)
    return find_model(model).build(SMALL)


def trained(data: DeviceData, model: str = ANYNET, recipe: Recipe = RECIPE, **other: Any) -> Score:
    score = train(partial(find_model(model).build, SMALL), data, BUDGET, recipe, 3, "torch", **other)
    return replace(score, seconds=0.0)


class Ending(Watching):
    """Ends a training after so many steps."""

    def __init__(self, last: int) -> None:
        self._left = last

    def on_step(self, epoch: int, step: int, steps: int) -> None:
        self._left -= 1
        if not self._left:
            raise InterruptedError


@pytest.mark.parametrize("augment", ["none", "crop-flip", "resized-crop-flip"])
def test_a_batch_that_a_gpu_finds_by_itself_is_the_one_that_it_would_be_given(
    data: DeviceData, monkeypatch: pytest.MonkeyPatch, augment: Any
) -> None:
    recipe = Recipe(augment=augment, erasing=0.5)
    given = Batches(data.train, BUDGET, recipe, 3)
    as_if_on_a_gpu(monkeypatch)
    found = Batches(data.train, BUDGET, recipe, 3)
    for epoch in (1, 3):  # what is drawn for the second is drawn and left out
        given.begin(epoch)
        found.begin(epoch)
        for first, n in ((0, 32), (64, 32), (320, 10)):
            ours, theirs = given.take(slice(first, first + n)), found.take(torch.arange(first, first + n))
            assert torch.equal(ours[0], theirs[0])
            assert torch.equal(ours[1], theirs[1])


@pytest.mark.parametrize(
    "recipe",
    [
        Recipe(),
        Recipe(nesterov=False),
        Recipe(momentum=0.0, nesterov=False, weight_decay=0.0),
        Recipe(decay="all"),
    ],
    ids=["nesterov", "momentum", "neither", "decay of all"],
)
def test_the_optimizer_is_torchs_to_the_last_bit(recipe: Recipe) -> None:
    ours, plain = (flatten(built(ANYNET)) for _ in range(2))
    decay = recipe.weight_decay
    groups = [
        {"params": [plain.weights], "weight_decay": decay},
        {"params": [plain.others], "weight_decay": decay * (recipe.decay == "all")},
    ]
    torchs = torch.optim.SGD(groups, lr=0.1, momentum=recipe.momentum, nesterov=recipe.nesterov)
    optimizer = make_optimizer(ours, recipe)
    torch.manual_seed(4)
    for number in range(5):
        gradients = torch.randn_like(ours.grads)
        for flat, each in ((ours, optimizer), (plain, torchs)):
            flat.grads.copy_(gradients)
            for group in each.param_groups:
                group["lr"] = 0.1 / (number + 1)
            each.step()
    assert torch.equal(ours.values, plain.values)
    for mine, other in ((ours.weights, plain.weights), (ours.others, plain.others)):
        kept = [each.state[v].get("momentum_buffer") for each, v in ((optimizer, mine), (torchs, other))]
        assert (kept[0] is None) == (recipe.momentum == 0)
        assert kept[0] is None or torch.equal(kept[0], kept[1])


def test_a_training_on_a_cpu_does_not_load_torchs_compiler() -> None:
    """It would take every worker most of a second before its first step."""
    program = """
import sys
import torch
from regnetlab.models.flat import flatten
from regnetlab.training.budget import Recipe
from regnetlab.training.step import make_optimizer
flat = flatten(torch.nn.Linear(3, 2))
make_optimizer(flat, Recipe()).step()
assert "torch._dynamo" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_steps_are_those_of_the_plain_loop_to_the_last_bit(data: DeviceData) -> None:
    ours, flat = prepared(built(ANYNET), BUDGET, "torch")
    step = Step(ours, flat, Batches(data.train, BUDGET, RECIPE, 3), BUDGET, RECIPE)
    step.begin(1, 0)
    for number in range(BUDGET.steps_per_epoch):
        step(number)

    plain, vectors = prepared(built(ANYNET), BUDGET, "torch")
    optimizer = make_optimizer(vectors, RECIPE)
    batches = Batches(data.train, BUDGET, RECIPE, 3)
    batches.begin(1)
    loss_sum, wrong = 0.0, 0
    for number in range(BUDGET.steps_per_epoch):
        images, labels = batches.take(slice(32 * number, 32 * number + 32))
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(number, BUDGET.steps, RECIPE)
        vectors.grads.zero_()
        logits = plain(images)
        loss = cross_entropy(logits, labels)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        loss_sum += loss.item() * len(labels) / 32
        wrong += int((logits.argmax(1) != labels).sum())
    assert torch.equal(flat.values, vectors.values)
    assert step.wrong_sum.item() == wrong
    assert step.loss_sum.item() == pytest.approx(loss_sum, rel=1e-6)


@pytest.mark.parametrize(
    ("model", "recipe"),
    [
        (ANYNET, RECIPE),
        (ANYNET, Recipe(augment="resized-crop-flip", erasing=0.5)),
        (ANYNET, Recipe(ema=0.9, decay="all", schedule="cosine")),
        (ANYNET, Recipe(momentum=0.0, precise_bn=0)),
        ("resnet18@0.125x", Recipe(augment="flip", label_smoothing=0.1)),
        ("densenet_small@small", Recipe(nesterov=False)),
        ("vgg11@0.125x", Recipe()),
    ],
)
def test_what_is_replayed_is_what_would_be_computed(
    gpu: DeviceData, monkeypatch: pytest.MonkeyPatch, model: str, recipe: Recipe
) -> None:
    replayed = trained(gpu, model, recipe)
    assert (replayed.ended, replayed.ran) == (COMPLETE, GRAPH)
    monkeypatch.setattr(graphs, "FIRST", 10**9)
    computed = trained(gpu, model, recipe)
    assert computed.ran == EAGER
    assert replace(computed, ran=GRAPH) == replayed


def test_in_float32_a_replayed_training_is_that_of_a_cpu(
    data: DeviceData, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = Recipe(augment="crop-flip", ema=0.5, decay="all", lr=0.02)
    on_cpu = trained(data, recipe=recipe)
    as_if_on_a_gpu(monkeypatch)
    monkeypatch.setattr(steps, "HALF", torch.float32)
    for module in (steps, judging):
        monkeypatch.setattr(module, "precision", lambda device: nullcontext())
    replayed = trained(data, recipe=recipe)
    assert replayed.ran == GRAPH
    for ours, theirs in zip(replayed.curve, on_cpu.curve, strict=True):
        assert ours.train_loss == pytest.approx(theirs.train_loss, rel=1e-3)


def test_a_replayed_training_goes_on_from_its_checkpoint(
    gpu: DeviceData, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("regnetlab.training.checkpoints.EVERY", 0.0)
    recipe = Recipe(augment="crop-flip", ema=0.9)
    whole = trained(gpu, recipe=recipe)
    for last in (6, 9):
        standing = Checkpoint(tmp_path / "x", "these")
        assert trained(gpu, recipe=recipe, watching=Ending(last), checkpoint=standing).error is None
    assert trained(gpu, recipe=recipe, checkpoint=Checkpoint(tmp_path / "x", "these")) == whole


def test_weights_are_rounded_as_autocast_rounds_them(
    data: DeviceData, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A copy of all weights at once gives the gradients of a cast of each alone."""
    as_if_on_a_gpu(monkeypatch)
    recipe = Recipe(weight_decay=0.0)
    ours, flat = prepared(built(ANYNET), BUDGET, "torch")
    batches = Batches(data.train, BUDGET, recipe, 3)
    step = steps.make_step(ours, flat, batches, BUDGET, recipe)
    step.begin(1, 0)
    step(0)
    found = flat.grads.clone()

    plain, vectors = prepared(built(ANYNET), BUDGET, "torch")
    images, labels = batches.take(slice(0, 32))
    vectors.grads.zero_()
    with torch.autocast("cpu", torch.bfloat16):
        loss = cross_entropy(plain(images), labels)
    loss.backward()  # type: ignore[no-untyped-call]
    assert torch.equal(found, vectors.grads)


def test_logits_are_float32_where_the_rest_is_not(gpu: DeviceData) -> None:
    device = gpu.train.labels.device
    seen: list[torch.dtype] = []

    def see(layer: nn.Module, given: object, logits: torch.Tensor) -> None:
        seen.append(logits.dtype)

    for model in (ANYNET, "resnet18@0.125x", "nin@small", "googlenet_aux@small", "vgg11@0.125x"):
        network, _ = prepared(built(model).to(device), BUDGET, "torch")
        for each in heads(network):
            each.register_forward_hook(see)
        with steps.precision(device):
            network(torch.randn(4, 1, 28, 28, device=device))
    assert seen == [torch.float32] * 7  # googlenet_aux has three heads


def test_a_step_records_fewer_operations_than_autocast_and_a_tensor_at_a_time(
    data: DeviceData, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a GPU launches: one by one, each weight is cast, each gradient cast back and added."""
    cuda = as_if_on_a_gpu(monkeypatch)
    trained(data)
    ours = cuda.operations
    network = built(ANYNET).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.SGD(network.parameters(), 0.1, momentum=0.9, nesterov=True)
    batches = Batches(data.train, BUDGET, RECIPE, 3)
    batches.begin(1)
    batch, labels = batches.take(torch.arange(32))

    def plainly() -> None:
        with torch.autocast("cpu", torch.bfloat16):
            loss = cross_entropy(network(batch), labels)
        optimizer.zero_grad(set_to_none=False)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    plainly()
    with Recording() as recording:
        plainly()
    assert ours < 0.7 * len(recording.operations)


def test_counts_of_batches_are_right_after_a_replayed_training(
    gpu: DeviceData,
) -> None:
    class Keeping(Watching):
        network: nn.Module

        def on_begin(self, network: nn.Module) -> None:
            self.network = network

    kept = Keeping()
    trained(gpu, recipe=Recipe(precise_bn=0), watching=kept)
    counts = [
        int(each.num_batches_tracked) for each in kept.network.modules() if isinstance(each, nn.BatchNorm2d)
    ]
    assert set(counts) == {22}
    assert not math.isnan(sum(float(each.sum()) for each in kept.network.state_dict().values()))
    assert flatten(kept.network).values.dtype == torch.float32
