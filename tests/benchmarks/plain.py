"""The plain loop: how a user trains one network after another with torch alone.

A ``TensorDataset`` behind a ``DataLoader``, images in NCHW order, torch's modules, all of the machine's
threads in one process; network, initialisation, recipe and budget are the package's, and so are its errors.
"""

import time
from collections.abc import Callable

import torch
from torch import nn
from torch.nn.functional import cross_entropy
from torch.optim.swa_utils import update_bn
from torch.utils.data import DataLoader, TensorDataset

from regnetlab.training.batches import DeviceData, Images
from regnetlab.training.budget import Budget, Recipe
from regnetlab.training.step import learning_rate


def plain_sets(data: DeviceData, budget: Budget) -> tuple[TensorDataset, TensorDataset]:
    """Normalised training and validation images in NCHW order, once for all networks."""

    def dataset(images: Images, n: int) -> TensorDataset:
        part = slice(0, min(n, len(images)))
        return TensorDataset(images.normalised(part).contiguous(), images.labels[part])

    return dataset(data.train, budget.images), dataset(data.validation, budget.validation)


def train_plainly(
    build: Callable[[], nn.Module],
    sets: tuple[TensorDataset, TensorDataset],
    budget: Budget,
    recipe: Recipe,
    seed: int,
    device: torch.device,
) -> tuple[float, dict[str, float]]:
    """The validation error in percent, and the seconds spent on each part of the work."""
    seconds = dict.fromkeys(("data", "forward", "backward", "optimizer", "evaluation"), 0.0)

    def spent(part: str, since: float) -> float:
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        now = time.perf_counter()
        seconds[part] += now - since
        return now

    torch.manual_seed(seed)
    model = build().to(device)
    decayed = [p for p in model.parameters() if p.ndim > 1]
    others = [p for p in model.parameters() if p.ndim <= 1]
    optimizer = torch.optim.SGD(
        [{"params": decayed, "weight_decay": recipe.weight_decay}, {"params": others, "weight_decay": 0.0}],
        lr=recipe.lr,
        momentum=recipe.momentum,
        nesterov=recipe.nesterov,
    )
    loader = DataLoader(sets[0], budget.images_per_step, shuffle=True, drop_last=True)
    held_out = DataLoader(sets[1], 250)
    step = 0
    now = time.perf_counter()
    for _ in range(budget.epochs):
        model.train()
        for images, labels in loader:
            images, labels = images.to(device), labels.to(device)  # noqa: PLW2901
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(step, budget.steps, recipe)
            now = spent("data", now)
            loss = cross_entropy(model(images), labels, label_smoothing=recipe.label_smoothing)
            now = spent("forward", now)
            optimizer.zero_grad()
            loss.backward()
            now = spent("backward", now)
            optimizer.step()
            now = spent("optimizer", now)
            step += 1
    few = TensorDataset(sets[0].tensors[0][: recipe.precise_bn * budget.images_per_step])
    update_bn(DataLoader(few, budget.images_per_step), model, device)
    model.eval()
    wrong = 0
    with torch.inference_mode():
        for images, labels in held_out:
            wrong += (model(images.to(device)).argmax(1).cpu() != labels).sum().item()
    spent("evaluation", now)
    return 100 * wrong / len(sets[1]), seconds
