"""Walking through a folder: every image file in it, and what is no image, or must not be opened.

Hidden names and what systems leave behind are passed over, links are followed, loops are noticed, and special
files are never opened. What the folders mean is for ``tree``.
"""

import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from itertools import count
from pathlib import Path

from regnetlab.errors import InputError

_CLUTTER = {"__macosx", "thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "__pycache__", "@eadir"} | {
    "$recycle.bin",
    "system volume information",
    "lost+found",
}
_FORMATS_NOT_READ = {
    "EPS": "reading it would run another program",
    "MPEG": "it is a film",
    **dict.fromkeys(("BUFR", "GRIB", "HDF5", "WMF"), "Pillow only recognises it"),
}
_USUAL = ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP")
_MAGIC = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF8", b"BM", b"RIFF", b"II*\0", b"MM\0*")
_KINDS = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
_DEEPEST = 64
_MOST_FOLDERS = 1_000_000  # links that lead to each other multiply
HIDDEN = "hidden, or left by the system"
"""Why names such as .DS_Store and __MACOSX are passed over."""


@dataclass(frozen=True, slots=True)
class Skipped:
    """Something in the folder that is not read, and why."""

    path: str
    reason: str


@dataclass(slots=True)
class Folder:
    """A folder as it was found; ``images`` are (path, bytes, mtime) of the files right inside."""

    path: str
    name: str
    folders: list["Folder"] = field(default_factory=list)
    images: list[tuple[str, int, int]] = field(default_factory=list)

    @property
    def full(self) -> list["Folder"]:
        """The folders in it that hold an image somewhere."""
        return [each for each in self.folders if each.count]

    @property
    def count(self) -> int:
        """Images in it, however deep."""
        return len(self.images) + sum(each.count for each in self.folders)

    def all_images(self) -> Iterator[tuple[str, int, int]]:
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
    """Pillow's formats that are read: all but those that need another program or can't be decoded."""
    from PIL import Image

    Image.init()
    others = sorted(Image.OPEN.keys() - _FORMATS_NOT_READ.keys() - set(_USUAL))
    return (*_USUAL, *others)  # tried in this order


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
        raise InputError(f"{root} has more than {_MOST_FOLDERS:,} folders; do links lead around in it?")
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
        except FileNotFoundError:
            if entry.is_symlink() and _is_image_name(entry.name):
                folder.images.append((below, -1, -1))  # reported with the files that can't be read
            else:
                out.append(Skipped(below, "a link that leads nowhere"))
            continue
        except OSError as error:  # ELOOP: a link to itself
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
            folder.images.append((below, info.st_size, info.st_mtime_ns))
    return folder


def _hidden(name: str) -> bool:
    return name.startswith(".") or name.casefold() in _CLUTTER


def _is_image_name(name: str) -> bool:
    return _endings().get(_ending(name)) in image_formats()


def _ending(name: str) -> str:
    """What stands behind the last dot, with the dot, in lower case; nothing without one."""
    stem, dot, ending = name.rpartition(".")
    return dot + ending.lower() if stem else ""


def _no_image(entry: "os.DirEntry[str]") -> str:
    """Why this regular file is not read as an image; nothing where it is.

    The name's ending decides, and without an ending the file's first bytes: downloads often have none.
    """
    ending = _ending(entry.name)
    if not ending:
        try:
            with Path(entry.path).open("rb") as file:
                return "" if file.read(8).startswith(_MAGIC) else "no image by its content, and no ending"
        except OSError as error:
            return f"can't be read: {error.strerror or error}"
    format = _endings().get(ending)
    if format in image_formats():
        return ""
    why = f": {_FORMATS_NOT_READ[format]}" if format in _FORMATS_NOT_READ else ""
    return f"no image by its ending {ending}{why}"


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
