"""Groups by a regular expression: what it may be, what it finds, and that a hostile one ends."""

import pytest

from regnetlab.errors import InputError
from regnetlab.training.folders import groups
from regnetlab.training.folders.decode import Reading
from regnetlab.training.folders.groups import groups_of

PATHS = ("cat/tom-1.png", "cat/tom-2.png", "dog/rex-1.png", "dog/stray.png", "dog/\udcff-3.png")


@pytest.mark.parametrize(
    ("expression", "found"),
    [
        (r"(\w+)-\d", ("tom", "tom", "rex", None, None)),
        (r"[^/]+-\d", ("tom-1", "tom-2", "rex-1", None, "\udcff-3")),
        (r"^(?:cat)/(\w+)-(\d)", ("tom", "tom", None, None, None)),
        (r"/(?:([^/]+)-\d|stray)", ("tom", "tom", "rex", None, "\udcff")),
    ],
    ids=[
        "the first parentheses",
        "all where there are none",
        "of two the first",
        "parentheses that found nothing",
    ],
)
def test_what_is_found_in_a_path_names_the_group(expression: str, found: tuple[str | None, ...]) -> None:
    assert groups_of("pets", expression, PATHS) == dict(zip(PATHS, found, strict=True))


def test_an_expression_that_is_found_nowhere_is_refused() -> None:
    with pytest.raises(InputError, match="is found in no image's path, such as 'cat/tom-1"):
        groups_of("pets", "frame", PATHS)


@pytest.mark.parametrize(
    ("expression", "part"),
    [
        ("(", "is no regular expression: missing"),
        ("a{1,4294967295}", "is no regular expression: the repetition number is too large"),
        ("a" * 201, "group_by has 201 characters; 200 are the most"),
        ("a\tb", "write special characters out"),
        ("\udcff", "write special characters out"),
    ],
)
def test_what_is_no_expression_is_refused_before_anything_is_read(expression: str, part: str) -> None:
    with pytest.raises(InputError) as caught:
        Reading(group_by=expression)
    assert part in str(caught.value)


def test_an_expression_that_would_take_for_ever_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(groups, "_SECONDS", 1)
    with pytest.raises(InputError, match=r"takes over 1 seconds; write it without repetitions"):
        groups_of("pets", "(a+)+b", ["a" * 60 + "/1.png"])


def test_an_expression_that_would_take_all_memory_is_stopped() -> None:
    with pytest.raises(InputError, match=r"takes over (1 GB|10 seconds)"):
        groups_of("pets", "((a?){60000}){60000}", ["aaaa/1.png"])
