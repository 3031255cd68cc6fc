"""Which folders are splits and classes, which files are images, and what is refused."""

import os
import socket
import unicodedata
from pathlib import Path

import pytest

from regnetlab.errors import InputError
from regnetlab.training.folders.tree import SPLITS, Tree, look_through
from regnetlab.training.folders.walk import holds_classes
from tests.training.folders.pictures import plant

CLASSES = ("cat/1.png", "cat/2.png", "dog/1.png")


def look(root: Path) -> Tree:
    return look_through("folder:pets", root)


def paths(tree: Tree) -> dict[str, list[str]]:
    return {split: [file.path for file in files] for split, files in tree.splits.items()}


def below(folder: str, *files: str) -> list[str]:
    return [f"{folder}/{file}" for file in files or CLASSES]


def test_a_folder_per_class_is_the_whole(tmp_path: Path) -> None:
    tree = look(plant(tmp_path, *CLASSES))
    assert tree.classes == ("cat", "dog")
    assert paths(tree) == {"train": list(CLASSES)}
    assert [file.label for file in tree.files()] == [0, 0, 1]
    assert tree.skipped == ()


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("train", "test"),
        ("Training", "Testing"),
        ("TRAIN", "TEST"),
        ("seg_train/seg_train", "seg_test/seg_test"),
        ("archive/pets/train", "archive/pets/test"),
        ("training_set", "test_set"),
        ("my-train", "my-test"),
        ("PetsTrain", "PetsTest"),
        ("train2017", "test2017"),
        ("traindata", "testdata"),
        ("a.train", "a.test"),
        ("train_images", "test_images"),
    ],
)
def test_split_folders_are_known_by_their_usual_names(tmp_path: Path, train: str, test: str) -> None:
    tree = look(plant(tmp_path, *below(train), *below(test)))
    assert tree.classes == ("cat", "dog")
    assert paths(tree) == {"train": below(train), "test": below(test)}


@pytest.mark.parametrize("name", ["val", "Valid", "validation", "VAL", "pets_valid"])
def test_three_splits_are_used_as_three(tmp_path: Path, name: str) -> None:
    tree = look(plant(tmp_path, *below("train"), *below(name), *below("test")))
    assert paths(tree) == {"train": below("train"), "validation": below(name), "test": below("test")}
    assert tuple(tree.splits) == SPLITS


def test_a_validation_folder_alone_is_the_validation_split(tmp_path: Path) -> None:
    tree = look(plant(tmp_path, *below("train"), *below("val")))
    assert tuple(tree.splits) == ("train", "validation")


@pytest.mark.parametrize(
    "name",
    [
        ".ipynb_checkpoints",
        ".cache",
        "__MACOSX",
        ".git",
        "@eaDir",
        "$RECYCLE.BIN",
        "#recycle",
        "System Volume Information",
    ],
)
def test_hidden_folders_are_passed_over_everywhere(tmp_path: Path, name: str) -> None:
    everywhere = (f"{name}/x.png", f"cat/{name}/x.png", f"{name}/cat/x.png")
    tree = look(plant(tmp_path, *CLASSES, *everywhere))
    assert (tree.classes, paths(tree)) == (("cat", "dog"), {"train": list(CLASSES)})
    assert {each.path for each in tree.skipped} == {name, f"cat/{name}"}


@pytest.mark.parametrize("name", ["._1.png", ".DS_Store", "Thumbs.db", "thumbs.db", "desktop.ini", "Icon\r"])
def test_hidden_files_are_no_images_and_no_errors(tmp_path: Path, name: str) -> None:
    for folder in ("cat", "."):
        (plant(tmp_path, *CLASSES) / folder / name).write_bytes(b"no picture")
    assert paths(look(tmp_path)) == {"train": list(CLASSES)}


def test_an_empty_hidden_folder_is_no_class_and_an_empty_visible_one_is_refused(tmp_path: Path) -> None:
    assert look(plant(tmp_path, *CLASSES, ".ipynb_checkpoints/")).classes == ("cat", "dog")
    with pytest.raises(InputError, match="mouse holds no image"):
        look(plant(tmp_path, "mouse/"))


