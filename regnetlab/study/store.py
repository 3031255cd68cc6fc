"""The store: an Optuna study that keeps finished trainings, and nothing else.

One trial is one training, added in one call when it is over, so a killed run leaves no half trial.
The coordinator is the only writer (``lock``). What a trial holds is in its user attributes; its
parameters are the network's, for Optuna's own tools.
"""

import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from regnetlab.errors import InputError
from regnetlab.spaces.config import MAX_DEPTH, MAX_WIDTH, Config
from regnetlab.spaces.law import parse_config
from regnetlab.spaces.ratio import MOST_NARROWING, MOST_WIDENING
from regnetlab.study.jobs import Job
from regnetlab.study.sql_trials import add_trial, trial_attributes
from regnetlab.training.budget import COMPLETE, CurvePoint, Score

SCHEMA = 1
"""Version of what the user attributes mean; a store with a higher one is refused."""

_STUDY = "regnetlab"
_SCORE = ("error", "test_error", "curve", "seconds", "images", "ended")


@dataclass(frozen=True, slots=True)
class Store:
    """An open store. Make one with ``open_store``."""

    study: Any  # optuna.Study, whose import is put off until a store is opened
    known: list[tuple[int, str, Score]] = field(default_factory=list, repr=False, compare=False)
    """Trial number, identity and score of the trainings read so far; a finished trial never changes."""

    def scores(self) -> dict[str, Score]:
        """The score of every finished training, by its identity; the first where there are two."""
        found: dict[str, Score] = {}
        for _, identity, score in self._finished():
            found.setdefault(identity, score)
        return found

    def _finished(self) -> list[tuple[int, str, Score]]:
        """Everything finished, of which only what is new is read."""
        last = self.known[-1][0] if self.known else -1
        for number, attributes in trial_attributes(self.study, ("identity", *_SCORE), last):
            if "identity" in attributes:
                self.known.append((number, attributes["identity"], _score(attributes)))
        return self.known

    def add(self, job: Job, score: Score) -> None:
        """Keep one finished training."""
        add_trial(self.study, trial_of(job, score))

    def derived(self, population: str) -> list[Config] | None:
        """The RegNets derived from this population (its hash), if they were derived already."""
        kept = self.study.user_attrs.get("derived")
        if kept is None or kept["population"] != population:
            return None
        return [parse_config(text) for text in kept["configs"]]

    def keep_derived(self, population: str, configs: Sequence[Config]) -> None:
        kept = {"population": population, "configs": [config.text for config in configs]}
        self.study.set_user_attr("derived", kept)

    @property
    def contest(self) -> Mapping[str, Any]:
        """What was settled of the comparison with the baselines (see ``contest``); empty before."""
        kept: Mapping[str, Any] = self.study.user_attrs.get("contest", {})
        return kept

    def keep_contest(self, facts: Mapping[str, Any]) -> None:
        self.study.set_user_attr("contest", dict(facts))

    @property
    def tested(self) -> bool:
        """Whether the test split was ever used."""
        return any(score.test_error is not None for score in self.scores().values())

    @property
    def latencies(self) -> Mapping[str, Any]:
        """By model and batch size the median, lower and upper quartile in milliseconds."""
        kept: Mapping[str, Any] = self.study.user_attrs.get("latencies", {})
        return kept

    def keep_latencies(self, facts: Mapping[str, Any]) -> None:
        self.study.set_user_attr("latencies", dict(facts))

    @property
    def provenance(self) -> Mapping[str, Any]:
        """What the last run recorded of its circumstances; empty before the first."""
        kept: Mapping[str, Any] = self.study.user_attrs.get("provenance", {})
        return kept

    def keep_provenance(self, facts: Mapping[str, Any]) -> None:
        self.study.set_user_attr("provenance", dict(facts))


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
        user_attrs={
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
        },
    )


def open_store(path: Path) -> Store:
    """The store in this SQLite file, made where there is none.

    Raises ``InputError`` where the file is something else or from a newer version.
    """
    import optuna  # seconds to import
    from sqlalchemy.exc import DatabaseError

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        _use_write_ahead_log(path)
        storage = optuna.storages.RDBStorage(
            f"sqlite:///{path}", engine_kwargs={"connect_args": {"timeout": 60}}
        )
        study = optuna.create_study(
            storage=storage, study_name=_STUDY, direction="minimize", load_if_exists=True
        )
    except (DatabaseError, sqlite3.DatabaseError) as error:
        reason = str(getattr(error, "orig", error))
        raise InputError(f"store {path} can't be opened ({reason}); move it away to begin anew") from None
    except RuntimeError as error:
        line = str(error).splitlines()[0]
        raise InputError(f"store {path} is of another version of Optuna: {line}") from None
    schema = study.user_attrs.get("schema")
    if schema is None:
        study.set_user_attr("schema", SCHEMA)
    elif schema > SCHEMA:
        raise InputError(
            f"store {path} was written by a newer regnetlab (schema {schema}, this one knows {SCHEMA});"
            " upgrade regnetlab, or move the store away to begin anew"
        )
    return Store(study)


def _use_write_ahead_log(path: Path) -> None:
    """Readers then never wait for the writer; the setting stays in the file."""
    connection = sqlite3.connect(path)
    try:
        connection.execute("PRAGMA journal_mode=WAL")
    finally:
        connection.close()


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


def _score(attributes: Mapping[str, Any]) -> Score:
    return Score(
        error=attributes["error"],
        curve=tuple(CurvePoint(*values) for values in json.loads(attributes["curve"])),
        seconds=attributes["seconds"],
        images=attributes["images"],
        ended=attributes["ended"],
        test_error=attributes.get("test_error"),
    )
