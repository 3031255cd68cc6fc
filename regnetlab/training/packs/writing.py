"""Writing a pack: decoded by all cores, a shard at a time, so that memory holds no more than a few images.

A shard that is finished is not made again: a call that was killed goes on where it was. pack.json comes last,
so that a folder without one is no pack.
"""

import fcntl
import hashlib
import json
import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from regnetlab.errors import InputError
from regnetlab.files import open_atomically, open_own, read_foreign, write_atomically
from regnetlab.spaces.arrays import Ints
from regnetlab.training.cores import on_all_cores
from regnetlab.training.folders.decode import UnreadableError, quiet
from regnetlab.training.folders.listener import Listener
from regnetlab.training.folders.walk import Skipped
from regnetlab.training.packs.shards import INDEX, PACK, ROW, VERSION, Pack, Shard
from regnetlab.training.packs.stores import QUALITY, jpeg
from regnetlab.training.sources.parts import levels_of

_BYTES, _SHARDS = 2**27, 512
"""Of a shard, about; larger ones where there would be more shards than that."""
_SMALLER = {"raw": 1, "jpeg": 8}  # about, than pixels
_AT_ONCE = 256  # images, which are in memory
_PART = ".shard.json"  # beside a finished shard, until the pack is


@dataclass(frozen=True, slots=True)
class Source:
    """Where the images of one pack come from.

    ``item`` gives the image at one of ``n`` places as uint8 (channels, height, width), and its label, from
    any thread; it raises ``UnreadableError``. ``state`` describes the images of some places as far as is
    known without decoding them: shards of another state are written again. ``original`` is the file of an
    image that may be kept as it is in the store ``jpeg``.
    """

    n: int
    item: Callable[[int], tuple[NDArray[np.uint8], int]]
    state: Callable[[Sequence[int]], object]
    path: Callable[[int], str] = str
    original: Callable[[int], Path | None] = lambda at: None


@dataclass(frozen=True, slots=True)
class Written:
    """The shards and the index of a pack; ``kept`` are the places of the images that could be read."""

    shards: tuple[Shard, ...]
    rows: NDArray[Any]
    levels: Ints
    kept: Ints
    unreadable: tuple[Skipped, ...]

    @property
    def side(self) -> int:
        """The longest short side: what those of larger images were brought to, or less if none was larger."""
        return int(np.minimum(self.rows["height"], self.rows["width"]).max(initial=1))


