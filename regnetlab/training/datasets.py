"""Data sets, whole in memory as uint8, split into training, validation and test.

``fashion-mnist`` is found in this order: ``--data-dir`` or ``REGNETLAB_DATA``, the Debian package
dataset-fashion-mnist, torchvision's download. ``folder:PATH`` is any folder of images, one folder
per class, or ``train`` and ``test`` folders of such.
"""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from regnetlab.errors import InputError, unknown
from regnetlab.spaces.template import Template
from regnetlab.training.idx import read_idx

DEBIAN_FASHION_MNIST = Path("/usr/share/datasets/fashion-mnist")
DATA_SETS = ("fashion-mnist", "folder:PATH")
_IMAGE_ENDINGS = {".png", ".jpg", ".jpeg", ".bmp", ".webp", ".ppm", ".pgm", ".tif", ".tiff"}
_SPLIT_SEED = 20200330


@dataclass(frozen=True, slots=True)
class Split:
    """``images`` (n, channels, height, width) as uint8 and ``labels`` (n,)."""

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True, slots=True)
class DataSet:
    """Training, validation and test images.

    Training images are in a fixed random order, so that the first n are a sample; a sixth of the
    original training images, at random but always the same, is the validation split. ``checksum``
    is a SHA-256 over all images and labels.
    """

    name: str
    classes: tuple[str, ...]
    train: Split
    validation: Split
    test: Split
    checksum: str

    @property
    def input(self) -> str:
        return "x".join(map(str, self.train.images.shape[1:]))

    def check_fits(self, template: Template) -> None:
        """Raise ``InputError`` unless the template takes these images and has these classes."""
        if (template.input, template.classes) != (self.input, len(self.classes)):
            raise InputError(
                f"data {self.name} has images {self.input} in {len(self.classes)} classes, the template"
                f" takes {template.input} in {template.classes}; write template ="
                f' {{ input = "{self.input}", classes = {len(self.classes)} }}'
            )


def load_data(name: str, template: Template, data_dir: Path | None = None) -> DataSet:
    """The data set of that name; folders of images are resized to the template's input."""
    kind, _, path = name.partition(":")
    if kind == "folder" and path:
        return _load_folder(name, Path(path).expanduser(), template)
    if name == "fashion-mnist":
        return _load_fashion_mnist(find_fashion_mnist(data_dir))
    raise unknown("data set", name, DATA_SETS)


def find_fashion_mnist(data_dir: Path | None = None) -> Path:
    """The folder that holds Fashion-MNIST's four files; downloads them where nothing else works."""
    chosen = data_dir or (Path(given) if (given := os.environ.get("REGNETLAB_DATA")) else None)
    if chosen is not None:
        for folder in (chosen, chosen / "fashion-mnist", chosen / "FashionMNIST" / "raw"):
            if _holds_fashion_mnist(folder):
                return folder
        raise InputError(
            f"no Fashion-MNIST in {chosen}; put train-images-idx3-ubyte.gz and the three other files"
            " there, or unset --data-dir and REGNETLAB_DATA to look elsewhere"
        )
    if _holds_fashion_mnist(DEBIAN_FASHION_MNIST):
        return DEBIAN_FASHION_MNIST
    return _download_fashion_mnist(Path.home() / ".cache" / "regnetlab")


