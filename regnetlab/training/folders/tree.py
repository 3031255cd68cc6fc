"""What lies in a folder of images: splits, classes, files, and what is left out. Nothing is decoded here.

A folder of images holds one folder per class, or split folders (``train``, ``valid``, ``test``) of such.
Archives and tools leave their traces: doubled folders, hidden files, links, files that are no images. What is
left out is said with its reason, and a layout that could mean two things is refused.
"""

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from regnetlab.errors import InputError
from regnetlab.training.folders.walk import Folder, Found, Skipped, walk

TRAIN, VALIDATION, TEST = "train", "validation", "test"
SPLITS = (TRAIN, VALIDATION, TEST)

_ROLES = {
    **dict.fromkeys(("train", "training"), TRAIN),
    **dict.fromkeys(("val", "valid", "validation"), VALIDATION),
    **dict.fromkeys(("test", "testing"), TEST),
}
_FILLERS = ("set", "split", "dataset", "data", "images", "imgs", "img", "image", "folder", "dir")
"""Words that may follow a split's: ``training_set``, ``testdata``."""
_UNLABELLED = {"pred", "predict", "prediction", "predictions", "unlabeled", "unlabelled", "inference"}


@dataclass(frozen=True, slots=True)
class ImageFile:
    """One image: its path below the root with slashes, its class, and what tells that it has changed."""

    path: str
    label: int
    size: int
    state: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Tree:
    """The images below ``root``, by split; ``classes`` by label.

    ``splits`` has the splits that are folders of their own, in the order of ``SPLITS``. Without any it has
    ``train`` alone, from which the others are held out.
    """

    root: Path
    classes: tuple[str, ...]
    splits: Mapping[str, tuple[ImageFile, ...]]
    skipped: tuple[Skipped, ...]

    def __len__(self) -> int:
        return sum(map(len, self.splits.values()))

    def files(self) -> Iterator[ImageFile]:
        for files in self.splits.values():
            yield from files


def look_through(name: str, root: Path) -> Tree:
    """The images below ``root``; the data's ``name`` is for errors.

    Raises ``InputError`` that names the folders where there are no classes or the layout is ambiguous.
    """
    if not root.is_dir():
        raise InputError(
            f"data {name!r}: {root} is not a folder",
            "give the path of a folder that has a folder of images for each class",
        )
    top, skipped = walk(root)
    try:
        classes, parts = _splits(top, skipped)
    except InputError as error:
        raise InputError(f"data {name!r}: in {root}, {error.what}", error.hint) from None
    labels = {each: label for label, each in enumerate(classes)}
    splits = {
        split: tuple(
            ImageFile(found.path, labels[kind], found.size, found.state)
            for kind in classes
            for found in sorted(parts[split][kind].all_images(), key=_in_order)
        )
        for split in SPLITS
        if split in parts
    }
    return Tree(root, classes, splits, tuple(sorted(skipped, key=lambda each: each.path)))


def _splits(root: Folder, out: list[Skipped]) -> tuple[tuple[str, ...], dict[str, dict[str, Folder]]]:
    """Class names, and by split the folder of each class."""
    top = _unwrapped(root, out)
    if (role := _ROLES.get(top.name.casefold())) not in (None, TRAIN):
        raise InputError(
            f"{top.path} is the {role} split by its name, and there is none for training beside it",
            f"add one, or name {top.path} itself",
        )
    roles = {each.path: role for each in top.full if (role := _role(each.name))}
    _check_mixed(top)
    if not roles or _are_classes(top, roles):
        return _sole(top, out)
    parts = _by_role(top, roles, out)
    kinds = {
        split: _classes(_unwrapped(folder, out), out, least=2 if split == TRAIN else 1)
        for split, folder in parts.items()
    }
    classes = tuple(sorted(kinds[TRAIN]))
    for split, found in kinds.items():
        missing, more = sorted(kinds[TRAIN].keys() - found), sorted(found.keys() - kinds[TRAIN])
        if missing or more:
            raise InputError(
                f"{parts[TRAIN].path} and {parts[split].path} have different classes: "
                + " and ".join(filter(None, (_only(missing, parts[TRAIN]), _only(more, parts[split])))),
                "give every split every class, or take the split folder away",
            )
    return classes, kinds


def _check_mixed(top: Folder) -> None:
    """Raise ``InputError`` where names tell split and class at once: ``train_cat``, ``test_cat``."""
    names = [each.name for each in top.full]
    for place in (0, -1):
        roles = [_ROLES.get(words[place]) for name in names if len(words := _words(name)) > 1]
        if names and all(map(_flat, top.full)) and roles.count(TRAIN) > 1 and set(roles) - {TRAIN, None}:
            raise InputError(
                f"the names {_named(names)} tell split and class at once",
                "sort them into folders of splits, as in train/cat and test/cat",
            )


def _sole(top: Folder, out: list[Skipped]) -> tuple[tuple[str, ...], dict[str, dict[str, Folder]]]:
    kinds = _classes(top, out)
    return tuple(sorted(kinds)), {TRAIN: kinds}


def _only(names: Sequence[str], folder: Folder) -> str:
    return f"only {folder.path} has {_named(names)}" if names else ""


def _unwrapped(folder: Folder, out: list[Skipped]) -> Folder:
    """The folder inside folders that hold nothing else, as archives leave them: ``seg_train/seg_train``."""
    while len(folder.full) == 1 and not folder.full[0].images and folder.full[0].full:
        _leave_out(folder, [each for each in folder.folders if not each.count], out)
        folder = folder.full[0]
    return folder


