"""MNIST, KMNIST and EMNIST from small files that the tests write in the published layouts."""

import gzip
import shutil
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from regnetlab.errors import InputError
from regnetlab.spaces.template import SMALL
from regnetlab.training.datasets import DEBIAN_FASHION_MNIST, PUBLISHED, load_data
from regnetlab.training.sources.mnists import read_idx
from regnetlab.training.sources.published import find
from tests.conftest import write_idx

Pixels = NDArray[np.uint8]
EMNIST_CLASSES = {"balanced": 47, "letters": 26, "digits": 10, "mnist": 10, "byclass": 62, "bymerge": 47}


def write_plain(path: Path, array: Pixels) -> None:
    header = bytes((0, 0, 8, array.ndim)) + struct.pack(f">{array.ndim}I", *array.shape)
    path.write_bytes(header + array.tobytes())


def write_set(
    folder: Path, stems: tuple[str, str], classes: int = 10, first: int = 0, plain: bool = False
) -> tuple[Pixels, Pixels]:
    """130 training and 70 test images; returns the test images and labels as they are in the files."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(len(stems[0]))
    for stem, n in zip(stems, (130, 70), strict=True):
        images = random.integers(0, 256, (n, 28, 28)).astype(np.uint8)
        labels = (np.arange(n) % classes + first).astype(np.uint8)
        for kind, array in (("images-idx3-ubyte", images), ("labels-idx1-ubyte", labels)):
            if plain:
                write_plain(folder / f"{stem}-{kind}", array)
            else:
                write_idx(folder / f"{stem}-{kind}.gz", array)
    return images, labels


def emnist_stems(split: str) -> tuple[str, str]:
    return f"emnist-{split}-train", f"emnist-{split}-test"


@pytest.mark.parametrize("plain", [False, True], ids=["gzipped", "plain"])
@pytest.mark.parametrize(
    ("name", "folder"), [("mnist", "MNIST/raw"), ("kmnist", "KMNIST/raw"), ("mnist", ".")]
)
def test_mnist_and_kmnist_are_read_where_torchvision_leaves_them(
    tmp_path: Path, name: str, folder: str, plain: bool
) -> None:
    images, labels = write_set(tmp_path / folder, ("train", "t10k"), plain=plain)
    data = load_data(name, SMALL, tmp_path)
    data.check_fits(SMALL)
    assert (len(data.train), len(data.validation), len(data.test)) == (109, 21, 70)
    assert (data.test.images[:, 0] == images).all()
    assert (data.test.labels == labels).all()
    assert (data.classes[0], data.classes[-1]) == {"mnist": ("0", "9"), "kmnist": ("o", "wo")}[name]


@pytest.mark.parametrize("split", EMNIST_CLASSES)
def test_emnist_is_turned_upright_and_its_labels_begin_at_0(tmp_path: Path, split: str) -> None:
    classes, first = EMNIST_CLASSES[split], int(split == "letters")
    images, labels = write_set(tmp_path / "EMNIST" / "raw", emnist_stems(split), classes, first)
    data = load_data("emnist" if split == "balanced" else f"emnist-{split}", SMALL, tmp_path)
    assert len(set(data.classes)) == classes
    assert (data.test.images[:, 0] == images.transpose(0, 2, 1)).all()
    assert (data.test.labels == labels.astype(int) - first).all()
    assert data.test.labels.max() == classes - 1


def test_classes_are_in_the_order_of_emnists_labels(tmp_path: Path) -> None:
    for split, first in (("balanced", 0), ("letters", 1), ("byclass", 0)):
        write_set(tmp_path, emnist_stems(split), EMNIST_CLASSES[split], first)
    balanced, letters, by_class = (
        load_data(name, SMALL, tmp_path).classes for name in ("emnist", "emnist-letters", "emnist-byclass")
    )
    assert (balanced[9], balanced[10], balanced[36], balanced[46]) == ("9", "A", "a", "t")
    assert (letters[0], letters[25]) == ("A", "Z")
    assert (by_class[35], by_class[36], by_class[61]) == ("Z", "a", "z")


def test_a_split_of_emnist_that_is_not_there_is_named(tmp_path: Path) -> None:
    write_set(tmp_path / "EMNIST" / "raw", emnist_stems("digits"))
    with pytest.raises(
        InputError, match=r"no EMNIST letters in .*emnist-letters-train-images-idx3-ubyte\.gz"
    ):
        load_data("emnist-letters", SMALL, tmp_path)


def test_letters_that_begin_at_0_are_refused(tmp_path: Path) -> None:
    write_set(tmp_path, emnist_stems("letters"), classes=26, first=0)
    with pytest.raises(InputError, match="labels from -1 to 24"):
        load_data("emnist-letters", SMALL, tmp_path)


def test_one_set_is_never_taken_for_another_whose_files_have_the_same_names(tmp_path: Path) -> None:
    for folder in ("FashionMNIST/raw", "fashion-mnist", "kmnist"):
        write_set(tmp_path / folder, ("train", "t10k"))
        with pytest.raises(InputError, match=r"no MNIST in"):
            load_data("mnist", SMALL, tmp_path / folder)
    assert find("fashion-mnist", PUBLISHED, tmp_path) == tmp_path / "FashionMNIST" / "raw"
    assert find("kmnist", PUBLISHED, tmp_path) == tmp_path / "kmnist"


@pytest.mark.parametrize("ending", ["", ".gz"])
def test_files_with_a_dot_in_their_names_are_found(tmp_path: Path, ending: str) -> None:
    expected, _ = write_set(tmp_path, ("train", "t10k"), plain=not ending)
    for path in tmp_path.iterdir():
        path.rename(path.with_name(path.name.replace("-idx", ".idx")))
    assert (load_data("mnist", SMALL, tmp_path).test.images[:, 0] == expected).all()


def test_fashion_mnist_under_mnists_name_is_told_by_its_checksum(tmp_path: Path) -> None:
    if not DEBIAN_FASHION_MNIST.is_dir():
        pytest.skip("the package dataset-fashion-mnist is not installed")
    shutil.copytree(DEBIAN_FASHION_MNIST, tmp_path / "MNIST" / "raw")
    with pytest.raises(InputError, match="is train-images-idx3-ubyte of Fashion-MNIST, by its checksum, not"):
        load_data("mnist", SMALL, tmp_path)
    for path in DEBIAN_FASHION_MNIST.glob("*.gz"):
        swapped = path.name.replace("train", "x").replace("t10k", "train").replace("x-", "t10k-")
        shutil.copy(path, tmp_path / swapped)
    with pytest.raises(InputError, match="is t10k-images-idx3-ubyte of Fashion-MNIST"):
        load_data("fashion-mnist", SMALL, tmp_path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    write_set(tmp_path / "MNIST" / "raw", ("train", "t10k"))
    (tmp_path / "MNIST" / "raw" / "t10k-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(
        InputError, match=r"has no t10k-labels-idx1-ubyte\.gz; put all four files of MNIST there"
    ):
        load_data("mnist", SMALL, tmp_path)


def test_labels_and_images_that_do_not_belong_together_are_refused(tmp_path: Path) -> None:
    write_set(tmp_path, ("train", "t10k"))
    write_idx(tmp_path / "t10k-labels-idx1-ubyte.gz", np.zeros(69, np.uint8))
    with pytest.raises(InputError, match="does not hold MNIST: 70 images of 1x28x28 and 69 labels"):
        load_data("mnist", SMALL, tmp_path)
    write_idx(tmp_path / "t10k-images-idx3-ubyte.gz", np.zeros((69, 28, 27), np.uint8))
    with pytest.raises(InputError, match="69 images of 1x28x27"):
        load_data("mnist", SMALL, tmp_path)


@pytest.mark.parametrize("compress", [gzip.compress, bytes], ids=["gzipped", "plain"])
def test_a_header_that_claims_a_billion_takes_no_memory(tmp_path: Path, compress: object) -> None:
    assert callable(compress)
    path = tmp_path / ("labels.gz" if compress is gzip.compress else "labels")
    path.write_bytes(compress(b"\0\0\x08\x01" + struct.pack(">I", 10**9) + bytes(1000)))
    tracemalloc.start()
    with pytest.raises(InputError, match=r"should hold 1,000,000,000 bytes and has only 1,000"):
        read_idx(path, dimensions=1)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20e6
