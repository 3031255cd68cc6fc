"""The committed pages are what the tables of their studies give."""

import shutil
from pathlib import Path

import pytest

from regnetlab.cli import main

PAGES = sorted(Path("reports").glob("fashion-mnist*.html"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_committed_page_is_rendered_again_byte_for_byte_from_the_tables(page: Path, tmp_path: Path) -> None:
    study = tmp_path / "studies" / page.stem
    study.mkdir(parents=True)
    for file in (Path("studies") / page.stem).iterdir():
        if file.suffix in (".toml", ".csv", ".json"):
            shutil.copy(file, study)
    assert main(["report", str(study), "-o", str(tmp_path / "again.html")]) == 0
    assert (tmp_path / "again.html").read_bytes() == page.read_bytes()
