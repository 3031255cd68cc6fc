"""SVHN, the street view house numbers (Netzer et al. 2011), cropped digits of 32 × 32, three channels.

Two MATLAB files: ``X`` (32, 32, 3, n) as uint8 and ``y`` (n, 1) with labels 1 to 10, 10 being the digit
0. The extra training images are left out, as in most work on SVHN.
"""

from pathlib import Path

import numpy as np

from regnetlab.errors import InputError
from regnetlab.training.matlab import read_matlab
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
        raise InputError(f"{path.parent} has no {path.name}", f"{_TITLE} is {' and '.join(_FILES)}")
    found = read_matlab(path)
    if set(found) != {"X", "y"} or found["X"].dtype != np.uint8 or found["X"].shape[:-1] != (32, 32, 3):
        listed = ", ".join(f"{name[:20]} {each.shape} {each.dtype}" for name, each in found.items())
        raise InputError(
            f"{path} holds {listed[:150] or 'nothing'}",
            f"{_TITLE} is X (32, 32, 3, n) uint8 and y (n, 1): get it anew",
        )
    images = np.ascontiguousarray(found["X"].transpose(3, 2, 0, 1)).astype(np.uint8, copy=False)
    numbers = found["y"].reshape(-1)
    if not np.isin(numbers, range(1, 11)).all():
        raise InputError(f"{path} has labels that are not 1 to 10, as {_TITLE}'s are", "get it anew")
    labels = numbers.astype(np.int64) % 10
    return checked(_TITLE, path, images, labels, (3, 32, 32), len(_DIGITS))


def _download(root: Path) -> None:
    """Torchvision's addresses and checksums, without its class, which would load the files at once."""
    from torchvision.datasets import SVHN  # seconds to import
    from torchvision.datasets.utils import download_url

    for split in ("train", "test"):
        url, name, md5 = SVHN.split_list[split]
        download_url(url, str(root / "svhn"), name, md5)
