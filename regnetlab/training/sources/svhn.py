"""SVHN, the street view house numbers (Netzer et al. 2011), cropped digits of 32 × 32, three channels.

Two MATLAB files: ``X`` (32, 32, 3, n) as uint8 and ``y`` (n, 1) with labels 1 to 10, 10 being the digit
0. The extra training images are left out, as in most work on SVHN.

A download is checked by its checksum. A file that is there already may be a copy that was written again, so
it is judged by what its headers announce before SciPy reads it, in a process of its own (``matlab``).
"""

from pathlib import Path

import numpy as np

from regnetlab.errors import InputError
from regnetlab.training.sources.matlab import read_matlab
from regnetlab.training.sources.parts import Parts, Split, checked
from regnetlab.training.sources.published import Published

_TITLE = "SVHN"
_DIGITS = tuple("0123456789")
_FILES = ("train_32x32.mat", "test_32x32.mat")


def svhn() -> Published:
    """SVHN's cropped digits, as torchvision and the authors' page give them."""
    return Published(
        title=_TITLE,
        places=("svhn", "SVHN", "."),
        marks=_FILES,
        files=" and ".join(_FILES),
        read=lambda folder: Parts(_DIGITS, *(_read_split(folder / name) for name in _FILES)),
        download=_download,
    )


def _read_split(path: Path) -> Split:
    if not path.is_file():
        raise InputError(f"{path.parent} has no {path.name}", f"put {' and '.join(_FILES)} there")
    pixels, numbers = read_matlab(path, (32, 32, 3))
    images = np.ascontiguousarray(pixels.transpose(3, 2, 0, 1))
    if not np.isin(numbers, range(1, 11)).all():
        raise InputError(f"{path} has labels that are not 1 to 10, as {_TITLE}'s are", "get it again")
    labels = numbers.reshape(-1).astype(np.int64) % 10
    return checked(_TITLE, path, images, labels, (3, 32, 32), len(_DIGITS))


def _download(root: Path) -> None:
    """Torchvision's addresses and checksums, without its class, which would load the files at once."""
    from torchvision.datasets import SVHN  # seconds to import
    from torchvision.datasets.utils import download_url

    for split in ("train", "test"):
        url, name, md5 = SVHN.split_list[split]
        download_url(url, str(root / "svhn"), name, md5)
