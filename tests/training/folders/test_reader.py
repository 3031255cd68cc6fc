"""Reading a folder of images: splits, survey, unreadable files, the cache, and a slow reader beside."""

import json
import os
import shutil
import threading
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from regnetlab.errors import InputError
from regnetlab.files import cache_folder
from regnetlab.spaces.template import SMALL
from regnetlab.training.datasets import DataSet, load_data, outline
from regnetlab.training.folders import reader
from regnetlab.training.folders.decode import Reading
from regnetlab.training.folders.listener import Listener
from regnetlab.training.folders.survey import survey_of
from tests.training.folders.pictures import picture, plant

SHAPE = SMALL.changed("3x8x12", 2)
MANY = tuple(f"{kind}/{i:02}.png" for kind in ("cat", "dog") for i in range(12))


def load(root: Path, **reading: object) -> DataSet:
    return load_data(f"folder:{root}", SHAPE, reading=Reading(**reading))  # type: ignore[arg-type]


def same(first: DataSet, second: DataSet) -> bool:
    splits = ("train", "validation", "test")
    return first.checksum == second.checksum and all(
        (getattr(first, split).images == getattr(second, split).images).all()
        and (getattr(first, split).labels == getattr(second, split).labels).all()
        for split in splits
    )


def test_each_image_is_in_one_split_with_its_own_pixels_and_label(tmp_path: Path) -> None:
    data = load(plant(tmp_path, *MANY))
    known = {}
    for path in MANY:
        with Image.open(tmp_path / path) as opened:
            known[np.asarray(opened).transpose(2, 0, 1).tobytes()] = int(path.startswith("dog"))
    found = {
        image.tobytes(): label
        for part in (data.train, data.validation, data.test)
        for image, label in zip(part.images, part.labels.tolist(), strict=True)
    }
    assert found == known
    assert (len(data.train), len(data.validation), len(data.test)) == (17, 3, 4)


def test_three_split_folders_are_the_three_splits(tmp_path: Path) -> None:
    for split, n in (("train", 6), ("valid", 4), ("test", 5)):
        plant(tmp_path, *(f"{split}/{kind}/{split}{i}.png" for kind in ("cat", "dog") for i in range(n)))
    data = load(tmp_path)
    assert (len(data.train), len(data.validation), len(data.test)) == (12, 8, 10)
    assert data.validation.labels.tolist() != sorted(
        data.validation.labels.tolist()
    )  # the first n are a sample


def test_a_validation_folder_is_not_the_test_split(tmp_path: Path) -> None:
    for split, n in (("train", 12), ("val", 4)):
        plant(tmp_path, *(f"{split}/{kind}/{split}{i}.png" for kind in ("cat", "dog") for i in range(n)))
    data = load(tmp_path)
    assert (len(data.train), len(data.validation), len(data.test)) == (20, 8, 4)
    assert data.survey is not None
    assert data.survey.held_out == ("test",)


