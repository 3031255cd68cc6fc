"""A trained network in use: from files of images to classes and their probabilities.

All that it takes was written with the weights (``models.weights``): the network, its classes, how pixels
were normalised and how files were read.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from regnetlab.errors import InputError
from regnetlab.models.weight_statistics import saved_template
from regnetlab.models.weights import trained_network
from regnetlab.spaces.template import Template
from regnetlab.training.folders.decode import Reading, UnreadableError, pixels, quiet
from regnetlab.training.folders.walk import walk

_BATCH = 256


@dataclass(frozen=True, slots=True)
class Prediction:
    """The most probable classes of one image, the first first, with their probabilities.

    Where its file can't be read there are none, and ``problem`` says why.
    """

    path: str
    classes: tuple[str, ...] = ()
    probabilities: tuple[float, ...] = ()
    problem: str = ""


@dataclass(frozen=True, slots=True)
class TrainedNetwork:
    """A network with everything that predicting takes. Make one with ``load_network``.

    ``facts`` are what was written with its weights.
    """

    network: nn.Module
    template: Template
    classes: tuple[str, ...]
    mean: NDArray[np.float32]
    std: NDArray[np.float32]
    reading: Reading
    facts: Mapping[str, Any]

    def logits(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Logits (n, classes) of images (n, channels, height, width) of the template's size, 0 to 255."""
        wanted = (self.template.channels, self.template.height, self.template.width)
        if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1:] != wanted:
            raise InputError(
                f"images are {images.dtype} of shape {images.shape}", f"they must be uint8 (n, {wanted})"
            )
        shape = (1, -1, 1, 1)
        shift, scale = (torch.from_numpy(each * 255).reshape(shape) for each in (self.mean, self.std))
        found = []
        with torch.inference_mode():
            for start in range(0, len(images), _BATCH):
                batch = torch.from_numpy(images[start : start + _BATCH]).to(torch.float32)
                batch = ((batch - shift) / scale).contiguous(memory_format=torch.channels_last)
                found.append(self.network(batch).float().numpy())
        return np.concatenate(found) if found else np.zeros((0, len(self.classes)), np.float32)

    def predict(self, *paths: str | Path, top: int = 1) -> list[Prediction]:
        """The ``top`` most probable classes of each of these files, or of the images in folders among them.

        A file that can't be read has no classes, and says why.

        Raises:
            InputError: A path is not there, or a folder holds no image.
        """
        return list(self.predictions(image_files(paths), top))

    def predictions(self, files: Iterable[Path], top: int = 1) -> Iterator[Prediction]:
        """The same of files alone, a batch of them at a time, in their order."""
        if not 1 <= top <= len(self.classes):
            raise InputError(f"top is {top}", f"there are {len(self.classes)} classes")
        waiting: list[Path] = []
        for path in files:
            waiting.append(path)
            if len(waiting) == _BATCH:
                yield from self._of_batch(waiting, top)
                waiting = []
        yield from self._of_batch(waiting, top)

    def _of_batch(self, files: Sequence[Path], top: int) -> Iterator[Prediction]:
        shape = (self.template.channels, self.template.height, self.template.width)
        decoded, problems = [], {}
        with quiet():
            for path in files:
                try:
                    decoded.append(pixels(path, *shape, self.reading))
                except UnreadableError as error:
                    problems[path] = str(error)
        logits = self.logits(np.stack(decoded)) if decoded else np.zeros((0, 1), np.float32)
        rows = iter(_softmax(logits))
        for path in files:
            if path in problems:
                yield Prediction(str(path), problem=problems[path])
                continue
            row = next(rows)
            best = np.argsort(-row, kind="stable")[:top]
            names = tuple(self.classes[i] for i in best)
            yield Prediction(str(path), names, tuple(float(row[i]) for i in best))


def load_network(path: str | Path) -> TrainedNetwork:
    """The trained network in a file that ``regnetlab train --save`` wrote.

    Raises:
        InputError: It is not there or damaged, or does not say its classes and how to read images.
    """
    network, facts = trained_network(Path(path))
    template = saved_template(facts)
    if template is None:
        raise _incomplete(path, "no whole template")
    try:
        classes = tuple(map(str, facts["classes"]))
        mean, std = (np.array(facts["normalisation"][name], np.float32) for name in ("mean", "std"))
        reading = Reading(**(facts.get("reading") or {}))
    except (KeyError, TypeError, ValueError) as error:
        raise _incomplete(path, f"{type(error).__name__}: {error}") from None
    except InputError as error:
        raise error.at(f"weights {path}") from None
    if len(classes) != template.classes or len(set(classes)) != len(classes):
        raise _incomplete(path, f"{len(classes)} classes for {template.classes} outputs")
    sound = mean.shape == std.shape == (template.channels,) and bool((std > 0).all())
    if not sound or not math.isfinite(float(mean.sum() + std.sum())):
        raise _incomplete(path, "mean and std of the pixels are not those of its channels")
    return TrainedNetwork(network, template, classes, mean, std, reading, facts)


def image_files(paths: Iterable[str | Path]) -> list[Path]:
    """These files, and the images below those that are folders, by name; as ``data show`` finds them."""
    found: list[Path] = []
    for path in map(Path, paths):
        if path.is_dir():
            inside, _ = walk(path)
            below = [path / each for each in sorted(inside.below())]
            if not below:
                raise InputError(f"{path} holds no images", "name a folder with images, or files")
            found += below
        elif not path.exists():
            raise InputError(f"{path} is not there")
        else:
            found.append(path)
    return found


def _softmax(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    shifted = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    shares: NDArray[np.float64] = shifted / shifted.sum(axis=1, keepdims=True)
    return shares


def _incomplete(path: str | Path, why: str) -> InputError:
    return InputError(
        f"weights {path} do not say how to use them ({why[:100]})", "give a file that train --save wrote"
    )
