"""A folder of images as a pack: the same files, classes and splits as without it (``folders.reader``)."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from regnetlab.errors import InputError
from regnetlab.training.folders.decode import Reading, whole_picture
from regnetlab.training.folders.listener import Listener
from regnetlab.training.folders.reader import unreadable_error, without_unreadable
from regnetlab.training.folders.splits import grouped, held_out
from regnetlab.training.folders.survey import look_at, surveyed
from regnetlab.training.folders.tree import SPLITS, TRAIN, ImageFile, look_through
from regnetlab.training.packs.shards import Pack
from regnetlab.training.packs.writing import (
    Source,
    check_pack_folder,
    finish_pack,
    index_checksum,
    packing_into,
    write_shards,
)


def pack_folder(
    name: str,
    root: Path,
    folder: Path,
    side: int,
    channels: int | None,
    reading: Reading,
    store: str,
    listener: Listener,
) -> Pack:
    """Pack the images below ``root``, which are the data ``name``, into ``folder``.

    Args:
        name: For errors.
        root: Where the images are.
        folder: Where the pack will be; what an earlier call finished there counts.
        side: What the short side of larger images is brought to.
        channels: 1 or 3; by default 1 where all images are grey.
        reading: The background, and how splits are held out.
        store: How the images are kept (``stores``).
        listener: Is told how it goes on.

    Raises:
        InputError: It is no folder of images, a file can't be read and is not to be skipped, or written.
    """
    from PIL import __version__ as pillow

    check_pack_folder(folder)
    if folder.resolve().is_relative_to(root.resolve()):
        raise InputError(f"{folder} lies in the data", "write the pack somewhere else")
    tree = look_through(name, root)
    groups = grouped(name, tree, reading)
    headers = look_at(tree, listener)
    if headers.unreadable and not reading.skip_unreadable:
        raise unreadable_error(name, root, len(tree), headers.unreadable)
    there = without_unreadable(name, tree, headers.unreadable)
    layout = held_out(name, there, reading, groups)
    before = surveyed(there, layout, headers, headers.unreadable, reading, groups)
    files = [file for split in SPLITS for file in layout[split]]
    channels = channels or (1 if before.grey else 3)

    def item(at: int) -> tuple[NDArray[np.uint8], int]:
        return whole_picture(root / files[at].path, channels, side, reading.background), files[at].label

    def original(at: int) -> Path | None:
        path = files[at].path
        seen = headers.facts[path]
        kept = seen.format == "JPEG" and min(seen.width, seen.height) <= side
        return root / path if kept else None

    source = Source(
        n=len(files),
        item=item,
        original=original,
        state=lambda places: [pillow, reading.colour, [_state(files[at]) for at in places]],
        path=lambda at: files[at].path,
    )
    with packing_into(folder):
        written = write_shards(folder, source, len(layout[TRAIN]), channels, side, store, listener)
        unreadable = (*headers.unreadable, *written.unreadable)
        if unreadable and not reading.skip_unreadable:
            raise unreadable_error(name, root, len(tree), unreadable)
        left = without_unreadable(name, tree, unreadable)
        gone = {each.path for each in unreadable}
        layout = {split: [file for file in part if file.path not in gone] for split, part in layout.items()}
        pack = Pack(
            folder=folder,
            name=root.resolve().name,
            classes=tree.classes,
            counts={split: len(part) for split, part in layout.items()},
            channels=channels,
            side=written.side,
            background=reading.background,
            shards=written.shards,
            index_sha256=index_checksum(written.rows),
            levels=written.levels,
            survey=surveyed(left, layout, headers, unreadable, reading, groups),
            store=store,
        )
        finish_pack(pack, written.rows)
    return pack


def _state(file: ImageFile) -> tuple[object, ...]:
    return file.path, file.state, file.label