def test_all_unreadable_files_are_named_at_once(tmp_path: Path) -> None:
    plant(tmp_path, *MANY)
    for name in MANY[2:5]:
        data = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(data[: len(data) // 2])
    (tmp_path / "dog" / "gone.png").symlink_to(tmp_path / "nowhere.png")
    with pytest.raises(InputError, match=r"4 of 25 images in .* can't be read") as caught:
        load(tmp_path)
    assert all(name in str(caught.value) for name in (*MANY[2:5], "dog/gone.png", "--skip-unreadable"))
    data = load(tmp_path, skip_unreadable=True)
    assert data.survey is not None
    assert {each.path for each in data.survey.unreadable} == {*MANY[2:5], "dog/gone.png"}
    assert sum(map(len, (data.train, data.validation, data.test))) == data.survey.images == 21
    with pytest.raises(InputError, match="4 of 25 images"):  # though they are in the cache without them
        load(tmp_path)


def test_of_many_unreadable_files_twenty_are_named_and_all_counted(tmp_path: Path) -> None:
    plant(tmp_path, *MANY)
    for i in range(33):
        (tmp_path / "cat" / f"broken-{i:02}.jpg").write_bytes(b"no picture")
    with pytest.raises(InputError, match="33 of 57 images") as caught:
        load(tmp_path)
    assert str(caught.value).count("broken-") == 20
    assert "; and 13 more; replace" in str(caught.value)


def test_a_class_of_unreadable_images_alone_is_refused_also_when_skipping(tmp_path: Path) -> None:
    plant(tmp_path, *MANY, "eel/")
    (tmp_path / "eel" / "1.png").write_bytes(b"no picture")
    with pytest.raises(InputError, match=r"of class 'eel' in train no image can be read \(eel/1\.png"):
        load(tmp_path, skip_unreadable=True)


def test_what_is_decoded_once_is_read_from_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = load(plant(tmp_path, *MANY))
    monkeypatch.setattr(reader, "pixels", lambda *words: pytest.fail("decoded again"))
    monkeypatch.setattr(reader, "look_at", lambda *words: pytest.fail("looked at again"))
    second = load(tmp_path)
    assert same(first, second)
    assert first.survey == second.survey
    assert (first.levels == second.levels).all()


@pytest.mark.parametrize("change", ["pixels", "more", "less", "fit", "background"])
def test_what_changes_the_pixels_makes_a_cache_useless(tmp_path: Path, change: str) -> None:
    first = load(plant(tmp_path, *MANY))
    if change == "pixels":
        path = tmp_path / MANY[0]
        old = path.stat()
        picture(99).save(path)
        os.utime(path, ns=(old.st_atime_ns, old.st_mtime_ns + 1))
    elif change == "more":
        plant(tmp_path, "cat/more.png")
    elif change == "less":
        (tmp_path / MANY[0]).unlink()
    options = {"fit": {"fit": "squash"}, "background": {"background": "black"}}.get(change, {})
    second = load(tmp_path, **options)
    assert same(second, load(shutil.copytree(tmp_path, tmp_path.parent / f"copy-{change}"), **options))
    assert same(first, second) == (change in ("fit", "background"))  # of opaque images in the input's size


@pytest.mark.parametrize("how", ["swapped", "renamed", "link", "written back"])
def test_files_that_only_look_the_same_are_decoded_again(tmp_path: Path, how: str) -> None:
    """With sizes and times that unzip, git or cp -p leave equal."""
    root = tmp_path / "pets"
    for i, path in enumerate(MANY):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        picture(i).save((root / path).with_suffix(".bmp"))
    first, second = ((root / path).with_suffix(".bmp") for path in (MANY[0], MANY[-1]))
    if how == "link":
        shutil.move(root, tmp_path / "store")
        root.symlink_to(tmp_path / "store")
    for path in root.rglob("*.bmp"):
        os.utime(path, ns=(10**18, 10**18))
    before = load(root)
    if how == "swapped":
        first.rename(tmp_path / "x")
        second.rename(first)
        (tmp_path / "x").rename(second)
    elif how == "renamed":
        (root / "cat").rename(tmp_path / "x")
        (root / "dog").rename(root / "cat")
        (tmp_path / "x").rename(root / "dog")
    elif how == "link":
        shutil.copytree(tmp_path / "store", tmp_path / "other")
        picture(77).save(tmp_path / "other" / first.relative_to(root))
        os.utime(tmp_path / "other" / first.relative_to(root), ns=(10**18, 10**18))
        root.unlink()
        root.symlink_to(tmp_path / "other")
    else:
        picture(77).save(first)
        os.utime(first, ns=(10**18, 10**18))
    after = load(root)
    assert not same(before, after)
    copy = shutil.copytree(root, tmp_path / "copy")
    assert same(after, load(copy))


def test_what_is_left_out_is_what_lies_there_now(tmp_path: Path) -> None:
    load(plant(tmp_path, *MANY))
    (tmp_path / "cat" / "notes.txt").write_text("no picture")
    survey = load(tmp_path).survey
    assert survey is not None
    assert [each.path for each in survey.skipped] == ["cat/notes.txt"]


def test_an_image_that_can_not_be_decoded_here_is_unreadable_not_left_out(tmp_path: Path) -> None:
    plant(tmp_path, *MANY)
    for name in ("cat/photo.heic", "dog/drawing.svg", "dog/print.eps"):
        (tmp_path / name).write_bytes(b"no picture")
    with pytest.raises(InputError, match=r"photo\.heic \(\.heic files are not decoded; convert it"):
        load(tmp_path)
    assert len(load(tmp_path, skip_unreadable=True).train) == 17


@pytest.mark.parametrize(("files", "least"), [(MANY[:3], 7), (MANY[9:15], 7)])
def test_too_few_images_say_how_many_would_do(tmp_path: Path, files: tuple[str, ...], least: int) -> None:
    plant(tmp_path, *files, "dog/00.png")
    n = len({*files, "dog/00.png"})
    if n >= least:
        assert len(load(tmp_path).validation) == 1
        return
    with pytest.raises(InputError, match=f"{n} training images are too few .*; {least} are the least"):
        load(tmp_path)


def test_classes_without_a_held_out_image_are_counted(tmp_path: Path) -> None:
    survey = load_data(
        f"folder:{plant(tmp_path, *(f'{kind:03}/{i}.png' for kind in range(30) for i in range(2)))}", SHAPE
    ).survey
    assert survey is not None
    empty = {split: counts.count(0) for split, counts in survey.counts.items()}
    line = survey.lines("x")[2]
    assert all(f"no {split} image: {n} classes" in line for split, n in empty.items() if n > 1)


def test_a_damaged_cache_is_made_again(tmp_path: Path) -> None:
    first = load(plant(tmp_path, *MANY))
    entries = sorted((cache_folder() / "images").iterdir(), key=lambda path: path.stat().st_mtime_ns)
    raw = bytearray(entries[-1].read_bytes())
    assert b'"survey"' in raw
    for spoiled in (
        raw[:-1] + bytes((raw[-1] ^ 1,)),
        raw[: len(raw) // 2],
        b"",
        b"regnetlab images 2 {}\n",
        raw.replace(b'"survey"', b'"survex"'),
        raw.replace(b'"cat"', b'"cow"'),
    ):
        entries[-1].unlink()  # what is mapped stays as it was
        entries[-1].write_bytes(spoiled)
        assert same(load(tmp_path), first)
    entries[-1].unlink()
    assert same(load(tmp_path), first)


def test_one_folder_read_in_one_way_has_one_entry_in_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REGNETLAB_CACHE", str(tmp_path / "cache"))
    for n in range(3):
        load(plant(tmp_path / "pets", *MANY, f"cat/more{n}.png"))
    assert len(list((tmp_path / "cache" / "images").iterdir())) == 1


def test_more_than_the_machine_has_is_refused_before_anything_is_decoded(tmp_path: Path) -> None:
    plant(tmp_path, *MANY)
    with pytest.raises(InputError, match=r"24 images at 3x60000x60000 take 259\.2 GB, and this machine has"):
        load_data(f"folder:{tmp_path}", SMALL.changed("3x60000x60000"))


def test_without_a_cache_images_are_read_and_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = load(plant(tmp_path / "pets", *MANY))
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("REGNETLAB_CACHE", str(tmp_path / "file"))
    notes: list[str] = []
    second = load_data(f"folder:{tmp_path / 'pets'}", SHAPE, listener=Listener(notes.append))
    assert same(first, second)
    assert "can't be written" in notes[0]


def test_two_threads_that_decode_at_once_get_the_same(tmp_path: Path) -> None:
    plant(tmp_path, *MANY)
    found: list[DataSet] = []
    threads = [threading.Thread(target=lambda: found.append(load(tmp_path))) for _ in range(2)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert same(*found)


def test_the_survey_counts_what_is_there(tmp_path: Path) -> None:
    plant(tmp_path, *MANY, ".hidden/1.png")
    (tmp_path / "cat" / "notes.txt").write_text("no picture")
    picture(1, 20, 30, "L").save(tmp_path / "cat" / "grey.png")
    picture(2, 40, 10, "RGBA").save(tmp_path / "cat" / "clear.png")
    shutil.copy(tmp_path / MANY[0], tmp_path / "dog" / "copy.png")
    frames = [Image.new("L", (12, 8), shade) for shade in (0, 99)]
    frames[0].save(tmp_path / "dog" / "film.gif", save_all=True, append_images=frames[1:])
    data = load(tmp_path)
    survey = data.survey
    assert survey is not None
    assert survey.images == 28
    assert {split: sum(each) for split, each in survey.counts.items()} == {
        "train": len(data.train), "validation": len(data.validation), "test": len(data.test)
    }  # fmt: skip
    assert (survey.smallest, survey.median, survey.largest) == ((12, 8), (12, 8), (40, 30))
    assert survey.modes == {"RGB": 25, "L": 1, "RGBA": 1, "P": 1}
    assert (survey.transparent, survey.animated, survey.turned) == (1, 1, 0)
    assert survey.duplicates == (("cat/00.png", "dog/copy.png"),)
    assert survey.contradicting == 1
    assert {each.path for each in survey.skipped} == {".hidden", "cat/notes.txt"}
    assert survey_of(json.loads(json.dumps(survey.to_json()))) == survey
    assert survey.lines("pets")[0] == (
        "pets: 28 images in 2 classes (14 each), 12×8 to 40×30 px, 25 RGB, 1 RGBA, 1 L, 1 P"
    )
    assert (
        "not read: 1 (cat/notes.txt); hidden: 1; transparent: 1; first frame of animations: 1"
        in (survey.lines("pets")[2])
    )
    assert outline(f"folder:{tmp_path}").survey == survey


def test_equal_files_in_training_and_test_are_counted_as_shared(tmp_path: Path) -> None:
    plant(tmp_path, *(f"train/{path}" for path in MANY), "test/dog/5.png", "test/cat/")
    shutil.copy(tmp_path / "train/cat/01.png", tmp_path / "test/cat/leak.png")
    survey = load(tmp_path).survey
    assert survey is not None
    assert survey.duplicates == (("test/cat/leak.png", "train/cat/01.png"),)
    assert (survey.shared, survey.contradicting) == (1, 0)


@pytest.mark.parametrize(
    ("mode", "size", "expected"),
    [
        ("L", (28, 28), (1, 28, 28)),
        ("RGB", (28, 30), (3, 30, 28)),
        ("RGBA", (500, 375), (3, 48, 64)),
        ("1", (8, 90), (1, 64, 16)),
        ("P", (32, 32), (3, 32, 32)),
    ],
)
def test_the_natural_input_is_the_images_own_up_to_64_pixels(
    tmp_path: Path, mode: str, size: tuple[int, int], expected: tuple[int, int, int]
) -> None:
    for i, path in enumerate(MANY):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        picture(i, *size, mode).save(tmp_path / path)
    found = outline(f"folder:{tmp_path}")
    assert (found.channels, found.height, found.width) == expected


# --- A slow, obvious reader, and random folders.

SPLIT_NAMES = {"train": "train", "Training": "train", "VAL": "validation", "valid": "validation",
               "test": "test", "Testing": "test"}  # fmt: skip
MODES = ("L", "RGB", "RGBA", "P", "LA", "1", "CMYK")
IGNORED = (".cache", "__MACOSX", ".ipynb_checkpoints")

_image = st.tuples(st.sampled_from(MODES), st.sampled_from(("png", "tif", "webp", "gif")), st.booleans())
_kind = st.dictionaries(st.sampled_from(("a", "b", "c d", "é")), st.lists(_image, min_size=1, max_size=4),
                        min_size=2, max_size=3)  # fmt: skip
_tree = st.one_of(
    st.fixed_dictionaries({"": _kind}),
    st.dictionaries(st.sampled_from(sorted(SPLIT_NAMES)), _kind, min_size=1, max_size=3),
)


def build(root: Path, tree: dict[str, dict[str, list[tuple[str, str, bool]]]], clutter: list[str]) -> None:
    seed = 0
    for split, kinds in tree.items():
        for kind, images in kinds.items():
            folder = root / "pets" / split / kind
            folder.mkdir(parents=True)
            for mode, ending, linked in images:
                seed += 1
                path = folder / f"{seed}.{'jpg' if mode == 'CMYK' else ending}"
                target = root / "elsewhere" / path.name if linked else path
                target.parent.mkdir(exist_ok=True)
                picture(seed, 12, 8, mode).save(target)
                if linked:
                    path.symlink_to(target)
            for name in clutter:
                (folder / name).mkdir()
                picture(0).save(folder / name / "x.png")
                (folder / "._1.png").write_bytes(b"x")


def slowly(root: Path) -> dict[str, dict[bytes, str]] | None:
    """By split the pixels of every image and its class; ``None`` where that is not clear."""
    names = sorted(each.name for each in root.iterdir())
    roles = [SPLIT_NAMES.get(name) for name in names]
    if roles in (["validation"], ["test"]):
        return None
    if len(names) == 1:
        parts = {"": root / names[0]}
    elif not any(roles):
        parts = {"": root}
    elif len(set(roles)) < len(roles) or "train" not in roles:
        return None
    else:
        parts = {str(role): root / name for role, name in zip(roles, names, strict=True)}
    found: dict[str, dict[bytes, str]] = {}
    classes = set()
    for split, folder in parts.items():
        found[split] = {}
        for path in sorted(folder.rglob("*")):
            within = path.relative_to(folder).parts
            if path.is_dir() or any(part.startswith((".", "_")) for part in within):
                continue
            with Image.open(path) as opened:
                clear = Image.new("RGBA", opened.size, "white")
                clear.alpha_composite(opened.convert("RGBA"))
                colours = opened.convert("RGB") if opened.mode == "CMYK" else clear.convert("RGB")
            kind = unicodedata.normalize("NFC", within[0])
            found[split][np.asarray(colours).transpose(2, 0, 1).tobytes()] = kind
        classes.add(tuple(sorted(set(found[split].values()))))
    return found if len(classes) == 1 else None


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tree=_tree, clutter=st.lists(st.sampled_from(IGNORED), unique=True, max_size=2))
def test_any_folder_is_read_as_a_slow_reader_reads_it_or_refused(
    tmp_path_factory: pytest.TempPathFactory,
    tree: dict[str, dict[str, list[tuple[str, str, bool]]]],
    clutter: list[str],
) -> None:
    root = tmp_path_factory.mktemp("random")
    build(root, tree, clutter)
    expected = slowly(root / "pets")
    try:
        data = load(root / "pets")
    except InputError as error:
        few = "too few" in str(error)
        assert few or any(each.name in str(error) for each in (root / "pets").rglob("*"))
        assert few or expected is None
        return
    assert expected is not None
    given = {name: part for name, part in expected.items() if name}
    parts = {"train": data.train, "validation": data.validation, "test": data.test}
    read = {
        split: {
            image.tobytes(): data.classes[label]
            for image, label in zip(part.images, part.labels.tolist(), strict=True)
        }
        for split, part in parts.items()
    }
    for split in given.keys() - {"train"}:
        assert read[split] == given[split]
    merged = {pixels: kind for split in parts for pixels, kind in read[split].items()}
    assert merged == {pixels: kind for part in expected.values() for pixels, kind in part.items()}
