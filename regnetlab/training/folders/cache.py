"""Decoded images on disk: one file for each folder and way to read it, mapped by every process.

A file is found by a hash of what it was made from (paths, sizes, times of change, options), holds a
checksum of what is in it, and is written whole or not at all. The cache can be deleted at any time;
``REGNETLAB_CACHE`` names another place for it.
"""

import contextlib
import hashlib
import json
import mmap
import os
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regnetlab.files import cache_folder
from regnetlab.training.cores import on_all_cores

_MAGIC = b"regnetlab images 2 "
_PAGE = 4_096
_BLOCK = 2**23  # hashed at once, on every core
_STALE = 86_400  # seconds after which a part belongs to a process that was killed


@dataclass(frozen=True, slots=True)
class Arrays:
    """Images (n, channels, height, width) as uint8 and labels (n,), in memory or mapped from a file."""

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]

    def checksum(self) -> str:
        """A SHA-256 over the hashes of blocks of the images and labels: the same however many cores hash."""
        flat = self.images.reshape(-1)
        blocks = [flat[at : at + _BLOCK] for at in range(0, len(flat), _BLOCK)]
        whole = hashlib.sha256(
            b"".join(on_all_cores(lambda block: hashlib.sha256(block.data).digest(), blocks, chunk=1))
        )
        whole.update(self.labels.astype("<i8").tobytes())
        whole.update(str(self.images.shape).encode())
        return whole.hexdigest()


class Entry:
    """The place in the cache of one folder, read in one way.

    ``made_from`` is everything that decides its content; ``folder`` is what it replaces an older entry of.
    """

    def __init__(self, folder: object, made_from: object) -> None:
        self._of = _hash(folder)
        self.path = cache_folder() / "images" / f"{self._of}-{_hash(made_from)}"

    def load(self) -> tuple[Arrays, Mapping[str, Any]] | None:
        """The arrays, mapped so that all processes share the memory, and what was kept with them.

        ``None`` where there is no such entry or it is damaged, which the checksums of both parts tell.
        """
        try:
            if not self.path.is_file():  # opened, a pipe would wait forever
                return None
            with self.path.open("rb") as file:
                digest, _, text = file.readline(2**28).removeprefix(_MAGIC).rstrip(b"\n").partition(b" ")
                if hashlib.sha256(text).hexdigest().encode() != digest:
                    return None
                header = json.loads(text)
                mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
            arrays = _arrays(mapped, header["shape"], header["at"])
            return (arrays, header) if arrays.checksum() == header["checksum"] else None
        except (OSError, ValueError, LookupError, TypeError):
            return None

    def save(self, arrays: Arrays, kept: Mapping[str, Any]) -> bool:
        """Keep these, with their ``checksum`` among ``kept``; whether there was room to.

        Older entries of the folder are removed.
        """
        header = {**kept, "shape": arrays.images.shape, "at": 0}
        header["at"] = -(-(len(json.dumps(header)) + 256) // _PAGE) * _PAGE
        text = json.dumps(header).encode()
        part = self.path.with_name(f".{self.path.name}.{os.getpid()}.{threading.get_ident()}.part")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._tidy()
            with part.open("wb") as file:
                file.write(_MAGIC + hashlib.sha256(text).hexdigest().encode() + b" " + text + b"\n")
                file.seek(header["at"])
                file.write(arrays.labels.astype("<i8").data)
                file.write(arrays.images.data)
            part.replace(self.path)
        except OSError:
            return False
        finally:
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)
        return True

    def _tidy(self) -> None:
        """Remove what this entry replaces, and parts that a killed process left."""
        for other in self.path.parent.glob(f"{self._of}-*"):
            if other != self.path:
                other.unlink(missing_ok=True)
        for part in self.path.parent.glob(".*.part"):
            if time.time() - part.stat().st_mtime > _STALE:
                part.unlink(missing_ok=True)


def _arrays(mapped: mmap.mmap, shape: Sequence[int], at: int) -> Arrays:
    n, *rest = (int(each) for each in shape)
    labels = np.frombuffer(mapped, "<i8", n, at)
    images = np.frombuffer(mapped, np.uint8, n * int(np.prod(rest)), at + labels.nbytes)
    return Arrays(images.reshape(n, *rest), labels)


def _hash(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:20]
