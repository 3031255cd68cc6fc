"""Packs: the files' pixels, the folder's splits, nothing half written, nothing taken that was changed."""

import json
import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from regnetlab.errors import InputError
from regnetlab.models.registry import find_model
from regnetlab.spaces.template import SMALL
from regnetlab.training import batches
from regnetlab.training.batches import Batches, on_device
from regnetlab.training.budget import Budget, Recipe
from regnetlab.training.datasets import load_data, outline
from regnetlab.training.folders.decode import Reading
from regnetlab.training.folders.listener import Listener
from regnetlab.training.packs import writing
from regnetlab.training.packs.datasets import pack_indexed
from regnetlab.training.packs.folders import pack_folder
from regnetlab.training.packs.images import DataLostError, PackedImages
from regnetlab.training.packs.shards import Pack, check_bytes, read_pack
from regnetlab.training.packs.stores import STORES
from regnetlab.training.packs.writing import packing_into
from regnetlab.training.trainer import train
from tests.training.folders.pictures import picture


def _photos(root: Path, n: int = 24, size: tuple[int, int] | None = None) -> Path:
    """Pictures of three classes, of many sizes or all of one."""
    random = np.random.default_rng(0)
    for label in ("ant", "bee", "cat"):
        (root / label).mkdir(parents=True)
        for i in range(n):
            width, height = size or random.integers(20, 90, 2).tolist()
            picture(hash((label, i)) % 2**32, width, height).save(root / label / f"{i}.png")
    return root


def _packed(root: Path, folder: Path, side: int = 32, store: str = "raw", **reading: object) -> Pack:
    how = Reading(**reading)  # type: ignore[arg-type]
    return pack_folder(f"folder:{root}", root, folder, side, None, how, store, Listener())


@pytest.fixture
def several_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "_BYTES", 60_000)
    monkeypatch.setattr(writing, "_SMALLER", dict.fromkeys(STORES, 1))


@pytest.mark.usefixtures("several_shards")
def test_a_pack_has_the_pixels_of_the_files_made_smaller(tmp_path: Path) -> None:
    root = _photos(tmp_path / "photos")
    pack = _packed(root, tmp_path / "pack")
    assert len(pack.shards) > 3
    template = SMALL.changed("3x28x28", 3)
    data = load_data(f"pack:{tmp_path / 'pack'}", template)
    folder = load_data(f"folder:{root}", template)
    assert pack.counts == {split: len(getattr(folder, split)) for split in ("train", "validation", "test")}
    assert np.array_equal(data.train.labels, folder.train.labels)
    for image, path in _with_files(root, data.train.images):
        shrunk = Image.open(path).convert("RGB")
        if min(shrunk.size) > 32:
            scale = 32 / min(shrunk.size)
            size = tuple(32 if each == min(shrunk.size) else int(each * scale) for each in shrunk.size)
            shrunk = shrunk.resize(size, Image.Resampling.BICUBIC)
        assert np.array_equal(image, np.asarray(shrunk).transpose(2, 0, 1))


def _with_files(root: Path, images: object) -> list[tuple[np.ndarray, Path]]:  # type: ignore[type-arg]
    """The whole stored pictures and the files they are from, found by what ``held_out`` gives."""
    from regnetlab.training.folders.splits import grouped, held_out
    from regnetlab.training.folders.tree import look_through

    assert isinstance(images, PackedImages)
    tree = look_through("photos", root)
    layout = held_out("photos", tree, Reading(), grouped("photos", tree, Reading()))
    found = []
    for at, file in enumerate(layout["train"]):
        place = np.array([at])
        levels = images.collected(place).numpy().reshape(-1, int(images.sizes(place)[1][0]), 3)
        found.append((levels.transpose(2, 0, 1), root / file.path))
    return found


def test_images_of_the_inputs_size_are_those_of_the_folder_bit_for_bit(tmp_path: Path) -> None:
    root = _photos(tmp_path / "photos", size=(32, 32))
    _packed(root, tmp_path / "pack")
    template = SMALL.changed("3x32x32", 3)
    packed, folder = (load_data(f"{kind}:{tmp_path / name}", template) for kind, name in _BOTH)
    for split in ("train", "validation", "test"):
        a, b = getattr(packed, split), getattr(folder, split)
        assert np.array_equal(a.images[:], b.images)
        assert np.array_equal(a.labels, b.labels)
    assert np.array_equal(packed.levels, folder.levels)
    assert np.array_equal(packed.train.images[3], folder.train.images[3])  # type: ignore[index]


_BOTH = (("pack", "pack"), ("folder", "photos"))


