"""The store: an Optuna study that keeps finished trainings, and nothing else.

One trial is one training, added in one call when it is over, so a killed run leaves no half trial.
The coordinator is the only writer (``lock``, ``stores.lease``). What a trial holds is in its user
attributes; its parameters are the network's, for Optuna's own tools.
"""

import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from regnetlab.errors import InputError
from regnetlab.spaces.config import MAX_DEPTH, MAX_WIDTH, Config
from regnetlab.spaces.law import parse_config
from regnetlab.spaces.ratio import MOST_NARROWING, MOST_WIDENING
from regnetlab.study.sql_trials import add_trial, trial_attributes
from regnetlab.study.stores.backends import again_if, open_storage, patiently, study_name, why, written
from regnetlab.study.stores.location import Location
from regnetlab.study.stores.migrate import check_schema
from regnetlab.training.budget import COMPLETE, CurvePoint, Score
from regnetlab.trials.job import Job

SCHEMA = 2
"""Version of what the user attributes mean; a store with a higher one is refused."""

_SCORE = ("error", "test_error", "curve", "seconds", "images", "ended")


@dataclass(frozen=True, slots=True)
class Store:
    """An open store. Make one with ``open_store``."""

    study: Any  # optuna.Study, whose import is put off until a store is opened
    known: list[tuple[int, str, Score]] = field(default_factory=list, repr=False, compare=False)
    """Trial number, identity and score of the trainings read so far; a finished trial never changes."""

    def scores(self) -> dict[str, Score]:
        """The score of every finished training, by its identity; the first where there are two.

        Trainings on data that were changed since (``changes``) no longer count.
        """
        found: dict[str, Score] = {}
        first = self._facts("changes").get("counts_from", 0)
        for number, identity, score in self._finished():
            if number >= first:
                found.setdefault(identity, score)
        return found

    def _finished(self) -> list[tuple[int, str, Score]]:
        """Everything finished, of which only what is new is read."""
        last = self.known[-1][0] if self.known else -1
        keys = ("identity", *_SCORE)
        for number, facts in patiently(lambda: list(trial_attributes(self.study, keys, last))):
            if "identity" in facts:
                self.known.append((number, facts["identity"], score_of(facts)))
        return self.known

    def add(self, job: Job, score: Score) -> None:
        """Keep one finished training; raises ``InputError`` where the store can't be written."""
        trial = trial_of(job, score)
        written(
            lambda: add_trial(self.study, trial),
            lambda: True if job.identity in self.scores() else None,
        )

    def _facts(self, name: str) -> Mapping[str, Any]:
        kept: Mapping[str, Any] = patiently(lambda: self.study.user_attrs).get(name) or {}
        return kept

    def _keep(self, name: str, facts: Mapping[str, Any]) -> None:
        written(lambda: self.study.set_user_attr(name, dict(facts)))

    def lease(self) -> Mapping[str, Any]:
        """Who holds this store (see ``stores.lease``); empty where nobody does."""
        return self._facts("lease")

    def keep_lease(self, facts: Mapping[str, Any]) -> None:
        self._keep("lease", facts)

    @property
    def changes(self) -> Mapping[str, Any]:
        """What the study was when it began, and which changes were accepted (see ``changes``)."""
        return self._facts("changes")

    def keep_changes(self, facts: Mapping[str, Any]) -> None:
        self._keep("changes", facts)

    def derived(self, population: str) -> list[Config] | None:
        """The RegNets derived from this population (its hash), if they were derived already."""
        kept = self._facts("derived")
        if not kept or kept["population"] != population:
            return None
        return [parse_config(text) for text in kept["configs"]]

    def keep_derived(self, population: str, configs: Sequence[Config]) -> None:
        kept = {"population": population, "configs": [config.text for config in configs]}
        self._keep("derived", kept)

    @property
    def contest(self) -> Mapping[str, Any]:
        """What was settled of the comparison with the baselines (see ``contest``); empty before."""
        return self._facts("contest")

    def keep_contest(self, facts: Mapping[str, Any]) -> None:
        self._keep("contest", facts)

    @property
    def tested(self) -> bool:
        """Whether the test split was ever used."""
        return any(score.test_error is not None for score in self.scores().values())

    @property
    def latencies(self) -> Mapping[str, Any]:
        """By model and batch size the median, lower and upper quartile in milliseconds."""
        return self._facts("latencies")

    def keep_latencies(self, facts: Mapping[str, Any]) -> None:
        self._keep("latencies", facts)

    @property
    def provenance(self) -> Mapping[str, Any]:
        """What the last run recorded of its circumstances; empty before the first."""
        return self._facts("provenance")

    def keep_provenance(self, facts: Mapping[str, Any]) -> None:
        self._keep("provenance", facts)


