"""Judging a network as it stands: the statistics of its norms, then its error."""

from typing import Any, NamedTuple

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from regnetlab.training.batches import Images
from regnetlab.training.budget import Budget, Recipe
from regnetlab.training.devices import precision

_CPU_BATCH, _CUDA_BATCH, _CUDA_PIXELS = 256, 2_048, 2_048 * 32 * 32
"""Images that are judged at once. On a GPU they are fewer where images are large: what is planned for a
training (``devices.training_bytes``) is for its own batches, with gradients."""


class Judged(NamedTuple):
    """Error in percent, mean loss, whether every output was finite, and for each image whether its class was
    found (n,)."""

    error: float
    loss: float
    finite: bool
    correct: torch.Tensor


def evaluate(model: nn.Module, images: Images, most: int) -> Judged:
    """How the model does on the first ``most`` images, or on all."""
    model.eval()
    device = images.labels.device
    count = min(most, len(images))
    size = (
        _CPU_BATCH if device.type == "cpu" else max(1, min(_CUDA_BATCH, _CUDA_PIXELS // images.pixel_count))
    )
    correct = []
    loss = torch.zeros((), device=device)
    finite = torch.ones((), device=device, dtype=torch.bool)
    with torch.inference_mode():
        for start in range(0, count, size):
            which = slice(start, min(start + size, count))
            with precision(device):
                logits = model(images.normalised(which))
            labels = images.labels[which]
            correct.append(logits.argmax(1) == labels)
            loss += cross_entropy(logits.float(), labels, reduction="sum")
            finite &= logits.isfinite().all()
    found = torch.cat(correct)
    wrong = count - int(found.sum().item())
    return Judged(100 * wrong / count, loss.item() / count, bool(finite.item()), found)


def recompute_norms(model: nn.Module, images: Images, budget: Budget, recipe: Recipe) -> None:
    """Batch-norm statistics over training images, as the weights are now.

    After few steps the running averages still hold the weights of many steps ago. Every module that keeps a
    running mean has a norm's attributes, torch's or not. An interrupt leaves the averages as they were.
    """
    norms: list[Any] = [each for each in model.modules() if getattr(each, "running_mean", None) is not None]
    size, batches = budget.images_per_step, min(recipe.precise_bn, budget.complete_steps)
    if not norms or not batches:
        return
    usual = [each.momentum for each in norms]
    kept = [(each.running_mean.clone(), each.running_var.clone()) for each in norms]
    model.train()
    try:
        with torch.no_grad(), precision(images.labels.device):
            for i in range(batches):
                for norm in norms:  # the mean over all batches so far
                    norm.momentum = 1 / (i + 1)
                model(images.normalised(slice(i * size, (i + 1) * size)))
    except BaseException:
        for norm, (mean, var) in zip(norms, kept, strict=True):
            norm.running_mean.copy_(mean)
            norm.running_var.copy_(var)
        raise
    finally:
        for norm, momentum in zip(norms, usual, strict=True):
            norm.momentum = momentum
