"""CIFAR-10 and CIFAR-100 from small files in their binary version's format."""

import os
import pickle
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from regnetlab.errors import InputError
from regnetlab.spaces.template import SMALL
from regnetlab.training.datasets import load_data

CIFAR_TEMPLATE = SMALL.changed("3x32x32", 10)


def write_batch(path: Path, n: int, classes: int, coarse: bool = False) -> NDArray[np.uint8]:
    """n records of which label is a number below ``classes``, also seen in the mean of the red channel."""
    random = np.random.default_rng(n)
    labels = np.arange(n) % classes
    images = random.integers(0, 60, (n, 3, 32, 32))
    images[:, 0] += (labels * 190 // classes)[:, None, None]
    columns = [labels[:, None] % 20] * coarse + [labels[:, None], images.reshape(n, -1)]
    path.write_bytes(np.hstack(columns).astype(np.uint8).tobytes())
    return images.astype(np.uint8)


def write_cifar_10(root: Path, n: int = 60) -> NDArray[np.uint8]:
    """Five batches of n training images and one of n test images; returns the test images."""
    folder = root / "cifar-10-batches-bin"
    folder.mkdir(parents=True)
    for i in range(1, 6):
        write_batch(folder / f"data_batch_{i}.bin", n, 10)
    return write_batch(folder / "test_batch.bin", n, 10)


def write_cifar_100(root: Path) -> NDArray[np.uint8]:
    folder = root / "cifar-100-binary"
    folder.mkdir(parents=True)
    write_batch(folder / "train.bin", 300, 100, coarse=True)
    return write_batch(folder / "test.bin", 200, 100, coarse=True)


def test_cifar_10_is_red_green_blue_in_five_batches(tmp_path: Path) -> None:
    images = write_cifar_10(tmp_path)
    data = load_data("cifar-10", CIFAR_TEMPLATE, tmp_path)
    data.check_fits(CIFAR_TEMPLATE)
    assert (len(data.train), len(data.validation), len(data.test)) == (250, 50, 60)
    assert (data.test.images == images).all()
    assert data.test.labels.tolist() == list(np.arange(60) % 10)
    assert (data.classes[0], data.classes[-1]) == ("airplane", "truck")
    assert load_data("cifar-10", SMALL, tmp_path / "cifar-10-batches-bin").checksum == data.checksum


def test_cifar_100_goes_by_its_fine_labels(tmp_path: Path) -> None:
    images = write_cifar_100(tmp_path)
    data = load_data("cifar-100", SMALL, tmp_path)
    assert (data.test.images == images).all()
    assert data.test.labels.tolist() == list(np.arange(200) % 100)
    assert len(set(data.classes)) == 100
    assert (data.classes[0], data.classes[99]) == ("apple", "worm")


def test_the_template_to_write_is_in_the_error(tmp_path: Path) -> None:
    write_cifar_100(tmp_path)
    with pytest.raises(InputError, match='input = "3x32x32", classes = 100'):
        load_data("cifar-100", SMALL, tmp_path).check_fits(SMALL)


class Trap:
    """Unpickling it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize(
    ("name", "folder", "archive"),
    [
        ("cifar-10", "cifar-10-batches-py", "cifar-10-binary.tar.gz"),
        ("cifar-100", "cifar-100-python", "cifar-100-binary.tar.gz"),
    ],
)
@pytest.mark.parametrize("inside", [False, True], ids=["beside", "inside"])
def test_pickles_are_refused_unread_and_the_other_archive_is_named(
    tmp_path: Path, name: str, folder: str, archive: str, inside: bool
) -> None:
    (tmp_path / folder).mkdir()
    for file in ("data_batch_1", "train", "test_batch", "test", "meta", "batches.meta"):
        (tmp_path / folder / file).write_bytes(pickle.dumps(Trap(tmp_path / "sprung")))
    with pytest.raises(InputError, match=f"pickles, which can run code .*{archive}") as caught:
        load_data(name, SMALL, tmp_path / folder if inside else tmp_path)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "sprung").exists()


def shorten(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def drop_an_image(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-3073])


def label_10(path: Path) -> None:
    path.write_bytes(b"\x0a" + path.read_bytes()[1:])


def swell(path: Path) -> None:
    """3,073 · 10⁹ bytes, none of which takes room on the disk."""
    os.truncate(path, 3073 * 10**9)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (shorten, "has 184,379 bytes, and CIFAR-10 is records of 3,073"),
        (lambda path: path.write_bytes(b""), "has 0 bytes"),
        (drop_an_image, "hold 60, 60, 59, 60, 60 images, and in CIFAR-10 all hold as many"),
        (label_10, "labels from 0 to 10"),
        (swell, "up to 2 GiB"),
        (Path.unlink, r"has no data_batch_3\.bin"),
    ],
    ids=["cut", "empty", "an image less", "label", "huge", "missing"],
)
def test_damaged_files_are_refused_in_one_line(tmp_path: Path, spoil: object, message: str) -> None:
    assert callable(spoil)
    write_cifar_10(tmp_path)
    spoil(tmp_path / "cifar-10-batches-bin" / "data_batch_3.bin")
    with pytest.raises(InputError, match=message) as caught:
        load_data("cifar-10", SMALL, tmp_path)
    assert "\n" not in str(caught.value)


def test_a_fine_label_out_of_range_is_refused(tmp_path: Path) -> None:
    write_cifar_100(tmp_path)
    path = tmp_path / "cifar-100-binary" / "test.bin"
    path.write_bytes(b"\x00\x64" + path.read_bytes()[2:])
    with pytest.raises(InputError, match="labels from 0 to 100, where 3x32x32 and 0 to 99 were expected"):
        load_data("cifar-100", SMALL, tmp_path)


def test_no_cifar_at_all_says_what_to_put_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no CIFAR-10 in .*cifar-10-batches-bin of https.*\.tar\.gz there"):
        load_data("cifar-10", SMALL, tmp_path)