_FASHION_MNIST_CLASSES = (
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


def _idx_file(folder: Path, stem: str) -> Path | None:
    for name in (f"{stem}.gz", stem):
        if (folder / name).is_file():
            return folder / name
    return None


def _holds_fashion_mnist(folder: Path) -> bool:
    return _idx_file(folder, "train-images-idx3-ubyte") is not None


def _download_fashion_mnist(root: Path) -> Path:
    folder = root / "FashionMNIST" / "raw"
    if _holds_fashion_mnist(folder):
        return folder
    from torchvision.datasets import FashionMNIST  # seconds to import

    try:
        FashionMNIST(str(root), download=True)
    except Exception as error:
        raise InputError(
            "Fashion-MNIST is not on this machine and could not be downloaded"
            f" ({type(error).__name__}); on Debian or Ubuntu: apt-get install dataset-fashion-mnist;"
            " elsewhere put its four .gz files into a folder and name it with --data-dir or"
            " REGNETLAB_DATA"
        ) from error
    return folder


def _load_fashion_mnist(folder: Path) -> DataSet:
    arrays = []
    for stem in ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"):
        path = _idx_file(folder, f"{stem}-ubyte")
        if path is None:
            raise InputError(f"{folder} has no {stem}-ubyte.gz; Fashion-MNIST is four files")
        arrays.append(read_idx(path, dimensions=3 if "images" in stem else 1))
    for images, labels in ((arrays[0], arrays[1]), (arrays[2], arrays[3])):
        if len(images) != len(labels) or labels.max(initial=0) > 9 or images.shape[1:] != (28, 28):
            raise InputError(
                f"{folder} does not hold Fashion-MNIST: {len(images)} images of"
                f" {images.shape[1:]} and {len(labels)} labels up to {labels.max(initial=0)}"
            )
    train, test = (
        Split(images[:, None], labels.astype(np.int64))
        for images, labels in ((arrays[0], arrays[1]), (arrays[2], arrays[3]))
    )
    return _split("fashion-mnist", _FASHION_MNIST_CLASSES, train, test)


def _load_folder(name: str, root: Path, template: Template) -> DataSet:
    if not root.is_dir():
        raise InputError(f"data {name!r}: {root} is not a folder")
    if (root / "train").is_dir():
        held_out = next((root / each for each in ("test", "val") if (root / each).is_dir()), None)
        if held_out is None:
            raise InputError(f"data {name!r}: beside {root / 'train'} there must be test or val")
        classes = _classes(root / "train")
        if _classes(held_out) != classes:
            raise InputError(f"data {name!r}: train and {held_out.name} have different classes")
        train, test = (_read_images(each, classes, template) for each in (root / "train", held_out))
    else:
        classes = _classes(root)
        every = _read_images(root, classes, template)
        order = _order(len(every))
        cut = max(1, len(every) // 6)
        test, train = (Split(every.images[part], every.labels[part]) for part in (order[:cut], order[cut:]))
    return _split(name, classes, train, test)


def _classes(folder: Path) -> tuple[str, ...]:
    classes = tuple(sorted(each.name for each in folder.iterdir() if each.is_dir()))
    if len(classes) < 2:
        raise InputError(f"{folder} has {len(classes)} folders; it needs one per class, two at least")
    return classes


def _read_images(folder: Path, classes: tuple[str, ...], template: Template) -> Split:
    from PIL import Image, UnidentifiedImageError

    mode = {1: "L", 3: "RGB"}.get(template.channels)
    if mode is None:
        raise InputError(f"image folders have 1 or 3 channels, the template {template.channels}")
    images, labels = [], []
    for label, kind in enumerate(classes):
        paths = sorted(p for p in (folder / kind).rglob("*") if p.suffix.lower() in _IMAGE_ENDINGS)
        if not paths:
            raise InputError(f"{folder / kind} holds no image ({', '.join(sorted(_IMAGE_ENDINGS))})")
        for path in paths:
            try:
                with Image.open(path) as opened:
                    fitted = opened.convert(mode).resize((template.width, template.height))
                    pixels = np.asarray(fitted, np.uint8)
            except (UnidentifiedImageError, OSError, Image.DecompressionBombError) as error:
                raise InputError(f"{path} is no readable image ({error}); mend or remove it") from error
            images.append(pixels[None] if mode == "L" else pixels.transpose(2, 0, 1))
            labels.append(label)
    return Split(np.stack(images), np.array(labels, np.int64))


def _order(n: int) -> NDArray[np.int64]:
    """A random order of n things that is the same everywhere and with every NumPy."""
    key = np.array([_SPLIT_SEED, n], np.uint64)
    return np.argsort(np.random.Philox(key=key).random_raw(n), kind="stable").astype(np.int64)


def _split(name: str, classes: tuple[str, ...], train: Split, test: Split) -> DataSet:
    checksum = hashlib.sha256()
    for part in (train, test):
        checksum.update(np.ascontiguousarray(part.images).data)
        checksum.update(part.labels.astype("<i8").tobytes())
    order = _order(len(train))
    cut = len(train) // 6
    if cut < 1:
        raise InputError(f"data {name}: {len(train)} training images are too few to hold any out")
    validation, training = (
        Split(train.images[part], train.labels[part]) for part in (order[:cut], order[cut:])
    )
    return DataSet(name, classes, training, validation, test, checksum.hexdigest())
