"""What the tests share: a small data set in Fashion-MNIST's own format, and a study on it."""

import gzip
import struct
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from regnetlab.training.latency import latency

torch.set_num_threads(1)
with suppress(ImportError):  # a GPU machine has its own packages
    from hypothesis import settings

    settings.register_profile("untimed", deadline=None)  # a busy machine is no failure
    settings.load_profile("untimed")


@pytest.fixture(autouse=True, scope="session")
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Decoded images are kept in a folder of the tests, also by the processes that they start."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REGNETLAB_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(autouse=True, scope="session")
def _quick_latencies() -> Iterator[None]:
    """The latency of a network is measured in as few runs as there have to be, not for half a second."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(latency, "__defaults__", (0.0,))
        yield


def write_idx(path: Path, array: NDArray[np.uint8]) -> None:
    header = bytes((0, 0, 8, array.ndim)) + struct.pack(f">{array.ndim}I", *array.shape)
    path.write_bytes(gzip.compress(header + array.tobytes(), compresslevel=1))


def write_bars(folder: Path) -> None:
    """1,200 training and 200 test images of 28 × 28 in 10 classes: a bright bar whose row is the class."""
    random = np.random.default_rng(0)
    for stem, n in (("train", 1_200), ("t10k", 200)):
        labels = random.integers(0, 10, n).astype(np.uint8)
        images = random.integers(0, 60, (n, 28, 28)).astype(np.uint8)
        for i, label in enumerate(labels):
            images[i, 2 * label + 4 : 2 * label + 7, 4:24] += 150
        write_idx(folder / f"{stem}-images-idx3-ubyte.gz", images)
        write_idx(folder / f"{stem}-labels-idx1-ubyte.gz", labels)


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Fashion-MNIST's four files with the images of ``write_bars``."""
    folder = tmp_path_factory.mktemp("data")
    write_bars(folder)
    return folder


def refusal(text: str, alone: bool = True) -> str:
    """What a command says that fails, as "what; hint": printed on a line each, or on one without a hint.

    Unless it stands ``alone`` on stderr, other lines precede it.
    """
    lines = text.splitlines()
    first = max((i for i, line in enumerate(lines) if line.startswith("regnetlab: ")), default=0)
    assert first == 0 or not alone, text
    what, *hint = lines[first:]
    assert what.startswith("regnetlab: "), text
    assert len(hint) <= 1, text
    assert all(line.startswith("hint: ") for line in hint), text
    assert "Traceback" not in text
    return "; ".join([what, *(line.removeprefix("hint: ") for line in hint)])


STUDY = """
seed = 3
[regime]
flops = "0.05M:0.4M"
[ranges]
depth = [1, 2]
width = [8, 32]
[budget]
images = 128
batch_size = 32
validation = 100
[derive]
n = 2
force = true
[[spaces]]
space = "AnyNetA"
n = 12
[[spaces]]
space = "AnyNetE"
n = 6
[[spaces]]
space = "RegNet"
n = 2
"""


@pytest.fixture
def make_study(tmp_path: Path) -> Callable[..., Path]:
    """Write ``studies/NAME/study.toml`` in a temporary folder; returns its path."""

    def make(text: str = STUDY, name: str = "tiny") -> Path:
        folder = tmp_path / "studies" / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "study.toml").write_text(text)
        return folder / "study.toml"

    return make
