"""The studies as they are committed: what was run in this checkout since is nobody's test."""

import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[1]
_KEPT = (".toml", ".csv", ".json", ".md", ".ipynb")


def committed_studies() -> list[Path]:
    """Their files, relative to the root; where there is no git, as in an sdist, those that are there."""
    listed = _git("ls-files", "-z", "studies")
    found = [Path(name) for name in listed.split("\0") if name] if listed is not None else []
    return found or [
        path.relative_to(ROOT) for path in sorted((ROOT / "studies").rglob("*")) if path.suffix in _KEPT
    ]


def copy_committed_studies(folder: Path) -> None:
    """Write ``studies/`` into this folder, as the index of git has it."""
    names = "\0".join(str(path) for path in committed_studies())
    if _git("checkout-index", "-z", "--stdin", f"--prefix={folder}/", given=names) is None:
        for path in committed_studies():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / path, folder / path)


def _git(*words: str, given: str = "") -> str | None:
    """What git answers; ``None`` where it can't."""
    try:
        done = subprocess.run(
            ["git", *words], cwd=ROOT, input=given, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout
