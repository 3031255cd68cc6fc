"""CIFAR-10 and CIFAR-100 (Krizhevsky 2009) in their binary version, 32 × 32, three channels.

A record is one label byte (CIFAR-100: two, the coarse label and then the fine one, which counts here)
and 3,072 bytes of pixels, red, green, blue, rows first. The Python version, which torchvision's own
classes keep on disk, is pickles and refused.
"""

from pathlib import Path

import numpy as np

from regnetlab.errors import InputError
from regnetlab.training.sources.parts import MOST_BYTES, Parts, Split, checked
from regnetlab.training.sources.published import Published

_SHAPE = (3, 32, 32)
_PIXELS = 3 * 32 * 32
_HOME = "https://www.cs.toronto.edu/~kriz"

CIFAR_10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
_FINE_LABELS = """
apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel
can castle caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur
dolphin elephant flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion
lizard lobster man maple_tree motorcycle mountain mouse mushroom oak_tree orange orchid otter palm_tree
pear pickup_truck pine_tree plain plate poppy porcupine possum rabbit raccoon ray road rocket rose sea
seal shark shrew skunk skyscraper snail snake spider squirrel streetcar sunflower sweet_pepper table tank
telephone television tiger tractor train trout tulip turtle wardrobe whale willow_tree wolf woman worm
"""
CIFAR_100 = tuple(_FINE_LABELS.split())
_BATCHES = tuple(f"data_batch_{i}.bin" for i in range(1, 6))


def cifar_10() -> Published:
    """CIFAR-10: five files of training images, all of one size, and one of test images."""
    return _cifar(
        "CIFAR-10", CIFAR_10, "cifar-10-batches-bin", _BATCHES, "test_batch.bin",
        label_bytes=1, pickled="cifar-10-batches-py", md5="c32a1d4ab5d03f1284b67883e8d87530",
    )  # fmt: skip


def cifar_100() -> Published:
    """CIFAR-100 by its 100 fine labels: one file of training images and one of test images."""
    return _cifar(
        "CIFAR-100", CIFAR_100, "cifar-100-binary", ("train.bin",), "test.bin",
        label_bytes=2, pickled="cifar-100-python", md5="03b5dce01913d631647c71ecec9e9cb8",
    )  # fmt: skip


def _cifar(
    title: str,
    classes: tuple[str, ...],
    folder: str,
    train: tuple[str, ...],
    test: str,
    label_bytes: int,
    pickled: str,
    md5: str,
) -> Published:
    archive = f"{title.lower()}-binary.tar.gz"

    def read(where: Path) -> Parts:
        return Parts(
            classes,
            *(_read_split(title, where, files, label_bytes, classes) for files in (train, (test,))),
        )

    return Published(
        title=title,
        places=(folder, f"{title.lower()}/{folder}", "."),
        marks=(train[0],),
        files=f"the folder {folder} of {_HOME}/{archive}",
        read=read,
        download=lambda root: _download(root, archive, md5),
        pickled=pickled,
    )


def _read_split(
    title: str, where: Path, files: tuple[str, ...], label_bytes: int, classes: tuple[str, ...]
) -> Split:
    record = label_bytes + _PIXELS
    sizes = [_size(title, where / name, record) for name in files]
    if len(set(sizes)) > 1:
        counts = ", ".join(f"{size // record:,}" for size in sizes)
        raise InputError(
            f"{where}: {files[0]} to {files[-1]} hold {counts} images, and in {title} all hold as many",
            "it is damaged: get it again",
        )
    raw = np.empty((sum(sizes) // record, record), np.uint8)
    at = 0
    for name, size in zip(files, sizes, strict=True):
        try:
            batch = np.fromfile(where / name, np.uint8, size)
            raw[at : at + size // record] = batch.reshape(-1, record)
        except (OSError, ValueError) as error:
            raise InputError(f"{where / name} can't be read ({error})", "get it again") from error
        at += size // record
    images = np.ascontiguousarray(raw[:, label_bytes:]).reshape(-1, *_SHAPE)
    return checked(title, where, images, raw[:, label_bytes - 1].astype(np.int64), _SHAPE, len(classes))


def _size(title: str, path: Path, record: int) -> int:
    """The bytes in this file, a whole number of records."""
    if not path.is_file():
        raise InputError(f"{path.parent} has no {path.name}, so {title} is not whole", "unpack it again")
    size = path.stat().st_size
    if not 0 < size <= MOST_BYTES or size % record:
        raise InputError(
            f"{path} has {size:,} bytes, and {title} is records of {record:,} bytes, up to 2 GiB",
            "it is damaged: get it again",
        )
    return size


def _download(root: Path, archive: str, md5: str) -> None:
    """Torchvision's way, checksum included, but the binary archive, which its classes do not know."""
    from torchvision.datasets.utils import download_and_extract_archive  # seconds to import

    download_and_extract_archive(f"{_HOME}/{archive}", str(root), filename=archive, md5=md5)
