"""Packs of JPEGs: a file's own bytes where its pixels are kept, else a JPEG that is near them."""

import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from regnetlab.errors import InputError
from regnetlab.spaces.template import SMALL
from regnetlab.training.batches import on_device
from regnetlab.training.crops import draws, random_parts
from regnetlab.training.datasets import load_data
from regnetlab.training.folders.decode import Reading, whole_picture
from regnetlab.training.folders.listener import Listener
from regnetlab.training.packs import writing
from regnetlab.training.packs.datasets import pack_indexed, pack_published
from regnetlab.training.packs.folders import pack_folder
from regnetlab.training.packs.images import DataLostError, PackedImages
from regnetlab.training.packs.shards import Pack, check_bytes, read_index, read_pack
from tests.training.sources.test_cifar import write_cifar_10

SIDE = 48


def _photo(seed: int, width: int, height: int, mode: str = "RGB") -> Image.Image:
    """A smooth picture, as photos are."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 8, 3)).astype(np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC).convert(mode)


def _photos(root: Path, n: int = 20) -> Path:
    for at, label in enumerate(("ant", "bee")):
        (root / label).mkdir(parents=True)
        for i in range(n):
            _photo(n * at + i, 50 + 3 * i, 60).save(root / label / f"{i}.png")
    return root


def _packed(root: Path, folder: Path, store: str = "jpeg", channels: int | None = None) -> Pack:
    return pack_folder("photos", root, folder, SIDE, channels, Reading(), store, Listener())


def _kept(pack: Pack) -> list[bytes]:
    """The bytes of each image, in the order of the index."""
    whole = [(pack.folder / shard.file).read_bytes() for shard in pack.shards]
    rows = (row.item() for row in read_index(pack))
    return [whole[shard][offset : offset + length] for shard, offset, _, _, _, length in rows]


def _pixels(data: bytes) -> NDArray[np.uint8]:
    """(height, width, 3)."""
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("RGB"))


def test_jpegs_are_near_the_pixels_and_much_smaller(tmp_path: Path) -> None:
    root = _photos(tmp_path / "photos")
    raw, packed = (_packed(root, tmp_path / store, store) for store in ("raw", "jpeg"))
    assert packed.shards[0].bytes < raw.shards[0].bytes / 3
    assert (packed.counts, packed.survey, packed.store) == (raw.counts, raw.survey, "jpeg")
    assert read_pack(tmp_path / "jpeg").store == "jpeg"
    assert packed.checksum != raw.checksum
    template = SMALL.changed("3x40x40", 2)
    a, b = (load_data(f"pack:{tmp_path / store}", template) for store in ("raw", "jpeg"))
    assert np.array_equal(a.train.labels, b.train.labels)
    assert np.abs(a.train.images[:].astype(int) - b.train.images[:]).mean() < 4
    there = [on_device(data, torch.device("cpu")).train for data in (a, b)]
    which = torch.tensor([3, 0, 3])
    boxes = [
        torch.from_numpy(random_parts(*each.sizes(which.numpy()), draws(0, 1, which.numpy())))
        for each in there
    ]
    assert torch.equal(*boxes)
    parts = [each.parts(which, box) for each, box in zip(there, boxes, strict=True)]
    assert (parts[0] - parts[1]).abs().mean() < 0.1
    assert torch.equal(parts[1], there[1].parts(which, boxes[1]))


def test_mean_and_deviation_are_those_of_the_decoded_pixels(tmp_path: Path) -> None:
    pack = _packed(_photos(tmp_path / "photos"), tmp_path / "pack")
    train = _kept(pack)[: pack.counts["train"]]
    levels = np.concatenate([_pixels(each).reshape(-1, 3) for each in train])
    assert np.array_equal(pack.levels, [np.bincount(levels[:, i], minlength=256) for i in range(3)])


_BOTH = (("pack", "pack"), ("folder", "photos"))


def _saved(image: Image.Image, **how: object) -> bytes:
    file = io.BytesIO()
    image.save(file, **how)  # type: ignore[arg-type]
    return file.getvalue()


def _turned() -> bytes:
    exif = Image.Exif()
    exif[274] = 6
    return _saved(_photo(4, 60, 40), format="JPEG", exif=exif)


def _wide_grey() -> bytes:
    return _saved(Image.fromarray(np.arange(50 * 40, dtype=np.uint16).reshape(40, 50) * 30), format="PNG")


FILES: dict[str, tuple[Callable[[], bytes], bool]] = {
    "plain.jpg": (lambda: _saved(_photo(1, 60, 40), format="JPEG"), True),
    "progressive.jpg": (lambda: _saved(_photo(2, 60, 41), format="JPEG", progressive=True), True),
    "subsampled.jpg": (lambda: _saved(_photo(3, 61, 40), format="JPEG", subsampling=2, quality=70), True),
    "at-the-size.jpg": (lambda: _saved(_photo(3, SIDE, 90), format="JPEG"), True),
    "grey.jpg": (lambda: _saved(_photo(5, 60, 40, "L"), format="JPEG"), True),
    "no-ending": (lambda: _saved(_photo(6, 60, 40), format="JPEG"), True),
    "larger.jpg": (lambda: _saved(_photo(7, 90, 60), format="JPEG"), False),
    "much-larger.jpg": (lambda: _saved(_photo(7, 900, 600), format="JPEG"), False),
    "turned.jpg": (_turned, False),
    "cmyk.jpg": (lambda: _saved(_photo(8, 60, 40, "CMYK"), format="JPEG"), True),
    "long-note.jpg": (lambda: _saved(_photo(9, 60, 40), format="JPEG") + bytes(2**20), False),
    "16-bit.png": (_wide_grey, False),
    "clear.png": (lambda: _saved(_photo(10, 60, 40, "RGBA"), format="PNG"), False),
    "plain.webp": (lambda: _saved(_photo(11, 60, 40), format="WEBP"), False),
}


def test_a_files_own_bytes_are_kept_where_they_decode_to_its_pixels(tmp_path: Path) -> None:
    root = tmp_path / "photos"
    for label in ("ant", "bee"):
        (root / label).mkdir(parents=True)
        for name, (make, _) in FILES.items():
            (root / label / name).write_bytes(make())
    pack = _packed(root, tmp_path / "pack", channels=3)
    found = {}
    for data in _kept(pack):
        seen = _pixels(data)
        near = {
            name: np.abs(seen.astype(int) - whole).mean()
            for name in FILES
            if (whole := _whole(root / "ant" / name)).shape == seen.shape
        }
        name = min(near, key=lambda each: near[each])
        assert near[name] < 4
        found[name] = data == (root / "ant" / name).read_bytes()
        assert near[name] == 0 or not found[name]
    assert found == {name: kept for name, (_, kept) in FILES.items()}


def _whole(path: Path) -> NDArray[np.uint8]:
    """(height, width, 3) as a folder's reader sees it, at the size of the pack."""
    return whole_picture(path, 3, SIDE, "white").transpose(1, 2, 0)


