import gzip
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from regnetlab.errors import InputError
from regnetlab.spaces.template import SMALL
from regnetlab.training.batches import check_budget
from regnetlab.training.budget import Budget
from regnetlab.training.datasets import find_fashion_mnist, load_data
from regnetlab.training.idx import read_idx

TRAIN_IMAGES = "train-images-idx3-ubyte.gz"


def test_a_sixth_is_held_out_and_nothing_is_in_two_splits(data_dir: Path) -> None:
    data = load_data("fashion-mnist", SMALL, data_dir)
    assert (len(data.train), len(data.validation), len(data.test)) == (1000, 200, 200)
    rows = np.concatenate([data.train.images, data.validation.images, data.test.images])
    assert len(np.unique(rows.reshape(1400, -1), axis=0)) == 1400


def test_the_split_is_the_same_every_time(data_dir: Path) -> None:
    first, second = (load_data("fashion-mnist", SMALL, data_dir) for _ in range(2))
    assert (first.validation.labels == second.validation.labels).all()
    assert first.checksum == second.checksum


def test_a_changed_image_changes_the_checksum(data_dir: Path, tmp_path: Path) -> None:
    changed = tmp_path / "changed"
    shutil.copytree(data_dir, changed)
    raw = bytearray(gzip.decompress((changed / TRAIN_IMAGES).read_bytes()))
    raw[-1] ^= 1
    (changed / TRAIN_IMAGES).write_bytes(gzip.compress(bytes(raw), compresslevel=1))
    checksums = {load_data("fashion-mnist", SMALL, each).checksum for each in (data_dir, changed)}
    assert len(checksums) == 2


def test_the_environment_names_a_folder(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGNETLAB_DATA", str(data_dir))
    assert find_fashion_mnist() == data_dir


def test_a_folder_without_the_files_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no Fashion-MNIST in"):
        load_data("fashion-mnist", SMALL, tmp_path)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda raw: raw[: len(raw) // 2],
        lambda raw: gzip.compress(gzip.decompress(raw)[:5_000]),
        lambda raw: gzip.compress(gzip.decompress(raw) + b"more"),
        lambda raw: gzip.compress(b"\0\0\x08\x03" + b"\xff" * 12),
        lambda raw: gzip.compress(b"\0\0\x0d\x03" + bytes(12)),
        lambda raw: b"not gzip at all",
        lambda raw: b"",
        lambda raw: raw[:500] + bytes(100) + raw[600:],
    ],
    ids=["cut", "short", "long", "huge", "floats", "text", "empty", "zeros inside"],
)
def test_a_damaged_file_is_refused_in_one_line(data_dir: Path, tmp_path: Path, spoil: object) -> None:
    assert callable(spoil)
    path = tmp_path / TRAIN_IMAGES
    path.write_bytes(spoil((data_dir / TRAIN_IMAGES).read_bytes()))
    with pytest.raises(InputError, match=r"get it anew|2 GiB") as caught:
        read_idx(path, dimensions=3)
    assert "\n" not in str(caught.value)


def test_labels_out_of_range_are_refused(data_dir: Path, tmp_path: Path) -> None:
    changed = tmp_path / "changed"
    shutil.copytree(data_dir, changed)
    path = changed / "train-labels-idx1-ubyte.gz"
    raw = bytearray(gzip.decompress(path.read_bytes()))
    raw[-1] = 200
    path.write_bytes(gzip.compress(bytes(raw)))
    with pytest.raises(InputError, match="labels up to 200"):
        load_data("fashion-mnist", SMALL, changed)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    random = np.random.default_rng(0)
    for kind in ("cat", "dog"):
        (tmp_path / "pets" / kind).mkdir(parents=True)
        for i in range(12):
            pixels = random.integers(0, 256, (20, 30, 3)).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / "pets" / kind / f"{i}.png")
    return tmp_path / "pets"


def test_a_folder_of_images_is_resized_and_split(pictures: Path) -> None:
    data = load_data(f"folder:{pictures}", SMALL.changed("3x16x24", 2))
    assert data.classes == ("cat", "dog")
    assert data.input == "3x16x24"
    assert (len(data.train), len(data.validation), len(data.test)) == (17, 3, 4)


def test_train_and_test_folders_are_taken_as_they_are(pictures: Path) -> None:
    for split in ("train", "test"):
        shutil.copytree(pictures, pictures.parent / "split" / split)
    data = load_data(f"folder:{pictures.parent / 'split'}", SMALL)
    assert (len(data.train), len(data.validation), len(data.test)) == (20, 4, 24)


def test_a_folder_that_does_not_fit_the_template_says_what_to_write(pictures: Path) -> None:
    with pytest.raises(InputError, match='input = "1x28x28", classes = 2'):
        load_data(f"folder:{pictures}", SMALL).check_fits(SMALL)


def test_a_damaged_image_is_named(pictures: Path) -> None:
    (pictures / "cat" / "broken.png").write_bytes(b"no picture")
    with pytest.raises(InputError, match=r"broken\.png is no readable image"):
        load_data(f"folder:{pictures}", SMALL)


def test_an_unknown_data_set_gets_a_hint() -> None:
    with pytest.raises(InputError, match="did you mean 'fashion-mnist'"):
        load_data("fasion-mnist", SMALL)


def test_a_budget_beyond_the_data_is_refused(data_dir: Path) -> None:
    data = load_data("fashion-mnist", SMALL, data_dir)
    with pytest.raises(InputError, match="has 1,000 to train on"):
        check_budget(data, Budget(images=1_001))
