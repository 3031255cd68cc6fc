"""Which images of a folder train, which validate and which test, where its own folders do not say so.

A sixth of the training images becomes the test split, a sixth of the others the validation split: at random
(``random``), of each class (``stratified``), or in whole groups of images that belong together
(``group_by``), which come as near to a sixth of each class as they can. It is always the same sixth. Without
``test_split`` no test image is held out.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from regnetlab.errors import InputError
from regnetlab.training.folders.decode import Reading
from regnetlab.training.folders.groups import groups_of
from regnetlab.training.folders.tree import SPLITS, TEST, TRAIN, VALIDATION, ImageFile, Tree
from regnetlab.training.sources.parts import random_order

_SHARE = 6  # one of so many is held out
_SHOWN = 3  # examples in an error
_PART = 4  # one of so many parts of what is held out of a class is what a small group has at most

Groups = Mapping[str, str | None]
"""By an image's path the name of its group; ``None`` for an image that stands alone."""


def grouped(name: str, tree: Tree, reading: Reading) -> Groups:
    """The group of each image, where there are groups; the data's ``name`` is for errors.

    Raises:
        InputError: The folder's own splits have images of one group on both sides.
    """
    if reading.group_by is None:
        return {}
    groups = groups_of(name, reading.group_by, [file.path for file in tree.files()])
    first: dict[str, tuple[str, str]] = {}
    for split, files in tree.splits.items():
        for file in files:
            group = groups[file.path]
            there, path = first.setdefault(group, (split, file.path)) if group is not None else (split, "")
            if there != split:
                raise InputError(
                    f"data {name!r}: {path} and {file.path} are of one group ({group!r}) and lie in the"
                    f" folder's own {there} and {split} splits",
                    "move a group's images into one split, take the split folder away, or change group_by",
                )
    return groups


def held_out(name: str, tree: Tree, reading: Reading, groups: Groups) -> dict[str, list[ImageFile]]:
    """The files of each split, in the order in which they are trained on; missing splits are held out.

    Raises:
        InputError: There are too few images or groups.
    """
    given = {split: list(files) for split, files in tree.splits.items()}
    if not reading.test_split:
        given.setdefault(TEST, [])
    pool = given[TRAIN]
    least = 6 if TEST in given else 7
    if VALIDATION not in given and len(pool) < least:
        raise InputError(
            f"data {name}: {len(pool)} training images are too few to hold any out", f"{least} are the least"
        )
    for split in (TEST, VALIDATION):
        if split == TEST and TEST in given:
            continue
        order = random_order(len(pool)).tolist()
        if split in given:
            judged = given[split]
            given[split] = [judged[i] for i in random_order(len(judged))]
            taken: set[int] = set()
        else:
            left = 1 + (split == TEST and VALIDATION not in given)
            taken = _taken(pool, order, reading, groups, left)
            if not taken:
                raise _too_few(name, pool, groups, left + 1)
            given[split] = [pool[i] for i in order if i in taken]
        pool = [pool[i] for i in order if i not in taken]
    given[TRAIN] = pool
    return given


def _taken(
    pool: Sequence[ImageFile], order: Sequence[int], reading: Reading, groups: Groups, left: int
) -> set[int]:
    """Which images of the pool to hold out for a split; each class keeps ``left`` groups, or images."""
    if reading.splitting[0] == "random":
        return set(order[: max(1, len(pool) // _SHARE)])
    members = _members(pool, groups)
    keys = sorted(members)
    together = [members[keys[i]] for i in random_order(len(keys))]
    chosen = _shared_out([Counter(pool[i].label for i in each) for each in together], left)
    return {i for which in chosen for i in together[which]}


def _members(pool: Sequence[ImageFile], groups: Groups) -> dict[tuple[bool, str], list[int]]:
    """The images of each group by their places; an image that stands alone is a group by itself."""
    members: dict[tuple[bool, str], list[int]] = {}
    for i, file in enumerate(pool):
        group = groups.get(file.path)
        key = (False, file.path) if group is None else (True, group)
        members.setdefault(key, []).append(i)
    return members


def _shared_out(counts: Sequence[Mapping[int, int]], left: int) -> set[int]:
    """Which of these groups, given by their number of images of each class, make up a sixth of each class.

    First those that fit, small ones before large ones, so that no group by itself decides an error; then
    those that bring it nearer to a sixth though one class gets more, at last the smallest of classes that
    have none.
    """
    total: Counter[int] = Counter()
    remaining: Counter[int] = Counter()  # groups with images of the class that are not chosen
    for each in counts:
        total.update(each)
        remaining.update(each.keys())
    held: Counter[int] = Counter()
    chosen: set[int] = set()

    def fits(group: Mapping[int, int]) -> bool:
        return all(_SHARE * (held[label] + n) <= total[label] for label, n in group.items())

    def is_small_and_fits(group: Mapping[int, int]) -> bool:
        return fits(group) and all(_SHARE * _PART * n <= total[label] for label, n in group.items())

    def nears(group: Mapping[int, int]) -> bool:
        """Whether the sum over classes of the squared distances of their shares to a sixth falls."""
        change = (
            n * (_SHARE * (n + 2 * held[label]) - 2 * total[label]) / total[label] ** 2
            for label, n in sorted(group.items())
        )
        return sum(change) < 0

    def lacks(group: Mapping[int, int]) -> bool:
        return any(not held[label] for label in group)

    by_size = sorted(range(len(counts)), key=lambda each: sum(counts[each].values()))
    passes: tuple[tuple[Callable[[Mapping[int, int]], bool], Sequence[int]], ...] = (
        (is_small_and_fits, range(len(counts))),
        (fits, range(len(counts))),
        (nears, range(len(counts))),
        (lacks, by_size),
    )
    for wanted, order in passes:
        for which in order:
            group = counts[which]
            if which not in chosen and all(remaining[label] > left for label in group) and wanted(group):
                chosen.add(which)
                held.update(group)
                remaining.subtract(group.keys())
    return chosen


def _too_few(name: str, pool: Sequence[ImageFile], groups: Groups, least: int) -> InputError:
    """The error where every class has fewer than ``least`` groups, or images."""
    if not groups:
        return InputError(
            f"data {name}: no class has the {least} images of which one can be held out",
            "add images, or leave the split random",
        )
    n = len(_members(pool, groups))
    at = sorted({round(i * (len(pool) - 1) / (_SHOWN - 1)) for i in range(_SHOWN)})
    shown = "; ".join(f"{pool[i].path} -> {groups[pool[i].path] or 'alone'}" for i in at)
    return InputError(
        f"data {name}: group_by makes {n} group{'s' * (n != 1)} of {len(pool):,} training images, of which"
        f" none can be held out: {shown}",
        f"a class needs images of {least} groups at least",
    )


def numbered_groups(files: Sequence[ImageFile], groups: Groups) -> tuple[int, ...]:
    """The number of each file's group; one that stands alone has a number of its own. None without groups."""
    if not groups:
        return ()
    numbers: dict[str, int] = {}
    return tuple(numbers.setdefault(groups[file.path] or f"/{file.path}", len(numbers)) for file in files)


def groups_by_split(layout: Mapping[str, Sequence[ImageFile]], groups: Groups) -> dict[str, int]:
    """How many groups each split has, without images that stand alone."""
    if not groups:
        return {}
    found = {split: {groups[file.path] for file in layout[split]} - {None} for split in SPLITS}
    return {split: len(each) for split, each in found.items()}
