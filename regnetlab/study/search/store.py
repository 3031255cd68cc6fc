"""searches.db: an Optuna study for every search, beside the store of the trainings.

Its trials are the search's proposals with what the sampler was told of them. A trial's parameters are the
network's in the search's own terms; its ``number`` among the user attributes is its place in the search,
whatever the order of completion. Each study says in its attribute ``search`` that it is one, so that a reader
of populations refuses it.
"""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import sqlalchemy as sql
from sqlalchemy.exc import SQLAlchemyError

from regnetlab.errors import InputError
from regnetlab.spaces.law import parse_config
from regnetlab.study.search.definition import Candidate, Search, Step, search_job
from regnetlab.training.budget import COMPLETE, Score
from regnetlab.trials.convert import OPTUNA_TABLES
from regnetlab.trials.csv_tables import SEARCHES
from regnetlab.trials.job import Job
from regnetlab.trials.optuna_file import SEARCH_MARK, sqlite_storage
from regnetlab.trials.sqlite_file import ERRORS, check_file, check_plain, foreign, inode, reader


@dataclass(frozen=True, slots=True)
class SearchStore:
    """The open store of one search. Make one with ``open_search``."""

    search: Search
    study: Any  # optuna.Study
    file: tuple[int, int] | None

    def check_there(self) -> None:
        """Raise ``InputError`` where the file was removed or replaced: what is written to it then is lost."""
        if self.file != inode(self.search.plan.searches_store):
            raise InputError(
                f"{self.search.plan.searches_store} was removed or replaced while the search ran",
                "put it back; else the next search takes its trainings from the study's store",
            )

    def steps(self) -> dict[int, Step]:
        """The finished trainings by number."""
        return _steps(self.study)

    def add(self, step: Step) -> None:
        """Keep one finished training; raises as ``check_there``."""
        self.check_there()
        import optuna

        from regnetlab.study.search.sampler import values
        from regnetlab.study.search.space import distributions

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
                user_attrs=_attributes(job, score)
                | {"number": step.number, "law": dict(proposal.law), SEARCH_MARK: search.sampler},
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
    study = _open_study(search.plan.searches_store, search.name, len(search.objectives))
    if SEARCH_MARK not in study.user_attrs:
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
        study.set_user_attr(SEARCH_MARK, facts)
        with warnings.catch_warnings():  # experimental, says Optuna; its dashboard then names the axes
            warnings.simplefilter("ignore")
            study.set_metric_names(list(search.objectives))
    return SearchStore(search, study, inode(search.plan.searches_store))


def kept_searches(path: Path) -> list[KeptSearch]:
    """Every search in this store, by name."""
    found = []
    for study in sorted(_studies(path), key=lambda study: study.study_name):
        steps = _steps(study)
        found.append(KeptSearch(study.user_attrs[SEARCH_MARK], tuple(steps[k] for k in sorted(steps))))
    return found


def known_scores(path: Path, data: str) -> dict[str, Score]:
    """The score of every search's trainings on the data with this checksum, by identity."""
    found: dict[str, Score] = {}
    for study in _studies(path):
        if study.user_attrs.get("provenance", {}).get("data_checksum") == data:
            for trial in study.get_trials(deepcopy=False):
                if "identity" in trial.user_attrs:
                    found.setdefault(trial.user_attrs["identity"], _score_of(trial.user_attrs))
    return found


def searches_frame(searches: Sequence[KeptSearch]) -> pd.DataFrame:
    """The finished trainings of these searches as a table (``csv_tables.SEARCHES``)."""
    return SEARCHES.frame(_row(search.facts, step) for search in searches for step in search.steps)


def _row(facts: Mapping[str, Any], step: Step) -> dict[str, Any]:
    config, law = step.proposal.config, dict(step.proposal.law)
    return {
        **{name: facts[name] for name in ("space", "sampler", "batch", "protocol", "data")},
        **{name: facts[name] for name in ("images", "epochs", "batch_size")},
        "search_seed": facts["seed"],
        "number": step.number,
        "id": config.id,
        "depths": config.depths,
        "widths": config.widths,
        "group_widths": config.group_widths,
        "bottleneck_ratios": config.bottleneck_ratios,
        **step.proposal.counts,
        **{name: law.get(name) for name in ("w0", "wa", "wm")},
        "error": step.score.error,
        "ended": step.score.ended,
        "seconds": round(step.score.seconds, 2),
    }


def _storage(path: Path) -> Any:
    """Optuna's storage in this file; raises ``InputError`` where it is not ours."""
    import optuna

    try:
        check_file(path)
        if path.exists():
            with reader(path).connect() as connection:
                check_plain(connection, path)
                if set(sql.inspect(connection).get_table_names()) - set(OPTUNA_TABLES):
                    raise foreign(path)
        return sqlite_storage(path, timeout=60)
    except (*ERRORS, SQLAlchemyError, RuntimeError, optuna.exceptions.StorageInternalError) as error:
        raise _refused(path, error) from None


def _refused(path: Path, error: Exception) -> InputError:
    line = (str(error).splitlines() or [type(error).__name__])[0]
    return InputError(f"{path} can't be opened ({line})", "move it away to begin again")


def _studies(path: Path) -> list[Any]:
    import optuna

    storage = _storage(path)
    names = [each.study_name for each in optuna.get_all_study_summaries(storage)]
    studies = [optuna.load_study(study_name=name, storage=storage) for name in names]
    return [study for study in studies if SEARCH_MARK in study.user_attrs]


def _open_study(path: Path, name: str, objectives: int) -> Any:
    import optuna

    try:
        return optuna.create_study(
            storage=_storage(path),
            study_name=name,
            directions=["minimize"] * objectives,
            load_if_exists=True,
        )
    except (*ERRORS, SQLAlchemyError, RuntimeError, optuna.exceptions.StorageInternalError) as error:
        raise _refused(path, error) from None


def _attributes(job: Job, score: Score) -> dict[str, Any]:
    """The user attributes that say everything about a finished training; ``_score_of`` reads its score."""
    return {
        "identity": job.identity,
        "space": job.space,
        "index": job.index,
        "model": job.model,
        "seed": job.seed,
        "flops": job.flops,
        "params": job.params,
        "acts": job.acts,
        "error": score.error,
        "ended": score.ended,
        "seconds": score.seconds,
        "images": score.images,
    }


def _score_of(attributes: Mapping[str, Any]) -> Score:
    error, seconds, images, ended = (attributes[name] for name in ("error", "seconds", "images", "ended"))
    return Score(error, (), seconds, images, ended)


def _steps(study: Any) -> dict[int, Step]:
    try:
        return _read_steps(study)
    except (KeyError, TypeError, ValueError, AttributeError):
        raise InputError(
            f"the store of searches: a training of {study.study_name!r} can't be read",
            "bring a backup back, or move it away to begin again",
        ) from None


def _read_steps(study: Any) -> dict[int, Step]:
    found: dict[int, Step] = {}
    for trial in study.get_trials(deepcopy=False):
        facts = trial.user_attrs
        if "number" in facts:
            counts = {name: int(facts[name]) for name in ("flops", "params", "acts")}
            law = tuple((name, float(value)) for name, value in facts["law"].items())
            config = parse_config(facts["model"])
            proposal = Candidate(dict(trial.params), dict(trial.system_attrs), config, law, counts)
            found.setdefault(facts["number"], Step(facts["number"], proposal, _score_of(facts)))
    return found
