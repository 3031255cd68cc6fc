"""The pages as a site: every link leads somewhere, and nothing is fetched from elsewhere."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from tests.docs.blocks import PAGES, ROOT
from tests.report.test_page import CHROMIUM, FLAGS

_LOADED = re.compile(
    r"""<(?:script|img|iframe)[^>]+src=["']?(https?:[^"'> ]+)|<link[^>]+href=["']?(https?:[^"'> ]+)"""
)
_FILE = re.compile(
    r"`(?:regnetlab/)?((?:spaces|models|training|trials|analysis|execution|study|report|cli|tests)/[\w/]+\.\w+)`"
)
_LINK = re.compile(r"\]\(([^)#:\s]+)(?:#[^)\s]*)?\)")


def test_every_relative_link_of_the_readme_leads_somewhere() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert [each for each in _LINK.findall(text) if not (ROOT / each).exists()] == []


def test_the_head_of_the_readme_says_what_the_package_declares() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    head = (ROOT / "README.md").read_text(encoding="utf-8").split("\n\n")[1]
    versions = [each.rpartition(" ")[2] for each in project["classifiers"] if ":: 3." in each]
    assert f"[Python {versions[0]} to {versions[-1]}]" in head
    assert f"[{project['license']} licence](LICENSE)" in head
    assert "[typed](regnetlab/py.typed)" in head and "Typing :: Typed" in project["classifiers"]
    assert f"({project['urls']['Source']})" in head


def test_every_file_that_a_page_names_is_there() -> None:
    for page in (*PAGES, ROOT / "CONTRIBUTING.md"):
        named = _FILE.findall(page.read_text(encoding="utf-8"))
        lost = [
            each for each in named if not any((root / each).exists() for root in (ROOT, ROOT / "regnetlab"))
        ]
        assert lost == [], page.name


def test_every_page_has_its_place_in_the_navigation() -> None:
    class Loader(yaml.SafeLoader):
        """Knows no tags of Python's, which mkdocs.yml may have."""

    Loader.add_multi_constructor("", lambda loader, suffix, node: None)
    text = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    listed = set(re.findall(r"[\w\-/]+\.md", str(yaml.load(text, Loader)["nav"])))
    assert listed == {str(each.relative_to(ROOT / "docs")) for each in (ROOT / "docs").rglob("*.md")}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site as `make docs` builds it."""
    pytest.importorskip("mkdocs")
    folder = tmp_path_factory.mktemp("docs") / "site"
    words = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    quiet = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(words, cwd=ROOT, env=quiet, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_the_site_builds_strictly_and_loads_nothing_from_elsewhere(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    assert len(pages) > 20
    for page in pages:
        found = _LOADED.findall(page.read_text(encoding="utf-8"))
        loaded = [each for pair in found for each in pair if each and "canonical" not in each]
        assert loaded == [], page.name


def test_the_search_finds_pages_that_are_opened_as_files_and_asks_no_server(site: Path) -> None:
    sync_api = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("no Chromium here: apt-get install chromium")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        tab = browser.new_page()
        tab.set_default_timeout(120_000)
        asked: list[str] = []
        tab.on("request", lambda request: asked.append(request.url))
        tab.goto((site / "api" / "index.html").as_uri())
        tab.keyboard.press("s")
        tab.locator(".md-search__input").wait_for()
        tab.keyboard.type("group width")
        tab.locator(".md-search-result__link").first.wait_for(state="attached")
        found = [each.get_attribute("href") for each in tab.locator(".md-search-result__link").all()]
        browser.close()
    assert any("spaces.html" in each for each in found)
    assert [each for each in asked if not each.startswith("file:")] == []
