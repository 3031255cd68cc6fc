"""Reading images of a pack for the steps to come, while a GPU computes the one that is."""

from concurrent.futures import Future, ThreadPoolExecutor

import torch

from regnetlab.spaces.arrays import Ints
from regnetlab.training.cores import usable_cores
from regnetlab.training.packs.images import PackedImages

_MOST_THREADS = 8


class Ahead:
    """The pixels of an epoch's batches, each read by a thread before it is asked for."""

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
