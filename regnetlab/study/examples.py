"""The studies that come with the package: study files to begin from, some with their trials.

``pip`` puts them inside the package; in a clone they are its ``studies/``.
"""

import re
from collections.abc import Mapping
from pathlib import Path

from regnetlab.errors import InputError, unknown

_PACKAGE = Path(__file__).parents[1]
_FOLDER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+\-]{0,59}")


def examples() -> Mapping[str, Path]:
    """The folder of each study that comes with the package."""
    root = next((each for each in (_PACKAGE / "studies", _PACKAGE.parent / "studies") if each.is_dir()), None)
    return {each.parent.name: each.parent for each in sorted((root or _PACKAGE).glob("*/study.toml"))}


def example_named(name: str) -> Path:
    """The folder of that example; raises ``InputError`` with the nearest name otherwise."""
    known = examples()
    if name not in known:
        raise unknown("example", name, known)
    return known[name]


def new_study(name: str, root: Path = Path("studies")) -> Path:
    """Where the file of a study that is to be made goes; raises ``InputError`` where there is one."""
    if not _FOLDER.fullmatch(name):
        raise InputError(f"study name {name[:60]!r} can't be a folder's", "use letters, digits and - _ . +")
    path = root / name / "study.toml"
    if path.exists():
        raise InputError(f"{path} is there already", "edit it, or take another name")
    return path


def begun_from(example: str, text: str, name: str) -> str:
    """The text of a study that begins as this example does."""
    said = (
        f"# Begun from the example {example}; regnetlab run {name} --dry-run shows every key. Of the example:"
    )
    return f"{said if text.startswith('#') else said.removesuffix(' Of the example:')}\n{text}"
