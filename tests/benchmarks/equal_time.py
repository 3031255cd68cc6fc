"""A plain torch loop with ResNet-18 in the wall-clock time that ``explore`` took, on the same images.

    python tests/benchmarks/equal_time.py letters --minutes 12

What a user does without this package: ResNet-18 in its small form (3×3 first convolution, full width),
torch's modules and threads, SGD with Nesterov's momentum, one-cycle learning rates up to 0.1, images shifted
by up to an eighth with --shift. The first epoch is timed, then as many as fit are trained from the start; the
test images are judged once, at the end. The images and splits are those of the study of that name.
"""

import argparse
import time

import torch
from torch.nn.functional import cross_entropy

from regnetlab.models.registry import find_model
from regnetlab.study.plan_file import find_study, load_plan
from regnetlab.training.batches import DeviceData, augmented, on_device
from regnetlab.training.budget import Budget, Recipe
from regnetlab.training.datasets import load_data
from regnetlab.training.networks.judged import wilson
from regnetlab.training.trainer import learning_rate

_BATCH = 64


def trained(
    model: torch.nn.Module, data: DeviceData, epochs: int, augment: str, planned: int | None = None
) -> float:
    """Train for so many epochs of the ``planned`` ones; the seconds that it took."""
    recipe = Recipe()
    generator = torch.Generator().manual_seed(0)
    optimizer = torch.optim.SGD(
        model.parameters(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=recipe.weight_decay
    )
    budget = Budget(images=len(data.train), epochs=planned or epochs, batch_size=_BATCH)
    step, began = 0, time.perf_counter()
    for _ in range(epochs):
        model.train()
        order = torch.randperm(len(data.train), generator=generator)
        for at in range(0, len(order) - _BATCH + 1, _BATCH):
            which = order[at : at + _BATCH]
            images = augmented(data.train.normalised(which), augment, generator)
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(step, budget.steps, recipe)
            loss = cross_entropy(model(images), data.train.labels[which])
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
    wrong = 0
    with torch.inference_mode():
        for at in range(0, len(there.test), 250):
            part = slice(at, at + 250)
            wrong += int((model(there.test.normalised(part)).argmax(1) != there.test.labels[part]).sum())
    n = len(there.test)
    low, high = wilson(wrong, n)
    print(
        f"{arguments.model}: {epochs} epochs in {(time.perf_counter() - began) / 60:.1f} min, test error"
        f" {100 * wrong / n:.2f}% ({low:.2f} to {high:.2f}) of {n} images, augmentation {augment}"
    )


if __name__ == "__main__":
    main()
