"""Images of a pack as an array (n, channels, height, width) of uint8, made of mapped bytes when asked for."""

from collections import OrderedDict
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from regnetlab.errors import InputError
from regnetlab.spaces.arrays import Ints
from regnetlab.training.cores import usable_cores
from regnetlab.training.crops import Ragged, centres, resized
from regnetlab.training.folders.decode import UnreadableError, whole_picture
from regnetlab.training.packs.shards import Pack
from regnetlab.training.packs.stores import decoded
from regnetlab.training.sources.parts import levels_of

_MOST_THREADS = 8
_MAPPED = 256  # files at a time; a process may have about a thousand open


class DataLostError(InputError):
    """A pack's file is gone that was there before: no fault of the network that is trained on it."""


class PackedImages:
    """Some images of a pack, cut to one size when they are asked for; indexed as an array's first axis is.

    Every process maps the same files, so that they share the system's page cache, and what a process keeps
    does not grow with the number of images. It can be pickled, and maps the files again.
    """

    def __init__(self, pack: Pack, rows: NDArray[Any], height: int, width: int) -> None:
        self._pack, self._rows = pack, rows
        self.shape = (len(rows), pack.channels, height, width)
        self.side, self.background = pack.side, pack.background
        self._maps: OrderedDict[int, NDArray[np.uint8]] = OrderedDict()
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._rows)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_maps": OrderedDict(), "_lock": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__ |= state | {"_lock": Lock()}

    def sizes(self, places: Ints) -> tuple[Ints, Ints]:
        """Heights and widths of the whole pictures at these places."""
        rows = self._rows[places]
        return rows["height"].astype(np.int64), rows["width"].astype(np.int64)

    def __getitem__(self, which: int | slice | Ints) -> NDArray[np.uint8]:
        """The middle of these images in the input's size, in whole levels."""
        places = np.atleast_1d(np.arange(len(self))[which])
        pixels = self.centres(places, torch.device("cpu"))
        found: NDArray[np.uint8] = pixels.round().to(torch.uint8).numpy()
        return found[0] if isinstance(which, int | np.integer) else found

    def centres(
        self, places: Ints, device: torch.device, collected: torch.Tensor | None = None
    ) -> torch.Tensor:
        """The part of these images that is judged, float32 (n, channels, height, width) from 0 to 255."""
        height, width = self.shape[2:]
        boxes = torch.from_numpy(centres(*self.sizes(places), height, width, self.side))
        return self.parts(places, boxes.to(device), device, collected)

    def parts(
        self, places: Ints, boxes: torch.Tensor, device: torch.device, collected: torch.Tensor | None = None
    ) -> torch.Tensor:
        """These parts (``crops.resized``) of these images, brought to the input's size on the device.

        Their pixels may have been ``collected`` before.
        """
        flat = self.collected(places) if collected is None else collected
        if device.type == "cuda":
            flat = flat.pin_memory()
        heights, widths = self.sizes(places)
        areas = heights * widths
        offsets, broad = (torch.from_numpy(each).to(device) for each in (np.cumsum(areas) - areas, widths))
        there = flat.to(device, non_blocking=True).reshape(-1, self._pack.channels)
        return resized(Ragged(there, offsets, broad), boxes, *self.shape[2:])

    def collected(self, places: Ints) -> torch.Tensor:
        """All pixels of these images, one after another, on the CPU."""
        return torch.from_numpy(np.concatenate([self._levels(row) for row in self._rows[places]]))

    def levels(self) -> Ints:
        """How often each level occurs in all their pixels: (channels, 256)."""
        found = np.zeros((self.shape[1], 256), np.int64)
        for at in range(0, len(self), 64):
            pixels = self.collected(np.arange(at, min(at + 64, len(self)))).numpy()
            found += levels_of(pixels.reshape(1, 1, -1, self.shape[1]).transpose(0, 3, 1, 2))
        return found

    def joined(self, other: "PackedImages") -> "PackedImages":
        """These images and then those of the same pack."""
        return PackedImages(self._pack, np.concatenate([self._rows, other._rows]), *self.shape[2:])

    def _levels(self, row: Any) -> NDArray[np.uint8]:
        """One image's pixels, flat, as (height, width, channels)."""
        shard, offset, height, width, _, length = row.item()
        kept = self._shard(shard)[offset : offset + length]
        if self._pack.store == "raw":
            return kept
        path = self._pack.folder / self._pack.shards[shard].file
        try:
            return decoded(kept.data, self._pack.channels, height, width).reshape(-1)
        except UnreadableError as error:
            what = f"{path} was changed since it was written: an image in it can't be decoded ({error})"
            raise DataLostError(what, "write the pack again with regnetlab data pack") from None

    def _shard(self, number: int) -> NDArray[np.uint8]:
        with self._lock:
            if number not in self._maps:
                if len(self._maps) >= _MAPPED:
                    self._maps.popitem(last=False)
                path = self._pack.folder / self._pack.shards[number].file
                try:
                    self._maps[number] = np.memmap(path, np.uint8, "r")
                except (OSError, ValueError) as error:
                    raise DataLostError(f"{path} can't be read any more: {error}") from None
            self._maps.move_to_end(number)
            return self._maps[number]


class Ahead:
    """The pixels of an epoch's batches, each read by a thread while a GPU computes those before it."""

    def __init__(self, images: PackedImages, size: int) -> None:
        self._images, self._size = images, size
        self._threads = min(_MOST_THREADS, usable_cores())
        self._pool = ThreadPoolExecutor(self._threads)
        self._coming: dict[int, Future[torch.Tensor]] = {}

    def begin(self, order: Ints) -> None:
        """An epoch with the images at these places."""
        self._order = order
        self._coming.clear()

    def take(self, first: int) -> torch.Tensor:
        """The pixels of the batch that begins at this place of the epoch (``PackedImages.collected``)."""
        for at in range(first, min(first + (self._threads + 1) * self._size, len(self._order)), self._size):
            if at not in self._coming:
                places = self._order[at : at + self._size]
                self._coming[at] = self._pool.submit(self._images.collected, places)
        return self._coming.pop(first).result()


def central(
    path: Path, channels: int, height: int, width: int, side: int, background: str
) -> NDArray[np.uint8]:
    """The pixels (channels, height, width) of a file as a network sees them that was trained from a pack."""
    image = np.ascontiguousarray(whole_picture(path, channels, side, background).transpose(1, 2, 0))
    sizes = [np.array([each]) for each in image.shape[:2]]
    flat = torch.from_numpy(image.reshape(-1, channels))
    ragged = Ragged(flat, torch.zeros(1).long(), torch.from_numpy(sizes[1]))
    box = torch.from_numpy(centres(sizes[0], sizes[1], height, width, side))
    levels: NDArray[np.uint8] = resized(ragged, box, height, width)[0].round().to(torch.uint8).numpy()
    return levels
