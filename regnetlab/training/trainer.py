"""The trainer: one model, one budget, one recipe, one seed; to be read from top to bottom."""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import torch
from torch import nn
from torch.nn.functional import conv2d, cross_entropy

from regnetlab.models.flat import FlatParameters, flatten
from regnetlab.models.initialisation import initialised
from regnetlab.models.native.engine import NativeAnyNet, native
from regnetlab.training.batches import DeviceData, training_batches
from regnetlab.training.budget import (
    COMPLETE,
    FAILED,
    INTERRUPTED,
    TIME_LIMIT,
    Budget,
    CurvePoint,
    Recipe,
    Score,
)
from regnetlab.training.checkpoints import Checkpoint
from regnetlab.training.correctness import pack
from regnetlab.training.course import Course, Keeper
from regnetlab.training.devices import AUTO, NATIVE, TORCH, precision
from regnetlab.training.graphs import EAGER, GRAPH, Gradients, Graphed
from regnetlab.training.judging import evaluate, recompute_norms
from regnetlab.training.packs.images import DataLostError
from regnetlab.training.watching import Epoch, Watching

AUXILIARY_WEIGHT = 0.3
"""What an auxiliary classifier's loss counts beside the network's own (Szegedy et al. 2015, section 5)."""

OUT_OF_MEMORY = "out of memory"
"""How a training ends that did not get the memory it asked for, the device's or the machine's."""
_NO_MEMORY = (
    "allocate memory",
    "CUDA error: out of memory",
    "_STATUS_ALLOC_FAILED",
)  # in other errors' words
_MOST_PIXELS = 36 * 36  # see ``_overruns``
_CURVE_POINTS = 10  # per training, whatever its length


def train(
    build: Callable[[], nn.Module],
    data: DeviceData,
    budget: Budget,
    recipe: Recipe,
    seed: int,
    kernels: str = AUTO,
    watching: Watching | None = None,
    checkpoint: Checkpoint | None = None,
) -> Score:
    """Build a model, train it, and return its score; never raises for a model that fails.

    The same seed, budget, recipe, kernels and CPU give the same score to the last bit, also where a training
    goes on from a ``checkpoint``. Where someone is ``watching``, an interrupt ends the training as a time
    limit does; else it is raised.
    """
    started = time.monotonic()
    data, recipe = data.scaled(recipe.input_scale), recipe.for_batch(budget.images_per_step)
    course = Course()
    test_error: float | None = None
    correct: str | None = None
    try:
        with torch.random.fork_rng(devices=_cuda_index(data)), _without_denormals():
            torch.manual_seed(seed)
            network = initialised(build(), recipe.init).to(data.train.labels.device)
            model, flat = prepared(network, budget, kernels)
            if data.train.labels.device.type == "cpu":
                course.ran = NATIVE if isinstance(model, NativeAnyNet) else TORCH
            told = Watching() if watching is None else watching
            told.on_begin(network)
            keeper = None if checkpoint is None else Keeper(checkpoint, network, budget, started)
            ended = _train(model, flat, data, budget, recipe, seed, course, started, told, keeper)
            if ended == COMPLETE and data.test is not None:
                judged = evaluate(model, data.test, len(data.test))
                test_error, correct = judged.error, pack(judged.correct.cpu().numpy())
    except KeyboardInterrupt:
        if watching is None:
            raise
        ended = INTERRUPTED
    except DataLostError:
        raise
    except Exception as problem:  # one failing model must not end a study
        ended = _reason(problem)
    curve, took = tuple(course.curve), course.seconds + time.monotonic() - started
    error = curve[-1].error if ended == COMPLETE else None
    images = curve[-1].images if curve else 0
    return Score(error, curve, took, images, ended, test_error, correct, course.ran)


