"""What a page shows, computed once: from a study, or from any file of networks."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from regnetlab.analysis.baselines import BaselineComparison, baselines
from regnetlab.analysis.compare import SpaceComparison, compare
from regnetlab.analysis.derive import DerivedErrors, derived_errors
from regnetlab.analysis.fidelity import Fidelity, fidelity
from regnetlab.analysis.latency import Latency, latency
from regnetlab.analysis.search import SearchResult, against_random, trajectories
from regnetlab.analysis.statistics.ladder import UnfinishedError
from regnetlab.analysis.statistics.verdicts import MARGIN
from regnetlab.analysis.trends import Trends, trends
from regnetlab.analysis.width_law import WidthLaw, fit_law
from regnetlab.errors import InputError
from regnetlab.spaces.config import Config
from regnetlab.spaces.space import SPACES
from regnetlab.study.plan import Plan
from regnetlab.study.provenance import guessing_in, readable, recorded
from regnetlab.study.results import (
    compared_with_baselines,
    stated_margin,
    study_fidelity,
    study_latency,
    study_searches,
    study_steps,
    study_trials,
)
from regnetlab.study.search.definition import protocol
from regnetlab.trials.error_units import ErrorUnit
from regnetlab.trials.files import read_trials
from regnetlab.trials.job import DERIVED
from regnetlab.trials.table import (
    Trials,
    records,
)
from regnetlab.trials.tables import BASELINES, points_of

MOST_SHOWN = 4_000
"""Networks that a page shows one by one: what stays smooth in a browser, and below 6 MB."""


@dataclass(frozen=True, slots=True)
class Content:
    """Everything on one page.

    ``networks`` are those with an error, several seeds averaged, numbered from 0 in the order of their
    spaces, with every property. The first of them, ``shown``, are on the page one by one (all, unless
    they are very many) and have a ``label`` (the config, or a name), a ``model`` (what commands take, or
    empty) and ``points`` (the learning curve); ``failed`` are the trainings without an error. ``searches``
    stand beside all that.
    """

    name: str
    lead: str
    source: str
    networks: pd.DataFrame
    shown: pd.DataFrame
    failed: pd.DataFrame
    planned: int
    comparison: SpaceComparison
    law: WidthLaw
    trends: Trends
    derived: DerivedErrors | None
    baselines: BaselineComparison
    searches: Sequence[SearchResult]
    plan: Plan | None
    provenance: Mapping[str, Any]
    fidelity: Fidelity | None = None
    latency: Latency | None = None

    @property
    def spaces(self) -> list[str]:
        return list(dict.fromkeys(self.networks["space"].tolist()))

    @property
    def numbers(self) -> dict[tuple[str, int], int]:
        """The numbers of the networks shown one by one, by space and index."""
        keys = zip(self.shown["space"], self.shown["index"], strict=True)
        return {key: number for number, key in enumerate(keys)}

    def errors(self, space: str) -> list[float]:
        return list(self.networks.loc[self.networks["space"] == space, "error"])


def study_content(plan: Plan, margin: float | None = None) -> Content:
    """The content of a study; raises ``InputError`` where no training has earned an error yet."""
    trials = study_trials(plan)
    points = stated_margin(plan) if margin is None else margin
    return _content(
        trials,
        name=plan.name,
        lead=_lead(plan, trials.frame),
        source=plan.name,
        planned=sum(draw.n for draw in plan.draws) + plan.derived,
        margin=points,
        baselines=compared_with_baselines(plan),
        searches=_searches(plan, trials),
        plan=plan,
        provenance=readable(recorded(plan)),
        fidelity=_fidelity(plan, points),
        latency=latency(study_latency(plan), plan.regime) if plan.latencies.exists() else None,
    )


def files_content(
    files: Sequence[Path], margin: float | None = None, errors: ErrorUnit | None = None
) -> Content:
    """The content of files of networks (``trials.files.read_trials``)."""
    trials = read_trials(files, errors)
    every = trials.frame
    spaces = every["space"].nunique()
    names = ", ".join(file.name for file in files)
    notes = list(trials.notes)
    for file in files:  # a page is given away: it names no folders, as above
        notes = [note.replace(f"{file.parent}/", "") for note in notes]
    return _content(
        replace(trials, notes=tuple(notes)),
        name=" + ".join(file.stem for file in files),
        lead=f"{len(every):,} networks in {spaces} {'space' if spaces == 1 else 'spaces'}, from {names}."
        + "".join(f" {note.replace('study', 'Study', note.startswith('study'))}." for note in notes),
        source=" ".join(f"--from {file.name}" for file in files) + (f" --errors {errors}" if errors else ""),
        planned=len(every.drop_duplicates(["space", "index"])),
        margin=MARGIN if margin is None else margin,
        baselines=baselines(BASELINES.frame(())),
        searches=[],
        plan=None,
        provenance={},
    )


def _content(trials: Trials, name: str, margin: float, **facts: Any) -> Content:
    every, compared, good = trials.frame, compare(trials, margin), trends(trials)
    if not len(good.networks):
        raise InputError(f"{name}: no training has earned an error yet", "nothing to report")
    networks, shown = _shown_first(good.networks)
    derived = networks.loc[networks["space"] == DERIVED, "error"].to_numpy(np.float64)
    return Content(
        name=name,
        networks=networks,
        shown=_labelled(networks.head(shown)),
        failed=every[every["error"].isna()],
        comparison=compared,
        law=fit_law(trials),
        trends=good,
        derived=derived_errors(derived, compared.spaces, margin) if len(derived) else None,
        **facts,
    )


def _searches(plan: Plan, trials: Trials) -> list[SearchResult]:
    """The searches that cost and earn what the study's own trainings do: same space, budget, recipe, data.

    Others, such as those made before the study file was changed, are left out.
    """
    known = {name: space.within(plan.ranges) for name, space in SPACES.items()}
    known |= {draw.space.name: draw.space for draw in plan.draws}
    protocols = {name: protocol(plan, space) for name, space in known.items()}
    return [
        against_random(each, trials, trials.guess)
        for each in trajectories(study_searches(plan))
        if protocols.get(each.space) == each.protocol
    ]


def _fidelity(plan: Plan, margin: float) -> Fidelity | None:
    """What the ladder of budgets says, once enough of it was trained."""
    if not plan.fidelity.exists():
        return None
    trainings = study_fidelity(plan)
    try:
        return fidelity(trainings, margin, study_steps(plan), guessing_in(recorded(plan)))
    except UnfinishedError:
        return None
    except InputError as error:
        raise error.at(plan.fidelity) from None


def _shown_first(networks: pd.DataFrame) -> tuple[pd.DataFrame, int]:
    """These networks with those that the page shows one by one at the front, and how many these are.

    Of very many every derived RegNet is shown, and of each space those at equal distances in the order of
    their errors, the least and the largest among them.
    """
    if len(networks) <= MOST_SHOWN:
        return networks, len(networks)
    groups = [np.flatnonzero(networks["space"] == space) for space in dict.fromkeys(networks["space"])]
    errors = networks["error"].to_numpy(np.float64)
    drawn = sum(len(each) for each in groups if networks["space"].iloc[each[0]] != DERIVED)
    chosen = np.zeros(len(networks), np.bool_)
    for each in groups:
        derived = networks["space"].iloc[each[0]] == DERIVED
        few = len(each) if derived else max(2, MOST_SHOWN * len(each) // drawn)
        ranked = each[np.argsort(errors[each], kind="stable")]
        chosen[ranked[np.linspace(0, len(each) - 1, few).round().astype(np.int64)]] = True
    order = np.argsort(~chosen, kind="stable")
    return networks.iloc[order].reset_index(drop=True), int(chosen.sum())


def model_text(row: Mapping[str, Any]) -> str:
    """The notation that commands take; empty where the config is not known whole."""
    names = ("depths", "widths", "group_widths", "bottleneck_ratios")
    if not all(isinstance(row.get(name), tuple) for name in names):
        return ""
    try:
        return Config(**{name: row[name] for name in names}).text
    except InputError:  # a file's widths and groups need not fit each other
        return ""


def _labelled(networks: pd.DataFrame) -> pd.DataFrame:
    rows = records(networks)
    models = [model_text(row) for row in rows]
    return networks.assign(
        model=models,
        label=[m.removeprefix("anynet:") or _label(row) for m, row in zip(models, rows, strict=True)],
        points=pd.Series([points_of(row.get("curve")) for row in rows], index=networks.index, dtype=object),
    )


def _label(row: Mapping[str, Any]) -> str:
    if not isinstance(row["widths"], tuple):
        return str(row["name"])
    return f"d={','.join(map(str, row['depths']))};w={','.join(map(str, row['widths']))}"


def _lead(plan: Plan, every: pd.DataFrame) -> str:
    budget = plan.budget
    windows = ", ".join(
        f"{name} {w.shown(w.low)} to {w.shown(w.high) if math.isfinite(w.high) else 'any'}"
        for name, w in plan.regime.windows.items()
    )
    seconds = pd.to_numeric(every["seconds"], errors="coerce").sum() if "seconds" in every else 0.0
    return (
        f"{len(plan.draws)} design space{'s' * (len(plan.draws) != 1)} on {plan.data},"
        f" {budget.images:,} images × {budget.epochs}"
        f" {'epoch' if budget.epochs == 1 else 'epochs'} a network"
        + (f", with {windows}" if windows else "")
        + (f"; {seconds / 3600:.2f} hours of training" if seconds else "")
        + "."
    )
