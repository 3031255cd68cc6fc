from pathlib import Path

import pytest

from regnetlab.errors import InputError
from regnetlab.trials.copy import check_store, content_of, copy_content
from regnetlab.trials.store import open_store
from tests.trials.trainings import BAD, DATA, OTHER_DATA, job, trial


def filled(path: Path) -> Path:
    """A store with four trainings, one of which failed and one is on other data."""
    store = open_store(path)
    for each in (trial(0), trial(1, BAD), trial(2), trial(0, data=OTHER_DATA)):
        store.add(each)
    store.keep("provenance", {"data": "fashion-mnist"})
    store.keep("lease", {"holder": "x"})
    return path


def test_a_copy_has_all_that_its_source_has(tmp_path: Path) -> None:
    source, copy = filled(tmp_path / "study.db"), tmp_path / "copy.db"
    content = content_of(source)
    copy_content(content, copy)
    assert content_of(copy) == content
    assert content_of(copy).hash == content.hash
    assert (len(content.rows), content.facts) == (4, {"provenance": {"data": "fashion-mnist"}})
    assert open_store(copy).scores(DATA) == open_store(source).scores(DATA)


def test_a_copy_goes_to_an_empty_place_and_comes_from_one_that_is_there(tmp_path: Path) -> None:
    source = filled(tmp_path / "study.db")
    with pytest.raises(InputError, match="has a study already"):
        copy_content(content_of(source), source)
    with pytest.raises(InputError, match="is not there"):
        content_of(tmp_path / "none.db")
    assert [each.name for each in tmp_path.iterdir()] == ["study.db"]


def test_a_hash_differs_where_anything_that_is_kept_does(tmp_path: Path) -> None:
    first = content_of(filled(tmp_path / "a.db"))
    open_store(tmp_path / "a.db").keep("provenance", {"data": "cifar10"})
    second = content_of(tmp_path / "a.db")
    open_store(tmp_path / "a.db").add(trial(5))
    assert len({first.hash, second.hash, content_of(tmp_path / "a.db").hash}) == 3


def test_a_check_counts_and_writes_nothing(tmp_path: Path) -> None:
    path = filled(tmp_path / "study.db")
    before = path.read_bytes()
    found = check_store(path, lambda store: [job(seed).identity for seed in (0, 1, 7)])
    assert (found.trials, found.orphans, found.damage) == (4, 1, ())
    assert found.hash == content_of(path).hash
    assert check_store(path).orphans is None
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == ["study.db"]


def test_damage_is_found(tmp_path: Path) -> None:
    path = filled(tmp_path / "study.db")
    open_store(path).add_rows(
        {**row, "identity": f"x{i}"} for i in range(50) for row in content_of(path).rows
    )
    content = bytearray(path.read_bytes())
    content[4096 * 3 : 4096 * 12] = bytes([255]) * 4096 * 9
    path.write_bytes(content)
    assert check_store(path).damage
    assert path.read_bytes() == bytes(content)
