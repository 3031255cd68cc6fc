"""What a page shows, computed once: from a study, or from any file of networks."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from regnetlab.analysis.baselines import BaselineComparison, baselines
from regnetlab.analysis.compare import SpaceComparison, compare
from regnetlab.analysis.derive import DerivedErrors, derived_errors
from regnetlab.analysis.fidelity import Fidelity, fidelity
from regnetlab.analysis.latency import Latency, latency
from regnetlab.analysis.retrain import Retraining
from regnetlab.analysis.search import SearchResult, against_random
from regnetlab.analysis.statistics.ladder import UnfinishedError
from regnetlab.analysis.trends import Trends, trends
from regnetlab.analysis.width_law import WidthLaw, fit_law
from regnetlab.errors import InputError
from regnetlab.plain import duration
from regnetlab.report.networks import PageNetworks, page_networks
from regnetlab.study.finish_file import Finished, read_finished
from regnetlab.study.plan import Plan
from regnetlab.study.provenance import guessing_in, readable, recorded
from regnetlab.study.results import (
    compared_with_baselines,
    own_searches,
    stated_terms,
    study_fidelity,
    study_latency,
    study_retrained,
    study_so_far,
    study_steps,
    study_trials,
)
from regnetlab.trials.csv_tables import BASELINES
from regnetlab.trials.error_units import ErrorUnit
from regnetlab.trials.files import read_trials
from regnetlab.trials.job import CHOSEN, DERIVED
from regnetlab.trials.table import Trials
from regnetlab.trials.terms import Terms


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a page comes from: its name and first sentence, what commands take as its source, and of a
    study the plan and what its run recorded.
    """

    name: str
    lead: str
    source: str
    plan: Plan | None = None
    provenance: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Content:
    """Everything on one page: networks, and the answer to every question that can be asked of them."""

    origin: Origin
    networks: PageNetworks
    comparison: SpaceComparison
    law: WidthLaw
    trends: Trends
    derived: DerivedErrors | None
    baselines: BaselineComparison
    searches: Sequence[SearchResult] = ()
    retrained: Retraining = field(default_factory=Retraining)
    fidelity: Fidelity | None = None
    latency: Latency | None = None
    finished: Finished | None = None


def study_content(plan: Plan, margin: float | None = None) -> Content:
    """The content of a study; raises ``InputError`` where no training has earned an error yet."""
    trials = study_trials(plan)
    terms = stated_terms(plan) if margin is None else replace(stated_terms(plan, {"margin"}), margin=margin)
    return _content(
        trials,
        Origin(plan.name, _lead(plan, trials.frame), plan.name, plan, readable(recorded(plan))),
        planned=_planned(plan),
        terms=terms,
        baselines=compared_with_baselines(plan),
        searches=[against_random(each, trials, trials.guess) for each in own_searches(plan)],
        retrained=study_retrained(plan),
        fidelity=_fidelity(plan, terms.margin),
        latency=latency(measured, plan.regime) if len(measured := study_latency(plan)) else None,
        finished=read_finished(plan),
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
    lead = f"{len(every):,} networks in {spaces} {'space' if spaces == 1 else 'spaces'}, from {names}."
    lead += "".join(f" {note.replace('study', 'Study', note.startswith('study'))}." for note in notes)
    source = " ".join(f"--from {file.name}" for file in files) + (f" --errors {errors}" if errors else "")
    return _content(
        replace(trials, notes=tuple(notes)),
        Origin(" + ".join(file.stem for file in files), lead, source),
        planned=len(every.drop_duplicates(["space", "index"])),
        terms=Terms() if margin is None else Terms(margin),
        baselines=baselines(BASELINES.frame(())),
    )


def _content(trials: Trials, origin: Origin, planned: int, terms: Terms, **results: Any) -> Content:
    compared, good = compare(trials, terms), trends(trials)
    if not len(good.networks):
        raise InputError(f"{origin.name}: no training has earned an error yet", "nothing to report")
    networks = page_networks(good.networks, trials.frame, planned)
    derived = np.array(networks.errors(DERIVED))
    return Content(
        origin,
        networks,
        compared,
        fit_law(trials),
        good,
        derived_errors(derived, compared.spaces, terms.margin) if len(derived) else None,
        **results,
    )


def _planned(plan: Plan) -> int:
    """Networks that are to be trained; of a walk as far as it did not end before."""
    if not plan.terms.walk:
        return sum(draw.n for draw in plan.draws) + plan.derived
    state, _ = study_so_far(plan)
    known = {(job.space, job.index) for job in state.jobs if job.space not in CHOSEN}
    return len(known) + (0 if state.derived else plan.derived)


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


def _lead(plan: Plan, every: pd.DataFrame) -> str:
    budget = plan.budget
    windows = ", ".join(
        f"{w.shown(w.low)} to {w.shown(w.high) if math.isfinite(w.high) else 'any number of'} {name}"
        for name, w in plan.regime.windows.items()
    )
    seconds = pd.to_numeric(every["seconds"], errors="coerce").sum() if "seconds" in every else 0.0
    return (
        f"{len(plan.draws)} design space{'s' * (len(plan.draws) != 1)} on {plan.data}"
        + (f", networks with {windows}" if windows else "")
        + f", each trained on {budget.images:,} images for {budget.epochs} epoch{'s' * (budget.epochs != 1)}"
        + (f"; {duration(seconds)} of training in all" if seconds else "")
        + "."
    )
