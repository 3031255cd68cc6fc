"""The files of a pack: shards of images, an index of them, and pack.json, which is written last.

A shard is the images' bytes one after another, each as (height, width, channels), or as a JPEG in the store
``jpeg``. ``index.bin`` has a row for each image: training images in a random order, so that the first n are a
sample, then those of validation and test. Nothing in the files is executed or unpickled.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regnetlab.errors import InputError
from regnetlab.files import open_foreign, read_foreign
from regnetlab.spaces.arrays import Ints
from regnetlab.training.folders.decode import Reading
from regnetlab.training.folders.survey import Survey, survey_of
from regnetlab.training.folders.tree import SPLITS, TEST, TRAIN, VALIDATION
from regnetlab.training.packs.stores import STORES

PACK, INDEX = "pack.json", "index.bin"
VERSION = 2
CENTRE = 0.875
"""The share of the short side that is judged where a pack's images are larger than the input: 224 of 256."""
ROW = np.dtype([("shard", "<u4"), ("offset", "<u8"), ("height", "<u2"), ("width", "<u2"), ("label", "<u4")])
_LENGTH = ("length", "<u8")  # of an image in its shard: up to the next one
_MOST_BYTES = 2**28
_HINT = "remove it, and write it again with regnetlab data pack"


@dataclass(frozen=True, slots=True)
class Shard:
    """One file of images: its name, bytes and SHA-256."""

    file: str
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Pack:
    """A pack as pack.json describes it.

    ``side`` is the longest short side, which those of larger images were brought to; ``counts`` are images by
    split; ``levels`` (channels, 256) counts the training images' pixel values. ``store`` is how images are
    kept (``stores``).
    """

    folder: Path
    name: str
    classes: tuple[str, ...]
    counts: Mapping[str, int]
    channels: int
    side: int
    background: str
    shards: tuple[Shard, ...]
    index_sha256: str
    levels: Ints
    survey: Survey | None = None
    store: str = "raw"

    @property
    def checksum(self) -> str:
        """A SHA-256 over all that a network sees: images and labels by those of the files, and how they are
        cut and split."""
        how = [self.index_sha256, self.side, self.channels, list(self.classes)]
        how.append([self.counts[split] for split in SPLITS])
        whole = hashlib.sha256(json.dumps(how).encode())
        for shard in self.shards:
            whole.update(shard.sha256.encode())
        return whole.hexdigest()

    @property
    def images(self) -> int:
        return sum(self.counts.values())

    def document(self) -> dict[str, Any]:
        """What stands in pack.json."""
        return {
            "regnetlab_pack": VERSION,
            "name": self.name,
            "classes": list(self.classes),
            "counts": dict(self.counts),
            "channels": self.channels,
            "side": self.side,
            "store": self.store,
            "background": self.background,
            "shards": [asdict(each) for each in self.shards],
            "index_sha256": self.index_sha256,
            "levels": self.levels.tolist(),
            "survey": None if self.survey is None else self.survey.to_json(),
        }


def read_pack(folder: Path) -> Pack:
    """The pack in this folder; raises ``InputError`` where there is none, or one that is damaged.

    Sizes of files are checked, not their bytes (``check_bytes``): these may be hundreds of gigabytes.
    """
    path = folder / PACK
    if not path.exists():
        begun = any(folder.glob("*.bin"))
        what = "its pack was begun and not finished" if begun else "it holds no pack"
        hint = "the same regnetlab data pack goes on" if begun else "make one with regnetlab data pack"
        raise InputError(f"data pack:{folder}: {what}", hint)
    try:
        document = json.loads(read_foreign(path, _MOST_BYTES))
        if document.get("regnetlab_pack") != VERSION:
            raise InputError(f"{path} is of another version", _HINT)
        survey = document["survey"]
        pack = Pack(
            folder=folder,
            name=str(document["name"]),
            classes=tuple(map(str, document["classes"])),
            counts={split: int(document["counts"][split]) for split in SPLITS},
            channels=int(document["channels"]),
            side=int(document["side"]),
            background=str(document["background"]),
            shards=tuple(
                Shard(str(each["file"]), int(each["bytes"]), str(each["sha256"]))
                for each in document["shards"]
            ),
            index_sha256=str(document["index_sha256"]),
            levels=np.array(document["levels"], np.int64),
            survey=None if survey is None else survey_of(survey),
            store=str(document.get("store", "raw")),  # of which earlier packs say nothing
        )
        if pack.survey is not None:
            pack.survey.lines(pack.name)  # every number in it is one
        Reading(background=pack.background)
        least = {TRAIN: 1, VALIDATION: 1, TEST: 0}
        sound = (
            all(pack.counts[split] >= n for split, n in least.items())
            and pack.images * ROW.itemsize == (folder / INDEX).stat().st_size
            and pack.channels in (1, 3)
            and pack.store in STORES
            and pack.levels.shape == (pack.channels, 256)
            and bool((pack.levels >= 0).all())
            and bool(pack.levels.sum(1).all())
            and pack.side >= 1
        )
    except (OSError, ArithmeticError, ValueError, LookupError, TypeError, AttributeError) as error:
        if isinstance(error, InputError) and _HINT in error.hint:
            raise
        raise InputError(f"{path} is damaged: {str(error)[:80] or type(error).__name__}", _HINT) from None
    except RecursionError:
        raise InputError(f"{path} is damaged: it is nested too deeply", _HINT) from None
    if not sound:
        raise InputError(f"{path} is damaged: its numbers don't go together", _HINT)
    for each in pack.shards:
        if Path(each.file).name != each.file:
            raise InputError(f"{path} names a file elsewhere: {each.file!r}", _HINT)
        there = folder / each.file
        if not there.is_file() or there.stat().st_size != each.bytes:
            raise InputError(f"{there} is missing or has another size than {PACK} says", _HINT)
    return pack


def read_index(pack: Pack) -> NDArray[Any]:
    """The rows of ``ROW``, each with its ``length``; raises ``InputError`` where they are not the pack's."""
    path = pack.folder / INDEX
    try:
        data = read_foreign(path, pack.images * ROW.itemsize)
    except (OSError, InputError):
        data = b""
    if len(data) != pack.images * ROW.itemsize or hashlib.sha256(data).hexdigest() != pack.index_sha256:
        raise InputError(f"{path} is not the index of {PACK}", _HINT)
    rows = np.frombuffer(data, ROW)
    sound = (rows["shard"] < len(pack.shards)).all() and (rows["label"] < len(pack.classes)).all()
    if sound:
        ends = np.array([each.bytes for each in pack.shards], np.uint64)[rows["shard"]]
        alike = rows["shard"][1:] == rows["shard"][:-1]
        until = np.append(np.where(alike, rows["offset"][1:], ends[:-1]), ends[-1:])
        lengths = until.astype(np.int64) - rows["offset"].astype(np.int64)
        pixels = pack.channels * rows["height"].astype(np.int64) * rows["width"]
        fits = lengths == pixels if pack.store == "raw" else lengths >= 1
        sound = (rows["offset"] < ends).all() and fits.all() and (pixels >= 1).all()
    if not sound:
        raise InputError(f"{path} names images that are not there", _HINT)
    found = np.empty(len(rows), [*ROW.descr, _LENGTH])
    for name in ROW.names or ():
        found[name] = rows[name]
    found["length"] = lengths
    return found


def check_bytes(pack: Pack) -> None:
    """Raise ``InputError`` where a shard's bytes are not those that were written."""
    for each in pack.shards:
        digest = hashlib.sha256()
        with open_foreign(pack.folder / each.file) as file:
            while piece := file.read(2**22):
                digest.update(piece)
        if digest.hexdigest() != each.sha256:
            raise InputError(f"{pack.folder / each.file} was changed since it was written", _HINT)
