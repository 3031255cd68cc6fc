"""The commands on other data than Fashion-MNIST: in colour, from a study file, from a folder of images."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from tests.cli.asked import NETWORK, answer, complaint
from tests.conftest import STUDY
from tests.training.sources.test_cifar import write_cifar_10

Capture = pytest.CaptureFixture[str]
MakeStudy = Callable[..., Path]
TRAIN = ("train", NETWORK, "--images", "320", "--epochs", "2", "--batch-size", "32", "--device", "cpu")
SHORT = (
    STUDY.replace("[derive]\nn = 2\nforce = true\n", "").replace("n = 6", "n = 2").replace("n = 12", "n = 2")
)
COLOUR = 'template = { input = "3x32x32", classes = 10 }'


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    """200 dark cats and 200 bright dogs."""
    random = np.random.default_rng(0)
    for kind, light in (("cat", 40), ("dog", 120)):
        (tmp_path / "pets" / kind).mkdir(parents=True)
        for i in range(200):
            pixels = (random.integers(0, 100, (12, 16, 3)) + light).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / "pets" / kind / f"{i}.png")
    return tmp_path / "pets"


def test_train_learns_cifar_10_in_its_own_size(capsys: Capture, tmp_path: Path) -> None:
    write_cifar_10(tmp_path, n=100)
    document = answer(capsys, *TRAIN, "--data", "cifar-10", "--data-dir", str(tmp_path))
    assert (document["data"], document["ended"]) == ("cifar-10", "complete")
    assert document["error"] < 60  # chance is 90


def test_train_refuses_a_size_that_the_images_do_not_have(capsys: Capture, tmp_path: Path) -> None:
    write_cifar_10(tmp_path)
    words = (*TRAIN, "--data", "cifar-10", "--data-dir", str(tmp_path), "--input", "1x28x28")
    assert "the images of cifar-10 are 3x32x32; leave --input out" in complaint(capsys, words)


def test_train_takes_a_folder_of_images_that_is_all_it_is_given(capsys: Capture, pets: Path) -> None:
    words = (
        "train",
        NETWORK,
        "--images",
        "160",
        "--batch-size",
        "32",
        "--device",
        "cpu",
        "--input",
        "3x12x16",
    )
    alone, named, by_path = (
        answer(capsys, *words, *more)
        for more in (
            ("--data-dir", str(pets)),
            ("--data", "folder", "--data-dir", str(pets)),
            ("--data", f"folder:{pets}"),
        )
    )
    assert alone["data"] == named["data"] == "folder"
    assert alone["error"] == named["error"] == by_path["error"]


def test_a_study_runs_on_cifar_10(capsys: Capture, make_study: MakeStudy, tmp_path: Path) -> None:
    write_cifar_10(tmp_path / "data", n=100)
    study = make_study(f'data = "cifar-10"\n{COLOUR}\n' + SHORT, name="colour")
    words = (
        "run",
        str(study),
        "--data-dir",
        str(tmp_path / "data"),
        "--executor",
        "inline",
        "--device",
        "cpu",
    )
    document = answer(capsys, *words)
    assert document["planned"] == document["complete"] == 6
    assert pd.read_csv(study.parent / "trials.csv")["error"].notna().all()


@pytest.mark.parametrize(
    ("head", "part"),
    [
        ('data = "cifar-10"', 'write template = { input = "3x32x32", classes = 10 }'),
        (f'data = "cifar-100"\n{COLOUR}', "no CIFAR-100 in"),
        (f'data = "zoo"\n{COLOUR}', "or one of fashion-mnist, mnist, kmnist, emnist,"),
        (f'data = "svhn"\n{COLOUR}', "put train_32x32.mat and test_32x32.mat there"),
    ],
)
def test_a_study_that_does_not_fit_its_data_writes_nothing(
    capsys: Capture, make_study: MakeStudy, tmp_path: Path, head: str, part: str
) -> None:
    write_cifar_10(tmp_path / "data")
    study = make_study(f"{head}\n{STUDY}", name="colour")
    assert part in complaint(capsys, ("run", str(study), "--data-dir", str(tmp_path / "data")))
    assert [each.name for each in study.parent.iterdir()] == ["study.toml"]


def test_a_study_on_a_folder_of_images_says_so(capsys: Capture, make_study: MakeStudy, pets: Path) -> None:
    words = ["--data-dir", str(pets), "--executor", "inline", "--device", "cpu"]
    silent = complaint(capsys, ("run", str(make_study()), *words))
    assert 'for these say --data folder, or data = "folder" in the study file' in silent
    head = 'data = "folder"\ntemplate = { input = "3x12x16", classes = 2 }\n'
    text = head + SHORT.replace("images = 128", "images = 64")
    study = make_study(text, name="pets")
    assert answer(capsys, "run", str(study), *words)["complete"] == 6


def test_a_pack_earns_the_error_of_its_folder_to_the_last_bit(capsys: Capture, pets: Path) -> None:
    pack = pets.parent / "pack"
    for path in pets.rglob("*.png"):
        with Image.open(path) as image:
            square = image.crop((2, 0, 14, 12))
        square.save(path)
    document = answer(capsys, "data", "pack", str(pets), "-o", str(pack), "--size", "12")
    assert (document["images"], document["train"], document["classes"]) == (400, 279, 2)
    words = ("--images", "160", "--batch-size", "32", "--device", "cpu", "--input", "3x12x12")
    folder, packed = (
        answer(capsys, "train", NETWORK, *words, "--data", data)
        for data in (f"folder:{pets}", f"pack:{pack}")
    )
    assert folder["curve"] == packed["curve"]


def test_a_study_on_the_pack_of_a_published_set_earns_the_same_errors(
    capsys: Capture, make_study: MakeStudy, tmp_path: Path
) -> None:
    write_cifar_10(tmp_path / "data", n=100)
    pack = tmp_path / "pack"
    words = ("data", "pack", "cifar-10", "--data-dir", str(tmp_path / "data"), "-o", str(pack))
    packed = answer(capsys, *words)
    assert [packed[split] for split in ("train", "validation", "test")] == [417, 83, 100]
    text = SHORT.replace("validation = 100", "validation = 83")
    tables = []
    for name, data in (("named", "cifar-10"), ("packed", f"pack:{pack}")):
        study = make_study(f'data = "{data}"\n{COLOUR}\n{text}', name=name)
        where = ("--data-dir", str(tmp_path / "data"), "--executor", "inline", "--device", "cpu")
        assert answer(capsys, "run", str(study), *where)["complete"] == 6
        tables.append(pd.read_csv(study.parent / "trials.csv"))
    assert tables[0]["error"].tolist() == tables[1]["error"].tolist()


@pytest.mark.parametrize("store", ["raw", "jpeg"])
def test_a_network_from_a_pack_predicts_files_as_it_was_trained(
    capsys: Capture, pets: Path, store: str
) -> None:
    pack, weights = pets.parent / "pack", pets.parent / "net.safetensors"
    answer(capsys, "data", "pack", str(pets), "-o", str(pack), "--size", "12", "--store", store)
    words = ("--images", "256", "--epochs", "4", "--batch-size", "32", "--device", "cpu", "--lr", "0.02")
    augment = ("--augment", "resized-crop-flip", "--save", str(weights), "--input", "3x10x10")
    answer(capsys, "train", NETWORK, *words, *augment, "--data", f"pack:{pack}")
    found = answer(capsys, "predict", str(weights), str(pets))["predictions"]
    assert sum(each["label"] in each["path"] for each in found) > 350


def test_a_study_runs_on_a_pack_of_jpegs_and_earns_the_same_errors_again(
    capsys: Capture, make_study: MakeStudy, pets: Path
) -> None:
    pack, grid = pets.parent / "pack", pets.parent / "grid.png"
    packed = answer(capsys, "data", "pack", str(pets), "-o", str(pack), "--size", "12", "--store", "jpeg")
    shown = answer(capsys, "data", "show", f"pack:{pack}", "--grid", str(grid))
    assert (shown["images"], shown["input"]) == (packed["images"], "3x12x12")
    assert grid.exists()
    text = SHORT.replace("images = 128", "images = 64").replace("validation = 100", "validation = 50")
    head = f'data = "pack:{pack}"\ntemplate = {{ input = "3x12x12", classes = 2 }}\n'
    errors = []
    for name in ("first", "again"):
        study = make_study(head + text, name=name)
        assert answer(capsys, "run", str(study), "--executor", "inline", "--device", "cpu")["complete"] == 6
        errors.append(pd.read_csv(study.parent / "trials.csv")["error"].tolist())
    assert errors[0] == errors[1]


def test_a_store_that_there_is_not_is_refused(capsys: Capture, pets: Path) -> None:
    words = ("data", "pack", str(pets), "-o", str(pets.parent / "pack"), "--store", "png")
    assert "'png' is not one of 'raw', 'jpeg'" in complaint(capsys, words)
    assert [each.name for each in pets.parent.iterdir()] == ["pets"]


@pytest.fixture
def photos(pets: Path) -> Path:
    """The cats and dogs as the paper has ImageNet: 340 in train/, 60 in val/, no test images."""
    for kind in ("cat", "dog"):
        for i in range(200):
            path = pets.parent / "photos" / ("val" if i < 30 else "train") / kind / f"{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            (pets / kind / f"{i}.png").rename(path)
    return pets.parent / "photos"


def test_a_study_without_a_test_split_trains_on_all_and_refuses_what_needs_one(
    capsys: Capture, make_study: MakeStudy, photos: Path
) -> None:
    shown = answer(capsys, "data", "show", str(photos), "--no-test-split")["classes"]
    assert [[each[split] for split in ("train", "validation", "test")] for each in shown] == [
        [170, 30, 0]
    ] * 2
    where = ("--data-dir", str(photos), "--executor", "inline", "--device", "cpu")
    text = 'data = "folder"\ntest_split = false\ntemplate = { input = "3x12x16", classes = 2 }\n' + (
        SHORT.replace("images = 128", "images = 340").replace("validation = 100", "validation = 60")
    )
    study = make_study(text, name="pets")
    assert answer(capsys, "run", str(study), *where)["complete"] == 6
    answer(capsys, "report", str(study))
    family = ("finish", str(study), "-o", str(photos.parent / "family"), "--minutes", "1", *where[:2])
    needed = "has no test images to judge a family on; add a folder test/, or have a sixth held out"
    assert needed in complaint(capsys, family)
    study.write_text(text.replace("test_split = false\n", ""))
    refused = complaint(capsys, ("run", str(study), *where))
    assert "budget: images is 340" in refused  # a sixth of them is held out now
    study.write_text(text.replace("test_split = false\n", "").replace("340", "128"))
    assert "test_split was False, is True" in complaint(capsys, ("run", str(study), *where))
    contest = make_study(
        text.replace("[[spaces]]", '[baselines]\nnames = ["lenet5"]\n[[spaces]]', 1), "contest"
    )
    refused = complaint(capsys, ("run", str(contest), *where))
    assert "no test images to judge [baselines] on" in refused


def test_a_pack_without_a_test_split_judges_by_validation_alone(capsys: Capture, photos: Path) -> None:
    pack = photos.parent / "pack"
    words = ("data", "pack", str(photos), "-o", str(pack), "--size", "12", "--no-test-split")
    packed = answer(capsys, *words)
    assert [packed[split] for split in ("train", "validation", "test")] == [340, 60, 0]
    assert len(answer(capsys, "data", "show", f"pack:{pack}")["classes"]) == 2
    on_pack = (*TRAIN, "--data", f"pack:{pack}")
    assert answer(capsys, *on_pack)["error"] < 50
    assert "no test images that could judge" in complaint(capsys, (*on_pack, "--test"))
    assert "--no-test-split is for folders of images" in complaint(capsys, (*on_pack, "--no-test-split"))
    explore = ("explore", f"pack:{pack}", "--minutes", "1", "--name", "packed")
    assert "no test images to judge a family on" in complaint(capsys, explore)


def test_a_new_study_on_images_without_a_test_split_says_so_and_has_no_baselines(
    capsys: Capture, pets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(pets.parent)
    document = answer(capsys, "new", "mine", "--data", f"folder:{pets}", "--no-test-split")
    text = Path(document["file"]).read_text()
    assert "test_split = false" in text
    assert "[baselines]" not in text.replace("no [baselines]", "")
    assert document["left_out"] == [
        {"name": "baselines", "reason": "there are no test images to judge them on"}
    ]


def test_a_pack_goes_neither_into_the_data_nor_over_other_files(capsys: Capture, pets: Path) -> None:
    assert "lies in the data" in complaint(capsys, ("data", "pack", str(pets), "-o", str(pets / "pack")))
    (pets.parent / "mine").mkdir()
    (pets.parent / "mine" / "notes.txt").touch()
    words = ("data", "pack", str(pets), "-o", str(pets.parent / "mine"))
    assert "holds something else (notes.txt)" in complaint(capsys, words)
    assert "must be 1 or 3" in complaint(capsys, ("data", "pack", str(pets), "--channels", "4"))
    assert "data set 'nowhere' is not known" in complaint(capsys, ("data", "pack", "nowhere"))
    assert "is a pack already" in complaint(capsys, ("data", "pack", "pack:mine"))
