"""Reading a folder of images: looked through, surveyed, decoded once by all cores, kept in the cache."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from regnetlab.errors import InputError
from regnetlab.files import cache_folder
from regnetlab.spaces.template import Template
from regnetlab.training.cores import on_all_cores
from regnetlab.training.folders.cache import Arrays, Entry
from regnetlab.training.folders.decode import Reading, UnreadableError, pixels, quiet
from regnetlab.training.folders.listener import Listener
from regnetlab.training.folders.splits import grouped, held_out
from regnetlab.training.folders.survey import Survey, look_at, survey_of, surveyed, without
from regnetlab.training.folders.tree import SPLITS, TRAIN, ImageFile, Tree, look_through
from regnetlab.training.folders.walk import Skipped
from regnetlab.training.sources.parts import Split, levels_of

_NAMED = 20  # unreadable files in an error
_VERSION = 1
"""Of everything between files and pixels: another number makes older entries of the cache useless."""


@dataclass(frozen=True, slots=True)
class FolderImages:
    """A folder's images, ready to train on; ``levels`` as in ``DataSet``."""

    splits: Mapping[str, Split]
    checksum: str
    levels: NDArray[np.int64]
    survey: Survey


def survey_folder(name: str, root: Path, reading: Reading, listener: Listener) -> Survey:
    """What the folder holds, from headers alone; files whose headers can't be read are listed apart."""
    tree = look_through(name, root)
    groups = grouped(name, tree, reading)
    headers = look_at(tree, listener)
    readable = without_unreadable(name, tree, headers.unreadable)
    layout = held_out(name, readable, reading, groups)
    return surveyed(readable, layout, headers, headers.unreadable, reading, groups)


def read_folder(
    name: str, root: Path, template: Template, reading: Reading, listener: Listener
) -> FolderImages:
    """The images below ``root`` in the template's size and channels; the data's ``name`` is for errors.

    What has no split folder is held out (``splits``). Raises ``InputError`` that names every file that can't
    be read, unless they are to be skipped.
    """
    if template.channels not in (1, 3):
        raise InputError(
            f"image folders have 1 or 3 channels, the template {template.channels}",
            f'write input = "3x{template.height}x{template.width}"',
        )
    tree = look_through(name, root)
    entry = _entry(tree, template, reading)
    if (known := entry.load()) is not None:
        arrays, header = known
        survey = replace(survey_of(header["survey"]), skipped=tree.skipped)
        if survey.unreadable and not reading.skip_unreadable:
            raise unreadable_error(name, root, len(tree), survey.unreadable)
        levels = np.array(header["levels"], np.int64)
        return FolderImages(_parts(arrays, survey), header["checksum"], levels, survey)
    groups = grouped(name, tree, reading)
    headers = look_at(tree, listener)
    unreadable = list(headers.unreadable)
    while True:
        try:
            readable = without_unreadable(name, tree, unreadable)
        except InputError:
            if reading.skip_unreadable:
                raise
            raise unreadable_error(name, root, len(tree), unreadable) from None
        layout = held_out(name, readable, reading, groups)
        files = [file for split in SPLITS for file in layout[split]]
        arrays, worse = _decoded(root, files, template, reading, listener)
        unreadable += worse
        if unreadable and not reading.skip_unreadable:
            raise unreadable_error(name, root, len(tree), unreadable)
        if not worse:
            break
    survey = surveyed(readable, layout, headers, unreadable, reading, groups)
    checksum, levels = arrays.checksum(), levels_of(arrays.images[: len(layout[TRAIN])])
    kept = {"survey": survey.to_json(), "checksum": checksum, "levels": levels.tolist()}
    if entry.save(arrays, kept):
        del arrays  # before the file is mapped: one copy in memory
        if (saved := entry.load()) is not None:
            return FolderImages(_parts(saved[0], survey), checksum, levels, survey)
        arrays, _ = _decoded(root, files, template, reading, listener)  # deleted meanwhile
    else:
        listener.note(f"{cache_folder()} can't be written: every process decodes the images by itself")
    return FolderImages(_parts(arrays, survey), checksum, levels, survey)


def _entry(tree: Tree, template: Template, reading: Reading) -> Entry:
    from PIL import __version__ as pillow

    files = [(split, file.path, file.state) for split, files in tree.splits.items() for file in files]
    of = [
        str(tree.root.resolve()),
        [template.channels, template.height, template.width],
        [reading.fit, reading.colour],
        *([reading.splitting] if reading.splitting != ("random",) else []),
    ]
    return Entry(of, [_VERSION, pillow, of, tree.classes, files])


def _parts(arrays: Arrays, survey: Survey) -> dict[str, Split]:
    parts, at = {}, 0
    for split in SPLITS:
        n = sum(survey.counts[split])
        parts[split] = Split(arrays.images[at : at + n], arrays.labels[at : at + n])
        at += n
    return parts


def _decoded(
    root: Path, files: Sequence[ImageFile], template: Template, reading: Reading, listener: Listener
) -> tuple[Arrays, list[Skipped]]:
    """The files' images in this order, decoded by all cores, and those that can't be."""
    shape = (template.channels, template.height, template.width)
    size, there = len(files) * int(np.prod(shape)), os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if size > there * 0.8:  # Linux would give it, and end the process when it is used
        raise InputError(
            f"{len(files):,} images at {template.input} take {size / 1e9:,.1f} GB, and this machine has"
            f" {there / 1e9:,.1f} GB",
            "use a smaller input",
        )
    images = np.empty((len(files), *shape), np.uint8)

    def decode(at: int) -> Skipped | None:
        try:
            images[at] = pixels(root / files[at].path, *shape, reading)
        except UnreadableError as error:
            return Skipped(files[at].path, str(error))
        return None

    worse = []
    with quiet():
        for done, failed in enumerate(on_all_cores(decode, range(len(files))), start=1):
            worse += [failed] if failed else []
            listener.progress("decoding", done, len(files))
    return Arrays(images, np.array([file.label for file in files], np.int64)), worse


def without_unreadable(name: str, tree: Tree, unreadable: Sequence[Skipped]) -> Tree:
    """The tree without files that can't be read; raises ``InputError`` where that leaves a class empty."""
    left = without(tree, (each.path for each in unreadable))
    for split, files in left.splits.items():
        if empty := set(range(len(tree.classes))) - {file.label for file in files}:
            raise InputError(
                f"data {name!r}: of class {tree.classes[min(empty)]!r} in {split} no image can be read"
                f" ({unreadable[0].path}: {unreadable[0].reason})",
                "replace its images, or remove the class",
            )
    return left


def unreadable_error(name: str, root: Path, images: int, unreadable: Sequence[Skipped]) -> InputError:
    """The error that names the files that can't be read."""
    ordered = sorted(unreadable, key=lambda each: each.path)
    named = "; ".join(f"{each.path} ({each.reason})" for each in ordered[:_NAMED])
    more = f"; and {len(ordered) - _NAMED:,} more" if len(ordered) > _NAMED else ""
    return InputError(
        f"data {name!r}: {len(ordered):,} of {images:,} images in {root} can't be read: {named}{more}",
        "replace or remove them, or go on without them: --skip-unreadable, or in a study file"
        " skip_unreadable = true",
    )