def _train(
    model: nn.Module,
    flat: FlatParameters,
    data: DeviceData,
    budget: Budget,
    recipe: Recipe,
    seed: int,
    course: Course,
    started: float,
    watching: Watching,
    keeper: Keeper | None,
) -> str:
    device, curve = data.train.labels.device, course.curve
    optimizer = make_optimizer(flat, recipe)
    generator = torch.Generator().manual_seed(seed)
    batch_size = budget.images_per_step
    every = max(1, budget.steps // _CURVE_POINTS)
    loss_sum = torch.zeros((), device=device)
    wrong_sum = torch.zeros((), device=device, dtype=torch.int64)
    average = _Average(flat, recipe.ema) if recipe.ema else None
    if keeper is not None:
        kept = () if average is None else average.vectors
        keeper.watch(optimizer, generator, loss_sum, wrong_sum, *kept)
        keeper.restore(course)
    deadline = started + budget.time_limit - course.seconds

    def gradients(batch: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Loss and number of wrong answers; the gradients are in ``flat``."""
        with precision(device):
            logits, *auxiliary = _outputs(model(batch))
            loss = cross_entropy(logits, labels, label_smoothing=recipe.label_smoothing)
            for other in auxiliary:
                loss = loss + AUXILIARY_WEIGHT * cross_entropy(other, labels)
        flat.grads.zero_()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.detach(), (logits.detach().argmax(1) != labels).sum()

    take: Gradients = Graphed(gradients, device) if device.type == "cuda" else gradients

    for epoch in range(course.step // budget.steps_per_epoch + 1, budget.epochs + 1):
        model.train()
        began, first = time.monotonic(), course.step % budget.steps_per_epoch
        state = None
        if course.states is not None:  # it goes on, at the beginning of an epoch or within it
            at_epoch, at_step = course.states
            generator.set_state(at_epoch)
            course.states, state = None, at_step if first else None
        at_epoch = generator.get_state()
        where = data.train, budget, recipe, generator, seed, epoch, first, state
        for batch, labels in training_batches(*where):
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(course.step, budget.steps, recipe)
            loss, wrong = take(batch, labels)
            optimizer.step()
            if average is not None:
                average.add(course.step)

            loss_sum += loss * (len(labels) / batch_size)  # 1 but for an incomplete batch
            wrong_sum += wrong
            course.step += 1
            course.since += len(labels)
            course.images += len(labels)
            in_epoch = course.step - (epoch - 1) * budget.steps_per_epoch
            watching.on_step(epoch, in_epoch, budget.steps_per_epoch)
            if time.monotonic() > deadline:
                return f"{TIME_LIMIT} {budget.time_limit:g} s"
            last = in_epoch == budget.steps_per_epoch
            if course.step % every == 0 or last:
                since = course.since
                point = CurvePoint(
                    course.images, loss_sum.item() / (since / batch_size), 100 * wrong_sum.item() / since
                )
                if not math.isfinite(point.train_loss):
                    return f"diverged: the loss was not finite by step {course.step}"
                curve.append(point)
                course.epoch_loss += loss_sum.item() * batch_size
                course.epoch_wrong += int(wrong_sum.item())
                loss_sum.zero_()
                wrong_sum.zero_()
                course.since = 0
            if keeper is not None and not last:
                keeper.keep(course, at_epoch)

        if isinstance(take, Graphed):
            course.ran = GRAPH if take.recorded else EAGER
        if average is not None:
            average.swap()
        recompute_norms(model, data.train, budget, recipe)
        judged = evaluate(model, data.validation, budget.validation)
        if average is not None and epoch < budget.epochs:
            average.swap()
        if not judged.finite:
            return "diverged: the outputs were not finite"
        point = curve.pop()
        curve.append(CurvePoint(point.images, point.train_loss, point.train_error, judged.error))
        seen = course.images // epoch
        accuracies = 100 - 100 * course.epoch_wrong / seen, 100 - judged.error
        took = time.monotonic() - began
        loss_an_image = course.epoch_loss / seen
        watching.on_epoch(Epoch(epoch, loss_an_image, accuracies[0], judged.loss, accuracies[1], took))
        course.epoch_loss, course.epoch_wrong = 0.0, 0
        if keeper is not None:
            keeper.keep(course, generator.get_state())
    return COMPLETE


class _Average:
    """An exponential moving average of all parameters."""

    def __init__(self, flat: FlatParameters, kept: float) -> None:
        self._own, self._kept = (flat.weights, flat.others), kept
        self.vectors = tuple(each.detach().clone() for each in self._own)

    def add(self, step: int) -> None:
        """After the step of this number, from 0 on; the average of few steps forgets sooner."""
        share = 1 - min(self._kept, (1 + step) / (10 + step))
        with torch.no_grad():
            for average, own in zip(self.vectors, self._own, strict=True):
                average.lerp_(own, share)

    def swap(self) -> None:
        """Put the average in the place of the parameters, or these back."""
        with torch.no_grad():
            for average, own in zip(self.vectors, self._own, strict=True):
                before = own.clone()
                own.copy_(average)
                average.copy_(before)


def _outputs(returned: torch.Tensor | tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
    """The logits, and in training those of auxiliary classifiers if the network has some."""
    return returned if isinstance(returned, tuple) else (returned,)


def prepared(model: nn.Module, budget: Budget, kernels: str) -> tuple[nn.Module, FlatParameters]:
    """The model in the form that trains fastest here, and its parameters.

    On a CPU that is this package's own kernels where they take the model (see ``models.native``), unless
    ``kernels`` is ``torch``; else torch's modules with weights in channels_last order.
    """
    if kernels != TORCH:
        flat = flatten(model)
        faster = native(model, flat, budget.images_per_step, budget.incomplete)
        if faster is not None:
            return faster, flat
    model = model.to(memory_format=torch.channels_last)
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d) and _overruns(layer):
            layer.forward = partial(_thinned_first, layer)  # type: ignore[method-assign]
    return model, flatten(model)


def _overruns(layer: nn.Conv2d) -> bool:
    """Whether oneDNN writes beyond the gradient of this layer's input where that is large.

    Seen with torch 2.14.1 on a CPU with AVX-512, which ends the process: backward through a dense 1×1
    convolution with a stride, in channels_last order, of fewer than 16 channels at 36×64 and more pixels
    (at 36×36 and fewer it is right).
    """
    return layer.kernel_size == (1, 1) and layer.stride != (1, 1) and layer.in_channels < 16


def _thinned_first(layer: nn.Conv2d, images: torch.Tensor) -> torch.Tensor:
    """The same numbers: a 1×1 convolution with a stride sees only the pixels that are left."""
    if images.is_cuda or images.shape[2] * images.shape[3] <= _MOST_PIXELS:
        return nn.Conv2d.forward(layer, images)
    rows, columns = layer.stride
    return conv2d(images[:, :, ::rows, ::columns], layer.weight, layer.bias)


def make_optimizer(flat: FlatParameters, recipe: Recipe) -> torch.optim.Optimizer:
    """SGD; weight decay on the weights of convolutions and linear layers, or on all parameters."""
    return torch.optim.SGD(
        [
            {"params": [flat.weights], "weight_decay": recipe.weight_decay},
            {"params": [flat.others], "weight_decay": recipe.weight_decay * (recipe.decay == "all")},
        ],
        lr=recipe.lr,
        momentum=recipe.momentum,
        nesterov=recipe.nesterov,
    )


def learning_rate(step: int, steps: int, recipe: Recipe) -> float:
    """The learning rate of this step, 0 ≤ step < steps (see ``Recipe``)."""
    if recipe.schedule == "constant":
        return recipe.lr
    warm = min(round(recipe.warmup * steps), steps - 1)  # of four steps and fewer, 0.9 rounds to all
    if step < warm:
        return recipe.lr * (step + 1) / (warm + 1)
    progress = (step - warm) / max(1, steps - warm)
    if recipe.schedule == "cosine":
        return recipe.lr * 0.5 * (1 + math.cos(math.pi * progress))
    return recipe.lr * (1 - progress)


@contextmanager
def _without_denormals() -> Iterator[None]:
    """Numbers below 1e-38 count as 0 on this CPU: weights that die out would slow everything down."""
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)


def _cuda_index(data: DeviceData) -> list[int]:
    device = data.train.labels.device
    return [device.index or 0] if device.type == "cuda" else []


def _reason(error: Exception) -> str:
    text = str(error).splitlines()[0][:200] if str(error) else ""
    if isinstance(error, MemoryError | torch.OutOfMemoryError) or any(each in text for each in _NO_MEMORY):
        return OUT_OF_MEMORY
    return f"{FAILED}{type(error).__name__}: {text}"
