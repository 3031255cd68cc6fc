"""Any data set as a pack: published ones, and what indexes as torch's map-style data sets do."""

from collections.abc import Mapping, Sequence
from operator import index
from pathlib import Path
from secrets import token_hex
from threading import Lock
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from regnetlab.errors import InputError
from regnetlab.spaces.arrays import Ints
from regnetlab.spaces.template import SMALL
from regnetlab.training.datasets import load_data
from regnetlab.training.folders.decode import levels_of_picture
from regnetlab.training.folders.listener import Listener
from regnetlab.training.folders.tree import SPLITS, TEST, TRAIN, VALIDATION
from regnetlab.training.packs.shards import Pack
from regnetlab.training.packs.stores import STORES
from regnetlab.training.packs.writing import (
    Source,
    check_pack_folder,
    finish_pack,
    index_checksum,
    packing_into,
    write_shards,
)
from regnetlab.training.sources.parts import random_order

if TYPE_CHECKING:
    from PIL.Image import Image


_LEAST_SIDE, _MOST_SIDE = 8, 4096
_LOOKED_AT = 32  # images by which the number of channels is chosen
_MOST_LABEL = 99_999
_NUMBER = f"it must be a whole number from 0 to {_MOST_LABEL:,}"


class Indexed(Protocol):
    """A map-style data set: pairs of an image and a label from 0 on."""

    def __len__(self) -> int: ...

    def __getitem__(self, at: int, /) -> Any: ...


def pack_published(
    name: str,
    data_dir: Path | None,
    folder: Path,
    side: int,
    channels: int | None,
    store: str,
    listener: Listener,
) -> Pack:
    """Pack the published data set ``name`` into ``folder``: the same splits in the same order as by its name.

    Its images are not larger than ``side`` as a rule, and then they stay as they are. A call that was
    interrupted begins again. Raises ``InputError`` where there is no such data set, or as ``pack_indexed``.
    """
    check_pack_folder(folder)
    data = load_data(name, SMALL, data_dir)
    colours = data.train.images.shape[1]
    parts = dict(zip(SPLITS, (data.train, data.validation, data.test), strict=True))
    where = [(part, at) for part in parts.values() for at in range(len(part))]
    counts = {split: len(part) for split, part in parts.items()}
    return _packed(folder, name, where, counts, data.classes, side, channels or colours, store, listener)


def pack_indexed(
    folder: Path,
    train: Indexed,
    validation: Indexed | None = None,
    test: Indexed | None = None,
    classes: Sequence[str] = (),
    side: int = 256,
    channels: int | None = None,
    store: str = "raw",
    listener: Listener = Listener(),
) -> Pack:
    """Pack these data sets into ``folder``; without those for validation or test a sixth of the training
    images each is held out, always the same. A call that was interrupted begins again. With a ``test`` of no
    images there is no test split.

    Args:
        folder: Where the pack will be.
        train: Images are Pillow's, or uint8 arrays or tensors (h, w), (h, w, c) or (c, h, w).
        validation: Likewise.
        test: Likewise.
        classes: By label; by default those that ``train.classes`` names, or the numbers.
        side: What the short side of larger images is brought to.
        channels: 1 or 3; by default 1 where the first images have no colours.
        store: How the images are kept (``stores``).
        listener: Is told how it goes on.

    Raises:
        InputError: An item is no such pair, there are too few, or a file can't be written.
    """
    if not (_LEAST_SIDE <= side <= _MOST_SIDE and channels in (None, 1, 3)):
        raise InputError(
            f"size is {side} and channels {channels}",
            f"a size is {_LEAST_SIDE} to {_MOST_SIDE} pixels, and channels are 1 or 3",
        )
    if store not in STORES:
        raise InputError(f"store is {store!r}", "it must be raw or jpeg")
    check_pack_folder(folder)
    where, counts = _split(train, validation, test)
    named = tuple(map(str, classes or getattr(train, "classes", None) or ()))
    return _packed(folder, type(train).__name__, where, counts, named, side, channels, store, listener)