@pytest.mark.parametrize(
    ("files", "part"),
    [
        (("train/cat/1.png", "train/dog/1.png", "test/cat/1.png"), "only train has dog"),
        ((*below("train"), *below("test"), "test/cow/1.png"), "only test has cow"),
        ((*below("train"), *below("training")), "train and training are both called as the train split"),
        ((*below("val"), *below("test")), "test, val are splits by the name, and none is for training"),
        ((*below("train"), *below("test"), *below("extra")), r"extra \(3 images\) beside is none"),
        (("train/1.png", "test/1.png"), "train holds 1 images and no folder per class"),
        (("cat/1.png", "dog/1.png", "test/1.png"), "test is a split by the name, and cat"),
        (("cat/1.png",), "needs a folder per class, two at least, and has cat"),
        (("1.png", "2.png"), "has none beside 2 images"),
        (("cat/1.png", "dogs/poodle/1.png", "dogs/boxer/1.png"), r"dogs holds folders \(boxer, poodle\)"),
        (
            ("cat/train/1.png", "cat/test/1.png", "dog/train/1.png", "dog/test/1.png"),
            "splits above the classes",
        ),
        (("cat/1.png", "cat/test/2.png", "dog/1.png"), "cat/test is called as a split"),
    ],
)
def test_what_could_mean_two_things_is_refused_with_the_folders_names(
    tmp_path: Path, files: tuple[str, ...], part: str
) -> None:
    with pytest.raises(InputError, match=part) as caught:
        look(plant(tmp_path, *files))
    assert "\n" not in str(caught.value)


def test_a_class_may_be_called_as_a_split_where_nothing_else_looks_like_one(tmp_path: Path) -> None:
    assert look(plant(tmp_path / "a", "train/1.png", "bus/1.png", "car/1.png")).classes == (
        "bus",
        "car",
        "train",
    )
    tree = look(plant(tmp_path / "b", "steam_train/1.png", "car/1.png", "toy_train/1.png"))
    assert tree.classes == ("car", "steam_train", "toy_train")
    assert look(plant(tmp_path / "c", "blood_test/1.png", "x-ray/1.png")).classes == ("blood_test", "x-ray")


def test_images_without_classes_are_left_out_and_named(tmp_path: Path) -> None:
    tree = look(
        plant(tmp_path, *below("seg_train"), "seg_test/1.png", "seg_pred/seg_pred/1.png", "docs/", "x.png")
    )
    assert paths(tree) == {"train": below("seg_train")}
    assert {each.path: each.reason for each in tree.skipped} == {
        "seg_test": "1 images without classes",
        "seg_pred": "1 images without classes",
        "docs": "a folder without an image",
        "x.png": "lies beside the folders of classes",
    }


def test_names_are_compared_in_composed_unicode(tmp_path: Path) -> None:
    composed, decomposed = (unicodedata.normalize(form, "café") for form in ("NFC", "NFD"))
    files = (f"train/{composed}/1.png", "train/tea/1.png", f"test/{decomposed}/1.png", "test/tea/1.png")
    assert look(plant(tmp_path, *files)).classes == ("café", "tea")
    with pytest.raises(InputError, match="two folders are called 'café'"):
        look(plant(tmp_path, f"train/{decomposed}/1.png"))


def test_links_are_followed_and_loops_are_noticed(tmp_path: Path) -> None:
    root = plant(tmp_path / "pets", *CLASSES)
    plant(tmp_path / "more", "3.png", "deep/4.png")
    (root / "cat" / "more").symlink_to(tmp_path / "more")
    (root / "dog" / "2.png").symlink_to(tmp_path / "more" / "3.png")
    (root / "dog" / "up").symlink_to(root)
    (root / "dog" / "itself").symlink_to(root / "dog" / "itself")
    (root / "dog" / "nothing").symlink_to(tmp_path / "nowhere")
    tree = look(root)
    assert paths(tree)["train"] == [
        "cat/1.png", "cat/2.png", "cat/more/3.png", "cat/more/deep/4.png", "dog/1.png", "dog/2.png"
    ]  # fmt: skip
    assert [each.path for each in tree.skipped] == ["dog/itself", "dog/nothing", "dog/up"]