def test_what_a_pack_holds_is_said_as_of_the_folder(tmp_path: Path) -> None:
    root = _photos(tmp_path / "photos")
    _packed(root, tmp_path / "pack", split="stratified")
    seen = outline(f"pack:{tmp_path / 'pack'}")
    assert (seen.train + seen.validation + seen.test, seen.input) == (72, "3x32x32")
    assert seen.survey == outline(f"folder:{root}", reading=Reading(split="stratified")).survey


@pytest.mark.parametrize("store", STORES)
@pytest.mark.usefixtures("several_shards")
def test_a_killed_call_goes_on_and_gives_the_same_pack(tmp_path: Path, store: str) -> None:
    root = _photos(tmp_path / "photos", 60)
    whole = _packed(root, tmp_path / "whole", store=store).checksum
    code = (
        "import os, sys; from pathlib import Path; from regnetlab.training.packs import writing;"
        "from regnetlab.training.packs.folders import pack_folder;"
        "from regnetlab.training.folders.decode import Reading;"
        "from regnetlab.training.folders.listener import Listener;"
        "writing._BYTES = 60_000; writing._SMALLER['jpeg'] = 1; root, folder = map(Path, sys.argv[1:3]);"
        "kill = lambda what, done, of: what == 'packing' and done > 90 and os.kill(os.getpid(), 9);"
        "pack_folder('photos', root, folder, 32, None, Reading(), sys.argv[3], Listener(progress=kill))"
    )
    words = [sys.executable, "-c", code, str(root), str(tmp_path / "again"), store]
    killed = subprocess.run(words, check=False)
    assert killed.returncode == -signal.SIGKILL
    with pytest.raises(InputError, match="begun and not finished"):
        read_pack(tmp_path / "again")
    before = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "again").glob("*.bin")}
    assert len(before) > 2
    assert _packed(root, tmp_path / "again", store=store).checksum == whole
    after = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "again").glob("*.bin")}
    assert before.items() <= after.items()
    left = {path.name for path in (tmp_path / "again").iterdir() if not path.name[:1].isdigit()}
    assert {name for name in left if not name.startswith(".")} == {"pack.json", "index.bin"}


@pytest.mark.usefixtures("several_shards")
def test_shards_of_other_labels_are_written_again(tmp_path: Path) -> None:
    """Between two calls, of which the first was refused late, a class gets another name."""
    root = _photos(tmp_path / "photos")
    broken = root / "ant" / "3.png"
    whole = broken.read_bytes()
    broken.write_bytes(whole[:-200])
    with pytest.raises(InputError, match="ant/3"):
        _packed(root, tmp_path / "pack")
    broken.write_bytes(whole)
    (root / "ant").rename(root / "zebra")
    pack = _packed(root, tmp_path / "pack")
    assert pack.checksum == _packed(root, tmp_path / "fresh").checksum
    data, folder = (
        load_data(f"{kind}:{tmp_path / name}", SMALL.changed("3x32x32", 3)) for kind, name in _BOTH
    )
    assert np.array_equal(data.train.labels, folder.train.labels)


def test_a_finished_pack_is_not_written_again(tmp_path: Path) -> None:
    root = _photos(tmp_path / "photos")
    before = _packed(root, tmp_path / "pack").checksum
    with pytest.raises(InputError, match="holds a pack already"):
        _packed(root, tmp_path / "pack", side=16)
    assert read_pack(tmp_path / "pack").checksum == before


def test_two_calls_do_not_write_into_one_folder(tmp_path: Path) -> None:
    root = _photos(tmp_path / "photos")
    with packing_into(tmp_path / "pack"), pytest.raises(InputError, match="by another process"):
        _packed(root, tmp_path / "pack")


def test_what_is_cut_otherwise_has_another_checksum(tmp_path: Path) -> None:
    """A size that no image reaches makes nothing smaller, and is not the pack's."""
    root = _photos(tmp_path / "photos", size=(48, 40))
    small, whole, wide = (_packed(root, tmp_path / str(side), side) for side in (32, 40, 256))
    assert (small.side, whole.side, wide.side) == (32, 40, 40)
    assert small.checksum != whole.checksum == wide.checksum


def test_files_that_can_not_be_read_are_named_or_left_out(tmp_path: Path) -> None:
    root = _photos(tmp_path / "photos")
    broken = root / "ant" / "3.png"
    broken.write_bytes(broken.read_bytes()[:-200])
    with pytest.raises(InputError, match=r"ant/3\.png"):
        _packed(root, tmp_path / "pack")
    assert not (tmp_path / "pack" / "pack.json").exists()
    pack = _packed(root, tmp_path / "pack", skip_unreadable=True)
    assert pack.images == 71
    assert pack.survey is not None
    assert [each.path for each in pack.survey.unreadable] == ["ant/3.png"]
    data = load_data(f"pack:{tmp_path / 'pack'}", SMALL.changed("3x32x32", 3))
    assert sum(map(len, (data.train, data.validation, data.test))) == 71


