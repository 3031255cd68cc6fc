"""Data sets by name, whole in memory as uint8, split into training, validation and test.

``pack:FOLDER`` is what ``regnetlab data pack`` wrote, of any size: every process maps its files.
Published sets are looked for in ``--data-dir`` or ``REGNETLAB_DATA``; where neither is given, where a
Debian package puts them, then in the cache that torchvision's downloads go to. ``folder`` is the folder
of images that is named so, ``folder:PATH`` any other (docs/data.md). ``training/sources`` knows the
formats.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from regnetlab.errors import InputError, unknown
from regnetlab.spaces.template import Template
from regnetlab.training.folders.decode import Reading, folder_of_pack, is_folder
from regnetlab.training.folders.listener import Listener
from regnetlab.training.folders.reader import read_folder, survey_folder, unreadable_error
from regnetlab.training.folders.survey import Survey
from regnetlab.training.folders.tree import SPLITS, TEST, TRAIN, VALIDATION
from regnetlab.training.folders.walk import holds_classes
from regnetlab.training.guessing import Guessing, guessing
from regnetlab.training.packs.shards import CENTRE, PACK, Pack, read_index, read_pack
from regnetlab.training.sources.cifar import cifar_10, cifar_100
from regnetlab.training.sources.mnists import (
    BY_CLASS,
    BY_MERGE,
    DIGITS,
    FASHION,
    KUZUSHIJI,
    LETTERS,
    emnist,
    mnist_like,
)
from regnetlab.training.sources.parts import Parts, Split, levels_of, random_order
from regnetlab.training.sources.published import Published, find, named_folder, place
from regnetlab.training.sources.svhn import svhn

DEFAULT = "fashion-mnist"
_NATURAL_SIDE = 64
DEBIAN_FASHION_MNIST = Path("/usr/share/datasets/fashion-mnist")

PUBLISHED: Mapping[str, Published] = MappingProxyType(
    {
        DEFAULT: mnist_like(
            "FashionMNIST", FASHION, "Fashion-MNIST", DEBIAN_FASHION_MNIST, "dataset-fashion-mnist"
        ),
        "mnist": mnist_like("MNIST", DIGITS),
        "kmnist": mnist_like("KMNIST", KUZUSHIJI),
        "emnist": emnist("balanced", BY_MERGE),
        "emnist-letters": emnist("letters", LETTERS, first=1),
        "emnist-digits": emnist("digits", DIGITS),
        "emnist-mnist": emnist("mnist", DIGITS),
        "emnist-byclass": emnist("byclass", BY_CLASS),
        "emnist-bymerge": emnist("bymerge", BY_MERGE),
        "cifar-10": cifar_10(),
        "cifar-100": cifar_100(),
        "svhn": svhn(),
    }
)


@dataclass(frozen=True, slots=True)
class DataSet:
    """Training, validation and test images.

    Training images are in a fixed random order, so that the first n are a sample. Where the data have no
    validation split of their own, it is a sixth of the training images, always the same: at random, or as
    ``Reading`` says for a folder of images.
    ``checksum`` is a SHA-256 over all images and labels. ``levels`` (channels, 256) counts the training
    images' pixel values; ``survey`` is there for a folder of images.
    """

    name: str
    classes: tuple[str, ...]
    train: Split
    validation: Split
    test: Split
    checksum: str
    levels: NDArray[np.int64]
    survey: Survey | None = None

    @property
    def input(self) -> str:
        return "x".join(map(str, self.train.images.shape[1:]))

    def counts(self) -> Iterator[tuple[str, dict[str, int]]]:
        """Every class with its number of images by split."""
        parts = {TRAIN: self.train, VALIDATION: self.validation, TEST: self.test}
        n = len(self.classes)
        by_split = {split: np.bincount(part.labels, minlength=n).tolist() for split, part in parts.items()}
        for label, name in enumerate(self.classes):
            yield name, {split: by_split[split][label] for split in SPLITS}

    def mean_and_std(self) -> tuple[list[float], list[float]]:
        """Mean and standard deviation of the training images' pixels by channel, on a scale of 0 to 1."""
        share = self.levels / self.levels.sum(1, keepdims=True)
        levels = np.arange(256) / 255
        mean = share @ levels
        return mean.tolist(), np.sqrt((share * (levels - mean[:, None]) ** 2).sum(1)).tolist()

    def lines(self) -> list[str]:
        """What everyone should know of the data before training."""
        if self.survey is not None:
            return self.survey.lines(self.name)
        images, classes = sum(map(len, (self.train, self.validation, self.test))), len(self.classes)
        return [
            f"{self.name}: {images:,} images {self.input} in {classes} classes:"
            f" {len(self.train):,} train, {len(self.validation):,} validation, {len(self.test):,} test"
        ]

    def majority_error(self, validation: int | None = None) -> float:
        """Error in percent of always answering the commonest class of the training images.

        Judged as a network is: on the first ``validation`` images of the validation split, or on all.
        """
        return self.guessing(validation).majority_error

    def guessing(self, validation: int | None = None) -> Guessing:
        """What answers earn there that ignore the image."""
        return guessing(self.train.labels, self.validation.labels[:validation])

    def check_fits(self, template: Template) -> None:
        """Raise ``InputError`` unless the template takes these images and has these classes."""
        if (template.input, template.classes) != (self.input, len(self.classes)):
            raise InputError(
                f"data {self.name} has images {self.input} in {len(self.classes)} classes, the template"
                f" takes {template.input} in {template.classes}",
                f'write template = {{ input = "{self.input}", classes = {len(self.classes)} }}',
            )