def _innermost(folder: Folder) -> Folder:
    """The folder that holds the images of a class, which may be doubled too: ``cat/cat/1.png``."""
    while not folder.images and len(folder.full) == 1:
        folder = folder.full[0]
    return folder


def _flat(folder: Folder) -> bool:
    """Whether its images lie in no folders of classes; it may be doubled: ``seg_pred/seg_pred/1.png``."""
    while [each.name for each in folder.full] == [folder.name] and not folder.images:
        folder = folder.full[0]
    return not folder.full


def _leave_out(folder: Folder, others: Sequence[Folder], out: list[Skipped]) -> None:
    """Say that images beside folders, and folders without an image, are not read."""
    out += [Skipped(each.path, "lies beside the folders of classes") for each in folder.images]
    out += [Skipped(each.path, "a folder without an image") for each in others]


def _role(name: str) -> str | None:
    """The split that a folder of this name holds: ``Training``, ``seg_train``, ``test-set``, ``val2017``."""
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", unicodedata.normalize("NFC", name))
    words = _words(spaced)
    while len(words) > 1 and words[-1] in _FILLERS:
        words.pop()
    last = words[-1] if words else ""
    return next((_ROLES[word] for word in (last, *map(last.removesuffix, _FILLERS)) if word in _ROLES), None)


def _words(name: str) -> list[str]:
    return [word for word in re.split(r"[\W\d_]+", name.casefold()) if word]


def _are_classes(top: Folder, roles: Mapping[str, str]) -> bool:
    """Whether folders with names of splits are classes after all: a train beside a bus and a car.

    Nothing in them may look like splits: no folder holds folders, at most one is called just ``train``, and
    one that ends in test or val stands alone (``blood_test``).
    """
    flat = len(top.full) > 1 and all(map(_flat, top.full))
    exact = [each.name for each in top.full if each.name.casefold() in _ROLES]
    trains = set(roles.values()) == {TRAIN} and len(exact) <= 1
    return flat and (trains or (len(roles) == 1 and not exact))


def _by_role(top: Folder, roles: Mapping[str, str], out: list[Skipped]) -> dict[str, Folder]:
    """The folder of each split; raises ``InputError`` where it is not clear which that is."""
    parts: dict[str, Folder] = {}
    for each in top.full:
        role = roles.get(each.path)
        flat = _flat(each)
        if role is None and flat and _UNLABELLED.intersection(_words(each.name)):
            out.append(Skipped(each.path, f"{each.count:,} images without classes"))
        elif role is None:
            raise InputError(
                f"{_named(sorted(roles))} {'are splits' if len(roles) > 1 else 'is a split'} by the name,"
                f" and {each.path} ({each.count:,} images) beside is none",
                "move it away, or rename it train, valid or test",
            )
        elif role in parts:
            raise InputError(
                f"{parts[role].path} and {each.path} are both called as the {role} split", "keep one of them"
            )
        elif flat and role != TRAIN:
            out.append(Skipped(each.path, f"{each.count:,} images without classes"))
        elif flat:
            raise InputError(
                f"{each.path} holds {each.count:,} images and no folder per class", "sort them into folders"
            )
        else:
            parts[role] = each
    if TRAIN not in parts:
        raise InputError(
            f"{_named(sorted(roles))} are splits by the name, and none is for training", "add train"
        )
    _leave_out(top, [each for each in top.folders if not each.count], out)
    return {split: parts[split] for split in SPLITS if split in parts}


def _classes(folder: Folder, out: list[Skipped], least: int = 2) -> dict[str, Folder]:
    """The folder of each class, by its name in composed Unicode; ``least`` so many."""
    where = folder.path or "it"
    if len(folder.folders) < least:
        there = _named([each.name for each in folder.folders]) or "none"
        raise InputError(
            f"{where} needs a folder per class, two at least, and has {there}"
            + (f" beside {len(folder.images):,} images" if folder.images else "")
            + _endings_hint(out, folder.path),
            "sort the images into folders, one per class",
        )
    classes: dict[str, Folder] = {}
    for each in folder.folders:
        if not each.count:
            raise InputError(
                f"{each.path} holds no image{_endings_hint(out, each.path)}", "fill it or take it away"
            )
        inner = _innermost(each)
        if not inner.images:
            names = [below.name for below in inner.full]
            within, split = _named(names), any(map(_role, names))
            if {*names} & {other.name for other in folder.full if other is not each}:
                raise InputError(
                    f"{inner.path} holds classes that are beside it too ({within})", "remove one"
                )
            raise InputError(
                f"{inner.path} holds folders ({within}) and no image of its own, so that it is no class",
                f"put the splits above the classes: train/{each.name}"
                if split
                else f"give each class one folder: {inner.full[0].name}",
            )
        if splits := [below.path for below in inner.full if below.name.casefold() in _ROLES]:
            raise InputError(
                f"{splits[0]} is called as a split and lies inside the class {each.name}",
                f"put the splits above the classes (train/{each.name}), or rename it",
            )
        name = unicodedata.normalize("NFC", each.name)
        if name in classes:
            raise InputError(
                f"two folders are called {name!r}, in different Unicode characters", "keep one of them"
            )
        classes[name] = each
    _leave_out(folder, [], out)
    return classes


def _endings_hint(out: Sequence[Skipped], path: str) -> str:
    """What lies there instead of images, if anything."""
    inside = [each for each in out if not path or each.path.startswith(f"{path}/")]
    if not inside:
        return ""
    return (
        f" (there: {inside[0].path}, {inside[0].reason}{f', and {len(inside) - 1} more' * (len(inside) > 1)})"
    )


def _named(names: Sequence[str], most: int = 5) -> str:
    shown = ", ".join(names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown


def _in_order(found: Found) -> list[str]:
    return found.path.split("/")
