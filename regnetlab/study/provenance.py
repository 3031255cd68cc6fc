"""Under what circumstances a study was run: versions, machine, git state, data.

Kept in the store, and in provenance.json beside trials.csv, by which a study is read where its store is not.
"""

import json
import os
import platform
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from regnetlab import __version__
from regnetlab.errors import InputError
from regnetlab.study.plan import Plan
from regnetlab.study.store import Store, open_store
from regnetlab.training.cores import usable_cores
from regnetlab.training.datasets import DataSet

if TYPE_CHECKING:
    from regnetlab.study.executors.work import Setup

_PACKAGES = ("torch", "torchvision", "numpy", "optuna", "fvcore")


def provenance(folder: Path, data: DataSet, setup: "Setup", workers: int | None) -> dict[str, object]:
    """The facts that a study's end state records, ready for JSON."""
    from regnetlab.training.devices import kernels_used  # torch, which whoever only reads does without

    return {
        "regnetlab": __version__,
        "python": platform.python_version(),
        **{name: _version(name) for name in _PACKAGES},
        "machine": f"{platform.system()} {platform.machine()}",
        "processor": processor(),
        "cores": usable_cores(),
        "device": setup.device,
        "kernels": kernels_used(setup.kernels, setup.device),
        "workers": workers,
        "git": _git_state(folder),
        "data": data.name,
        "data_checksum": data.checksum,
        **({"survey": data.survey.summary(data.name)} if data.survey else {}),
        "recorded": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def recorded(plan: Plan) -> Mapping[str, Any]:
    """What the run that last trained something recorded of its circumstances; empty before the first."""
    if plan.store.exists():
        return open_store(plan.store).provenance
    if not plan.provenance.exists():
        return {}
    try:
        facts = json.loads(plan.provenance.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{plan.provenance} can't be read: {str(error)[:200]}") from None
    if not isinstance(facts, dict) or not all(
        value is None or isinstance(value, str | int | float) or (name == "survey" and _is_survey(value))
        for name, value in facts.items()
    ):
        raise InputError(f"{plan.provenance} must be a table of names and plain values, as `run` writes it")
    return facts


def _is_survey(value: object) -> bool:
    """Whether this is what ``Survey.summary`` makes, as far as it is read."""
    lines = value.get("lines") if isinstance(value, dict) else None
    return isinstance(lines, list) and all(isinstance(line, str) for line in lines)


def readable(facts: Mapping[str, Any]) -> dict[str, Any]:
    """The facts with one text each."""
    texts = {"survey": "; ".join(map(str.strip, facts["survey"]["lines"]))} if "survey" in facts else {}
    return {**facts, **texts}


def provenance_json(store: Store) -> str:
    """The circumstances as they stand beside trials.csv."""
    return json.dumps(dict(store.provenance), indent=2) + "\n"


def check_same_data(before: Mapping[str, Any], data: DataSet, store: str = "study.db") -> None:
    """Raise ``InputError`` where a study began with other data than these; ``store`` recorded them."""
    known = before.get("data_checksum", data.checksum)
    if before.get("data") == data.name and known != data.checksum:
        raise InputError(
            f"data {data.name} changed since this study began (checksum {data.checksum[:12]}, was"
            f" {known[:12]}); bring the old data back, or move {store} away to begin anew"
        )


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def processor() -> str:
    """The name of this machine's CPU."""
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
