"""Under what circumstances a study was run: versions, machine, git state, data.

Kept in the store, and in provenance.json beside trials.csv, by which a study is read where its store is not.
"""

import json
import platform
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, astuple, replace
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from regnetlab import __version__
from regnetlab.errors import InputError
from regnetlab.execution.base import Setting
from regnetlab.files import read_foreign
from regnetlab.study.plan import Plan
from regnetlab.study.walk import as_walked
from regnetlab.training.budget import Budget
from regnetlab.training.cores import usable_cores
from regnetlab.training.datasets import DataSet
from regnetlab.training.guessing import Guessing, guessing
from regnetlab.trials.facts import PROVENANCE, mistake

if TYPE_CHECKING:
    from regnetlab.trials.store import Store

_MOST_BYTES = 2**24
_PACKAGES = ("torch", "torchvision", "numpy", "optuna", "fvcore")
_GUESSING = MappingProxyType(
    {
        "validation": ("majority_error", "best_constant_error", "validation_images"),
        "test": ("majority_error_test", "best_constant_error_test", "test_images"),
    }
)
"""By the split that judges, the names under which the fields of ``Guessing`` are recorded."""


def provenance(
    folder: Path, data: DataSet, setting: Setting, budget: Budget, workers: int | None
) -> dict[str, object]:
    """The facts that a study's end state records, ready for JSON."""
    from regnetlab.training.devices import kernels_used  # torch, which reading does without

    return {
        "regnetlab": __version__,
        "python": platform.python_version(),
        **{name: _version(name) for name in _PACKAGES},
        "machine": f"{platform.system()} {platform.machine()}",
        "processor": processor(),
        "cores": usable_cores(),
        "device": setting.device,
        "kernels": kernels_used(setting.kernels, setting.device),
        "workers": workers,
        "git": _commit(folder),
        "data": data.name,
        "data_checksum": data.checksum,
        **data_facts(data, budget),
        **({"survey": data.survey.summary(data.name)} if data.survey else {}),
        "recorded": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def stated_facts(plan: Plan, known: Mapping[str, Any]) -> dict[str, Any]:
    """What a study stated before its first training and what it decided since, as it is known; otherwise what
    it states now.
    """
    now = {**asdict(plan.terms), "planned": {draw.space.name: draw.n for draw in plan.draws}, "extended": []}
    if "margin" in known:  # an older version, which stated less
        now = {key: value for key, value in now.items() if key in known}
    decided = {key: known[key] for key in ("walked", "derived") if key in known}
    return {key: known.get(key, value) for key, value in now.items()} | decided


def extended_spaces(
    facts: Mapping[str, Any], planned: Mapping[str, int], trained: Iterable[str]
) -> frozenset[str]:
    """The spaces whose number of networks was changed after errors were known.

    Args:
        facts: With every change that a run recorded (``changes.record_planned``).
        planned: The numbers that the study file has now, which no run may have seen yet.
        trained: The spaces with errors now.
    """
    before, found = dict(facts.get("planned", {})), set()
    now = {"n": dict.fromkeys(trained, 1), "planned": planned}
    for each in (*facts.get("extended", []), now):
        found |= {
            space
            for space, n in each["planned"].items()
            if each["n"].get(space) and before.get(space, n) != n
        }
        before |= each["planned"]
    return frozenset(found)


def data_facts(data: DataSet, budget: Budget) -> dict[str, object]:
    """How many images train and judge, what guessing earns on those that judge, and which test images belong
    together.
    """
    guesses = {"validation": data.guessing(budget.validation)}
    if len(data.test):
        guesses["test"] = guessing(data.train.labels, data.test.labels)
    facts: dict[str, object] = {"images": budget.images, "training_images": len(data.train)}
    for split, guess in guesses.items():
        facts |= zip(_GUESSING[split], astuple(guess), strict=True)
    if data.survey and data.survey.test_groups:
        facts["test_groups"] = " ".join(map(str, data.survey.test_groups))
    return facts


def guessing_in(facts: Mapping[str, Any], split: str = "validation") -> Guessing | None:
    """What guessing earns on that split, where these facts say it: those of old studies do not."""
    values = [facts.get(key) for key in _GUESSING[split]]
    if not all(isinstance(value, int | float) for value in values):
        return None
    return Guessing(*values)  # type: ignore[arg-type]


def with_data_facts(known: Mapping[str, Any], data: DataSet, budget: Budget) -> dict[str, Any]:
    """What was recorded before, with the facts of the same data that an older version did not record."""
    if known.get("data_checksum") != data.checksum:
        return dict(known)
    return {**known, **data_facts(data, budget), **known}  # known ones first, and as they are


def as_recorded(plan: Plan) -> Plan:
    """A plan that names no number of images, with the number that its last run found; a walk as it went.

    A run writes provenance.json before its first training, so the store is seldom opened for that. A store
    that can't be opened says nothing here; what needs its trainings says why.
    """
    facts: Mapping[str, Any] = {}
    if plan.images_stated and not plan.terms.walk:
        return plan
    if plan.provenance.exists() and not plan.terms.walk:
        facts = _written(plan)
    else:
        with suppress(InputError):
            facts = recorded(plan)
    plan, images = as_walked(plan, facts), facts.get("images")
    if plan.images_stated or not isinstance(images, int):
        return plan
    return replace(plan, budget=replace(plan.budget, images=images))


def device_in(facts: Mapping[str, Any]) -> str:
    """What computed, as a store has it (``execution.worker.computed_on``); empty where it is not known."""
    kind, kernels = str(facts.get("device", "")).partition(":")[0], facts.get("kernels")
    if kind == "cpu":
        return f"cpu with {kernels} kernels" if kernels else ""
    return "" if kind == "auto" else kind


def recorded(plan: Plan) -> Mapping[str, Any]:
    """What the run that last trained something recorded of its circumstances; empty before the first."""
    if plan.store.exists():
        from regnetlab.trials.store import open_store  # SQLAlchemy

        return open_store(plan.store).fact("provenance") or written(plan)
    return written(plan)


def written(plan: Plan) -> Mapping[str, Any]:
    """What stands in provenance.json; empty where there is none."""
    return _written(plan) if plan.provenance.exists() else {}


def _written(plan: Plan) -> Mapping[str, Any]:
    """What stands in provenance.json."""
    try:
        facts = json.loads(read_foreign(plan.provenance, _MOST_BYTES))
    except (OSError, ValueError, RecursionError) as error:
        wrong = str(error)[:200]
    else:
        wrong = mistake(PROVENANCE, facts)
    if wrong:
        raise InputError(
            f"study {plan.name}: {plan.provenance} is not as `regnetlab run` writes it: {wrong}",
            f"restore it from a copy, or with: git checkout {plan.provenance}",
        )
    return dict(facts)


def readable(facts: Mapping[str, Any]) -> dict[str, Any]:
    """The facts with one text each."""
    texts = {}
    if "test_groups" in facts:
        texts["test_groups"] = f"{len(set(facts['test_groups'].split())):,}"
    if "survey" in facts:
        texts["survey"] = "; ".join(map(str.strip, facts["survey"]["lines"]))
    if "planned" in facts:
        texts["planned"] = _counts(facts["planned"])
    if "extended" in facts:
        texts["extended"] = "; ".join(
            f"{each.get('when', '')}: with {_counts(each['n'])} trained, to {_counts(each['planned'])}"
            for each in facts["extended"]
        )
    return {**facts, **texts}


def _counts(networks: Mapping[str, int]) -> str:
    return ", ".join(f"{space} {n}" for space, n in networks.items())


def provenance_json(store: "Store") -> str:
    """The circumstances as they stand beside trials.csv."""
    return json.dumps(store.fact("provenance"), indent=2) + "\n"


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


def _commit(folder: Path) -> str:
    """The commit that is checked out in the study's folder.

    Git's own files are read and git is not asked: it obeys the configuration of the folder that it is asked
    in, which may have come with a study from elsewhere and can name programs to run.
    """
    try:
        for place in (folder.resolve(), *folder.resolve().parents):
            if (place / ".git").exists():
                return _checked_out(place / ".git") or "unknown"
    except (OSError, ValueError):  # what is no file of git's, such as one with a NUL
        return "unknown"
    return "not in a git repository"


def _checked_out(git: Path) -> str:
    """What HEAD of this repository names: a commit, or a branch with one (gitrepository-layout(5))."""

    def line(path: Path) -> str:
        return read_foreign(path, _MOST_BYTES).decode().strip()

    if git.is_file():  # of a worktree or submodule: a pointer
        git = git.parent / line(git).removeprefix("gitdir:").strip()
    shared = git / line(git / "commondir") if (git / "commondir").exists() else git
    head = line(git / "HEAD")
    if not head.startswith("ref:"):
        return _hash(head)
    branch = head.removeprefix("ref:").strip()
    if ".." in branch or branch.startswith("/"):
        return ""
    if (shared / branch).exists():
        return _hash(line(shared / branch))
    packed = line(shared / "packed-refs") if (shared / "packed-refs").exists() else ""
    named = (each.partition(" ") for each in packed.splitlines())
    return next((_hash(commit) for commit, _, name in named if name == branch), "")


def _hash(text: str) -> str:
    return text if re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", text) else ""