def test_a_changed_pack_is_refused(tmp_path: Path) -> None:
    _packed(_photos(tmp_path / "photos"), tmp_path / "pack")
    folder, name = tmp_path / "pack", f"pack:{tmp_path / 'pack'}"
    template = SMALL.changed("3x32x32", 3)
    whole = {path.name: path.read_bytes() for path in folder.iterdir()}

    def refused(file: str, content: bytes, said: str) -> None:
        (folder / file).write_bytes(content)
        with pytest.raises(InputError, match=said):
            load_data(name, template)
        (folder / file).write_bytes(whole[file])

    document = json.loads(whole["pack.json"])
    refused("00000.bin", whole["00000.bin"][:-1], "another size")
    refused("index.bin", whole["index.bin"][::-1], "not the index")
    refused("pack.json", b"{}", "another version")
    refused("pack.json", b"[", "damaged")
    for part in (
        {"side": 0},
        {"background": "nope"},
        {"levels": [[10**30] * 256] * 3},
        {"levels": [[0] * 256] * 3},
        {"counts": document["counts"] | {"train": -1}},
        {"counts": document["counts"] | {"train": 10**20}},
        {"counts": document["counts"] | {"train": float("inf")}},
        {"survey": document["survey"] | {"counts": 3}},
        {"survey": {}},
    ):
        refused("pack.json", json.dumps(document | part).encode(), "damaged")
    document["shards"][0]["file"] = "../00000.bin"
    refused("pack.json", json.dumps(document).encode(), "elsewhere")
    pack = read_pack(folder)
    check_bytes(pack)
    (folder / "00000.bin").write_bytes(whole["00000.bin"][::-1])
    with pytest.raises(InputError, match="was changed"):
        check_bytes(pack)


@pytest.mark.parametrize(("input", "said"), [("1x32x32", "3 channels"), ("3x8x8", "short side of 32")])
def test_an_input_that_does_not_suit_is_refused(tmp_path: Path, input: str, said: str) -> None:
    _packed(_photos(tmp_path / "photos"), tmp_path / "pack")
    with pytest.raises(InputError, match=said):
        load_data(f"pack:{tmp_path / 'pack'}", SMALL.changed(input, 3))


class _Squares:
    """A map-style data set of grey squares, as Pillow's images, arrays or tensors."""

    classes = ("dark", "light")

    def __init__(self, n: int, form: str) -> None:
        self.n, self.form = n, form

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, at: int) -> tuple[object, int]:
        if not 0 <= at < self.n:
            raise IndexError(at)
        pixels = np.full((10, 14), 100 * (at % 2) + at, np.uint8)
        made = {"pillow": Image.fromarray(pixels), "array": pixels, "tensor": torch.from_numpy(pixels)[None]}
        return made[self.form], at % 2


@pytest.mark.parametrize("form", ["pillow", "array", "tensor"])
def test_any_indexed_data_set_is_packed(tmp_path: Path, form: str) -> None:
    pack = pack_indexed(tmp_path / "pack", _Squares(60, form), test=_Squares(8, form), side=10)
    assert pack.counts == {"train": 50, "validation": 10, "test": 8}
    assert pack.classes == ("dark", "light")
    data = load_data(f"pack:{tmp_path / 'pack'}", SMALL.changed("1x10x10", 2))
    assert data.test.images[:,][:, 0, 0, 0].tolist() == [100 * (i % 2) + i for i in range(8)]  # type: ignore[index]
    seen = sorted(data.train.images[:][:, 0, 5, 5].tolist() + data.validation.images[:][:, 0, 5, 5].tolist())
    assert seen == sorted(100 * (i % 2) + i for i in range(60))


def test_an_empty_data_set_for_the_test_split_means_that_there_is_none(tmp_path: Path) -> None:
    items = _Squares(60, "array")
    pack = pack_indexed(tmp_path / "pack", items, test=_Squares(0, "array"), side=10)
    assert pack.counts == {"train": 50, "validation": 10, "test": 0}


