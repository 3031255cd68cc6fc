"""Folders of images: one folder per class, or ``train`` and ``test`` (or ``val``) folders of such."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from regnetlab.errors import InputError
from regnetlab.spaces.template import Template
from regnetlab.training.sources.parts import Parts, Split, random_order

_IMAGE_ENDINGS = {".png", ".jpg", ".jpeg", ".bmp", ".webp", ".ppm", ".pgm", ".tif", ".tiff"}
_WIDE = ("F", "I")  # Pillow's modes of floats and of 16 or 32 bits, which it would clip to 0 … 255
_HELD_OUT = ("test", "val")


def holds_classes(root: Path) -> bool:
    """Whether this looks like a folder of images: two folders or more with images right inside."""
    for folder in (root / "train", root):
        if sum(_shows_images(each) for each in _folders(folder)) >= 2:
            return True
    return False


def read_folder(name: str, root: Path, template: Template) -> Parts:
    """The images below ``root`` in the template's size and channels; the data's ``name`` is for errors.

    Without ``train`` and ``test`` folders a sixth of all images, always the same, is the test split.
    """
    if not root.is_dir():
        raise InputError(f"data {name!r}: {root} is not a folder")
    if (root / "train").is_dir():
        held_out = next((root / each for each in _HELD_OUT if (root / each).is_dir()), None)
        if held_out is None:
            raise InputError(f"data {name!r}: beside {root / 'train'} there must be test or val")
        classes = _classes(root / "train")
        if _classes(held_out) != classes:
            raise InputError(f"data {name!r}: train and {held_out.name} have different classes")
        train, test = (_read_images(each, classes, template) for each in (root / "train", held_out))
        return Parts(classes, train, test)
    classes = _classes(root)
    every = _read_images(root, classes, template)
    order = random_order(len(every))
    cut = max(1, len(every) // 6)
    test, train = (Split(every.images[part], every.labels[part]) for part in (order[:cut], order[cut:]))
    return Parts(classes, train, test)


def _folders(folder: Path) -> Iterator[Path]:
    try:
        yield from (each for each in folder.iterdir() if each.is_dir())
    except OSError:  # not there, not a folder, or not ours to read: it holds no class
        return


def _shows_images(folder: Path) -> bool:
    try:
        return any(each.suffix.lower() in _IMAGE_ENDINGS for each in folder.iterdir())
    except OSError:
        return False


def _classes(folder: Path) -> tuple[str, ...]:
    classes = tuple(sorted(each.name for each in folder.iterdir() if each.is_dir()))
    if len(classes) < 2:
        raise InputError(f"{folder} has {len(classes)} folders; it needs one per class, two at least")
    return classes


def _read_images(folder: Path, classes: tuple[str, ...], template: Template) -> Split:
    from PIL import Image, UnidentifiedImageError

    mode = {1: "L", 3: "RGB"}.get(template.channels)
    if mode is None:
        raise InputError(f"image folders have 1 or 3 channels, the template {template.channels}")
    images, labels = [], []
    for label, kind in enumerate(classes):
        paths = sorted(p for p in (folder / kind).rglob("*") if p.suffix.lower() in _IMAGE_ENDINGS)
        if not paths:
            raise InputError(f"{folder / kind} holds no image ({', '.join(sorted(_IMAGE_ENDINGS))})")
        for path in paths:
            try:
                with Image.open(path) as opened:
                    if opened.mode.startswith(_WIDE):
                        raise InputError(
                            f"{path} has pixels of more than 8 bits or floats (mode {opened.mode}), which"
                            " would be clipped; convert it to 8 bits a channel"
                        )
                    fitted = opened.convert(mode).resize((template.width, template.height))
                    pixels = np.asarray(fitted, np.uint8)
            except (UnidentifiedImageError, OSError, Image.DecompressionBombError) as error:
                raise InputError(f"{path} is no readable image ({error}); mend or remove it") from error
            images.append(pixels[None] if mode == "L" else pixels.transpose(2, 0, 1))
            labels.append(label)
    return Split(np.stack(images), np.array(labels, np.int64))
