"""Looking for published sets and fetching them; the network is never asked."""

from collections.abc import Callable
from pathlib import Path
from urllib.error import URLError

import pytest
import torchvision

from regnetlab.errors import InputError
from regnetlab.spaces.template import SMALL
from regnetlab.training.datasets import PUBLISHED, load_data
from regnetlab.training.sources import published
from tests.training.sources.test_cifar import write_cifar_10, write_cifar_100
from tests.training.sources.test_mnists import EMNIST_CLASSES, emnist_stems, write_set
from tests.training.sources.test_svhn import write_svhn

Patch = pytest.MonkeyPatch


@pytest.fixture
def home(tmp_path: Path, monkeypatch: Patch) -> Path:
    """A home folder with an empty cache, and no folder of data named."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("REGNETLAB_CACHE", raising=False)
    monkeypatch.delenv("REGNETLAB_DATA", raising=False)
    return tmp_path / "home"


def write_all(root: Path) -> None:
    """Every set at once, as torchvision and the archives lay them out."""
    for folder in ("FashionMNIST", "MNIST", "KMNIST"):
        write_set(root / folder / "raw", ("train", "t10k"))
    for split, classes in EMNIST_CLASSES.items():
        write_set(root / "EMNIST" / "raw", emnist_stems(split), classes, first=int(split == "letters"))
    write_cifar_10(root)
    write_cifar_100(root)
    write_svhn(root)


def test_all_sets_are_found_in_one_folder_and_each_is_itself(tmp_path: Path) -> None:
    write_all(tmp_path)
    for name, each in PUBLISHED.items():
        data = load_data(name, SMALL, tmp_path)
        assert data.name == name
        assert len(data.classes) == len(set(data.classes)) > data.train.labels.max()
        assert data.input == ("3x32x32" if each.title in {"CIFAR-10", "CIFAR-100", "SVHN"} else "1x28x28")


def test_the_environment_names_the_folder_for_every_set(tmp_path: Path, monkeypatch: Patch) -> None:
    write_svhn(tmp_path)
    monkeypatch.setenv("REGNETLAB_DATA", str(tmp_path))
    assert len(load_data("svhn", SMALL).test) == 40


@pytest.mark.parametrize("name", ["cifar-10", "svhn", "mnist", "emnist-letters"])
def test_a_failed_download_says_what_to_put_where(name: str, home: Path, monkeypatch: Patch) -> None:
    def fail(*words: object, **more: object) -> None:
        raise URLError("no network")

    monkeypatch.setattr(torchvision.datasets.utils, "download_and_extract_archive", fail)
    monkeypatch.setattr(torchvision.datasets.utils, "download_url", fail)
    monkeypatch.setattr(torchvision.datasets.mnist, "download_and_extract_archive", fail)
    with pytest.raises(InputError, match="could not be downloaded") as caught:
        load_data(name, SMALL)
    assert "--data-dir or REGNETLAB_DATA" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "fetch", "write"),
    [
        ("cifar-10", "download_and_extract_archive", write_cifar_10),
        ("cifar-100", "download_and_extract_archive", write_cifar_100),
        ("svhn", "download_url", lambda root: write_svhn(root / "svhn")),
    ],
)
def test_what_torchvision_downloads_is_read_and_not_fetched_again(
    name: str, fetch: str, write: Callable[[Path], object], home: Path, monkeypatch: Patch
) -> None:
    fetched = []

    def download(url: str, root: str, *words: object, **more: object) -> None:
        fetched.append(url)
        if len(fetched) == 1:
            print("Downloading")
            write(home / ".cache" / "regnetlab")

    monkeypatch.setattr(torchvision.datasets.utils, fetch, download)
    first, again = (load_data(name, SMALL).checksum for _ in range(2))
    assert first == again
    assert len(fetched) == (2 if name == "svhn" else 1)
    assert all("python" not in url for url in fetched)  # CIFAR's Python version is pickles


def test_a_download_that_leaves_nothing_is_refused(home: Path, monkeypatch: Patch) -> None:
    monkeypatch.setattr(torchvision.datasets.utils, "download_url", lambda *words: None)
    with pytest.raises(InputError, match=r"was downloaded to .* and is not there"):
        load_data("svhn", SMALL)


def test_a_named_folder_is_never_downloaded_to(tmp_path: Path, monkeypatch: Patch) -> None:
    monkeypatch.setattr(torchvision.datasets.utils, "download_url", lambda *words: pytest.fail("asked"))
    with pytest.raises(InputError, match=r"no SVHN in .*; put train_32x32\.mat and test_32x32\.mat there"):
        published.find("svhn", PUBLISHED, tmp_path)
    assert list(tmp_path.iterdir()) == []
