"""The trainer: one model, one budget, one recipe, one seed; to be read from top to bottom."""

import gc
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import nn

from regnetlab.models.initialisation import initialised
from regnetlab.training.batches import Batches, DeviceData
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
from regnetlab.training.devices import AUTO, is_gpu
from regnetlab.training.judging import evaluate, recompute_norms
from regnetlab.training.packs.images import DataLostError
from regnetlab.training.prepared import prepared
from regnetlab.training.step import Step, make_step
from regnetlab.training.watching import Epoch, Watching

OUT_OF_MEMORY = "out of memory"
"""How a training ends that did not get the memory it asked for, the device's or the machine's."""
_NO_MEMORY = (
    "allocate memory",
    "CUDA error: out of memory",
    "_STATUS_ALLOC_FAILED",
)  # in other errors' words
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
            told = Watching() if watching is None else watching
            told.on_begin(network)
            step = make_step(model, flat, Batches(data.train, budget, recipe, seed), budget, recipe)
            keeper = None if checkpoint is None else Keeper(checkpoint, network, step, budget, started)
            ended = _train(model, step, data, budget, recipe, course, started, told, keeper)
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
    finally:
        if is_gpu(data.train.labels.device):  # a recorded step and its network refer to each other
            gc.collect()
    curve, took = tuple(course.curve), course.seconds + time.monotonic() - started
    error = curve[-1].error if ended == COMPLETE else None
    images = curve[-1].images if curve else 0
    return Score(error, curve, took, images, ended, test_error, correct, course.ran)


def _train(
    model: nn.Module,
    step: Step,
    data: DeviceData,
    budget: Budget,
    recipe: Recipe,
    course: Course,
    started: float,
    watching: Watching,
    keeper: Keeper | None,
) -> str:
    curve, batch_size = course.curve, budget.images_per_step
    every = max(1, budget.steps // _CURVE_POINTS)
    course.ran, average = step.ran, step.average
    if keeper is not None:
        keeper.restore(course)
    deadline = started + budget.time_limit - course.seconds

    for epoch in range(course.step // budget.steps_per_epoch + 1, budget.epochs + 1):
        model.train()
        began, before = time.monotonic(), (epoch - 1) * budget.steps_per_epoch
        step.begin(epoch, course.step)
        for in_epoch in range(course.step - before + 1, budget.steps_per_epoch + 1):
            seen = step(course.step)
            course.step += 1
            course.since += seen
            course.images += seen
            watching.on_step(epoch, in_epoch, budget.steps_per_epoch)
            if time.monotonic() > deadline:
                return f"{TIME_LIMIT} {budget.time_limit:g} s"
            last = in_epoch == budget.steps_per_epoch
            if course.step % every == 0 or last:
                loss, wrong, since = step.loss_sum.item(), step.wrong_sum.item(), course.since
                point = CurvePoint(course.images, loss / (since / batch_size), 100 * wrong / since)
                if not math.isfinite(point.train_loss):
                    return f"diverged: the loss was not finite by step {course.step}"
                curve.append(point)
                course.epoch_loss += loss * batch_size
                course.epoch_wrong += int(wrong)
                step.loss_sum.zero_()
                step.wrong_sum.zero_()
                course.since, course.ran = 0, step.ran
            if keeper is not None and not last:
                keeper.keep(course)

        step.end(course.step)
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
            keeper.keep(course)
    return COMPLETE


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
