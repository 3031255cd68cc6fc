"""Published data sets by name: looking for their files on this machine, and fetching them where none are."""

import os
import sys
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path

from regnetlab.errors import InputError
from regnetlab.files import cache_folder
from regnetlab.training.folders.walk import holds_classes
from regnetlab.training.sources.parts import Parts


@dataclass(frozen=True, slots=True)
class Published:
    """A data set that has a name: how its files are recognised, read and fetched.

    It is in ``places`` below the folder that holds data: the folder itself, the folder that its archive
    unpacks to, the one that torchvision makes. The first place that holds one of ``marks`` is taken.
    ``read`` makes the images of such a place, ``download`` fills one of the places below a folder.
    ``files`` says in words what belongs there. ``package`` is the Debian package that ``installed``
    comes with. ``pickled`` is the folder of a version that is refused because it would need unpickling.
    """

    title: str
    places: tuple[str, ...]
    marks: tuple[str, ...]
    files: str
    read: Callable[[Path], Parts]
    download: Callable[[Path], object]
    installed: Path | None = None
    package: str | None = None
    pickled: str | None = None


def named_folder(data_dir: Path | None) -> Path | None:
    """The folder that the user says holds the data: ``--data-dir``, else ``REGNETLAB_DATA``."""
    return data_dir or (Path(given) if (given := os.environ.get("REGNETLAB_DATA")) else None)


def find(name: str, known: Mapping[str, Published], data_dir: Path | None = None) -> Path:
    """The folder with the files of ``known[name]``; downloads them where none has and none is named.

    Raises ``InputError`` where a folder is named and has them not, or the download fails.
    """
    wanted = known[name]
    chosen = named_folder(data_dir)
    cache = cache_folder()
    if chosen is not None:
        if (folder := place(name, known, chosen)) is not None:
            return folder
        raise _missing(wanted, chosen)
    if wanted.installed is not None and _has(wanted, wanted.installed):
        return wanted.installed
    if (folder := place(name, known, cache)) is not None:
        return folder
    try:
        with redirect_stdout(sys.stderr):  # stdout is the answer's
            wanted.download(cache)
    except Exception as error:
        install = f"on Debian or Ubuntu: apt-get install {wanted.package}; elsewhere " * bool(wanted.package)
        raise InputError(
            f"{wanted.title} is not on this machine and could not be downloaded ({type(error).__name__})",
            f"{install}put {wanted.files} into a folder and name it with --data-dir or REGNETLAB_DATA",
        ) from error
    if (folder := place(name, known, cache)) is None:
        raise InputError(
            f"{wanted.title} was downloaded to {cache} and is not there", "remove that and try again"
        )
    return folder


def place(name: str, known: Mapping[str, Published], root: Path) -> Path | None:
    """Where below ``root`` the files of ``known[name]`` are, if they are.

    MNIST and its likes give their files the same names, so a folder that is called as one of them is
    never taken for another.
    """
    wanted = known[name]
    others = {_plain(each) for each, other in known.items() if each != name and other.marks == wanted.marks}
    for folder in (root / each for each in wanted.places):
        real = folder.resolve()
        called = real.parent if real.name == "raw" else real
        if _plain(called.name) not in others and _has(wanted, folder):
            return folder
    return None


def _plain(name: str) -> str:
    return name.casefold().replace("-", "").replace("_", "")


def _has(wanted: Published, folder: Path) -> bool:
    return any((folder / mark).is_file() for mark in wanted.marks)


def _missing(wanted: Published, chosen: Path) -> InputError:
    """Why there is no such data set in the folder that was named, and how to fix it."""
    if wanted.pickled is not None:
        for folder in (chosen, chosen / wanted.pickled):
            if folder.name == wanted.pickled and folder.is_dir():
                return InputError(
                    f"{folder} is the Python version of {wanted.title}: pickles, which can run code"
                    " and are never loaded here",
                    f"put {wanted.files} beside it",
                )
    if holds_classes(chosen):
        return InputError(
            f"no {wanted.title} in {chosen}, which holds a folder of images per class",
            'for these say --data folder, or data = "folder" in the study file',
        )
    return InputError(
        f"no {wanted.title} in {chosen}",
        f"put {wanted.files} there, or unset --data-dir and REGNETLAB_DATA to look elsewhere",
    )
