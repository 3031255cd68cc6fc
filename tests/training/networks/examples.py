"""Small networks with random weights, and images on which they are often right."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from regnetlab.models.registry import find_model
from regnetlab.spaces.template import Template
from regnetlab.training.folders.decode import Reading
from regnetlab.training.networks.folder import write_network
from regnetlab.training.networks.judged import Judged, judge
from regnetlab.training.predicting import TrainedNetwork
from regnetlab.training.sources.parts import Split

REGNET = "regnet:w0=8,wa=8,wm=2,d=8,g=8,se=0.25"  # which timm can build, on this template
TEMPLATE = Template("tiny", 3, 32, 40, 3, stem_width=8, stem_stride=2, strides=(2, 2, 2, 2))
CLASSES = ("cat", 'a|b "c"', "<b>é\n{x}")


def network(model: str = REGNET, classes: tuple[str, ...] = CLASSES) -> TrainedNetwork:
    """With the statistics of some images in its norms, and a classifier that decides."""
    torch.manual_seed(1)
    module = find_model(model).build(TEMPLATE)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.2)
        module.train()
        for _ in range(3):
            module(torch.randn(8, 3, 32, 40) * 2)
    mean, std = np.array([0.4, 0.5, 0.6], np.float32), np.array([0.2, 0.3, 0.25], np.float32)
    trained = TrainedNetwork(module.eval(), TEMPLATE, classes, mean, std, Reading(fit="pad"), {})
    logits = torch.from_numpy(trained.logits(images(100, 9)))
    last = [each for each in module.modules() if isinstance(each, nn.Linear)][-1]
    with torch.no_grad():  # every class is found about as often
        last.bias.sub_(logits.mean(0)).div_(logits.std(0))
        last.weight.div_(logits.std(0)[:, None])
    return replace(trained)


def images(n: int, seed: int = 0) -> NDArray[np.uint8]:
    """Patches of colours, so that a network answers different things."""
    random = np.random.default_rng(seed)
    patches = random.integers(0, 256, (n, 3, 4, 5)).astype(np.uint8)
    return np.kron(patches, np.ones((1, 1, 8, 8), np.uint8))


def split(trained: TrainedNetwork, n: int, seed: int) -> Split:
    """Images with the classes that the network finds, but for every fourth."""
    drawn = images(n, seed)
    labels = trained.logits(drawn).argmax(axis=1)
    labels[::4] = (labels[::4] + 1) % len(trained.classes)
    return Split(drawn, labels.astype(np.int64))


def judged(trained: TrainedNetwork) -> Judged:
    return judge(trained, split(trained, 120, 1), split(trained, 200, 2))


def facts(model: str = REGNET) -> dict[str, Any]:
    """What a study knows of a network."""
    return {
        "model": model,
        "flops": 1_234_567,
        "params": 4_321,
        "acts": 99,
        "latency": {"batch": 1, "ms": [0.31, 0.3, 0.33], "device": "a CPU"},
        "data": "folder:/home/someone/photos",
        "checksum": "c0ffee",
        "reading": {"fit": "pad", "background": "white"},
        "recipe": {"lr": 0.1},
        "budget": {"images": 6400},
        "seed": 3,
        "test_errors": [25.0, 24.5],
        "chosen": "the least validation error of 3",
        "processor": "a CPU",
    }


def write(folder: Path, name: str = "medium", model: str = REGNET) -> dict[str, Any]:
    """A network's folder."""
    trained = network(model)
    return write_network(folder, name, trained, judged(trained), facts(model))
