"""A plain torch loop with ResNet-18 in the wall-clock time that ``explore`` took, on the same images.

    python tests/benchmarks/equal_time.py letters --minutes 20 --shift --family letters-family

What a user does without this package: ResNet-18 in its small form (3×3 first convolution, full width),
torch's modules and threads, SGD with Nesterov's momentum, one-cycle learning rates up to 0.1, images shifted
by up to an eighth with --shift. The first epoch is timed, then as many as fit are trained from the start; the
test images are judged once, at the end. The images and splits are those of the study of that name.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import stats
from torch.nn.functional import cross_entropy

from regnetlab.models.registry import find_model
from regnetlab.study.plan_file import find_study, load_plan
from regnetlab.training.batches import Batches, DeviceData, on_device
from regnetlab.training.budget import Budget, Recipe
from regnetlab.training.datasets import load_data
from regnetlab.training.networks.judged import share_interval
from regnetlab.training.predicting import load_network
from regnetlab.training.step import learning_rate

_BATCH = 64


def trained(
    model: torch.nn.Module, data: DeviceData, epochs: int, augment: str, planned: int | None = None
) -> float:
    """Train for so many epochs of the ``planned`` ones; the seconds that it took."""
    recipe = Recipe(augment=augment)
    optimizer = torch.optim.SGD(
        model.parameters(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=recipe.weight_decay
    )
    budget = Budget(images=len(data.train), epochs=planned or epochs, batch_size=_BATCH)
    batches = Batches(data.train, budget, recipe, seed=0)
    step, began = 0, time.perf_counter()
    for epoch in range(epochs):
        model.train()
        batches.begin(epoch + 1)
        for at in range(0, budget.steps_per_epoch * _BATCH, _BATCH):
            images, labels = batches.take(slice(at, at + _BATCH))
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(step, budget.steps, recipe)
            loss = cross_entropy(model(images), labels)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            step += 1
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("study")
    parser.add_argument("--minutes", type=float, required=True)
    parser.add_argument("--model", default="resnet18@small")
    parser.add_argument("--shift", action="store_true")
    parser.add_argument("--family", type=Path, help="the folder that explore wrote, to compare with")
    arguments = parser.parse_args()
    began = time.perf_counter()
    plan = load_plan(find_study(arguments.study))
    data = load_data(plan.data, plan.template, None, plan.reading)
    there = on_device(data, torch.device("cpu"), final=True)
    assert there.test is not None
    augment = "crop" if arguments.shift else "none"
    build = find_model(arguments.model).build
    torch.manual_seed(0)
    an_epoch = trained(build(plan.template), there, 1, augment)
    left = 60 * arguments.minutes - (time.perf_counter() - began)
    epochs = max(1, int(0.97 * left / an_epoch))
    torch.manual_seed(0)
    model = build(plan.template)
    trained(model, there, epochs, augment)
    model.eval()
    found = []
    with torch.inference_mode():
        for at in range(0, len(there.test), 250):
            part = slice(at, at + 250)
            found.append(model(there.test.normalised(part)).argmax(1) != there.test.labels[part])
    wrong, n = torch.cat(found).numpy(), len(there.test)
    named = data.survey.test_groups if data.survey is not None else ()
    groups = np.array(named) if named else np.arange(n)
    low, high = share_interval(wrong, groups if named else None)
    print(
        f"{arguments.model}: {epochs} epochs in {(time.perf_counter() - began) / 60:.1f} min, test error"
        f" {100 * wrong.mean():.2f}% ({low:.2f} to {high:.2f}) of {n} images, augmentation {augment}"
    )
    if arguments.family is not None:
        ours = load_network(arguments.family).logits(data.test.images).argmax(1) != data.test.labels
        mean, reach = paired(ours, wrong, groups)
        print(
            f"the family's network: {100 * ours.mean():.2f}%; its error less this one's"
            f" {mean:+.2f} points ({mean - reach:+.2f} to {mean + reach:+.2f} with 95%)"
        )


def paired(a: NDArray[np.bool_], b: NDArray[np.bool_], groups: NDArray[np.int64]) -> tuple[float, float]:
    """The difference of the shares of wrong answers in points, and how far its 95% interval reaches.

    For other groups of images: by the sums of the groups' residuals, and Student's t.
    """
    difference = a.astype(float) - b
    places = np.unique(groups, return_inverse=True)[1]
    count = int(places.max()) + 1
    sums = np.bincount(places, difference - difference.mean())
    error = np.sqrt(count / (count - 1) * np.square(sums).sum()) / len(a)
    return 100 * float(difference.mean()), float(100 * stats.t.ppf(0.975, count - 1) * error)


if __name__ == "__main__":
    main()