@dataclass(frozen=True, slots=True)
class Outline:
    """A data set as far as it is known without decoding it: images by split, and the input that suits it."""

    name: str
    classes: tuple[str, ...]
    train: int
    validation: int
    test: int
    channels: int
    height: int
    width: int
    survey: Survey | None = None

    @property
    def input(self) -> str:
        return f"{self.channels}x{self.height}x{self.width}"

    def of(self, data: DataSet) -> "Outline":
        """The same with the images that could be decoded."""
        train, validation, test = (len(part) for part in (data.train, data.validation, data.test))
        return replace(self, train=train, validation=validation, test=test, survey=data.survey)


def with_test_images(data: DataSet) -> DataSet:
    """The data set as textbooks use it: the test images judge, and no training image is held out.

    An error so earned is too low as soon as anything is chosen by it; studies never do this.
    """
    if not len(data.test):
        raise no_test_images(data.name, "that could judge")
    from regnetlab.training.packs.images import PackedImages  # torch

    labels = np.concatenate([data.train.labels, data.validation.labels])
    first, second = data.train.images, data.validation.images
    if isinstance(first, PackedImages) and isinstance(second, PackedImages):
        joined = Split(first.joined(second), labels)
        return replace(data, train=joined, validation=data.test, levels=data.levels + second.levels())
    images = np.concatenate([np.asarray(first), np.asarray(second)])
    return replace(data, train=Split(images, labels), validation=data.test, levels=levels_of(images))


def no_test_images(data: str, what_for: str) -> InputError:
    """The error where test images are needed and the data were read or packed without any."""
    return InputError(
        f"data {data} has no test images {what_for}",
        "add a folder test/, or have a sixth held out: leave out --no-test-split and test_split = false, also"
        " where it was packed",
    )


def outline(
    name: str, data_dir: Path | None = None, reading: Reading = Reading(), listener: Listener = Listener()
) -> Outline:
    """What the data set holds; of a folder of images only the headers are read."""
    if (packed := folder_of_pack(name)) is not None:
        pack = read_pack(packed)
        side = input_side(pack.side)
        train, validation, test = (pack.counts[split] for split in SPLITS)
        return Outline(name, pack.classes, train, validation, test, pack.channels, side, side, pack.survey)
    root = folder_of(name, data_dir)
    if root is None:
        data = _published(name, data_dir)
        train, validation, test = (len(part) for part in (data.train, data.validation, data.test))
        channels, height, width = data.train.images.shape[1:]
        return Outline(name, data.classes, train, validation, test, channels, height, width)
    found = survey_folder(name, root, reading, listener)
    if found.unreadable and not reading.skip_unreadable:
        raise unreadable_error(name, root, found.images, found.unreadable)
    train, validation, test = (sum(found.counts[split]) for split in SPLITS)
    return Outline(name, found.classes, train, validation, test, *natural_input(found), survey=found)


def natural_input(found: Survey) -> tuple[int, int, int]:
    """Channels, height and width that suit a folder's images: grey where all are, and the median's size.

    A side is at least 16 pixels, and the longer one 64 at most: at that size networks train in minutes on a
    CPU. Another one is the user's to choose.
    """
    width, height = found.median
    scale = min(1.0, _NATURAL_SIDE / max(width, height))
    height, width = (max(16, round(side * scale)) for side in (height, width))
    return 1 if found.grey else 3, height, width