def test_a_whole_data_set_may_be_links(tmp_path: Path) -> None:
    plant(tmp_path / "store", *CLASSES)
    (tmp_path / "pets").mkdir()
    for kind in ("cat", "dog"):
        (tmp_path / "pets" / kind).symlink_to(tmp_path / "store" / kind)
    assert paths(look(tmp_path / "pets")) == {"train": list(CLASSES)}


def test_special_files_are_never_opened(tmp_path: Path) -> None:
    plant(tmp_path, *CLASSES)
    os.mkfifo(tmp_path / "cat" / "pipe.png")  # opened, it would wait forever
    (tmp_path / "dog" / "device.png").symlink_to("/dev/zero")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(tmp_path / "cat" / "s.png"))
        tree = look(tmp_path)
    assert paths(tree) == {"train": list(CLASSES)}
    assert sorted(each.reason.split(",")[0] for each in tree.skipped) == [
        "a device",
        "a named pipe",
        "a socket",
    ]


def test_files_that_are_no_images_are_named_with_the_reason(tmp_path: Path) -> None:
    plant(tmp_path, *CLASSES, "cat/scan", "cat/photo.jpg_large", "cat/n01.12", "cat/old.png.bak")
    for name in ("cat/notes.txt", "dog/labels.lst", "cat/README"):
        (tmp_path / name).write_text("BM no picture")
    tree = look(tmp_path)
    assert paths(tree)["train"] == [
        "cat/1.png", "cat/2.png", "cat/n01.12", "cat/photo.jpg_large", "cat/scan", "dog/1.png"
    ]  # fmt: skip
    assert {each.path: each.reason for each in tree.skipped} == {
        "cat/README": "no image by its content, and no ending",
        "cat/notes.txt": "no image by its ending .txt",
        "cat/old.png.bak": "a copy that a program left, by its name (.bak)",
        "dog/labels.lst": "no image by its content, ending .lst",
    }


def test_a_class_of_other_files_says_what_is_there(tmp_path: Path) -> None:
    plant(tmp_path, "cat/1.png", "dog/")
    (tmp_path / "dog" / "1.mp4").write_text("film")
    with pytest.raises(InputError, match=r"dog holds no image.*dog/1\.mp4, no image by its ending \.mp4"):
        look(tmp_path)


@pytest.mark.parametrize(
    ("files", "part"),
    [
        (
            ("train_cat/1.png", "train_dog/1.png", "test_cat/1.png", "test_dog/1.png"),
            "split and class at once",
        ),
        (("cat-train/1.png", "dog-train/1.png", "cat-val/1.png", "dog-val/1.png"), "split and class at once"),
        (below("test"), "test is the test split by its name, and there is none for training"),
        (below("pets/val"), "pets/val is the validation split by its name"),
        (
            (*CLASSES, "pets/cat/1.png", "pets/dog/1.png"),
            r"pets holds classes that are beside it too \(cat, dog",
        ),
    ],
)
def test_a_layout_that_looks_like_splits_is_not_read_as_classes(
    tmp_path: Path, files: tuple[str, ...], part: str
) -> None:
    with pytest.raises(InputError, match=part):
        look(plant(tmp_path, *files))


def test_a_short_look_knows_a_folder_of_images(tmp_path: Path) -> None:
    assert holds_classes(plant(tmp_path / "a", *CLASSES))
    assert holds_classes(plant(tmp_path / "b", *below("Training"), *below("Testing")))
    assert holds_classes(plant(tmp_path / "c", *below("archive/seg_train/seg_train")))
    assert not holds_classes(plant(tmp_path / "d", "cat/1.png", ".hidden/1.png"))
    assert not holds_classes(tmp_path / "nowhere")
