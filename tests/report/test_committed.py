"""The committed pages are what the tables of their studies give."""

import shutil
from pathlib import Path

import pytest

from regnetlab.cli import main
from tests.committed import copy_committed_studies

_KEPT = Path("reports/.gitignore").read_text(encoding="utf-8").splitlines()
INDEX = Path("reports/index.html")
PAGES = [
    page
    for line in _KEPT
    if line.startswith("!") and (page := Path("reports") / line[1:]).suffix == ".html" and page != INDEX
]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_committed_page_is_rendered_again_byte_for_byte_from_the_tables(page: Path, tmp_path: Path) -> None:
    study = tmp_path / "studies" / page.stem
    study.mkdir(parents=True)
    for file in (Path("studies") / page.stem).iterdir():
        if file.suffix in (".toml", ".csv", ".json"):
            shutil.copy(file, study)
    assert main(["report", str(study), "-o", str(tmp_path / "again.html")]) == 0
    assert (tmp_path / "again.html").read_bytes() == page.read_bytes()


def test_the_committed_page_on_all_studies_is_rendered_again_byte_for_byte(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    committed = INDEX.read_bytes()
    copy_committed_studies(tmp_path)
    monkeypatch.chdir(tmp_path)
    Path("reports").mkdir()
    for page in PAGES:
        page.touch()
    assert main(["report", "--all"]) == 0
    assert INDEX.read_bytes() == committed
