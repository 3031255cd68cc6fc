"""Which studies are read together, and what is left out."""

from pathlib import Path

import pytest

from regnetlab.errors import InputError
from regnetlab.study.across import StudyList, studies_across, study_list
from tests.committed import copy_committed_studies


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The committed studies."""
    copy_committed_studies(tmp_path)
    return tmp_path / "studies"


def listed(root: Path, text: str) -> StudyList:
    (root / "across" / "across.toml").write_text(text)
    return study_list(root)


def test_the_list_names_studies_contests_and_longer_budgets(root: Path) -> None:
    found = listed(root, 'studies = ["a", "b"]\ncontests = ["b", "c"]\nlonger = { a = "d" }\n')
    assert found == StudyList(("a", "b"), ("b", "c"), (("a", "d"),))
    assert found.names == ("a", "b", "c", "d")


def test_without_a_list_every_study_of_two_spaces_counts_but_walks(root: Path) -> None:
    (root / "across" / "across.toml").unlink()
    names = study_list(root).studies
    assert {"fashion-mnist", "quick", "blocks"} <= set(names)
    assert not {"letters", "emoji", "textbook"} & set(names)


def test_a_study_that_is_not_finished_is_left_out_as_a_whole(root: Path) -> None:
    trials = root / "fashion-mnist-3mf" / "trials.csv"
    lines = trials.read_text().splitlines(keepends=True)
    trials.write_text("".join(line for line in lines if not line.startswith("AnyNetE,7,")))
    listed(root, 'studies = ["fashion-mnist", "fashion-mnist-3mf"]\ncontests = ["fashion-mnist"]\n')
    found, plans = studies_across(root)
    assert [each.name for each in found.studies] == ["fashion-mnist"]
    assert list(plans) == ["fashion-mnist"]
    (left_out,) = found.left_out
    assert left_out[0] == "fashion-mnist-3mf"
    assert "still to be trained" in left_out[1]


def test_a_study_that_is_not_begun_is_left_out(root: Path) -> None:
    listed(root, 'studies = ["fashion-mnist", "falling-widths"]\n')
    found, _ = studies_across(root)
    assert found.left_out == (("falling-widths", "not begun"),)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('studies = ["fashion-mnist"]\nstudy = 1\n', "study"),
        ("studies = 3\n", "not a list of names"),
        ("studies = []\n", "names no studies"),
        ('studies = ["fashion-mnist"]\nlonger = ["a"]\n', "not a table"),
        ('studies = ["fashion-mnits"]\n', "fashion-mnits"),
        ("studies = [\n", "no TOML"),
        ('studies = ["fashion-mnist", "fashion-mnist"]\n', "twice"),
        ('studies = ["../studies/fashion-mnist"]\n', "no name of a study"),
        ('studies = ["falling-widths"]\n', "falling-widths is not begun"),
        ('studies = ["quick"]\nlonger = { quick = "quick" }\n', "trains with"),
        ('studies = ["quick"]\nlonger = { quick = "letters-1mf" }\n', "is on folder:letters"),
    ],
)
def test_a_wrong_list_is_refused(root: Path, text: str, message: str) -> None:
    (root / "across" / "across.toml").write_text(text)
    with pytest.raises(InputError, match=message):
        studies_across(root)


def test_without_any_study_there_is_a_hint(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="regnetlab new"):
        study_list(tmp_path)
