"""Which images are held out: at random, by class, in whole groups, and never a group on two sides."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regnetlab.errors import InputError
from regnetlab.spaces.template import SMALL
from regnetlab.training.datasets import load_data, outline
from regnetlab.training.folders.decode import Reading
from regnetlab.training.folders.splits import grouped, held_out
from regnetlab.training.folders.tree import SPLITS, TEST, TRAIN, VALIDATION, ImageFile, Tree
from tests.training.folders.pictures import plant

STRATIFIED = Reading(split="stratified")
BY_VIDEO = Reading(group_by=r"(v\d+)-")


def tree(**splits: Iterable[str]) -> Tree:
    """Of paths as in ``train/0/v1-2.png``, whose second part is the class."""
    files = {
        split: tuple(ImageFile(path, int(path.split("/")[-2]), 0, ()) for path in splits[split])
        for split in SPLITS
        if split in splits
    }
    classes = max(file.label for each in files.values() for file in each) + 1
    return Tree(Path(), tuple(map(str, range(classes))), files, ())


def counts(layout: Mapping[str, list[ImageFile]]) -> dict[str, list[int]]:
    labels = range(1 + max(file.label for files in layout.values() for file in files))
    by_split = {split: Counter(file.label for file in layout[split]) for split in SPLITS}
    return {split: [by_split[split][label] for label in labels] for split in SPLITS}


def paths(layout: Mapping[str, list[ImageFile]]) -> dict[str, list[str]]:
    return {split: [file.path for file in layout[split]] for split in SPLITS}


@pytest.mark.parametrize(
    ("splits", "digest"),
    [
        ((TRAIN,), "9a55e87294ee1f83"),
        ((TRAIN, VALIDATION), "96ff17d19df64971"),
        ((TRAIN, TEST), "bb7efb908762aa20"),
        ((TRAIN, VALIDATION, TEST), "47432c8cdc5448c4"),
    ],
)
def test_random_splits_are_what_they_were_in_every_version(splits: tuple[str, ...], digest: str) -> None:
    """Errors of earlier studies were earned on these."""
    files = {
        split: [f"{split}/{label}/{i:03}.png" for label in range(3) for i in range(20 * (label + 1))]
        for split in splits
    }
    layout = held_out("x", tree(**files), Reading(), {})
    assert hashlib.sha256(json.dumps(paths(layout)).encode()).hexdigest()[:16] == digest


def test_stratified_splits_hold_out_a_sixth_of_each_class() -> None:
    sizes = (360, 36, 12, 6, 4, 3, 2, 1)
    layout = held_out(
        "x",
        tree(train=(f"{label}/{i}.png" for label, n in enumerate(sizes) for i in range(n))),
        STRATIFIED,
        {},
    )
    found = counts(layout)
    assert found[TEST] == [60, 6, 2, 1, 1, 1, 0, 0]
    assert found[VALIDATION] == [50, 5, 2, 1, 1, 1, 1, 0]
    assert found[TRAIN] == [250, 25, 8, 4, 2, 1, 1, 1]


def test_the_first_images_of_stratified_splits_are_a_sample() -> None:
    layout = held_out(
        "x", tree(train=(f"{label}/{i}.png" for label in range(3) for i in range(600))), STRATIFIED, {}
    )
    for split, n in ((TRAIN, 300), (VALIDATION, 60), (TEST, 60)):
        first = Counter(file.label for file in layout[split][:n])
        assert all(abs(first[label] - n / 3) < 4 * (n * 2 / 9) ** 0.5 for label in range(3))


def test_a_split_folder_of_its_own_stays_whole_when_the_others_are_stratified() -> None:
    test = [f"test/{label}/{i}.png" for label in range(2) for i in range(5)]
    layout = held_out(
        "x", tree(train=(f"train/{i % 2}/{i}.png" for i in range(60)), test=test), STRATIFIED, {}
    )
    assert counts(layout) == {TRAIN: [25, 25], VALIDATION: [5, 5], TEST: [5, 5]}
    assert paths(layout)[TEST] == test


def test_without_a_test_split_every_image_trains_that_the_folder_does_not_judge_by() -> None:
    train, val, test = ([f"{split}/{i % 3}/{i}.png" for i in range(60)] for split in ("train", "val", "test"))
    own = held_out("x", tree(train=train, validation=val), Reading(test_split=False), {})
    assert sorted(paths(own)[TRAIN]) == sorted(train)
    assert counts(own) == {TRAIN: [20] * 3, VALIDATION: [20] * 3, TEST: [0] * 3}
    for how in (Reading(test_split=False), replace(STRATIFIED, test_split=False)):
        held = held_out("x", tree(train=train), how, {})
        assert [len(held[split]) for split in SPLITS] == (
            [51, 9, 0] if how.split != "random" else [50, 10, 0]
        )
    assert held_out("x", tree(train=train, test=test), Reading(test_split=False), {}) == held_out(
        "x", tree(train=train, test=test), Reading(), {}
    )


def test_groups_stay_whole_and_every_class_gets_near_a_sixth() -> None:
    found = tree(
        train=(f"{i % 4}/v{i // 40}-{i}.png" for i in range(4_000))
    )  # 100 videos of four classes each
    groups = grouped("x", found, BY_VIDEO)
    layout = held_out("x", found, BY_VIDEO, groups)
    held = {split: {groups[file.path] for file in layout[split]} for split in SPLITS}
    assert sum(map(len, held.values())) == len(set.union(*held.values())) == 100
    assert counts(layout) == {TRAIN: [690] * 4, VALIDATION: [140] * 4, TEST: [170] * 4}


def test_groups_of_one_class_each_and_of_uneven_size_are_shared_out_by_class() -> None:
    sizes = (4, 40, 11, 23, 8, 17, 30, 5)
    found = tree(
        train=(
            f"{label}/v{label}{k}-{i}.png"
            for label in range(3)
            for k, n in enumerate(sizes)
            for i in range(n)
        )
    )
    layout = held_out("x", found, BY_VIDEO, grouped("x", found, BY_VIDEO))
    for split, whole in ((TEST, sum(sizes)), (VALIDATION, sum(sizes) * 5 / 6)):
        assert all(0.5 < 6 * n / whole < 1.6 for n in counts(layout)[split])


def test_a_class_of_few_groups_has_one_on_every_side_where_that_can_be() -> None:
    found = tree(
        train=(
            *(f"0/v{k}-{i}.png" for k in range(12) for i in range(10)),
            *(f"1/v{k}-{i}.png" for k in range(20, 23) for i in range(10)),  # three groups
            *(f"2/v30-{i}.png" for i in range(10)),  # one
        )
    )
    layout = held_out("x", found, BY_VIDEO, grouped("x", found, BY_VIDEO))
    assert counts(layout) == {TRAIN: [80, 10, 10], VALIDATION: [20, 10, 0], TEST: [20, 10, 0]}


def test_images_in_no_group_are_held_out_one_by_one() -> None:
    found = tree(train=(*(f"0/v1-{i}.png" for i in range(5)), *(f"0/single{i}.png" for i in range(55))))
    layout = held_out("x", found, BY_VIDEO, grouped("x", found, BY_VIDEO))
    assert {split: len(files) for split, files in layout.items()} == {TRAIN: 42, VALIDATION: 8, TEST: 10}


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 12)), min_size=7, max_size=120))
def test_however_images_are_grouped_each_is_on_one_side_with_its_group(images: list[tuple[int, int]]) -> None:
    found = tree(train=(f"{label}/v{group}-{i}.png" for i, (label, group) in enumerate(images)))
    groups = {file.path: file.path.split("/")[1].partition("-")[0] for file in found.files()}
    try:
        layout = held_out("x", found, BY_VIDEO, groups)
    except InputError as error:
        assert "none can be held out" in str(
            error
        )  # then no class has three groups, or two are left after test
        return
    assert sorted(file.path for files in layout.values() for file in files) == sorted(groups)
    sides = {split: {groups[file.path] for file in layout[split]} for split in SPLITS}
    assert sum(map(len, sides.values())) == len(set.union(*sides.values()))
    assert {file.label for file in layout[TRAIN]} == {label for label, _ in images}


def test_a_group_in_two_split_folders_is_refused() -> None:
    found = tree(
        train=(f"train/{i % 2}/v{i}-1.png" for i in range(12)), test=("test/0/v77-1.png", "test/1/v7-2.png")
    )
    with pytest.raises(InputError) as caught:
        grouped("pets", found, BY_VIDEO)
    assert "train/1/v7-1.png and test/1/v7-2.png are of one group ('v7')" in str(caught.value)
    assert "own train and test splits; move a group's images into one split" in str(caught.value)


@pytest.mark.parametrize(
    ("expression", "part"),
    [
        ("png", "makes 1 group of 12 training images, of which none can be held out: 0/v0-0.png -> png;"),
        ("^./", "makes 2 groups of 12 training images"),
    ],
)
def test_too_few_groups_are_counted_with_examples_and_the_least(expression: str, part: str) -> None:
    found = tree(train=(f"{i // 6}/v{i}-{i}.png" for i in range(12)))
    reading = Reading(group_by=expression)
    with pytest.raises(InputError) as caught:
        held_out("x", found, reading, grouped("x", found, reading))
    assert part in str(caught.value)
    assert str(caught.value).count(" -> ") == 3
    assert "a class needs images of 3 groups at least" in str(caught.value)


def test_classes_of_one_image_can_not_be_stratified() -> None:
    with pytest.raises(
        InputError, match=r"no class has the 3 images .*; add images, or leave the split random"
    ):
        held_out("x", tree(train=(f"{i}/1.png" for i in range(8))), STRATIFIED, {})


def test_a_folder_tells_how_it_was_split_and_each_way_has_its_own_place_in_the_cache(tmp_path: Path) -> None:
    frames = (f"{kind}/v{i // 3}-{i}.png" for kind in ("cat", "dog") for i in range(36))
    name = f"folder:{plant(tmp_path, *frames, 'cat/x.png')}"
    shape = SMALL.changed("3x8x12", 2)
    readings = (Reading(), STRATIFIED, BY_VIDEO, Reading(test_split=False))
    found = [load_data(name, shape, reading=each) for each in readings]
    assert len({each.checksum for each in found}) == 4
    lines = [each.lines()[1:] for each in found]
    assert [each[0].partition(" (")[2] for each in lines] == [
        "validation and test: a sixth at random, always the same)",
        "validation and test: a sixth of each class, always the same)",
        "validation and test: about a sixth of each class in whole groups, always the same)",
        "validation: a sixth at random, always the same)",
    ]
    assert lines[2][1] == "  12 groups: 8 train, 2 validation, 2 test; 1 image in no group"
    for reading, data in zip(readings, found, strict=True):
        again = load_data(name, shape, reading=reading)
        assert (again.checksum, again.survey) == (data.checksum, data.survey)
        assert outline(name, reading=reading).survey == data.survey


def test_groups_decide_alone_whether_or_not_the_split_is_stratified_too() -> None:
    both = Reading(split="stratified", group_by=BY_VIDEO.group_by)
    assert both.splitting == BY_VIDEO.splitting != STRATIFIED.splitting
