"""Several studies read together: those that studies/across/across.toml names, or all that are finished."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from regnetlab.analysis.across import Across, StudyResult, across
from regnetlab.analysis.compare import compare
from regnetlab.analysis.width_law import fit_law
from regnetlab.errors import InputError, unknown
from regnetlab.plain import plural
from regnetlab.study.plan import Plan
from regnetlab.study.plan_file import find_study, load_plan
from regnetlab.study.results import compared_with_baselines, stated_terms, study_trials
from regnetlab.study.tomlfile import parse_toml, read_text
from regnetlab.trials.table import Trials

LIST = Path("across") / "across.toml"
"""Under ``studies/``: ``studies`` and ``contests`` are names of studies, ``longer`` maps a study to one of
the same networks at a longer budget."""
_KEYS = ("studies", "contests", "longer")


@dataclass(frozen=True, slots=True)
class StudyList:
    """The studies to read together, by name."""

    studies: tuple[str, ...]
    contests: tuple[str, ...] = ()
    longer: tuple[tuple[str, str], ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """All of them, once each, in the order of the list."""
        longer = [name for pair in self.longer for name in pair]
        return tuple(dict.fromkeys([*self.studies, *self.contests, *longer]))


def study_list(root: Path = Path("studies")) -> StudyList:
    """What across.toml says; without one, every study of a fixed design that has trained two spaces or more.

    Raises:
        InputError: It has another key, or names no study.
    """
    path = root / LIST
    if path.is_file():
        example = 'write it as in docs/studies.md: studies = ["mine", "other"]'
        return _parsed(parse_toml(read_text(path), path, example), path)
    plans = (load_plan(each.parent / "study.toml") for each in sorted(root.glob("*/trials.csv")))
    found = [plan.name for plan in plans if len(plan.draws) > 1 and not plan.terms.walk]
    if not found:
        raise InputError(
            f"no study under {root}/ has trained two spaces",
            "begin with: regnetlab new NAME, then regnetlab run NAME",
        )
    return StudyList(tuple(found))


def studies_across(root: Path = Path("studies")) -> tuple[Across, Mapping[str, Plan]]:
    """What the studies of ``study_list`` say together, and the plans of those that count.

    A study that is not finished is left out as a whole.

    Raises:
        InputError: None is finished, or one of them can't be read.
    """
    listed = study_list(root)
    plans = {name: _plan_of(name, root) for name in listed.names}
    results: dict[str, StudyResult] = {}
    missing: dict[str, str] = {}
    for name, plan in plans.items():
        if not plan.store.exists() and not plan.trials.exists():
            missing[name] = "not begun"
            continue
        trials = study_trials(plan)
        lacking = _lacking(trials)
        if lacking:
            missing[name] = f"{plural(lacking, 'network')} still to be trained"
        else:
            results[name] = _result(plan, trials, contest=name in listed.contests or not listed.contests)
    if not any(name in results for name in listed.studies):
        why = "; ".join(f"{name} is {text}" for name, text in missing.items() if name in listed.studies)
        raise InputError(
            f"none of these studies is finished: {why}", f"begin with: regnetlab run {listed.studies[0]}"
        )
    for short, long in listed.longer:
        _check_longer(plans[short], plans[long], root / LIST)
    found = across(
        [results[name] for name in listed.studies if name in results],
        [results[name] for name in listed.contests if name in results],
        [(results[a], results[b]) for a, b in listed.longer if a in results and b in results],
        tuple(missing.items()),
    )
    return found, {name: plan for name, plan in plans.items() if name in results}


def _plan_of(name: str, root: Path) -> Plan:
    """The plan of the study of this name."""
    try:
        if Path(name).name != name:
            raise InputError(f"{name!r} is no name of a study", f"name folders of {root}/, without a path")
        return load_plan(find_study(name, root))
    except InputError as error:
        raise error.at(root / LIST) if (root / LIST).is_file() else error from None


def _check_longer(short: Plan, long: Plan, path: Path) -> None:
    """Raise ``InputError`` unless the second study trains longer, on the same data."""
    seen = [plan.budget.images * plan.budget.epochs for plan in (short, long)]
    if short.data != long.data:
        wrong = f"is on {long.data}, and {short.name} on {short.data}"
    elif seen[1] <= seen[0]:
        wrong = f"trains with {seen[1]:,} images, and {short.name} with {seen[0]:,}"
    else:
        return
    raise InputError(
        f"{path}: longer: {long.name} {wrong}", "name a study of the same draw and data at a longer budget"
    )


def _parsed(values: Mapping[str, Any], path: Path) -> StudyList:
    for key in values:
        if key not in _KEYS:
            raise unknown("key", key, _KEYS).at(path)
    for key in ("studies", "contests"):
        names = values.get(key, [])
        if not isinstance(names, list) or not all(isinstance(each, str) for each in names):
            raise InputError(f"{path}: {key} is not a list of names of studies", f'write {key} = ["mine"]')
        if twice := [each for each in dict.fromkeys(names) if names.count(each) > 1]:
            raise InputError(f"{path}: {key} names {twice[0]!r} twice", "name each study once")
    longer = values.get("longer", {})
    if not isinstance(longer, dict) or not all(isinstance(each, str) for each in longer.values()):
        raise InputError(f"{path}: longer is not a table of studies", 'write longer = { mine = "mine-long" }')
    if not values.get("studies"):
        raise InputError(f"{path} names no studies", 'write studies = ["mine", "other"]')
    return StudyList(tuple(values["studies"]), tuple(values.get("contests", ())), tuple(longer.items()))


def _lacking(trials: Trials) -> int:
    """Planned networks of all spaces that have neither an error nor failed."""
    networks = trials.frame.drop_duplicates(["space", "index"])["space"].value_counts()
    return sum(max(n - int(networks.get(space, 0)), 0) for space, n in trials.planned.items())


def _result(plan: Plan, trials: Trials, contest: bool) -> StudyResult:
    against = compared_with_baselines(plan) if contest and plan.baselines is not None else None
    return StudyResult(
        plan.name, plan.data, trials, compare(trials, stated_terms(plan)), fit_law(trials), against
    )
