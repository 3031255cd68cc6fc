"""SVHN from small MATLAB files, whole, damaged and lying."""

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.io import savemat

from regnetlab.children import environment
from regnetlab.errors import InputError
from regnetlab.spaces.template import SMALL
from regnetlab.training.datasets import load_data
from regnetlab.training.sources import matlab
from tests.study.processes import ROOT

SVHN_TEMPLATE = SMALL.changed("3x32x32", 10)
TRAIN = "train_32x32.mat"


def arrays(n: int) -> dict[str, NDArray[np.uint8]]:
    random = np.random.default_rng(n)
    images = random.integers(0, 256, (32, 32, 3, n)).astype(np.uint8)
    return {"X": images, "y": (np.arange(n) % 10 + 1).astype(np.uint8)[:, None]}


def write_svhn(folder: Path, compress: bool = True) -> dict[str, NDArray[np.uint8]]:
    """120 training and 40 test images; returns the test arrays."""
    folder.mkdir(parents=True, exist_ok=True)
    savemat(folder / TRAIN, arrays(120), do_compression=compress)
    savemat(folder / "test_32x32.mat", arrays(40), do_compression=compress)
    return arrays(40)


@pytest.mark.parametrize("compress", [False, True], ids=["plain", "deflated"])
@pytest.mark.parametrize("folder", [".", "svhn"])
def test_svhn_is_channels_first_and_10_is_the_digit_0(tmp_path: Path, folder: str, compress: bool) -> None:
    test = write_svhn(tmp_path / folder, compress)
    data = load_data("svhn", SVHN_TEMPLATE, tmp_path)
    data.check_fits(SVHN_TEMPLATE)
    assert (len(data.train), len(data.validation), len(data.test)) == (100, 20, 40)
    assert (data.test.images == test["X"].transpose(3, 2, 0, 1)).all()
    assert data.test.labels.tolist() == [int(each) % 10 for each in test["y"][:, 0]]
    assert [data.classes[each] for each in data.test.labels[:10]] == [*"1234567890"]


def test_labels_may_be_doubles_as_matlab_likes_them(tmp_path: Path) -> None:
    write_svhn(tmp_path)
    whole = load_data("svhn", SMALL, tmp_path)
    savemat(tmp_path / TRAIN, arrays(120) | {"y": arrays(120)["y"].astype(float)})
    assert load_data("svhn", SMALL, tmp_path).checksum == whole.checksum


@pytest.mark.parametrize("compress", [False, True], ids=["plain", "deflated"])
@pytest.mark.parametrize("left", [0, 60, 127, 128, 130, 140, 200, 300, 5_000, -200, -30, -9, -1])
def test_a_file_cut_anywhere_is_refused_in_one_line(tmp_path: Path, left: int, compress: bool) -> None:
    write_svhn(tmp_path, compress)
    (tmp_path / TRAIN).write_bytes((tmp_path / TRAIN).read_bytes()[:left])
    with pytest.raises(InputError, match=r"train_32x32\.mat") as caught:
        load_data("svhn", SMALL, tmp_path)
    assert "\n" not in str(caught.value)


def test_a_changed_byte_in_a_deflated_file_is_found(tmp_path: Path) -> None:
    write_svhn(tmp_path)
    raw = bytearray((tmp_path / TRAIN).read_bytes())
    for place in (140, 150, len(raw) // 2, len(raw) - 100):
        spoilt = raw.copy()
        spoilt[place] ^= 0x55
        (tmp_path / TRAIN).write_bytes(spoilt)
        with pytest.raises(InputError, match=r"train_32x32\.mat"):
            load_data("svhn", SMALL, tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"y": np.full((120, 1), 11, np.uint8)}, "labels that are not 1 to 10"),
        ({"y": np.zeros((120, 1), np.uint8)}, "labels that are not 1 to 10"),
        ({"y": np.full((120, 1), 1.5)}, "labels that are not 1 to 10"),
        ({"y": np.full((120, 1), np.nan)}, "labels that are not 1 to 10"),
        ({"y": np.ones((119, 1), np.uint8)}, "does not hold SVHN: 120 images of 3x32x32 and 119 labels"),
        ({"X": np.zeros((32, 32, 3), np.uint8)}, r"holds X \(32, 32, 3\) uint8"),
        ({"X": np.zeros((32, 32, 3, 120))}, r"holds X \(32, 32, 3, 120\) double"),
        ({"X": np.full((32, 32, 3, 120), np.nan)}, r"holds X \(32, 32, 3, 120\) double"),
        ({"X": np.full((32, 32, 3, 120), 0.5, np.float32)}, r"holds X \(32, 32, 3, 120\) single"),
        ({"X": {"a": np.zeros(3)}}, r"holds X \(1, 1\) struct"),
        ({"X": np.array([{}, "text"], object)}, r"holds X \(1, 2\) cell"),
        ({"y": np.ones((120, 1), complex)}, r"y \(120, 1\) double, where X"),
        ({"X": "text"}, r"holds X \(1,\) char"),
        ({"Z": np.zeros(3)}, r"Z \(1, 3\) double"),
    ],
    ids=[
        "eleven",
        "zero",
        "halves",
        "nan",
        "too few",
        "one image",
        "floats",
        "not numbers",
        "shares of one",
        "struct",
        "cell",
        "complex",
        "text",
        "another",
    ],
)
def test_other_arrays_than_svhns_are_refused(tmp_path: Path, change: dict[str, object], message: str) -> None:
    write_svhn(tmp_path)
    savemat(tmp_path / TRAIN, arrays(120) | change)
    with pytest.raises(InputError, match=message):
        load_data("svhn", SMALL, tmp_path)