def _packed(
    folder: Path,
    name: str,
    where: Sequence[tuple[Indexed, int]],
    counts: Mapping[str, int],
    classes: tuple[str, ...],
    side: int,
    channels: int | None,
    store: str,
    listener: Listener,
) -> Pack:
    """Pack the items at these places, so many of each split; classes without names are numbers."""
    lock = Lock()  # what others wrote may not be ready for threads

    def item(at: int) -> tuple["Image", int]:
        data, place = where[at]
        with lock:
            found = data[place]
        if not isinstance(found, tuple | list) or len(found) != 2:
            what = f"item {place} is {type(found).__name__}"
            raise InputError(what, "it must be a pair of an image and a label")
        return _picture(found[0], place), _label(found[1], place)

    first = [item(at)[0] for at in range(min(_LOOKED_AT, len(where)))]
    seen = 1 if all(_is_grey(each) for each in first) else 3

    def decoded(at: int) -> tuple[NDArray[np.uint8], int]:
        image, label = item(at)
        if channels is None and seen == 1 and not _is_grey(image):
            what = f"item {where[at][1]} has colours, and the first {len(first)} have none"
            raise InputError(what, "say channels = 3, or 1 to make all grey")
        return levels_of_picture(image, channels or seen, side), label

    this_call = token_hex()
    source = Source(n=len(where), item=decoded, state=lambda shard: this_call)
    with packing_into(folder):
        written = write_shards(folder, source, counts[TRAIN], channels or seen, side, store, listener)
        if written.unreadable:
            wrong = written.unreadable[0]
            raise InputError(f"item {wrong.path}: {wrong.reason}", "leave it out of the data set")
        most = int(written.rows["label"].max())
        names = classes or tuple(map(str, range(most + 1)))
        if most >= len(names):
            raise InputError(f"there is a label {most} of {len(names)} classes", "they count from 0")
        pack = Pack(
            folder=folder,
            name=name,
            classes=names,
            counts=counts,
            channels=channels or seen,
            side=written.side,
            background="white",
            shards=written.shards,
            index_sha256=index_checksum(written.rows),
            levels=written.levels,
            store=store,
        )
        finish_pack(pack, written.rows)
    return pack


def _split(
    train: Indexed, validation: Indexed | None, test: Indexed | None
) -> tuple[list[tuple[Indexed, int]], dict[str, int]]:
    """The data set and the place of each image of the pack, in its order, and images by split."""
    given = {TRAIN: train, VALIDATION: validation, TEST: test}
    for split, data in given.items():
        if data is not None and not len(data) and split != TEST:
            raise InputError(f"{split} has no images", "leave it out, and a sixth is held out")
    held = [split for split in (VALIDATION, TEST) if given[split] is None]
    order = random_order(len(train))
    cut = len(train) // 6
    if held and cut < 1:
        raise InputError(f"{len(train)} training images are too few to hold any out", "6 are the least")
    places: dict[str, Ints] = {split: order[i * cut : (i + 1) * cut] for i, split in enumerate(held)}
    places[TRAIN] = order[len(held) * cut :]
    where: list[tuple[Indexed, int]] = []
    counts = {}
    for split, own in given.items():
        data = train if own is None else own
        here = places.get(split, np.arange(len(data)))
        where += [(data, int(at)) for at in here]
        counts[split] = len(here)
    return where, counts


def _label(value: Any, place: int) -> int:
    try:
        label = index(value)
    except TypeError:
        raise InputError(f"item {place} has the label {str(value)[:40]!r}", _NUMBER) from None
    if not 0 <= label <= _MOST_LABEL:
        raise InputError(f"item {place} has the label {label}", _NUMBER)
    return label


def _picture(image: Any, place: int) -> "Image":
    """An item's image as Pillow's."""
    from PIL import Image, ImageOps

    if isinstance(image, Image.Image):
        return ImageOps.exif_transpose(image)
    values = np.asarray(image)
    if values.dtype != np.uint8:
        raise InputError(
            f"item {place} is an array of {values.dtype}",
            "it must be uint8, from 0 to 255: without ToTensor and Normalize, or with PILToTensor",
        )
    if values.ndim == 3 and values.shape[0] in (1, 3) and values.shape[2] not in (1, 3):
        values = values.transpose(1, 2, 0)
    if values.ndim == 3 and values.shape[2] == 1:
        values = values[:, :, 0]
    if values.ndim not in (2, 3) or values.size == 0 or (values.ndim == 3 and values.shape[2] != 3):
        raise InputError(f"item {place} is an array of shape {values.shape}", "it must be grey or RGB")
    return Image.fromarray(np.ascontiguousarray(values))


def _is_grey(image: "Image") -> bool:
    return image.mode in ("1", "L", "LA", "La") or image.mode.startswith("I")