def write_shards(
    folder: Path,
    source: Source,
    train: int,
    channels: int,
    side: int,
    store: str = "raw",
    listener: Listener = Listener(),
) -> Written:
    """Write the images of the source into shards, of which the first ``train`` are training images.

    Raises:
        InputError: A file can't be written.
    """
    n = source.n
    bytes_each = channels * side * side * 4 // 3 // _SMALLER[store]
    per_shard = max(1, _BYTES // bytes_each, -(-n // _SHARDS))
    shards, rows, kept, unreadable = [], [], [], list[Skipped]()
    levels = np.zeros((channels, 256), np.int64)
    for number, first in enumerate(range(0, n, per_shard)):
        places = range(first, min(first + per_shard, n))
        state = _state(source.state(places), channels, side, store)
        part = _finished(folder, number, state)
        if part is None:
            part = _write(folder, number, source, places, train, channels, store, state, listener)
        listener.progress("packing", places[-1] + 1, n)
        shards.append(Shard(**part["shard"]))
        sizes = np.array(part["sizes"], np.int64).reshape(-1, 2)
        here = np.array(part["places"], np.int64)
        lengths = np.array(part["lengths"], np.int64)
        found = np.zeros(len(here), ROW)
        found["shard"], found["offset"] = number, np.cumsum(lengths) - lengths
        found["height"], found["width"] = sizes[:, 0], sizes[:, 1]
        found["label"] = part["labels"]
        rows.append(found)
        kept.append(here)
        levels += np.array(part["levels"], np.int64)
        unreadable += [Skipped(source.path(at), reason) for at, reason in part["unreadable"]]
    return Written(tuple(shards), np.concatenate(rows), levels, np.concatenate(kept), tuple(unreadable))


def check_pack_folder(folder: Path) -> None:
    """Raise ``InputError`` where this folder holds something else than a pack that was begun, or is none."""
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is no folder", "name a new one")
    if (folder / PACK).exists():
        raise InputError(f"{folder} holds a pack already", "name a new folder, or remove that one")
    others = [
        each.name
        for each in (folder.iterdir() if folder.is_dir() else ())
        if not (each.name.startswith(".") or each.name == INDEX or re.fullmatch(r"\d{5,}\..+", each.name))
    ]
    if others:
        raise InputError(f"{folder} holds something else ({min(others)})", "name a new folder")


@contextmanager
def packing_into(folder: Path) -> Iterator[None]:
    """Hold the folder of a pack that is to be written; raises ``InputError`` where that can't be.

    What a call that was killed left half written is removed; the shards that it finished stay.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = open_own(folder / ".lock", os.O_RDWR)
    except OSError as error:
        raise InputError(f"{folder} can't be written: {error.strerror or error}") from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        check_pack_folder(folder)  # another process may have written it meanwhile
        for part in folder.glob(".*.part"):
            part.unlink(missing_ok=True)
        yield
    except BlockingIOError:
        raise InputError(f"{folder} is being written by another process", "wait for it") from None
    finally:
        os.close(descriptor)


def finish_pack(pack: Pack, rows: NDArray[Any]) -> None:
    """Write the index and pack.json, and remove what was needed to go on or is an earlier call's."""
    write_atomically(pack.folder / INDEX, rows.tobytes())
    write_atomically(pack.folder / PACK, json.dumps(pack.document()) + "\n")
    own = {INDEX, *(shard.file for shard in pack.shards)}
    for path in (*pack.folder.glob(f"*{_PART}"), *pack.folder.glob("*.bin")):
        if path.name not in own:
            path.unlink(missing_ok=True)


def index_checksum(rows: NDArray[Any]) -> str:
    return hashlib.sha256(rows.tobytes()).hexdigest()


def _write(
    folder: Path,
    number: int,
    source: Source,
    places: Sequence[int],
    train: int,
    channels: int,
    store: str,
    state: str,
    listener: Listener,
) -> dict[str, Any]:
    """Write one shard, and what is to be known of it beside it."""
    name, facts = f"{number:05d}.bin", folder / f"{number:05d}{_PART}"
    facts.unlink(missing_ok=True)  # those of other bytes
    digest = hashlib.sha256()
    levels = np.zeros((channels, 256), np.int64)
    done, labels, sizes, lengths, unreadable = [], [], [], list[int](), []
    with open_atomically(folder / name) as file, quiet():
        for at, kept in zip(places, _kept(source, places, store), strict=True):
            if isinstance(kept, str):
                unreadable.append((at, kept))
                continue
            digest.update(kept.data)
            file.write(kept.data)
            done.append(at)
            labels.append(kept.label)
            sizes.append(kept.size)
            lengths.append(len(kept.data))
            if at < train:
                levels += kept.levels
            listener.progress("packing", at + 1, source.n)
        file.flush()
        os.fsync(file.fileno())
    part = {
        "of": state,
        "shard": {"file": name, "bytes": sum(lengths), "sha256": digest.hexdigest()},
        "places": done,
        "labels": labels,
        "sizes": sizes,
        "lengths": lengths,
        "levels": levels.tolist(),
        "unreadable": unreadable,
    }
    write_atomically(facts, json.dumps(part))
    return part


class _Kept(NamedTuple):
    """An image as it is kept, its height and width, its label, and how often each level occurs in it."""

    data: bytes
    size: tuple[int, ...]
    label: int
    levels: Ints


def _kept(source: Source, places: Sequence[int], store: str) -> Iterator[_Kept | str]:
    """The images of these places, or why they can't be read; some at a time."""

    def keep(at: int) -> _Kept | str:
        try:
            image, label = source.item(at)
        except UnreadableError as error:
            return str(error)
        if store == "jpeg":
            data, image = jpeg(image, source.original(at))
        else:
            data = image.transpose(1, 2, 0).tobytes()
        return _Kept(data, image.shape[1:], label, levels_of(np.ascontiguousarray(image)[None]))

    for at in range(0, len(places), _AT_ONCE):
        yield from list(on_all_cores(keep, places[at : at + _AT_ONCE], chunk=8))


def _finished(folder: Path, number: int, state: str) -> dict[str, Any] | None:
    """What is known of a shard that an earlier call finished from the same images."""
    path = folder / f"{number:05d}{_PART}"
    with suppress(OSError, ValueError, LookupError, TypeError, RecursionError, InputError):
        part: dict[str, Any] = json.loads(read_foreign(path, 2**28))
        there = folder / part["shard"]["file"]
        if part["of"] == state and there.stat().st_size == part["shard"]["bytes"]:
            return part
    return None


def _state(state: object, channels: int, side: int, store: str) -> str:
    how = [VERSION, state, channels, side, store, QUALITY]
    return hashlib.sha256(json.dumps(how).encode()).hexdigest()