def load_data(
    name: str,
    template: Template,
    data_dir: Path | None = None,
    reading: Reading = Reading(),
    listener: Listener = Listener(),
) -> DataSet:
    """The data set of that name; folders of images are read into the template's input as ``reading`` says."""
    if (packed := folder_of_pack(name)) is not None:
        return _from_pack(name, read_pack(packed), template)
    root = folder_of(name, data_dir)
    if root is None:
        return _published(name, data_dir)
    found = read_folder(name, root, template, reading, listener)
    train, validation, test = (found.splits[split] for split in SPLITS)
    classes, checksum = found.survey.classes, found.checksum
    return DataSet(name, classes, train, validation, test, checksum, found.levels, found.survey)


def input_side(side: int) -> int:
    """The height and width of the input that suits a pack: that of small images, and seven eighths of others,
    which leaves room to shift the part that is seen."""
    return side if side <= _NATURAL_SIDE else round(CENTRE * side / 8) * 8


def _from_pack(name: str, pack: Pack, template: Template) -> DataSet:
    """The images of a pack, cut to the template's input."""
    from regnetlab.training.packs.images import PackedImages  # torch

    height, width = template.height, template.width
    if template.channels != pack.channels:
        raise InputError(
            f"data {name} has {pack.channels} channel{'s' * (pack.channels > 1)}, the template"
            f" {template.channels}",
            f'write input = "{pack.channels}x{height}x{width}", or pack again with --channels',
        )
    if not pack.side / 2 <= max(height, width) <= 2 * pack.side:
        raise InputError(
            f"data {name} has images with a short side of {pack.side} px, and the input is {template.input}",
            f"pack again with --size {max(height, width)}, or take an input of"
            f" {pack.channels}x{input_side(pack.side)}x{input_side(pack.side)}",
        )
    rows, at = read_index(pack), 0
    parts = {}
    for split in SPLITS:
        here = rows[at : at + pack.counts[split]]
        parts[split] = Split(PackedImages(pack, here, height, width), here["label"].astype(np.int64))
        at += len(here)
    train, validation, test = (parts[split] for split in SPLITS)
    return DataSet(name, pack.classes, train, validation, test, pack.checksum, pack.levels, pack.survey)


def folder_of(name: str, data_dir: Path | None) -> Path | None:
    """The folder of images of that name; ``None`` for a published data set."""
    if not is_folder(name):
        return None
    _, _, path = name.partition(":")
    root = Path(path).expanduser() if path else named_folder(data_dir)
    if root is None:
        raise InputError(
            f"data {name!r} is the folder that --data-dir or REGNETLAB_DATA names, and neither does",
            "give one, or write folder:PATH",
        )
    return root


def _published(name: str, data_dir: Path | None) -> DataSet:
    if name not in PUBLISHED:
        if (Path(name) / PACK).is_file():
            raise InputError(f"data set {name!r} is not known", f"for the pack write pack:{name}")
        if Path(name).is_dir():
            raise InputError(f"data set {name!r} is not known", f"for the folder write folder:{name}")
        if "/" in name:
            raise InputError(f"there is no folder {name!r}", "look at the path, which begins in this folder")
        error = unknown("data set", name, PUBLISHED)
        others = f"give folder:PATH of a folder of images, pack:FOLDER, or one of {', '.join(PUBLISHED)}"
        raise InputError(
            f"{error.what}, and there is no folder of that name here",
            error.hint if error.hint.endswith("?") else others,
        )
    return _split(name, PUBLISHED[name].read(find(name, PUBLISHED, data_dir)))


def default_data(data_dir: Path | None = None) -> str:
    """The data that is meant where none is said: Fashion-MNIST, or the images in the folder that is named."""
    root = named_folder(data_dir)
    if root is not None and place(DEFAULT, PUBLISHED, root) is None and holds_classes(root):
        return "folder"
    return DEFAULT


def _split(name: str, parts: Parts) -> DataSet:
    checksum = hashlib.sha256()
    for part in (parts.train, parts.test):
        checksum.update(np.ascontiguousarray(part.images).data)
        checksum.update(part.labels.astype("<i8").tobytes())
    order = random_order(len(parts.train))
    cut = len(parts.train) // 6
    if cut < 1:
        raise InputError(
            f"data {name}: {len(parts.train)} training images are too few to hold any out", "add images"
        )
    validation, training = (
        Split(parts.train.images[part], parts.train.labels[part]) for part in (order[:cut], order[cut:])
    )
    levels = levels_of(np.asarray(training.images))
    return DataSet(name, parts.classes, training, validation, parts.test, checksum.hexdigest(), levels)
