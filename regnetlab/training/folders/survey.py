"""What a folder of images holds: counts, sizes, modes, files that are equal, what is left out."""

import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from regnetlab.files import open_foreign
from regnetlab.training.cores import on_all_cores
from regnetlab.training.folders.decode import Facts, Reading, UnreadableError, facts, quiet
from regnetlab.training.folders.listener import Listener
from regnetlab.training.folders.splits import Groups, groups_by_split, numbered_groups
from regnetlab.training.folders.tree import SPLITS, TEST, TRAIN, VALIDATION, ImageFile, Tree
from regnetlab.training.folders.walk import HIDDEN, Skipped

_TAIL = 4_096  # bytes at a file's end, where files of one size differ if they differ
_PIECE = 2**20
_SHOWN = 4
_RECORDED = 100
_SPLITTINGS = MappingProxyType(
    {
        "random": "a sixth at random",
        "stratified": "a sixth of each class",
        "grouped": "about a sixth of each class in whole groups",
    }
)


@dataclass(frozen=True, slots=True)
class Survey:
    """A folder of images as it was found.

    ``counts`` are images per class, by split; ``held_out`` are the splits that were taken from the training
    images, and ``splitting`` is how: ``random``, ``stratified`` or ``grouped``. ``groups`` of images that
    belong together are counted by split, where there are any; ``alone`` are the images in none.
    ``smallest``, ``median`` and ``largest`` are (width, height), each side by itself. ``modes`` are Pillow's.
    ``duplicates`` are groups of files that are equal byte for byte; ``shared`` of these groups lie in more
    than one split, ``contradicting`` in more than one class. Where there are groups, ``test_groups`` has the
    number of its group for each test image, in their order.
    """

    classes: tuple[str, ...]
    counts: Mapping[str, tuple[int, ...]]
    held_out: tuple[str, ...]
    smallest: tuple[int, int]
    median: tuple[int, int]
    largest: tuple[int, int]
    modes: Mapping[str, int]
    formats: Mapping[str, int]
    turned: int
    animated: int
    transparent: int
    skipped: tuple[Skipped, ...]
    unreadable: tuple[Skipped, ...]
    duplicates: tuple[tuple[str, ...], ...]
    shared: int
    contradicting: int
    splitting: str = "random"
    groups: Mapping[str, int] = field(default_factory=dict)
    alone: int = 0
    test_groups: tuple[int, ...] = ()

    @property
    def images(self) -> int:
        return sum(map(sum, self.counts.values()))

    @property
    def grey(self) -> bool:
        """Whether no image has colours, as far as their modes tell."""
        return all(mode in ("1", "L", "LA", "La") or mode.startswith("I") for mode in self.modes)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def summary(self, name: str) -> dict[str, Any]:
        """What a study records of its images: the lines, and the numbers behind them without long lists."""
        lists = ("skipped", "unreadable", "duplicates", "test_groups")
        numbers = {key: value for key, value in asdict(self).items() if key not in (*lists, "classes")}
        named = {"unreadable": [each.path for each in self.unreadable[:_RECORDED]]}
        lengths = {f"{key}_n": len(getattr(self, key)) for key in lists[:-1]}
        return {"lines": self.lines(name), **numbers, **lengths, **named}

    def lines(self, name: str) -> list[str]:
        """What everyone should know before training: two to five lines."""
        per_class = [sum(each) for each in zip(*self.counts.values(), strict=True)]
        spread = f"{min(per_class):,}" + f" to {max(per_class):,}" * (min(per_class) < max(per_class))
        low, high = ("×".join(map(str, each)) for each in (self.smallest, self.largest))
        sizes = f"{low} px" if low == high else f"{low} to {high} px"
        modes = ", ".join(f"{n:,} {mode}" for mode, n in _most(self.modes))
        lines = [
            f"{name}: {self.images:,} images in {len(self.classes):,} classes ({spread} each),"
            f" {sizes}, {modes}",
            "  " + ", ".join(f"{sum(self.counts[split]):,} {split}" for split in SPLITS) + self._origin(),
        ]
        if self.groups:
            alone = f"; {self.alone:,} image{'s' * (self.alone != 1)} in no group" * bool(self.alone)
            parts = ", ".join(f"{self.groups[split]:,} {split}" for split in SPLITS)
            lines.append(f"  {_groups(sum(self.groups.values()))}: {parts}{alone}")
        if odd := self._oddities():
            lines.append(f"  {odd}")
        if self.duplicates:
            lines.append(f"  {self._doubled()}")
        return lines

    def _origin(self) -> str:
        if not self.held_out:
            return " (the folder's own splits)"
        return f" ({' and '.join(self.held_out)}: {_SPLITTINGS[self.splitting]}, always the same)"

    def _oddities(self) -> str:
        wide = sum(n for mode, n in self.modes.items() if mode.startswith("I"))
        parts = [
            f"unreadable and left out: {len(self.unreadable):,}" * bool(self.unreadable),
            _left_out(self.skipped),
            f"turned by EXIF: {self.turned:,}" * bool(self.turned),
            f"transparent: {self.transparent:,}" * bool(self.transparent),
            f"first frame of animations: {self.animated:,}" * bool(self.animated),
            f"16 bits or more, scaled to 8: {wide:,}" * bool(wide),
            *(f"no {split} image: {_classes(none)}" for split, none in self._missing() if none),
        ]
        return "; ".join(part for part in parts if part)

    def _missing(self) -> list[tuple[str, int]]:
        """How many classes have no image in a split that was held out at random."""
        return [(split, self.counts[split].count(0)) for split in (TRAIN, *self.held_out)]

    def _doubled(self) -> str:
        n = sum(map(len, self.duplicates))
        text = f"equal byte for byte: {n:,} files in {_groups(len(self.duplicates))}"
        text += f", {_groups(self.shared)} in more than one split (errors there are too low)" * bool(
            self.shared
        )
        return text + f", {_groups(self.contradicting)} in more than one class" * bool(self.contradicting)


