"""A trained network in use: from files of images to classes and their probabilities.

All that it takes was written with the weights (``models.weights``): the network, its classes, how pixels
were normalised, how files were read, and the temperature that makes probabilities honest.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from regnetlab.errors import InputError
from regnetlab.models.folding import folded
from regnetlab.models.weight_statistics import saved_template
from regnetlab.models.weights import trained_network
from regnetlab.spaces.template import Template
from regnetlab.training.cores import on_all_cores
from regnetlab.training.folders.decode import Reading, UnreadableError, pixels, quiet
from regnetlab.training.folders.walk import walk
from regnetlab.training.networks.calibration import softmax
from regnetlab.training.networks.contents import weights_in
from regnetlab.training.packs.images import central
from regnetlab.training.sources.parts import Pictures

_BATCH, _FILES = 128, 512  # images at most that a core takes at a time, and files that are decoded together
_BATCH_PIXELS, _FILES_PIXELS = 2**21, 2**26  # likewise, where images are large
_DECODED = 16  # files that a thread decodes at a time
_COLDEST, _HOTTEST = 0.01, 100.0


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

    ``facts`` are what was written with its weights; ``side`` is that of the pack (``packs``) it was trained
    from, if it was. Logits are divided by ``temperature`` before they become
    probabilities. ``network`` is on any device; what predicts is a copy of it on the CPU, made once, with its
    batch norms folded into the convolutions before them.
    """

    network: nn.Module
    template: Template
    classes: tuple[str, ...]
    mean: NDArray[np.float32]
    std: NDArray[np.float32]
    reading: Reading
    facts: Mapping[str, Any]
    temperature: float = 1.0
    side: int | None = None
    _folded: nn.Module = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_folded", folded(self.network))

    def on_cpu(self) -> nn.Module:
        """A copy of the network as it was trained, on the CPU and ready to evaluate."""
        return deepcopy(self.network).to("cpu").eval()

    def logits(self, images: Pictures) -> NDArray[np.float32]:
        """Logits (n, classes) of images (n, channels, height, width) of the template's size, 0 to 255.

        Each core takes batches of its own: within one batch of a small network threads would mostly wait for
        each other (``tests/benchmarks/predicting.py``).
        """
        wanted = (self.template.channels, self.template.height, self.template.width)
        levels = getattr(images, "dtype", np.uint8)
        if levels != np.uint8 or images.shape[1:] != wanted:
            raise InputError(
                f"images are {levels} of shape {images.shape}", f"they must be uint8 (n, {wanted})"
            )
        shape = (1, -1, 1, 1)
        shift, scale = (torch.from_numpy(each * 255).reshape(shape) for each in (self.mean, self.std))

        def of(part: NDArray[np.uint8]) -> NDArray[np.float32]:
            with torch.inference_mode():
                batch = (torch.from_numpy(part).to(torch.float32) - shift) / scale
                logits: torch.Tensor = self._folded(batch.contiguous(memory_format=torch.channels_last))
                return logits.numpy()

        def of_on_one_core(part: slice) -> NDArray[np.float32]:
            torch.set_num_threads(1)  # of this thread of Python alone
            return of(images[part])

        size = self._at_once(_BATCH, _BATCH_PIXELS)
        if len(images) <= size:
            return of(images[:]) if len(images) else np.zeros((0, len(self.classes)), np.float32)
        parts = [slice(start, start + size) for start in range(0, len(images), size)]
        return np.concatenate(list(on_all_cores(of_on_one_core, parts, chunk=1)))

    def probabilities(self, images: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Probabilities (n, classes) of the same images."""
        return softmax(self.logits(images), self.temperature)

    def predict(self, *paths: str | Path, top: int = 1) -> list[Prediction]:
        """The ``top`` most probable classes of each of these files, or of the images in folders among them.

        A file that can't be read has no classes, and says why.

        Raises:
            InputError: A path is not there, or a folder holds no image.
        """
        return list(self.predictions(image_files(paths), top))

    def predictions(self, files: Iterable[Path], top: int = 1) -> Iterator[Prediction]:
        """The same of files alone, many of them at a time, in their order."""
        if not 1 <= top <= len(self.classes):
            raise InputError(f"top is {top}", f"there are {len(self.classes)} classes")
        size = self._at_once(_FILES, _FILES_PIXELS)
        waiting: list[Path] = []
        for path in files:
            waiting.append(path)
            if len(waiting) == size:
                yield from self._of_batch(waiting, top)
                waiting = []
        yield from self._of_batch(waiting, top)

    def _at_once(self, most: int, pixels: int) -> int:
        template = self.template
        return max(1, min(most, pixels // (template.channels * template.height * template.width)))

    def _of_batch(self, files: Sequence[Path], top: int) -> Iterator[Prediction]:
        shape = (self.template.channels, self.template.height, self.template.width)

        def decode(path: Path) -> NDArray[np.uint8] | str:
            try:
                if self.side is not None:
                    return central(path, *shape, self.side, self.reading.background)
                return pixels(path, *shape, self.reading)
            except UnreadableError as error:
                return str(error)

        with quiet():
            decoded = list(on_all_cores(decode, files, _DECODED))
        images = [each for each in decoded if not isinstance(each, str)]
        rows = iter(self.probabilities(np.stack(images)) if images else np.zeros((0, 1)))
        for path, each in zip(files, decoded, strict=True):
            if isinstance(each, str):
                yield Prediction(str(path), problem=each)
                continue
            row = next(rows)
            best = np.argsort(-row, kind="stable")[:top]
            names = tuple(self.classes[i] for i in best)
            yield Prediction(str(path), names, tuple(float(row[i]) for i in best))


def load_network(path: str | Path, name: str | None = None) -> TrainedNetwork:
    """The trained network in a file that ``train --save`` wrote, in a network's folder, or in a family's.

    Args:
        path: Of the file or folder.
        name: Of the network in a family's folder, if not the one that the family recommends.

    Raises:
        InputError: It is not there or damaged, or does not say its classes and how to read images.
    """
    path = weights_in(Path(path), name)
    return described(*trained_network(path), path)


def described(network: nn.Module, facts: Mapping[str, Any], path: Path) -> TrainedNetwork:
    """A network with what its weights' file, at this path, says of it; raises ``InputError`` as above."""
    template = saved_template(facts)
    if template is None:
        raise _incomplete(path, "no whole template")
    try:
        said = dict(facts.get("reading") or {})
        classes = tuple(map(str, facts["classes"]))
        mean, std = (np.array(facts["normalisation"][name], np.float32) for name in ("mean", "std"))
        reading = Reading(**{key: said[key] for key in ("fit", "background") if key in said})
        temperature = float(facts.get("temperature", 1.0))
        side = None if said.get("side") is None else int(said["side"])
    except InputError as error:
        raise error.at(f"weights {path}") from None
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise _incomplete(path, f"{type(error).__name__}: {error}") from None
    if len(classes) != template.classes or len(set(classes)) != len(classes):
        raise _incomplete(path, f"{len(classes)} classes for {template.classes} outputs")
    sound = mean.shape == std.shape == (template.channels,) and bool((std > 0).all())
    if not sound or not math.isfinite(float(mean.sum() + std.sum())):
        raise _incomplete(path, "mean and std of the pixels are not those of its channels")
    if not _COLDEST <= temperature <= _HOTTEST:
        raise _incomplete(path, f"a temperature of {temperature:g}")
    return TrainedNetwork(network, template, classes, mean, std, reading, facts, temperature, side)


def image_files(paths: Iterable[str | Path]) -> list[Path]:
    """These files, and the images below those that are folders, by name; as ``data show`` finds them.

    A file that is not there is among them, unless it is the only one: it can't be read, others can.

    Raises:
        InputError: None of them is there, one has no name, or a folder holds no image.
    """
    found: list[Path] = []
    named = [str(each) for each in paths]
    if "" in named:
        raise InputError("the path of an image is empty", "name a file or a folder")
    for path in map(Path, named):
        if _is_there(path) and path.is_dir():
            inside, _ = walk(path)
            below = [path / each for each in sorted(inside.below())]
            if not below:
                raise InputError(f"{path} holds no images", "name a folder with images, or files")
            found += below
        else:
            found.append(path)
    if not any(map(_is_there, found)):
        raise InputError(f"{found[0]} is not there" if len(found) == 1 else "none of these files is there")
    return found


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # of a name that is too long, for one
        return False


def _incomplete(path: str | Path, why: str) -> InputError:
    return InputError(
        f"weights {path} do not say how to use them ({why[:100]})", "give a file that train --save wrote"
    )
