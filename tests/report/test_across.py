"""The page on several studies: what it says, and that it has no script and fetches nothing."""

import json
import re
from pathlib import Path

import pytest

from regnetlab.cli import main
from tests.committed import copy_committed_studies


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two committed studies, of which one says that it is on other images."""
    copy_committed_studies(tmp_path)
    monkeypatch.chdir(tmp_path)
    names = 'studies = ["fashion-mnist", "fashion-mnist-3mf"]\n'
    Path("studies/across/across.toml").write_text(names)
    return tmp_path


def test_all_writes_one_page_with_links_to_the_pages_that_are_there(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("reports").mkdir()
    Path("reports/fashion-mnist.html").touch()
    assert main(["report", "--all", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["report"] == "reports/index.html"
    page = Path("reports/index.html").read_text(encoding="utf-8")
    assert set(re.findall(r'href="([^"]+\.html)"', page)) == {"fashion-mnist.html"}
    steps = {(each["a"], each["b"]): each for each in found["steps"]}
    alone = steps["AnyNetE", "RegNet"]["studies"][0]
    assert alone["verdict"] == "better"
    assert alone["difference"]["estimate"] == pytest.approx(-2.35)
    assert found["steps"][0]["pooled"] is None, "both are on one data set"


def test_the_page_runs_no_script_and_fetches_nothing(root: Path) -> None:
    assert main(["report", "--all", "-o", "all.html"]) == 0
    page = Path("all.html").read_text(encoding="utf-8")
    assert "<script" not in page
    assert "default-src 'none'" in page
    assert not re.findall(r'(?:src|href)="(?!data:|[\w-]+\.html)', page)


def test_names_of_studies_are_escaped(root: Path) -> None:
    evil = "<b>x"
    Path("studies/fashion-mnist-3mf").rename(Path("studies") / evil)
    Path("studies/across/across.toml").write_text(f'studies = ["fashion-mnist", "{evil}"]\n')
    assert main(["report", "--all"]) == 0
    assert evil not in Path("reports/index.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("file", "content", "what", "hint"),
    [
        ("across/across.toml", b'studies = ["\xff"]', "can't be read: 'utf-8' codec", "UTF-8"),
        ("across/across.toml", b"studies = [", "is no TOML", "studies.md: studies = ["),
        ("across/across.toml", b'studies = ["quik"]', "study 'quik' is not known", "did you mean 'quick'?"),
        ("fashion-mnist/provenance.json", b"{", "Expecting property name", "git checkout studies/fashion"),
        ("fashion-mnist/provenance.json", b'{"margin": "x"}', "margin: ", "restore it"),
        ("fashion-mnist/provenance.json", b'{"test_groups": "0 x"}', "test_groups: it has", "restore it"),
        ("", b"", "output nowhere/a.html can't be written", "mkdir -p nowhere"),
    ],
)
def test_a_file_of_all_that_is_wrong_is_named_with_a_remedy_and_nothing_is_written(
    root: Path, file: str, content: bytes, what: str, hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if file:
        (Path("studies") / file).write_bytes(content)
    before = sorted(root.rglob("*"))
    assert main(["report", "--all", *([] if file else ["-o", "nowhere/a.html"])]) == 2
    first, second = capsys.readouterr().err.splitlines()
    assert file in first
    assert what in first
    assert second.startswith("hint: ")
    assert hint in second
    assert sorted(root.rglob("*")) == before


@pytest.mark.parametrize("more", [["quick"], ["--margin", "2"], ["--from", "x.csv"], ["--figures", "there"]])
def test_all_takes_no_single_study_and_no_terms(
    root: Path, more: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", "--all", *more]) == 2
    assert "hint:" in capsys.readouterr().err
    assert not Path("reports/index.html").exists()
