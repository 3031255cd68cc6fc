"""Where stores are, and that a password is never shown."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regnetlab.cli import main
from regnetlab.errors import InputError
from regnetlab.study.plan_file import load_plan
from regnetlab.study.plan_text import plan_toml
from regnetlab.trials.location import Database, from_here, location_of, mask
from tests.study.processes import SMALL

MakeStudy = Callable[..., Path]


def test_a_storage_is_a_file_or_a_database(tmp_path: Path) -> None:
    assert location_of(None, tmp_path, "s") == tmp_path / "study.db"
    assert location_of("x.db", tmp_path, "s") == tmp_path / "x.db"
    assert location_of("sqlite:////x/y.db", tmp_path, "s") == Path("/x/y.db")
    for scheme in ("postgresql", "postgres", "postgresql+psycopg"):
        database = location_of(f"{scheme}://u:secret@h/d", tmp_path, "s")
        assert isinstance(database, Database)
        assert database.study == "s"
        assert "secret" not in f"{database} {database!r}"
    for wrong in ("mysql://u:secret@h/d", "", "sqlite:x"):
        with pytest.raises(InputError, match="is not known") as caught:
            location_of(wrong, tmp_path, "s")
        assert "secret" not in str(caught.value)


def test_a_journal_file_is_refused_with_the_command_that_copies_it(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"regnetlab store copy journal:j\.log FILE\.db"):
        location_of("journal:j.log", tmp_path, "s")


@given(st.text(st.characters(codec="ascii", exclude_characters="@/ \n#?&", min_codepoint=33), min_size=1))
def test_no_password_is_ever_shown(password: str) -> None:
    marked = f"<<{password}>>"
    for text in (f"postgresql://me:{marked}@host:5432/db", f"postgresql://host/db?password={marked}&x=1"):
        assert marked not in mask(f"error in {text}: no")
        assert "host" in mask(text)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:my secret@h/d",
        "postgresql://me:my@secret@h/d",
        "postgresql://me:my\tsecret@h/d",
        "postgresql://me:my/@secret@h/d",
        "postgresql://h/d?password=my secret",
        "postgresql://me:my:secret@h:x/d",
        "mysql://me:my secret@h/d",
        "weird://me:my@secret@h",
        "postgresql://h/d?password=my&secret",
        "postgresql://h/d?passwd=mysecret",
        "postgresql:me:mysecret@h",
        "postgresql:/me:mysecret@h/d",
        "postgresql//me:mysecret@h/d",
        "//me:mysecret@h/d",
        "me:mysecret@h/d",
        "host=h user=me password=mysecret dbname=d",
        "host=h user=me Password = 'mysecret'",
        "jdbc:postgresql:h?user=me&password=mysecret",
        "journal:me:mysecret@h",
    ],
)
def test_a_url_of_which_it_is_not_clear_where_its_password_ends_is_refused_and_not_quoted(
    tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(InputError) as caught:
        location_of(url, tmp_path, "s")
    assert "secret" not in str(caught.value)
    (tmp_path / "study.toml").write_text(SMALL)
    monkeypatch.setenv("REGNETLAB_STORAGE", url)
    for words in (["status"], ["run"], ["run", "--dry-run"]):
        assert main([words[0], str(tmp_path / "study.toml"), *words[1:]]) == 2
    monkeypatch.delenv("REGNETLAB_STORAGE")
    assert main(["run", str(tmp_path / "study.toml"), "--storage", url]) == 2
    assert main(["store", "copy", str(tmp_path / "study.toml"), f"{url}#s"]) == 2
    assert main(["store", "check", url]) == main(["store", "copy", url, str(tmp_path / "x.db")]) == 2
    printed = capsys.readouterr()
    assert "secret" not in printed.out + printed.err


@pytest.mark.parametrize("text", ["studies//quick.db", "//tmp/x.db", "runs/lr=0.1:pwd=1.db", "a/b:c@d.db"])
def test_odd_names_of_files_are_no_passwords(tmp_path: Path, text: str) -> None:
    assert isinstance(location_of(text, tmp_path, "s"), Path)


def test_a_password_that_was_read_is_masked_in_every_text(tmp_path: Path) -> None:
    location_of("postgresql://me:p%40ss%2Fword%20x@h/d", tmp_path, "s")
    for text in ("denied for p@ss/word x", "tried p%40ss%2Fword%20x", "as p%40ss%2Fword+x"):
        assert mask(text).endswith(" ***")


def test_a_password_in_a_study_file_is_refused_and_one_in_the_environment_never_shown(
    make_study: MakeStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    for url in ("postgresql://me:secret@h/d", "postgresql://h/d?pass%77ord=secret"):
        with pytest.raises(InputError, match="can't be a database's URL") as caught:
            load_plan(make_study(SMALL + f'[run]\nstorage = "{url}"\n'))
        assert "secret" not in str(caught.value)
    monkeypatch.setenv("REGNETLAB_STORAGE", "postgresql://me:secret@h/d")
    plan = load_plan(make_study(SMALL))
    assert isinstance(plan.store, Database)
    assert "secret" not in plan_toml(plan) + str(plan.store)
    monkeypatch.setenv("REGNETLAB_STORAGE", "here.db")
    assert load_plan(make_study(SMALL)).store == Path.cwd() / "here.db"
    assert from_here("sqlite:///x") == str(Path.cwd() / "x")
