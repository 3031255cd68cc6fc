"""Walking through a folder: every image file in it, and what is no image, or must not be opened.

Hidden names and what systems leave behind are passed over, links are followed, loops are noticed, and special
files are never opened. What the folders mean is for ``tree``.
"""

import os
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from itertools import count
from pathlib import Path
from typing import NamedTuple

from regnetlab.errors import InputError
from regnetlab.files import open_foreign

_CLUTTER = {"__macosx", "thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "__pycache__", "@eadir"} | {
    "$recycle.bin",
    "system volume information",
    "lost+found",
    "#recycle",
    "@recycle",
    "#snapshot",
}
_READ = (
    *("JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "AVIF", "CUR", "DCX", "DDS", "DIB", "FITS", "FLI", "HEIF"),
    *("ICNS", "ICO", "JPEG2000", "MPO", "PCX", "PPM", "PSD", "QOI", "SGI", "SUN", "TGA", "XBM", "XPM"),
)
"""Formats that are read, tried in this order: of pixels, and decoded without another program (as EPS is)."""
_MAGIC = re.compile(
    rb"\xff\xd8\xff|\x89PNG\r\n\x1a\n|GIF8[79]a|BM....\0\0\0\0|RIFF....WEBP|II\*\0|MM\0\*", re.DOTALL
)
# fmt: off
UNDECODABLE = frozenset((
    ".heic", ".heif", ".jxl", ".svg", ".svgz", ".eps", ".ps", ".ai", ".cdr", ".xcf", ".wmf", ".emf",
    ".raw", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".rw2", ".raf",
))
"""Endings of images that can't be decoded: such a file is unreadable, not something beside the images."""
_OTHERS = frozenset((
    ".txt", ".csv", ".tsv", ".json", ".xml", ".yaml", ".yml", ".toml", ".md", ".html", ".htm", ".pdf", ".py",
    ".ipynb", ".npy", ".npz", ".mat", ".pkl", ".pt", ".h5", ".hdf5", ".zip", ".tar", ".gz", ".mp4", ".avi",
    ".mov", ".webm", ".mpg", ".mpeg", ".wav", ".mp3", ".log", ".ini", ".cfg", ".db", ".sqlite", ".doc",
    ".docx", ".xls", ".xlsx",
))
# fmt: on
_BACKUPS = (".bak", ".orig", ".old", ".tmp", ".temp", ".part", ".crdownload", ".download", "_original", "~")
_KINDS = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
_DEEPEST = 64
_MOST_FOLDERS = 200_000  # links that lead to each other multiply
HIDDEN = "hidden, or left by the system"
"""Why names such as .DS_Store and __MACOSX are passed over."""


@dataclass(frozen=True, slots=True)
class Skipped:
    """Something in the folder that is not read, and why."""

    path: str
    reason: str


class Found(NamedTuple):
    """A file that is taken for an image, and what tells that it or its content is another one.

    ``state`` are inode, bytes, and the times of the last change of the content and of the file itself; empty
    for a link that leads nowhere.
    """

    path: str
    state: tuple[int, ...] = ()

    @property
    def size(self) -> int:
        return self.state[1] if self.state else 0


@dataclass(slots=True)
class Folder:
    """A folder as it was found; ``images`` are the files right inside."""

    path: str
    name: str
    folders: list["Folder"] = field(default_factory=list)
    images: list[Found] = field(default_factory=list)

    def below(self) -> Iterator[str]:
        """The paths of all images in it."""
        yield from (each.path for each in self.images)
        for inner in self.folders:
            yield from inner.below()

    @property
    def full(self) -> list["Folder"]:
        """The folders in it that hold an image somewhere."""
        return [each for each in self.folders if each.count]

    @property
    def count(self) -> int:
        """Images in it, however deep."""
        return len(self.images) + sum(each.count for each in self.folders)

    def all_images(self) -> Iterator[Found]:
        yield from self.images
        for each in self.folders:
            yield from each.all_images()


def holds_classes(root: Path) -> bool:
    """Whether this looks like a folder of images, after a short look: two folders with images side by side,
    up to three folders down.
    """
    level = [os.fspath(root)]
    for _ in range(4):
        below: list[str] = []
        for folder in level:
            visible = _visible_folders(folder)
            if sum(_shows_images(each) for each in visible) >= 2:
                return True
            below += visible
        level = below[:64]
    return False


@cache
def image_formats() -> tuple[str, ...]:
    """The formats that are read and that this Pillow knows."""
    from PIL import Image

    Image.init()
    return tuple(each for each in _READ if each in Image.OPEN)


@cache
def _endings() -> Mapping[str, str]:
    """Format by the ending of a file's name, in lower case."""
    from PIL import Image

    Image.init()
    endings = {ending.lower(): format for ending, format in Image.registered_extensions().items()}
    return endings | {".mpo": "JPEG"}  # several JPEGs in one file, opened as a JPEG


def walk(root: Path) -> tuple[Folder, list[Skipped]]:
    """Everything below ``root``, and what is left out there; raises ``InputError`` for what can't be read."""
    skipped: list[Skipped] = []
    return _walk(root, "", "", {}, skipped, count(1)), skipped


def _walk(
    root: Path,
    path: str,
    name: str,
    above: Mapping[tuple[int, int], str],
    out: list[Skipped],
    counter: Iterator[int],
) -> Folder:
    """Everything below one folder; ``above`` are the folders that it lies in, by device and inode."""
    here = root / path
    if next(counter) > _MOST_FOLDERS:
        raise InputError(f"{root} has more than {_MOST_FOLDERS:,} folders", "do links lead around in it?")
    folder = Folder(path, name)
    try:
        entries = sorted(os.scandir(here), key=lambda each: each.name)
        info = here.stat()
    except OSError as error:
        raise InputError(f"{here} can't be read: {error.strerror or error}") from error
    within = {**above, (info.st_dev, info.st_ino): path or "."}
    for entry in entries:
        below = f"{path}/{entry.name}" if path else entry.name
        if _hidden(entry.name):
            out.append(Skipped(below, HIDDEN))
            continue
        try:
            info = entry.stat()
        except OSError as error:  # a link to nothing, or to itself
            if _is_image_name(entry.name):
                folder.images.append(Found(below))  # reported with the files that can't be read
            else:
                out.append(Skipped(below, f"can't be looked at: {error.strerror or error}"))
            continue
        if stat.S_ISDIR(info.st_mode):
            if (info.st_dev, info.st_ino) in within:
                out.append(Skipped(below, "a link to a folder that it lies in"))
            elif len(within) >= _DEEPEST:
                out.append(Skipped(below, f"more than {_DEEPEST} folders deep"))
            else:
                folder.folders.append(_walk(root, below, entry.name, within, out, counter))
        elif not stat.S_ISREG(info.st_mode):
            kind = _KINDS.get(stat.S_IFMT(info.st_mode), "a special file")
            out.append(Skipped(below, f"{kind}, which is never opened"))
        elif reason := _no_image(entry):
            out.append(Skipped(below, reason))
        else:
            state = (info.st_ino, info.st_size, info.st_mtime_ns, info.st_ctime_ns)
            folder.images.append(Found(below, state))
    return folder


def _hidden(name: str) -> bool:
    return name.startswith(".") or name.casefold() in _CLUTTER


def _is_image_name(name: str) -> bool:
    """Whether the ending is an image's, also one that can't be decoded."""
    ending = _ending(name)
    return _endings().get(ending) in image_formats() or ending in UNDECODABLE


def _ending(name: str) -> str:
    """What stands behind the last dot, with the dot, in lower case; nothing without one."""
    stem, dot, ending = name.rpartition(".")
    return dot + ending.lower() if stem else ""


def _no_image(entry: "os.DirEntry[str]") -> str:
    """Why this regular file is not read as an image; nothing where it is.

    The name's ending decides, and where that says nothing, the file's first bytes: downloads are called
    ``photo.jpg_large``, or have no ending.
    """
    ending = _ending(entry.name)
    if _is_image_name(entry.name):
        return ""
    if entry.name.endswith(_BACKUPS):
        return f"a copy that a program left, by its name ({ending})"
    if ending in _OTHERS:
        return f"no image by its ending {ending}"
    try:
        with open_foreign(Path(entry.path)) as file:
            image = _MAGIC.match(file.read(16))
    except OSError as error:
        return f"can't be read: {error.strerror or error}"
    except InputError:
        return "no regular file"
    return "" if image else f"no image by its content{f', ending {ending}' if ending else ', and no ending'}"


def _visible_folders(folder: str) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return sorted(each.path for each in entries if not _hidden(each.name) and each.is_dir())
    except OSError:  # not there, not a folder, or not ours to read: it holds no class
        return []


def _shows_images(folder: str) -> bool:
    try:
        with os.scandir(folder) as entries:
            return any(_is_image_name(each.name) and not _hidden(each.name) for each in entries)
    except OSError:
        return False