def trial_of(job: Job, score: Score) -> Any:
    """The Optuna trial that keeps this training."""
    import optuna

    state = optuna.trial.TrialState
    complete = score.ended == COMPLETE
    params, distributions = _parameters(job.config) if job.config is not None else ({}, {})
    return optuna.trial.create_trial(
        state=state.COMPLETE if complete else state.FAIL,
        value=score.error if complete else None,
        params=params,
        distributions=distributions,
        user_attrs=attributes(job, score),
    )


def open_store(location: Location) -> Store:
    """The store at this place, made where there is none; raises as ``open_study`` does."""
    return Store(open_study(location, study_name(location)))


def open_study(location: Location, name: str, objectives: int = 1) -> Any:
    """The Optuna study of that name at this place, made where there is none.

    Raises ``InputError`` where it is something else, from a newer version, or does not answer.
    """
    import optuna  # seconds to import
    from sqlalchemy.exc import DatabaseError, IntegrityError, OperationalError

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    # Of two who make the same store at once, such as a run and a status, one may find it half made.
    busy = (IntegrityError, OperationalError, optuna.exceptions.StorageInternalError)
    try:
        study, schema = again_if(busy, lambda: _made_or_found(location, name, objectives))
    except (DatabaseError, sqlite3.DatabaseError, optuna.exceptions.StorageInternalError) as error:
        raise InputError(
            f"store {location} can't be opened ({why(error)})", "move it away to begin anew"
        ) from None
    except RuntimeError as error:
        line = str(error).splitlines()[0]
        raise InputError(f"store {location} is of another version of Optuna: {line}") from None
    if schema is not None:
        check_schema(study, str(location), schema, SCHEMA)
    return study


def _made_or_found(location: Location, name: str, objectives: int) -> tuple[Any, int | None]:
    """The Optuna study and the schema that it had, ``None`` where it is new."""
    import optuna

    study = optuna.create_study(
        storage=open_storage(location),
        study_name=name,
        directions=["minimize"] * objectives,
        load_if_exists=True,
    )
    schema: int | None = study.user_attrs.get("schema")
    if schema is None:
        study.set_user_attr("schema", SCHEMA)
    return study, schema


def attributes(job: Job, score: Score) -> dict[str, Any]:
    """The user attributes that say everything about a finished training; ``score_of`` reads its score."""
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
        "test_error": score.test_error,
        "recipe": json.dumps(asdict(job.recipe)),
        "ended": score.ended,
        "seconds": score.seconds,
        "images": score.images,
        "curve": json.dumps([_point(each) for each in score.curve]),
    }


def score_of(attributes: Mapping[str, Any]) -> Score:
    """The score in these user attributes."""
    return Score(
        error=attributes["error"],
        curve=tuple(CurvePoint(*values) for values in json.loads(attributes["curve"])),
        seconds=attributes["seconds"],
        images=attributes["images"],
        ended=attributes["ended"],
        test_error=attributes.get("test_error"),
    )


def _parameters(config: Config) -> tuple[dict[str, float], dict[str, Any]]:
    """Optuna parameters d1, w1, g1, b1, d2, … and their distributions."""
    from optuna.distributions import FloatDistribution, IntDistribution

    kinds = {
        "d": IntDistribution(1, MAX_DEPTH, log=True),
        "w": IntDistribution(1, MAX_WIDTH, log=True),
        "g": IntDistribution(1, MAX_WIDTH, log=True),
        "b": FloatDistribution(1 / MOST_WIDENING, MOST_NARROWING, log=True),
    }
    columns = {
        "d": config.depths,
        "w": config.widths,
        "g": config.group_widths,
        "b": config.bottleneck_ratios,
    }
    params = {f"{name}{i}": v for name, vs in columns.items() for i, v in enumerate(vs, start=1)}
    return params, {name: kinds[name[0]] for name in params}


def _point(point: CurvePoint) -> list[float | None]:
    return [point.images, point.train_loss, point.train_error, point.error]