def test_items_that_are_no_pair_of_image_and_label_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="must be a pair"):
        pack_indexed(tmp_path / "pack", [np.zeros((4, 4), np.uint8)] * 20, side=8)
    with pytest.raises(InputError, match="label"):
        pack_indexed(tmp_path / "pack", [(np.zeros((4, 4), np.uint8), "cat")] * 20, side=8)
    with pytest.raises(InputError, match="float32"):
        pack_indexed(tmp_path / "pack", [(np.zeros((4, 4), np.float32), 0)] * 20, side=8)
    grey = (np.zeros((4, 4), np.uint8), 0)
    for label in (-1, 1.5, float("inf"), 10**9):
        with pytest.raises(InputError, match="the label"):
            pack_indexed(tmp_path / "pack", [(grey[0], label)] * 20, side=8)
    colour = (np.zeros((4, 4, 3), np.uint8), 0)
    with pytest.raises(InputError, match="item 0 has colours"):
        pack_indexed(tmp_path / "pack", [grey] * 40, [grey], [colour], side=8)
    assert pack_indexed(tmp_path / "grey", [grey] * 40, [grey], [colour], side=8, channels=1).channels == 1
    with pytest.raises(InputError, match="validation has no images"):
        pack_indexed(tmp_path / "pack", [grey] * 20, validation=[])
    with pytest.raises(InputError, match="size is 0"):
        pack_indexed(tmp_path / "pack", [grey] * 20, side=0)
    with pytest.raises(InputError, match="floating-point"):
        pack_indexed(tmp_path / "pack", [(Image.new("F", (4, 4)), 0)] * 20, side=8)
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="can't be written"):
        pack_indexed(tmp_path / "file" / "pack", [grey] * 20, side=8)


def test_what_an_interrupted_call_packed_is_not_taken_for_other_items(tmp_path: Path) -> None:
    items = [(np.full((8, 8), i, np.uint8), i % 2) for i in range(40)]
    with pytest.raises(InputError, match="label"):
        pack_indexed(tmp_path / "pack", items, classes=("one",), side=8)
    others = [(255 - image, 0) for image, _ in items]
    found = pack_indexed(tmp_path / "pack", others, classes=("one",), side=8)

    assert found.levels[0, :200].sum() == 0


@pytest.mark.parametrize("augment", ["none", "resized-crop-flip"])
@pytest.mark.parametrize("store", STORES)
def test_what_is_read_ahead_for_a_gpu_is_what_a_cpu_sees(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, augment: Any, store: str
) -> None:
    _packed(_photos(tmp_path / "photos"), tmp_path / "pack", store=store)
    images = on_device(
        load_data(f"pack:{tmp_path / 'pack'}", SMALL.changed("3x28x28", 3)), torch.device("cpu")
    ).train
    budget, recipe = Budget(images=46, batch_size=8, drop_last=False), Recipe(augment=augment)
    read = Batches(images, budget, recipe, seed=1)
    monkeypatch.setattr(batches, "is_gpu", lambda device: True)
    ahead = Batches(images, budget, recipe, seed=1)
    assert not ahead.on_gpu
    for epoch, first in ((1, 0), (2, 24), (3, 0)):  # the second goes on within the epoch
        read.begin(epoch)
        ahead.begin(epoch)
        for at in range(first, 46, 8):
            here = slice(at, min(at + 8, 46))
            for ours, theirs in zip(ahead.take(here), read.take(here), strict=True):
                assert torch.equal(ours, theirs)


def test_a_pack_whose_file_is_gone_is_no_failure_of_a_network(tmp_path: Path) -> None:
    _packed(_photos(tmp_path / "photos"), tmp_path / "pack")
    data = load_data(f"pack:{tmp_path / 'pack'}", SMALL.changed("3x32x32", 3))
    (tmp_path / "pack" / "00000.bin").unlink()
    build = find_model("anynet:d=1,1,1,1;w=8,8,8,8;g=8;b=1").build
    there = on_device(data, torch.device("cpu"))
    with pytest.raises(DataLostError, match="can't be read any more"):
        train(partial(build, SMALL.changed("3x32x32", 3)), there, Budget(images=32), Recipe(), 0)


@pytest.mark.parametrize("store", STORES)
def test_what_a_process_holds_does_not_grow_with_the_images_it_saw(tmp_path: Path, store: str) -> None:
    """Pages of files are the system's, and shared."""
    root = _photos(tmp_path / "photos", 300, (96, 96))
    _packed(root, tmp_path / "pack", 96, store)
    code = (
        "import sys, numpy as np; from regnetlab.spaces.template import SMALL;"
        "from regnetlab.training.datasets import load_data;"
        "data = load_data('pack:' + sys.argv[1], SMALL.changed('3x96x96', 3));"
        "read = lambda n: [data.train.images[i : i + 4].sum() for i in range(0, n, 4)];"
        "own = lambda: int([l.split()[1] for l in open('/proc/self/smaps_rollup')"
        " if l.startswith('Anonymous')][0]);"
        "read(100); before = own(); read(600); print(own() - before)"
    )
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "pack")],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
    )
    assert int(done.stdout) < 6_000  # kB; the other 500 images have 13,500