def test_a_grey_pack_sees_coloured_files_in_the_grey_of_a_folder(tmp_path: Path) -> None:
    root = tmp_path / "photos"
    for label in ("ant", "bee"):
        (root / label).mkdir(parents=True)
        for i in range(6):
            _photo(i, 40, 40, "L" if i % 2 else "RGB").save(root / label / f"{i}.jpg")
    pack = _packed(root, tmp_path / "pack", channels=1)
    assert pack.shards[0].bytes == sum(path.stat().st_size for path in root.rglob("*.jpg"))
    template = SMALL.changed("1x40x40", 2)
    packed, folder = (load_data(f"{kind}:{tmp_path / name}", template) for kind, name in _BOTH)
    assert np.array_equal(packed.levels, folder.levels)


def test_shards_of_the_other_store_are_written_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "_BYTES", 60_000)
    root = _photos(tmp_path / "photos")
    broken = root / "ant" / "3.png"
    whole = broken.read_bytes()
    broken.write_bytes(whole[:-100])
    with pytest.raises(InputError, match="ant/3"):
        _packed(root, tmp_path / "pack", "raw")
    broken.write_bytes(whole)
    begun = len(list((tmp_path / "pack").glob("*.bin")))
    pack = _packed(root, tmp_path / "pack", "jpeg")
    assert len(pack.shards) < begun
    assert sorted(path.name for path in (tmp_path / "pack").glob("0*.bin")) == [s.file for s in pack.shards]
    assert pack.checksum == _packed(root, tmp_path / "fresh", "jpeg").checksum
    check_bytes(pack)


def test_a_pack_that_says_the_other_store_is_refused(tmp_path: Path) -> None:
    root = _photos(tmp_path / "photos")
    for store, other in (("raw", "jpeg"), ("jpeg", "raw"), ("jpeg", "png")):
        folder = tmp_path / f"{store}-{other}"
        _packed(root, folder, store)
        document = json.loads((folder / "pack.json").read_text())
        (folder / "pack.json").write_text(json.dumps(document | {"store": other}))
        with pytest.raises(InputError, match=r"are not there|can't be decoded|damaged"):
            load_data(f"pack:{folder}", SMALL.changed("3x40x40", 2)).train.images[0]  # type: ignore[index]


def test_an_image_that_was_damaged_is_no_failure_of_a_network(tmp_path: Path) -> None:
    pack = _packed(_photos(tmp_path / "photos"), tmp_path / "pack")
    path = tmp_path / "pack" / pack.shards[0].file
    size = path.stat().st_size
    other = _saved(_photo(0, 20, 20), format="JPEG")
    for start, said in ((b"", "cannot identify"), (other, "20 × 20 pixels")):
        path.write_bytes(start + bytes(size - len(start)))
        images = load_data(f"pack:{tmp_path / 'pack'}", SMALL.changed("3x40x40", 2)).train.images
        assert isinstance(images, PackedImages)
        with pytest.raises(DataLostError, match=f"was changed since it was written: .*{said}"):
            images[0]
        with pytest.raises(InputError, match="was changed since"):
            check_bytes(pack)


def test_published_sets_and_any_indexed_data_set_are_kept_as_jpegs_too(tmp_path: Path) -> None:
    write_cifar_10(tmp_path)
    pack = pack_published("cifar-10", tmp_path, tmp_path / "pack", 256, None, "jpeg", Listener())
    assert (pack.store, pack.counts["test"]) == ("jpeg", 60)
    items = [(_photo(i, 90, 90), i % 2) for i in range(24)]
    pack_indexed(tmp_path / "items", items, side=90, store="jpeg")
    data = load_data(f"pack:{tmp_path / 'items'}", SMALL.changed("3x90x90", 2))
    seen = np.asarray(items[0][0]).transpose(2, 0, 1)
    least = min(np.abs(each.astype(int) - seen).mean() for each in data.train.images[:])
    least = min(least, *(np.abs(each.astype(int) - seen).mean() for each in data.validation.images[:]))
    assert 0 < min(least, *(np.abs(each.astype(int) - seen).mean() for each in data.test.images[:])) < 2


def test_a_store_that_there_is_not_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    items = [(_photo(i, 30, 30), i % 2) for i in range(24)]
    with pytest.raises(InputError, match="store is 'png'; it must be raw or jpeg"):
        pack_indexed(tmp_path / "pack", items, store="png")
    assert not list(tmp_path.iterdir())
