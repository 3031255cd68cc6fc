"""What every source of images gives: training and test images with their labels, and class names."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from regnetlab.errors import InputError

MOST_BYTES = 2**31
"""The most that one file may hold: everything lies in memory, and a header may lie."""
_ORDER_SEED = 20200330
_COUNTED = 2**21


class Pictures(Protocol):
    """What is indexed as an array (n, channels, height, width) of uint8 is, at least along its first axis."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    def __len__(self) -> int: ...

    def __getitem__(self, which: Any, /) -> Any: ...


@dataclass(frozen=True, slots=True)
class Split:
    """``images`` (n, channels, height, width) as uint8 and ``labels`` (n,)."""

    images: Pictures
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, at: int) -> tuple[Any, int]:
        """One image and its label, as torch's map-style data sets give them."""
        return self.images[at], int(self.labels[at])


@dataclass(frozen=True, slots=True)
class Parts:
    """The images as they were published: ``classes`` by label, training images, test images."""

    classes: tuple[str, ...]
    train: Split
    test: Split


def levels_of(images: NDArray[np.uint8]) -> NDArray[np.int64]:
    """How often each pixel value 0 to 255 occurs, by channel: (channels, 256)."""
    counts = np.zeros((images.shape[1], 256), np.int64)
    several = max(1, _COUNTED // images[0, 0].size)  # counting needs eight bytes a pixel
    for start in range(0, len(images), several):
        part = images[start : start + several]
        counts += [np.bincount(part[:, channel].ravel(), minlength=256) for channel in range(images.shape[1])]
    return counts


def checked(
    title: str,
    where: Path,
    images: NDArray[np.uint8],
    labels: NDArray[np.int64],
    shape: tuple[int, int, int],
    classes: int,
) -> Split:
    """These as a split of the data set ``title``, which were found in ``where``.

    Raises ``InputError`` unless there are images, all of this shape, and each has a label below ``classes``.
    """
    low, high = labels.min(initial=0), labels.max(initial=0)
    if not len(images) == len(labels) > 0 or images.shape[1:] != shape or low < 0 or high >= classes:
        raise InputError(
            f"{where} does not hold {title}: {len(images):,} images of"
            f" {'x'.join(map(str, images.shape[1:]))} and {len(labels):,} labels from {low} to {high},"
            f" where {'x'.join(map(str, shape))} and 0 to {classes - 1} were expected",
            "it is damaged or something else: get it again",
        )
    return Split(images, labels)


def random_order(n: int) -> NDArray[np.int64]:
    """A random order of n things that is the same everywhere and with every NumPy."""
    key = np.array([_ORDER_SEED, n], np.uint64)
    return np.argsort(np.random.Philox(key=key).random_raw(n), kind="stable").astype(np.int64)
