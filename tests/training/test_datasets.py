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
from regnetlab.training.datasets import PUBLISHED, default_data, load_data
from regnetlab.training.sources.mnists import read_idx
from regnetlab.training.sources.published import find

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


def test_split_and_checksum_are_those_that_committed_trials_were_made_with(data_dir: Path) -> None:
    data = load_data("fashion-mnist", SMALL, data_dir)
    assert data.checksum == "554075513543d0c63fc907aa649face43c79565a27938720ed9fb36ba91dffb0"
    assert data.train.labels[:12].tolist() == [4, 0, 4, 1, 0, 9, 1, 5, 8, 8, 5, 6]
    assert data.validation.labels[:12].tolist() == [1, 8, 9, 9, 2, 3, 0, 4, 1, 8, 3, 1]


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
    assert find("fashion-mnist", PUBLISHED) == data_dir / "."


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
    with pytest.raises(InputError, match=r"get it again|2 GiB") as caught:
        read_idx(path, dimensions=3)
    assert "\n" not in str(caught.value)


def test_labels_out_of_range_are_refused(data_dir: Path, tmp_path: Path) -> None:
    changed = tmp_path / "changed"
    shutil.copytree(data_dir, changed)
    path = changed / "train-labels-idx1-ubyte.gz"
    raw = bytearray(gzip.decompress(path.read_bytes()))
    raw[-1] = 200
    path.write_bytes(gzip.compress(bytes(raw)))
    with pytest.raises(InputError, match="labels from 0 to 200"):
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
    with pytest.raises(InputError, match=r"cat/broken\.png \(no image by its content\)"):
        load_data(f"folder:{pictures}", SMALL)


def test_a_folder_may_be_named_as_the_folder_of_data(pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shape = SMALL.changed("3x16x24", 2)
    by_option, by_path = load_data("folder", shape, pictures), load_data(f"folder:{pictures}", shape)
    assert by_option.checksum == by_path.checksum
    monkeypatch.setenv("REGNETLAB_DATA", str(pictures))
    assert load_data("folder", shape).checksum == by_path.checksum


@pytest.mark.parametrize("name", ["folder", "folder:"])
def test_a_folder_that_nothing_names_is_asked_for(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REGNETLAB_DATA", raising=False)
    with pytest.raises(InputError, match="or write folder:PATH"):
        load_data(name, SMALL)


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nowhere is not a folder"):
        load_data("folder", SMALL, tmp_path / "nowhere")


def test_where_no_data_are_named_images_in_the_folder_are_meant(
    pictures: Path, data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("REGNETLAB_DATA", raising=False)
    for split in ("train", "val"):
        shutil.copytree(pictures, tmp_path / "split" / split)
    assert [default_data(each) for each in (pictures, tmp_path / "split")] == ["folder", "folder"]
    for other in (None, data_dir, tmp_path / "nowhere", pictures / "cat"):
        assert default_data(other) == "fashion-mnist"
    monkeypatch.setenv("REGNETLAB_DATA", str(pictures))
    assert default_data() == "folder"


def test_images_where_a_published_set_was_sought_get_a_hint(pictures: Path) -> None:
    with pytest.raises(InputError, match=r'no MNIST in .*; for these say --data folder, or data = "folder"'):
        load_data("mnist", SMALL, pictures)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("fasion-mnist", "did you mean 'fashion-mnist'?"),
        ("zz", f"give folder:PATH of a folder of images, pack:FOLDER, or one of {', '.join(PUBLISHED)}"),
    ],
)
def test_an_unknown_data_set_gets_the_nearest_name_or_all(name: str, hint: str) -> None:
    with pytest.raises(InputError, match="is not known, and there is no folder of that name") as caught:
        load_data(name, SMALL)
    assert caught.value.hint == hint


def test_a_folders_bare_name_gets_the_name_that_works(
    pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(pictures.parent)
    with pytest.raises(InputError, match="'pets' is not known; for the folder write folder:pets"):
        load_data("pets", SMALL)


def test_a_budget_beyond_the_data_is_refused(data_dir: Path) -> None:
    data = load_data("fashion-mnist", SMALL, data_dir)
    with pytest.raises(InputError, match="has 1,000 to train on"):
        check_budget(data, Budget(images=1_001))
