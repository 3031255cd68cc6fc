"""Packs of published data sets: the images, labels and splits that they have by name."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from regnetlab.errors import InputError
from regnetlab.spaces.template import SMALL
from regnetlab.training.datasets import load_data, outline, with_test_images
from regnetlab.training.folders.listener import Listener
from regnetlab.training.packs.datasets import pack_published
from regnetlab.training.packs.shards import Pack
from tests.conftest import write_bars
from tests.training.sources.test_cifar import write_cifar_10, write_cifar_100
from tests.training.sources.test_svhn import write_svhn

WRITERS: dict[str, Callable[[Path], object]] = {
    "fashion-mnist": write_bars,
    "cifar-10": write_cifar_10,
    "cifar-100": write_cifar_100,
    "svhn": write_svhn,
}


def _packed(name: str, root: Path, side: int = 256, channels: int | None = None) -> Pack:
    return pack_published(name, root, root / "pack", side, channels, "raw", Listener())


@pytest.mark.parametrize("name", WRITERS)
def test_a_pack_of_a_published_set_has_its_images_in_their_order(tmp_path: Path, name: str) -> None:
    WRITERS[name](tmp_path)
    by_name = load_data(name, SMALL, tmp_path)
    template = SMALL.changed(by_name.input, len(by_name.classes))
    pack = _packed(name, tmp_path)
    packed = load_data(f"pack:{tmp_path / 'pack'}", template)
    packed.check_fits(template)
    assert outline(f"pack:{tmp_path / 'pack'}").input == by_name.input
    assert (pack.name, packed.classes) == (name, by_name.classes)
    assert np.array_equal(packed.levels, by_name.levels)
    for split in ("train", "validation", "test"):
        a, b = getattr(packed, split), getattr(by_name, split)
        assert np.array_equal(a.labels, b.labels)
        assert np.array_equal(a.images[:], b.images)


def test_a_pack_that_trains_on_all_images_is_normalised_as_by_its_name(tmp_path: Path) -> None:
    """``train --test`` counts the validation images among those that are trained on."""
    write_cifar_10(tmp_path)
    _packed("cifar-10", tmp_path)
    template = SMALL.changed("3x32x32", 10)
    named, packed = (
        with_test_images(load_data(name, template, tmp_path))
        for name in ("cifar-10", f"pack:{tmp_path / 'pack'}")
    )
    assert np.array_equal(named.levels, packed.levels)


def test_a_smaller_size_shrinks_the_images_and_other_channels_change_them(tmp_path: Path) -> None:
    write_cifar_10(tmp_path)
    pack = _packed("cifar-10", tmp_path, side=16, channels=1)
    data = load_data(f"pack:{tmp_path / 'pack'}", SMALL.changed("1x16x16", 10))
    assert (pack.side, data.input) == (16, "1x16x16")
    mean = np.asarray(load_data("cifar-10", SMALL, tmp_path).test.images).mean((2, 3))
    grey = mean @ [0.299, 0.587, 0.114]
    assert np.allclose(data.test.images[:].mean((1, 2, 3)), grey, atol=1)


def test_data_that_are_not_there_are_named_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no CIFAR-10 in"):
        _packed("cifar-10", tmp_path)
    assert not list(tmp_path.iterdir())