def survey_of(document: Mapping[str, Any]) -> Survey:
    """The survey that ``to_json`` wrote, also after a way through JSON."""
    values = dict(document)
    for name in ("skipped", "unreadable"):
        values[name] = tuple(Skipped(**each) for each in values[name])
    values["counts"] = {split: tuple(each) for split, each in values["counts"].items()}
    values["duplicates"] = tuple(map(tuple, values["duplicates"]))
    values["test_groups"] = tuple(values.get("test_groups", ()))
    for name in ("classes", "held_out", "smallest", "median", "largest"):
        values[name] = tuple(values[name])
    return Survey(**values)


@dataclass(frozen=True, slots=True)
class Headers:
    """By path what each file says of itself, and the files whose headers can't be read."""

    facts: Mapping[str, Facts]
    unreadable: tuple[Skipped, ...]
    duplicates: tuple[tuple[str, ...], ...]


def look_at(tree: Tree, listener: Listener) -> Headers:
    """Read every file's header, on all cores, and find files that are equal."""
    files = list(tree.files())
    found: dict[str, Facts] = {}
    unreadable: list[Skipped] = []

    def look(file: ImageFile) -> Facts | Skipped:
        try:
            return facts(tree.root / file.path)
        except UnreadableError as error:
            return Skipped(file.path, str(error))

    with quiet():
        for done, (file, seen) in enumerate(zip(files, on_all_cores(look, files), strict=True), start=1):
            if isinstance(seen, Skipped):
                unreadable.append(seen)
            else:
                found[file.path] = seen
            listener.progress("looking at", done, len(files))
    readable = [file for file in files if file.path in found]
    return Headers(found, tuple(unreadable), _equal(tree.root, readable))


