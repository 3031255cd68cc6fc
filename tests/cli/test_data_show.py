"""``regnetlab data show``: what a folder or a published set holds, as table, JSON and picture."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from regnetlab.cli import main
from regnetlab.errors import printable
from regnetlab.spaces.template import SMALL
from regnetlab.training.datasets import load_data
from tests.cli.asked import Capture, answer, complaint
from tests.training.folders.pictures import picture, plant

MANY = tuple(f"{kind}/{i:02}.png" for kind in ("cat", "dog") for i in range(12))


def test_everything_of_a_folder_is_in_the_document(capsys: Capture, tmp_path: Path) -> None:
    pets = plant(tmp_path / "pets", *MANY, ".cache/1.png")
    (pets / "cat" / "notes.txt").write_text("no picture")
    (pets / "dog" / "broken.png").write_bytes(b"no picture")
    (pets / "dog" / "copy.png").write_bytes((pets / MANY[0]).read_bytes())
    document = answer(capsys, "data", "show", str(pets))
    assert (document["data"], document["input"], document["images"]) == (f"folder:{pets}", "3x16x16", 25)
    counts = {each["name"]: each["train"] + each["validation"] + each["test"] for each in document["classes"]}
    assert counts == {"cat": 12, "dog": 13}
    assert document["skipped"] == [
        {"path": ".cache", "reason": "hidden, or left by the system"},
        {"path": "cat/notes.txt", "reason": "no image by its ending .txt"},
    ]
    assert document["unreadable"] == ["dog/broken.png"]
    assert document["duplicates"] == [["cat/00.png", "dog/copy.png"]]
    data = load_data(f"folder:{pets}", SMALL.changed("3x16x16"), reading=_skipping())
    pixels = data.train.images / 255
    assert document["mean"] == pytest.approx(pixels.mean((0, 2, 3)).tolist())
    assert document["std"] == pytest.approx(pixels.std((0, 2, 3)).tolist())
    assert document["majority_error"] == data.majority_error()


def _skipping() -> object:
    from regnetlab.training.folders.decode import Reading

    return Reading(skip_unreadable=True)


def test_a_table_for_people(capsys: Capture, tmp_path: Path) -> None:
    plant(tmp_path / "pets", *MANY)
    (tmp_path / "pets" / "cat" / "notes.txt").write_text("no picture")
    assert main(["data", "show", str(tmp_path / "pets")]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert "24 images in 2 classes (12 each), 12×8 px, 24 RGB" in " ".join(out.split())
    assert "  not read: 1 (cat/notes.txt)" in out
    assert "cat/notes.txt: no image by its ending .txt" in out
    assert "always answering the commonest class:" in out


def test_groups_and_splits_per_class_are_shown(capsys: Capture, tmp_path: Path) -> None:
    frames = (f"{kind}/{kind}{i // 4}-{i}.png" for kind in ("cat", "dog") for i in range(48))
    pets = plant(tmp_path / "pets", *frames)
    whole = answer(capsys, "data", "show", str(pets), "--group-by", "([a-z]+[0-9]+)-")
    assert (whole["splitting"], whole["groups"]) == ("grouped", {"train": 16, "validation": 4, "test": 4})
    assert [each["test"] for each in whole["classes"]] == [8, 8]
    even = answer(capsys, "data", "show", str(pets), "--split", "stratified")
    assert (even["splitting"], even["groups"], even["alone"]) == ("stratified", {}, 0)
    assert [each["train"] for each in even["classes"]] == [33, 33]
    assert main(["data", "show", str(pets), "--group-by", "([a-z]+[0-9]+)-"]) == 0
    assert "24 groups: 16 train, 4 validation, 4 test" in capsys.readouterr().out


def test_a_published_set_is_shown_too(capsys: Capture, data_dir: Path) -> None:
    document = answer(capsys, "data", "show", "fashion-mnist", "--data-dir", str(data_dir))
    assert (document["input"], document["images"], document["duplicates"]) == ("1x28x28", 1_400, [])
    assert [each["name"] for each in document["classes"]][:2] == ["T-shirt/top", "Trouser"]


def test_the_grid_shows_images_as_the_networks_see_them(capsys: Capture, tmp_path: Path) -> None:
    plant(tmp_path / "pets", *MANY)
    path = tmp_path / "grid.png"
    answer(capsys, "data", "show", str(tmp_path / "pets"), "--input", "3x8x12", "--grid", str(path))
    data = load_data(f"folder:{tmp_path / 'pets'}", SMALL.changed("3x8x12"))
    with Image.open(path) as opened:
        grid = np.asarray(opened)
    for row, label in enumerate((0, 1)):
        for column, at in enumerate(np.flatnonzero(data.train.labels == label)[:10]):
            top, left = 4 + row * (8 * 4 + 4), 160 + column * (12 * 4 + 4)
            shown = grid[top : top + 32 : 4, left : left + 48 : 4].transpose(2, 0, 1)
            assert (shown == data.train.images[at]).all()


def test_a_study_shows_its_data_as_it_reads_them(
    capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for i, path in enumerate(MANY):
        (tmp_path / "pets" / path).parent.mkdir(parents=True, exist_ok=True)
        picture(i, 16, 8, "RGBA").save(tmp_path / "pets" / path)
    (tmp_path / "study.toml").write_text(
        'data = "folder:pets"\nfit = "pad"\nbackground = "red"\nsplit = "stratified"\n'
        'template = { input = "3x16x16", classes = 2 }\n[[spaces]]\nspace = "AnyNetA"\nn = 2\n'
    )
    shown = answer(capsys, "data", "show", "--study", "study.toml")
    words = ("data", "show", "pets", "--input", "3x16x16", "--background", "red")
    assert shown["mean"] == answer(capsys, *words, "--split", "stratified", "--fit", "pad")["mean"]
    assert shown["mean"] != answer(capsys, *words)["mean"]
    grouped = answer(capsys, "data", "show", "--study", "study.toml", "--group-by", r"[0-9]\.")
    assert (grouped["splitting"], sum(grouped["groups"].values())) == ("grouped", 10)


@pytest.mark.parametrize(
    ("words", "part"),
    [
        ((), "give a folder of images, a data set's name, or --study NAME"),
        (("nowhere",), "data set 'nowhere' is not known"),
        (("folder:nowhere",), "nowhere is not a folder"),
        (("pets", "--input", "2x8x8"), "image folders have 1 or 3 channels"),
        (("pets", "--input", "3x8"), "is not CxHxW"),
        (("pets", "--fit", "zoom"), "fit is 'zoom'"),
        (("pets", "--background", "nothing"), "background is 'nothing'"),
        (("pets", "--split", "even"), "split is 'even'"),
        (("pets", "--group-by", "^"), "makes 1 group of 24 training images"),
        (("pets", "--group-by", "["), "no regular expression"),
        (("fashion-mnist", "--group-by", "a"), "--group-by is for folders of images"),
        (("pets", "--grid", "grid.jpg"), "end the name in .png"),
        (("pets", "--grid", "nowhere/grid.png"), "must be a folder to write in"),
        (("fashion-mnist", "--fit", "pad"), "--fit is for folders of images"),
        (("fashion-mnist", "--input", "3x8x8"), "leave --input out"),
    ],
)
def test_bad_input_is_refused_and_writes_nothing(
    capsys: Capture,
    tmp_path: Path,
    data_dir: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
    part: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    plant(tmp_path / "pets", *MANY)
    where = ("--data-dir", str(data_dir)) if words[:1] == ("fashion-mnist",) else ()
    assert part in complaint(capsys, ("data", "show", *words, *where))
    assert [each.name for each in tmp_path.iterdir()] == ["pets"]


def test_names_of_files_do_not_steer_the_terminal() -> None:
    assert printable("a\x1b[31mb\udcff\nc\u202e") == r"a\x1b[31mb\udcff" + "\n" + r"c\u202e"