def test_other_files_than_matlabs_are_refused(tmp_path: Path) -> None:
    write_svhn(tmp_path)
    savemat(tmp_path / TRAIN, {"X": np.zeros((3, 3))}, format="4")
    with pytest.raises(InputError, match=r"holds X \(3, 3\) double"):
        load_data("svhn", SMALL, tmp_path)
    (tmp_path / TRAIN).unlink()
    with pytest.raises(InputError, match=r"has no train_32x32\.mat; put train_32x32\.mat and test"):
        load_data("svhn", SMALL, tmp_path)


def matrix(name: bytes, shape: tuple[int, ...], values: int, held: int, order: str) -> bytes:
    """A uint8 matrix of MATLAB's version 5 which claims so many ``values`` and holds others, all 1."""
    body = struct.pack(f"{order}IIII", 6, 8, 9, 0) + struct.pack(f"{order}II", 5, 4 * len(shape))
    body += struct.pack(f"{order}{len(shape)}i", *shape) + bytes(-4 * len(shape) % 8)
    body += struct.pack(f"{order}II", 1, len(name)) + name.ljust(8, b"\0")
    body += struct.pack(f"{order}II", 2, values) + b"\x01" * held
    return struct.pack(f"{order}II", 14, len(body)) + body


def write_by_hand(path: Path, n: int, values: int, held: int, order: str = "<") -> None:
    version = {"<": b"\x00\x01IM", ">": b"\x01\x00MI"}[order]
    elements = matrix(b"X", (32, 32, 3, n), values, held, order), matrix(b"y", (8, 1), 8, 8, order)
    packed = [zlib.compress(each) for each in elements]
    deflated = b"".join(struct.pack(f"{order}II", 15, len(each)) + each for each in packed)
    path.write_bytes(b"MATLAB 5.0 MAT-file".ljust(124) + version + deflated)


@pytest.mark.parametrize(
    ("n", "values", "held", "message"),
    [
        (10**9, 3072 * 8, 3072 * 8, "holds X"),
        (-8, 3072 * 8, 3072 * 8, "holds X"),
        (8, 2**32 - 8, 3072 * 8, "can't be read as a MATLAB file"),
        (8, 10**8, 10**8, "can't be read as a MATLAB file"),
        (699_000, 699_000 * 3072, 3072, "can't be read as a MATLAB file"),
        (8, 3072 * 8, 10**8, "can't be read as a MATLAB file"),
    ],
    ids=["a billion images", "negative", "a lying tag", "a bomb", "claims of 2 GiB", "a tail"],
)
def test_a_lying_header_is_refused(tmp_path: Path, n: int, values: int, held: int, message: str) -> None:
    write_svhn(tmp_path)
    write_by_hand(tmp_path / TRAIN, n, values, held)
    with pytest.raises(InputError, match=message):
        load_data("svhn", SMALL, tmp_path)


@pytest.mark.parametrize("order", ["<", ">"])
def test_both_byte_orders_are_read(tmp_path: Path, order: str) -> None:
    write_svhn(tmp_path)
    write_by_hand(tmp_path / TRAIN, 8, 3072 * 8, 3072 * 8, order)
    data = load_data("svhn", SMALL, tmp_path)
    assert (data.train.images == 1).all()
    assert data.train.labels.tolist() == [1] * 7


def test_a_file_that_ends_scipys_reader_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_svhn(tmp_path)
    (tmp_path / "scipy.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n")
    monkeypatch.setattr(matlab, "environment", lambda: environment() | {"PYTHONPATH": f"{tmp_path}:{ROOT}"})
    with pytest.raises(InputError, match="can't be read as a MATLAB file"):
        matlab.read_matlab(tmp_path / "test_32x32.mat", (32, 32, 3))
