"""searches.db: an Optuna study for every search, beside the store of the populations.

As there (``store``), one trial is one finished training, added in one call by the coordinator alone. A
trial's parameters are the network's in the search's own terms; its ``number`` among the user attributes is
its place in the search, whatever the order of completion. Each study says in its attribute ``search`` that
it is one, so that whoever reads populations refuses it.
"""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from regnetlab.spaces.law import parse_config
from regnetlab.study.search import Proposal, Search, Step, search_job
from regnetlab.study.store import attributes, open_study, score_of
from regnetlab.study.stores.backends import open_storage
from regnetlab.training.budget import COMPLETE, Score

MARK = "search"
"""The user attribute of a study that is a search; it holds the search's facts."""


@dataclass(frozen=True, slots=True)
class SearchStore:
    """The open store of one search. Make one with ``open_search``."""

    search: Search
    study: Any  # optuna.Study

    def steps(self) -> dict[int, Step]:
        """The finished trainings by number."""
        return _steps(self.study)

    def add(self, step: Step) -> None:
        """Keep one finished training."""
        import optuna

        from regnetlab.study.search_sampler import values
        from regnetlab.study.search_space import distributions

        proposal, score, search = step.proposal, step.score, self.search
        job = search_job(search, step.number, proposal)
        complete = score.ended == COMPLETE
        state = optuna.trial.TrialState
        self.study.add_trial(
            optuna.trial.create_trial(
                state=state.COMPLETE if complete else state.FAIL,
                values=values(search, step) if complete else None,
                params=dict(proposal.params),
                distributions=distributions(search.space, len(search.plan.template.strides)),
                system_attrs=dict(proposal.notes),
                user_attrs=attributes(job, score)
                | {"number": step.number, "law": dict(proposal.law), MARK: search.sampler},
            )
        )

    @property
    def provenance(self) -> Mapping[str, Any]:
        kept: Mapping[str, Any] = self.study.user_attrs.get("provenance", {})
        return kept

    def keep_provenance(self, facts: Mapping[str, Any]) -> None:
        self.study.set_user_attr("provenance", dict(facts))


@dataclass(frozen=True, slots=True)
class KeptSearch:
    """A search as its store has it: what it says of itself, and its trainings in their order."""

    facts: Mapping[str, Any]
    steps: tuple[Step, ...]


def open_search(search: Search) -> SearchStore:
    """The store of this search, made where there is none; raises as ``open_study`` does."""
    study = open_study(search.plan.searches_store, search.name, len(search.objectives))
    if MARK not in study.user_attrs:
        budget = search.plan.budget
        facts = {
            "space": search.space.name,
            "sampler": search.sampler,
            "seed": search.seed,
            "batch": search.batch,
            "protocol": search.protocol,
            "data": search.plan.data,
            "images": budget.images,
            "epochs": budget.epochs,
            "batch_size": budget.batch_size,
            "objectives": search.objectives,
        }
        study.set_user_attr(MARK, facts)
        with warnings.catch_warnings():  # experimental, says Optuna; its dashboard then names the axes
            warnings.simplefilter("ignore")
            study.set_metric_names(list(search.objectives))
    return SearchStore(search, study)


def kept_searches(path: Path) -> list[KeptSearch]:
    """Every search in this store, by name."""
    import optuna

    storage = open_storage(path)
    names = sorted(each.study_name for each in optuna.get_all_study_summaries(storage))
    studies = [optuna.load_study(study_name=name, storage=storage) for name in names]
    found = []
    for study in studies:
        if MARK in study.user_attrs:
            steps = _steps(study)
            found.append(KeptSearch(study.user_attrs[MARK], tuple(steps[k] for k in sorted(steps))))
    return found


def known_scores(path: Path) -> dict[str, Score]:
    """The score of every training of every search in this store, by identity."""
    import optuna

    storage = open_storage(path)
    found: dict[str, Score] = {}
    for summary in optuna.get_all_study_summaries(storage):
        study = optuna.load_study(study_name=summary.study_name, storage=storage)
        for trial in study.get_trials(deepcopy=False):
            if "identity" in trial.user_attrs:
                found.setdefault(trial.user_attrs["identity"], score_of(trial.user_attrs))
    return found


def _steps(study: Any) -> dict[int, Step]:
    found: dict[int, Step] = {}
    for trial in study.get_trials(deepcopy=False):
        facts = trial.user_attrs
        if "number" in facts:
            counts = {name: int(facts[name]) for name in ("flops", "params", "acts")}
            law = tuple((name, float(value)) for name, value in facts["law"].items())
            config = parse_config(facts["model"])
            proposal = Proposal(dict(trial.params), dict(trial.system_attrs), config, law, counts)
            found.setdefault(facts["number"], Step(facts["number"], proposal, score_of(facts)))
    return found