def surveyed(
    tree: Tree,
    layout: Mapping[str, Sequence[ImageFile]],
    headers: Headers,
    unreadable: Sequence[Skipped],
    reading: Reading,
    groups: Groups,
) -> Survey:
    """The survey of the files in ``layout``, the splits as they are trained on."""
    split_of = {file.path: split for split, files in layout.items() for file in files}
    label_of = {file.path: file.label for files in layout.values() for file in files}
    seen = [headers.facts[path] for path in split_of]
    widths, heights = (sorted(getattr(each, side) for each in seen) for side in ("width", "height"))
    equal = [tuple(path for path in each if path in split_of) for each in headers.duplicates]
    equal = [each for each in equal if len(each) > 1]
    return Survey(
        classes=tree.classes,
        counts={split: _per_class(files, len(tree.classes)) for split, files in layout.items()},
        held_out=tuple(split for split in (VALIDATION, TEST) if split not in tree.splits and layout[split]),
        smallest=(widths[0], heights[0]),
        median=(widths[len(widths) // 2], heights[len(heights) // 2]),
        largest=(widths[-1], heights[-1]),
        modes=dict(Counter(each.mode for each in seen).most_common()),
        formats=dict(Counter(each.format for each in seen).most_common()),
        turned=sum(each.turned for each in seen),
        animated=sum(each.animated for each in seen),
        transparent=sum(each.transparent for each in seen),
        skipped=tree.skipped,
        unreadable=tuple(unreadable),
        duplicates=tuple(equal),
        shared=sum(len({split_of[path] for path in each}) > 1 for each in equal),
        contradicting=sum(len({label_of[path] for path in each}) > 1 for each in equal),
        splitting=reading.splitting[0],
        groups=groups_by_split(layout, groups),
        test_groups=numbered_groups(layout[TEST], groups),
        alone=sum(path in groups and groups[path] is None for path in split_of),
    )


def without(tree: Tree, paths: Iterable[str]) -> Tree:
    """The tree without these files."""
    gone = set(paths)
    splits = {
        split: tuple(file for file in files if file.path not in gone) for split, files in tree.splits.items()
    }
    return replace(tree, splits=splits)


def _per_class(files: Sequence[ImageFile], classes: int) -> tuple[int, ...]:
    counts = Counter(file.label for file in files)
    return tuple(counts[label] for label in range(classes))


def _equal(root: Path, files: Sequence[ImageFile]) -> tuple[tuple[str, ...], ...]:
    """Groups of files with the same bytes: only files of one size and one end are read whole."""
    groups: list[list[ImageFile]] = [list(files)]
    keys = (
        lambda file: file.size,
        lambda file: _tail(root / file.path),
        lambda file: _hash(root / file.path),
    )
    for key in keys:
        finer: list[list[ImageFile]] = []
        flat = [file for group in groups for file in group]
        values = iter(on_all_cores(key, flat))
        for group in groups:
            by_key: dict[Any, list[ImageFile]] = {}
            for file in group:
                by_key.setdefault(next(values), []).append(file)
            finer += [each for each in by_key.values() if len(each) > 1]
        groups = finer
    return tuple(sorted(tuple(sorted(file.path for file in group)) for group in groups))


def _tail(path: Path) -> bytes:
    with open_foreign(path) as file:
        file.seek(max(0, os.fstat(file.fileno()).st_size - _TAIL))
        return hashlib.blake2b(file.read(_TAIL), digest_size=16).digest()


def _hash(path: Path) -> bytes:
    digest = hashlib.blake2b(digest_size=32)
    with open_foreign(path) as file:
        while piece := file.read(_PIECE):
            digest.update(piece)
    return digest.digest()


def _classes(n: int) -> str:
    return f"{n:,} class{'es' * (n != 1)}"


def _groups(n: int) -> str:
    return f"{n:,} group{'s' * (n != 1)}"


def _most(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    """The largest counts, the others together."""
    ordered = sorted(counts.items(), key=lambda each: -each[1])
    more = sum(n for _, n in ordered[_SHOWN:])
    return ordered[:_SHOWN] + [("others", more)] * bool(more)


def _left_out(skipped: Sequence[Skipped]) -> str:
    seen = [each.path for each in skipped if each.reason != HIDDEN]
    hidden = len(skipped) - len(seen)
    names = f"not read: {len(seen):,} ({', '.join(seen[:2])}{', …' * (len(seen) > 2)})" if seen else ""
    return "; ".join(filter(None, (names, f"hidden: {hidden:,}" * bool(hidden))))
