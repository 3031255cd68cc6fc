"""Any data set as a pack: published ones, and what indexes as torch's map-style data sets do."""

from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from regnetlab.errors import InputError
from regnetlab.spaces.arrays import Ints
from regnetlab.training.folders.decode import levels_of_picture
from regnetlab.training.folders.listener import Listener
from regnetlab.training.folders.tree import SPLITS, TEST, TRAIN, VALIDATION
from regnetlab.training.packs.shards import Pack
from regnetlab.training.packs.writing import Source, finish_pack, index_checksum, write_shards
from regnetlab.training.sources.parts import random_order


class Indexed(Protocol):
    """A map-style data set: pairs of an image and a label from 0 on."""

    def __len__(self) -> int: ...

    def __getitem__(self, at: int, /) -> Any: ...


def pack_indexed(
    folder: Path,
    train: Indexed,
    validation: Indexed | None = None,
    test: Indexed | None = None,
    classes: Sequence[str] = (),
    side: int = 256,
    listener: Listener = Listener(),
) -> Pack:
    """Pack these data sets into ``folder``; without those for validation or test a sixth of the training
    images each is held out, always the same.

    Args:
        folder: Where the pack will be.
        train: Images are Pillow's, or uint8 arrays or tensors (h, w), (h, w, c) or (c, h, w).
        validation: Likewise.
        test: Likewise.
        classes: By label; by default those that ``train.classes`` names, or the numbers.
        side: What the short side of larger images is brought to.
        listener: Is told how it goes on.

    Raises:
        InputError: An item is no such pair, there are too few, or a file can't be written.
    """
    sets: dict[str, Indexed | None] = {TRAIN: train, VALIDATION: validation, TEST: test}
    held = [split for split in (VALIDATION, TEST) if sets[split] is None]
    order = random_order(len(train))
    cut = len(train) // 6
    if held and cut < 1:
        raise InputError(f"{len(train)} training images are too few to hold any out", "6 are the least")
    places: dict[str, Ints] = {
        split: np.arange(len(each)) for split, each in sets.items() if each is not None
    }
    for number, split in enumerate(held):
        places[split], sets[split] = order[number * cut : (number + 1) * cut], train
    places[TRAIN] = order[len(held) * cut :]
    where = [(sets[split] or train, int(at)) for split in SPLITS for at in places[split]]
    lock = Lock()  # what others wrote may not be ready for threads

    def item(at: int) -> tuple[Any, int]:
        data, place = where[at]
        with lock:
            found = data[place]
        if not isinstance(found, (tuple, list)) or len(found) != 2:
            raise InputError(
                f"item {place} is {type(found).__name__}", "it must be a pair of image and label"
            )
        return found[0], _label(found[1], place)

    channels = len(_levels(item(0)[0], None, side))

    def decoded(at: int) -> tuple[NDArray[np.uint8], int]:
        image, label = item(at)
        return _levels(image, channels, side), label

    source = Source(
        n=len(where),
        item=decoded,
        state=lambda shard: [type(train).__name__, len(where), shard[0], shard[-1]],
    )
    written = write_shards(folder, source, len(places[TRAIN]), channels, side, listener)
    if written.unreadable:
        first = written.unreadable[0]
        raise InputError(f"item {first.path}: {first.reason}", "leave it out of the data set")
    labels = written.rows["label"]
    names = tuple(map(str, classes or getattr(train, "classes", None) or range(int(labels.max()) + 1)))
    if labels.max() >= len(names):
        raise InputError(f"there is a label {labels.max()} of {len(names)} classes", "they count from 0")
    pack = Pack(
        folder=folder,
        name=type(train).__name__,
        classes=names,
        counts={split: len(places[split]) for split in SPLITS},
        channels=channels,
        side=side,
        background="white",
        shards=written.shards,
        index_sha256=index_checksum(written.rows),
        levels=written.levels,
    )
    finish_pack(pack, written.rows)
    return pack


def _label(value: Any, place: int) -> int:
    try:
        label = int(value)
    except (TypeError, ValueError):
        raise InputError(f"item {place} has the label {value!r}", "it must be a number from 0 on") from None
    if label < 0:
        raise InputError(f"item {place} has the label {label}", "they count from 0")
    return label


def _levels(image: Any, channels: int | None, side: int) -> NDArray[np.uint8]:
    """An image as uint8 (channels, height, width), made smaller as ``decode.whole_picture`` does."""
    from PIL import Image

    if isinstance(image, Image.Image):
        picture = image
    else:
        values = np.asarray(image)
        if values.dtype != np.uint8:
            raise InputError(f"an image is an array of {values.dtype}", "it must be uint8, from 0 to 255")
        if values.ndim == 3 and values.shape[0] in (1, 3) and values.shape[2] not in (1, 3):
            values = values.transpose(1, 2, 0)
        if values.ndim == 3 and values.shape[2] == 1:
            values = values[:, :, 0]
        if values.ndim not in (2, 3) or values.size == 0 or (values.ndim == 3 and values.shape[2] != 3):
            raise InputError(f"an image is an array of shape {values.shape}", "it must be grey or RGB")
        picture = Image.fromarray(np.ascontiguousarray(values))
    return levels_of_picture(picture, channels, side)
