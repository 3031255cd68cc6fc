"""Under what circumstances a study was run: versions, machine, git state, data."""

import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from regnetlab import __version__
from regnetlab.training.datasets import DataSet
from regnetlab.training.devices import usable_cores

_PACKAGES = ("torch", "torchvision", "numpy", "optuna", "fvcore")


def provenance(folder: Path, data: DataSet, device: str, workers: int | None) -> dict[str, object]:
    """The facts that a study's end state records, ready for JSON."""
    return {
        "regnetlab": __version__,
        "python": platform.python_version(),
        **{name: _version(name) for name in _PACKAGES},
        "machine": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "cores": usable_cores(),
        "device": device,
        "workers": workers,
        "git": _git_state(folder),
        "data": data.name,
        "data_checksum": data.checksum,
        "recorded": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or "unknown"
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or "unknown"


def _git_state(folder: Path) -> str:
    """The commit of the study's folder, and whether something there is not committed."""

    def git(*words: str) -> str:
        done = subprocess.run(
            ["git", *words],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
            env={**os.environ, "LC_ALL": "C"},
        )
        return done.stdout.strip() if done.returncode == 0 else ""

    try:
        commit = git("rev-parse", "HEAD")
        changed = git("status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    if not commit:
        return "not in a git repository"
    return f"{commit}, with uncommitted changes" if changed else commit
