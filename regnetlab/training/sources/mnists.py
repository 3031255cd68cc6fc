"""MNIST and those that took over its files: Fashion-MNIST, KMNIST and EMNIST, 28 × 28, one channel.

Four IDX files each, plain or gzipped. EMNIST's names begin with its split, its images lie on their
side in the files (rows and columns exchanged; Cohen et al. 2017 made them with MATLAB, which stores
columns first) and are turned upright here, and the labels of its letters begin at 1.
"""

import gzip
import hashlib
import string
import zlib
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import IO

import numpy as np
from numpy.typing import NDArray

from regnetlab.errors import InputError
from regnetlab.files import open_foreign
from regnetlab.training.sources.parts import MOST_BYTES, Parts, Split, checked
from regnetlab.training.sources.published import Published

DIGITS = tuple(string.digits)
FASHION = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
KUZUSHIJI = ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo")
LETTERS = tuple(string.ascii_uppercase)  # large and small ones are one class
BY_CLASS = (*DIGITS, *LETTERS, *string.ascii_lowercase)
BY_MERGE = (*DIGITS, *LETTERS, *"abdefghnqrt")  # the small ones that do not look like their capitals

_PIECE = 2**22

# MD5 of the unpacked files. Fashion-MNIST's were measured on Debian's package; MNIST's are listed by several
# programs that fetch it. Which set a file is from can't be told otherwise: names and sizes are the same.
_CONTENTS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        md5: (title, stem)
        for title, sums in {
            "MNIST": (
                "6bbc9ace898e44ae57da46a324031adb",
                "a25bea736e30d166cdddb491f175f624",
                "2646ac647ad5339dbf082846283269ea",
                "27ae3e4e09519cfbb04c329615203637",
            ),
            "Fashion-MNIST": (
                "f4a8712d7a061bf5bd6d2ca38dc4d50a",
                "9018921c3c673c538a1fc5bad174d6f9",
                "8181f5470baa50b63fa0f6fddb340f0a",
                "15d484375f8d13e6eb1aabb0c3f46965",
            ),
        }.items()
        for md5, stem in zip(
            sums,
            (f"{part}-{kind}-ubyte" for part in ("train", "t10k") for kind in ("images-idx3", "labels-idx1")),
            strict=True,
        )
    }
)


def mnist_like(
    torchvision: str,
    classes: tuple[str, ...],
    title: str | None = None,
    installed: Path | None = None,
    package: str | None = None,
) -> Published:
    """A set of four files with MNIST's own names; ``torchvision`` is its class there, and its folder."""
    title = title or torchvision
    return Published(
        title=title,
        places=(f"{torchvision}/raw", title.lower(), "."),
        marks=_names("train-images-idx3-ubyte"),
        files=f"{torchvision}/raw with train-images-idx3-ubyte.gz and the three other .gz files",
        read=lambda folder: Parts(
            classes, *(_read_split(folder, title, f"{part}-", classes) for part in ("train", "t10k"))
        ),
        download=lambda root: _download(root, torchvision),
        installed=installed,
        package=package,
    )


def emnist(split: str, classes: tuple[str, ...], first: int = 0) -> Published:
    """One of EMNIST's six splits; ``first`` is the label of the first class in the files."""
    title, prefix = f"EMNIST {split}", f"emnist-{split}"

    def read(folder: Path) -> Parts:
        train, test = (
            _read_split(folder, title, f"{prefix}-{part}-", classes, first) for part in ("train", "test")
        )
        return Parts(classes, _upright(train), _upright(test))

    return Published(
        title=title,
        places=("EMNIST/raw", "emnist", "gzip", "."),
        marks=_names(f"{prefix}-train-images-idx3-ubyte"),
        files=f"EMNIST/raw with {prefix}-train-images-idx3-ubyte.gz and the three others of its gzip.zip",
        read=read,
        download=lambda root: _download(root, "EMNIST", split=split),
    )


def _names(stem: str) -> tuple[str, ...]:
    """The names that a file goes by: gzipped or not, also with a dot as some copies have it."""
    dotted = stem.replace("-idx", ".idx")
    return f"{stem}.gz", stem, f"{dotted}.gz", dotted


def _read_split(folder: Path, title: str, prefix: str, classes: tuple[str, ...], first: int = 0) -> Split:
    images, labels = (
        _read(_file(folder, title, f"{prefix}{kind}-ubyte"), dimensions, title, f"{prefix}{kind}-ubyte")
        for kind, dimensions in (("images-idx3", 3), ("labels-idx1", 1))
    )
    return checked(title, folder, images[:, None], labels.astype(np.int64) - first, (1, 28, 28), len(classes))


def _read(path: Path, dimensions: int, title: str, stem: str) -> NDArray[np.uint8]:
    """What is in the file; raises ``InputError`` where it is known to be a file of another set."""
    array = read_idx(path, dimensions)
    shape = np.array(array.shape, ">u4").tobytes()
    digest = hashlib.md5(bytes((0, 0, 8, dimensions)) + shape, usedforsecurity=False)
    digest.update(array.data)
    known = _CONTENTS.get(digest.hexdigest())
    if known is not None and known != (title, stem):
        raise InputError(
            f"{path} is {known[1]} of {known[0]}, by its checksum, not {stem} of {title}",
            f"put the right file there, or name these data {known[0].lower()}",
        )
    return array


def read_idx(path: Path, dimensions: int) -> NDArray[np.uint8]:
    """The uint8 array in this IDX file, plain or gzipped; raises ``InputError`` where it is damaged.

    Two zero bytes, a type byte (8: uint8), the number of dimensions, each dimension as a big-endian 32-bit
    number, then the data.
    """
    try:
        with open_foreign(path) as raw, gzip.open(raw) if path.suffix == ".gz" else raw as file:
            header = file.read(4 + 4 * dimensions)
            if header[:4] != bytes((0, 0, 8, dimensions)) or len(header) != 4 + 4 * dimensions:
                raise InputError(f"{path} is no IDX file of {dimensions} dimensions", "get it again")
            shape = tuple(int(each) for each in np.frombuffer(header, ">u4", offset=4))
            size = int(np.prod(shape, dtype=object))
            if not 0 < size <= MOST_BYTES:
                raise InputError(
                    f"{path} claims a shape of {shape}, which is empty or over 2 GiB", "get it again"
                )
            data = _read_up_to(file, size + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path} can't be read ({error})", "it is damaged: get it again") from error
    if len(data) != size:
        many = "more" if len(data) > size else f"only {len(data):,}"
        raise InputError(f"{path} should hold {size:,} bytes and has {many}", "it is damaged: get it again")
    return np.frombuffer(data, np.uint8).reshape(shape)  # writable, as torch wants it


def _read_up_to(file: IO[bytes] | gzip.GzipFile, most: int) -> bytearray:
    """What is left of the file, in pieces: memory grows with what is there, not with what is claimed."""
    data = bytearray()
    while piece := file.read(min(_PIECE, most - len(data))):
        data += piece
    return data


def _file(folder: Path, title: str, stem: str) -> Path:
    for name in _names(stem):
        if (folder / name).is_file():
            return folder / name
    raise InputError(f"{folder} has no {stem}.gz", f"put all four files of {title} there")


def _upright(split: Split) -> Split:
    return Split(np.ascontiguousarray(np.asarray(split.images).transpose(0, 1, 3, 2)), split.labels)


def _download(root: Path, torchvision: str, **options: str) -> None:
    from torchvision import datasets  # seconds to import

    getattr(datasets, torchvision)(str(root), download=True, **options)
