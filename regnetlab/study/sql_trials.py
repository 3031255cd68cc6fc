"""Trials of an Optuna study in an SQL database, written and read without Optuna's objects.

``Study.add_trial`` asks the database about every parameter and attribute before it writes it, some 60
queries a trial, and counts all trials before; ``Study.get_trials`` builds an object for each of its
rows. Here a trial is five statements, whatever was written before, and reading is one. The rows are
Optuna's own, in the one version of its tables that is known here; any other storage or version goes
through Optuna.
"""

import json
from collections.abc import Iterator, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any

_TABLES = 12
"""The version of Optuna's tables that this module knows (``SCHEMA_VERSION`` of its models)."""


def add_trial(study: Any, trial: Any) -> None:
    """``study.add_trial(trial)``, for a finished trial of one objective without intermediate values."""
    engine = _engine(study)
    if engine is None:
        study.add_trial(trial)
        return
    with engine.begin() as connection:
        _insert(connection, study._study_id, trial)


def add_trials(study: Any, trials: Sequence[Any]) -> None:
    """The same for many, all of them or none."""
    engine = _engine(study)
    if engine is None:
        study.add_trials(trials)
        return
    with engine.begin() as connection:
        for trial in trials:
            _insert(connection, study._study_id, trial)


def trial_attributes(
    study: Any, keys: Sequence[str], after: int = -1
) -> Iterator[tuple[int, dict[str, Any]]]:
    """The number of every trial that has one of these user attributes, and those that it has, in order.

    Only trials with numbers above ``after``.
    """
    engine = _engine(study)
    if engine is None:
        for trial in study.get_trials(deepcopy=False):
            known = {key: trial.user_attrs[key] for key in keys if key in trial.user_attrs}
            if known and trial.number > after:
                yield trial.number, known
        return
    import sqlalchemy as sql
    from optuna.storages._rdb import models

    trials, attributes = models.TrialModel.__table__, models.TrialUserAttributeModel.__table__
    query = (
        sql.select(trials.c.number, attributes.c.key, attributes.c.value_json)
        .join(attributes, attributes.c.trial_id == trials.c.trial_id)
        .where(trials.c.study_id == study._study_id, trials.c.number > after, attributes.c.key.in_(keys))
        .order_by(trials.c.trial_id)
    )
    with engine.connect() as connection:
        rows = connection.execution_options(yield_per=10_000).execute(query)
        quoted = {key: json.dumps(key) for key in keys}
        for number, own in groupby(rows, key=itemgetter(0)):
            # Parsed at once: much faster than one value after the other.
            values = ",".join([f"{quoted[key]}:{value}" for _, key, value in own])
            yield number, json.loads(f"{{{values}}}")


def _engine(study: Any) -> Any:
    """The SQLAlchemy engine of a study in a database with the tables known here, else ``None``."""
    from optuna.storages import RDBStorage
    from optuna.storages._rdb import models

    storage = getattr(study._storage, "_backend", study._storage)  # without Optuna's cache
    known = isinstance(storage, RDBStorage) and models.SCHEMA_VERSION == _TABLES
    return storage.engine if known else None


def _insert(connection: Any, study: int, trial: Any) -> None:
    import sqlalchemy as sql
    from optuna.distributions import distribution_to_json
    from optuna.storages._rdb import models

    studies, trials = models.StudyModel.__table__, models.TrialModel.__table__
    # As Optuna does: whoever else adds a trial to this study waits.
    connection.execute(sql.select(studies.c.study_id).where(studies.c.study_id == study).with_for_update())
    latest = sql.select(trials.c.number).where(trials.c.study_id == study)
    before = connection.execute(latest.order_by(trials.c.trial_id.desc()).limit(1)).scalar()
    row = models.TrialModel(
        study_id=study,
        datetime_start=trial.datetime_start,
        datetime_complete=trial.datetime_complete,
    )
    (trial_id,) = connection.execute(
        sql.insert(trials),
        {
            "number": 0 if before is None else before + 1,
            "study_id": study,
            "state": trial.state,
            "datetime_start": row._datetime_start_utc,
            "datetime_complete": row._datetime_complete_utc,
        },
    ).inserted_primary_key
    if trial.value is not None:
        value, kind = models.TrialValueModel.value_to_stored_repr(trial.value)
        _add_rows(connection, models.TrialValueModel, [(trial_id, 0, value, kind)])
    params = [
        (trial_id, name, each.to_internal_repr(trial.params[name]), distribution_to_json(each))
        for name, each in trial.distributions.items()
    ]
    _add_rows(connection, models.TrialParamModel, params)
    attributes = [(trial_id, key, json.dumps(value)) for key, value in trial.user_attrs.items()]
    _add_rows(connection, models.TrialUserAttributeModel, attributes)


def _add_rows(connection: Any, model: Any, rows: Sequence[tuple[Any, ...]]) -> None:
    """Rows of all columns of a table but its own key, in their order."""
    import sqlalchemy as sql

    columns = [column.name for column in model.__table__.columns if not column.primary_key]
    if rows:
        named = [dict(zip(columns, row, strict=True)) for row in rows]
        connection.execute(sql.insert(model.__table__), named)
