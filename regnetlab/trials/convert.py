"""Stores of earlier versions: a training was a trial of Optuna's, and what it said its user attributes.

They are read from Optuna's tables, without Optuna, when such a store is opened (``store``), and a journal
file by Optuna itself when it is copied. Only the fact ``changes`` said which trainings were on data that
changed since; here each says on which data it was.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC
from itertools import groupby
from pathlib import Path
from typing import Any

import sqlalchemy as sql

from regnetlab.errors import InputError

_NAME = "regnetlab"  # of the study in a file
_CHECKSUM = "data.checksum"
_COPIED = (
    *("identity", "space", "index", "model", "seed", "flops", "params", "acts", "recipe"),
    *("error", "test_error", "ended", "seconds", "images", "curve", "correct", "ran"),
)
OPTUNA_TABLES = (
    *("trial_user_attributes", "trial_system_attributes", "trial_params", "trial_values"),
    *("trial_intermediate_values", "trial_heartbeats", "trials", "study_directions"),
    *("study_user_attributes", "study_system_attributes", "studies", "version_info", "alembic_version"),
)
_STUDY = "select study_id from studies where study_name = :study"
_FACTS = f"select key, value_json from study_user_attributes where study_id = ({_STUDY})"
_TRIALS = (
    "select t.number, t.datetime_complete, a.key, a.value_json"
    " from trials t join trial_user_attributes a on a.trial_id = t.trial_id"
    f" where t.study_id = ({_STUDY}) order by t.trial_id"
)

Facts = dict[str, dict[str, Any]]
Rows = list[dict[str, Any]]


def has_older(connection: sql.Connection, study: str) -> bool:
    """Whether this study is there in Optuna's tables."""
    there = sql.inspect(connection).has_table("study_user_attributes")
    return there and connection.scalar(sql.text(_STUDY), {"study": study}) is not None


def has_others(connection: sql.Connection) -> bool:
    """Whether a file without such a study has tables of another program, or other studies of Optuna's."""
    tables = {name for name in sql.inspect(connection).get_table_names() if not name.startswith("regnetlab_")}
    if "studies" in tables and tables <= set(OPTUNA_TABLES):
        return bool(connection.scalar(sql.text("select count(*) from studies")))
    return bool(tables)


def read_older(connection: sql.Connection, study: str) -> tuple[Facts, Rows]:
    """The facts about a study and the rows of its trainings, from Optuna's tables."""
    named = {"study": study}
    facts = {key: json.loads(value) for key, value in connection.execute(sql.text(_FACTS), named)}

    def trials() -> Iterator[tuple[int, Any, dict[str, Any]]]:
        rows = connection.execute(sql.text(_TRIALS), named)
        for (number, ended), group in groupby(rows, key=lambda row: (row[0], row[1])):
            yield number, ended, {key: json.loads(value) for _, _, key, value in group}

    return converted(facts, trials())


def read_journal(path: Path) -> tuple[Facts, Rows]:
    """The same from a journal file, in which earlier versions kept a study on request."""
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    if not path.exists():
        raise InputError(f"store journal:{path} is not there")
    try:
        study = optuna.load_study(study_name=_NAME, storage=JournalStorage(JournalFileBackend(str(path))))
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"store journal:{path} can't be read ({error})") from None
    trials = study.get_trials(deepcopy=False)
    ends = [each.datetime_complete.astimezone(UTC) if each.datetime_complete else None for each in trials]
    return converted(
        study.user_attrs,
        ((each.number, end, each.user_attrs) for each, end in zip(trials, ends, strict=True)),
    )


def drop_older(connection: sql.Connection) -> None:
    """Leave Optuna's tables out of a file whose one study was converted."""
    if connection.scalar(sql.text("select count(*) from studies")) == 1:
        for table in OPTUNA_TABLES:
            connection.exec_driver_sql(f"drop table if exists {table}")


def converted(
    facts: Mapping[str, Any], trials: Iterable[tuple[int, Any, Mapping[str, Any]]]
) -> tuple[Facts, Rows]:
    """Facts and rows from a study's user attributes, and its trials' numbers, endings (UTC) and attributes.

    Trials before ``changes.counts_from`` were on the data before the accepted change. Where there were
    several changes it is not known on which: they get a text that is no checksum. The device is known where
    it never changed.
    """
    kept = {name: dict(value) for name, value in facts.items() if isinstance(value, dict) and name != "lease"}
    checksum = kept.get("provenance", {}).get("data_checksum", "")
    if checksum and "changes" not in kept:  # schema 1 did not say what the study was when it began
        kept["changes"] = {"began": {_CHECKSUM: checksum}, "accepted": []}
    changes = kept.get("changes", {})
    began, accepted = changes.get("began", {}), [each["changes"] for each in changes.get("accepted", [])]
    before = [each[_CHECKSUM][0] for each in accepted if _CHECKSUM in each]
    earlier = before[0] if len(before) == 1 else "changed since"
    device = "" if any("device" in each for each in accepted) else began.get("device", "")
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for number, ended, attributes in trials:
        if attributes.keys() >= {"identity", "error", "ended", "seconds", "images", "curve"}:
            counts = number >= changes.get("counts_from", 0)
            row: dict[str, Any] = {
                **{name: attributes.get(name) for name in _COPIED},
                "data": began.get(_CHECKSUM, checksum) if counts else earlier,
                "device": device,
                "worker": "",
                "finished": f"{str(ended)[:19].replace(' ', 'T')}+00:00" if ended else "",
            }
            rows.setdefault((attributes["identity"], row["data"]), row)  # the first of a doubled one counts
    return kept, list(rows.values())
