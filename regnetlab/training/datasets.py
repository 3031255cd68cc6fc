"""Data sets by name, whole in memory as uint8, split into training, validation and test.

Published sets are looked for in ``--data-dir`` or ``REGNETLAB_DATA``; where neither is given, where a
Debian package puts them, then in the cache that torchvision's downloads go to. ``folder`` is the folder
of images that is named so, ``folder:PATH`` any other (docs/data.md). ``training/sources`` knows the
formats.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np

from regnetlab.errors import InputError, unknown
from regnetlab.spaces.template import Template
from regnetlab.training.guessing import Guessing, guessing
from regnetlab.training.sources.cifar import cifar_10, cifar_100
from regnetlab.training.sources.folders import holds_classes, read_folder
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
from regnetlab.training.sources.parts import Parts, Split, random_order
from regnetlab.training.sources.published import Published, find, named_folder, place
from regnetlab.training.sources.svhn import svhn

DEFAULT = "fashion-mnist"
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
DATA_SETS = (*PUBLISHED, "folder", "folder:PATH")
"""Every name that data may have."""


@dataclass(frozen=True, slots=True)
class DataSet:
    """Training, validation and test images.

    Training images are in a fixed random order, so that the first n are a sample; a sixth of the
    original training images, at random but always the same, is the validation split. ``checksum``
    is a SHA-256 over all images and labels.
    """

    name: str
    classes: tuple[str, ...]
    train: Split
    validation: Split
    test: Split
    checksum: str

    @property
    def input(self) -> str:
        return "x".join(map(str, self.train.images.shape[1:]))

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
                f" takes {template.input} in {template.classes}; write template ="
                f' {{ input = "{self.input}", classes = {len(self.classes)} }}'
            )


def load_data(name: str, template: Template, data_dir: Path | None = None) -> DataSet:
    """The data set of that name; folders of images are resized to the template's input."""
    kind, _, path = name.partition(":")
    if kind == "folder":
        root = Path(path).expanduser() if path else named_folder(data_dir)
        if root is None:
            raise InputError(
                f"data {name!r} is the folder that --data-dir or REGNETLAB_DATA names, and neither does; give"
                " one, or write folder:PATH"
            )
        return _split(name, read_folder(name, root, template))
    if name not in PUBLISHED:
        hint = str(unknown("data set", name, DATA_SETS)).partition("; there are")[0]
        raise InputError(f"{hint}{'' if hint.endswith('?') else ';'} there are {', '.join(DATA_SETS)}")
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
        raise InputError(f"data {name}: {len(parts.train)} training images are too few to hold any out")
    validation, training = (
        Split(parts.train.images[part], parts.train.labels[part]) for part in (order[:cut], order[cut:])
    )
    return DataSet(name, parts.classes, training, validation, parts.test, checksum.hexdigest())
