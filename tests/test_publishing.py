"""What a release and a fresh environment rely on: versions, addresses, bounds and settings agree."""

import re
import subprocess
import sys
import tomllib
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import ModuleType

import pytest
import yaml

import regnetlab

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def script(name: str) -> ModuleType:
    """A program of .ci as a module."""
    loader = SourceFileLoader(name, str(ROOT / ".ci" / name))
    spec = spec_from_loader(name, loader)
    assert spec is not None
    module = module_from_spec(spec)
    loader.exec_module(module)
    return module


def test_the_version_is_one_and_the_changelog_begins_with_it_or_with_what_is_not_released() -> None:
    said = script("release").versions()
    assert said["regnetlab/__init__.py"] == said["CITATION.cff"] == regnetlab.__version__
    assert said["CHANGELOG.md"] in (regnetlab.__version__, "Unreleased")


def test_a_tag_names_a_release_only_where_all_say_its_version(tmp_path: Path) -> None:
    release = script("release")
    (tmp_path / "regnetlab").mkdir()
    (tmp_path / "regnetlab" / "__init__.py").write_text('__version__ = "1.2.0"\n')
    (tmp_path / "CITATION.cff").write_text("cff-version: 1.2.0\nversion: 1.2.0\n")
    changes = tmp_path / "CHANGELOG.md"
    changes.write_text("# Changelog\n\n## 1.2.0, 2026-11-27\n\n## 1.1.0, 2026-01-01\n")
    assert release.problems("v1.2.0", release.versions(tmp_path)) == []
    assert len(release.problems("v1.2.1", release.versions(tmp_path))) == 3
    changes.write_text("# Changelog\n\n## Unreleased\n\n## 1.2.0, 2026-11-27\n")
    (problem,) = release.problems("v1.2.0", release.versions(tmp_path))
    assert problem == "CHANGELOG.md says 'Unreleased', the tag v1.2.0"


@pytest.mark.parametrize(
    ("words", "status", "part"),
    [
        ("answer --help", 0, "what came out"),
        ("answer nope", 2, "study 'nope' is not known"),
        ("answer first second", 2, "unrecognized arguments: second"),
        ("release --help", 0, "can be released as its version"),
        ("release v0 v1", 2, "unrecognized arguments: v1"),
    ],
)
def test_programs_of_make_say_what_they_take_and_what_is_wrong(
    tmp_path: Path, words: str, status: int, part: str
) -> None:
    name, *more = words.split()
    command = [sys.executable, str(ROOT / ".ci" / name), *more]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == status
    assert part in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_every_requirement_has_a_lowest_version_that_can_be_installed_alone() -> None:
    lowest = script("versions").lowest()
    assert len(lowest) > 20
    assert [each for each in lowest if not re.fullmatch(r"[\w.\-]+==[\w.]+", each)] == []


def test_all_addresses_are_of_one_repository() -> None:
    home = PROJECT["urls"]["Homepage"]
    assert {"Documentation", "Issues", "Changelog", "Source"} < PROJECT["urls"].keys()
    assert all(each.startswith(home) for each in PROJECT["urls"].values())
    for name in ("CITATION.cff", ".github/ISSUE_TEMPLATE/config.yml"):
        text = (ROOT / name).read_text(encoding="utf-8")
        assert home in text, name


def test_the_pythons_that_are_declared_are_those_that_ci_tests() -> None:
    jobs = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8"))["jobs"]
    listed = [each.rpartition(" ")[2] for each in PROJECT["classifiers"] if ":: 3." in each]
    assert jobs["test"]["strategy"]["matrix"]["python"] == listed
    assert PROJECT["requires-python"] == f">={listed[0]}"


@pytest.mark.parametrize("path", sorted((ROOT / ".github").rglob("*.yml")), ids=lambda path: path.name)
def test_what_github_reads_is_yaml_and_its_forms_have_what_it_asks_for(path: Path) -> None:
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    if path.parent.name == "ISSUE_TEMPLATE" and path.stem != "config":
        assert document.keys() >= {"name", "description", "body"}
        asked = [each for each in document["body"] if each["type"] != "markdown"]
        assert all(each["id"] and each["attributes"]["label"] for each in asked)
        assert any(each["validations"]["required"] for each in asked)


def test_hooks_before_a_commit_are_local_and_of_the_projects_own_environment() -> None:
    (local,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"]
    assert local["repo"] == "local"
    assert {each["id"] for each in local["hooks"]} == {"ruff", "ruff-format", "mypy", "import-linter"}
    for hook in local["hooks"]:
        assert (hook["language"], hook["entry"].partition("/bin/")[0]) == ("system", ".venv")
