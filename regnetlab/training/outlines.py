"""Stand-in for ``datasets.outline``."""

from dataclasses import dataclass
from pathlib import Path

from regnetlab.spaces.template import SMALL
from regnetlab.training.datasets import load_data


@dataclass(frozen=True)
class Outline:
    name: str
    classes: tuple[str, ...]
    train: int
    validation: int
    test: int
    channels: int
    height: int
    width: int


def outline(name: str, data_dir: Path | None = None) -> Outline:
    found = load_data(name, SMALL.changed("3x64x64"), data_dir)
    c, h, w = found.train.images.shape[1:]
    return Outline(name, found.classes, len(found.train), len(found.validation), len(found.test), c, h, w)
