"""Trials written without Optuna's objects are the trials that Optuna would have written."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest

from regnetlab.study import sql_trials
from regnetlab.study.jobs import planned_jobs
from regnetlab.study.plan_file import load_plan
from regnetlab.study.sql_trials import add_trial, add_trials, trial_attributes
from regnetlab.study.store import open_store
from regnetlab.training.budget import CurvePoint, Score

MakeStudy = Callable[..., Path]
GOOD = Score(12.5, (CurvePoint(64, 2.25, 80.0), CurvePoint(128, 1.5, 60.0, 12.5)), 1.5, 128, "complete")
BAD = Score(None, (), 0.5, 0, "diverged: the loss was not finite by step 3")
DISTRIBUTIONS = {
    "w1": optuna.distributions.IntDistribution(1, 1024, log=True),
    "b1": optuna.distributions.FloatDistribution(0.25, 4.0, log=True),
    "space": optuna.distributions.CategoricalDistribution(["AnyNetA", "AnyNetE"]),
}


def trial(number: int) -> Any:
    """A finished trial; every third one failed."""
    failed = number % 3 == 2
    return optuna.trial.create_trial(
        state=optuna.trial.TrialState.FAIL if failed else optuna.trial.TrialState.COMPLETE,
        value=None if failed else 10.0 + number,
        params={} if failed else {"w1": 8 * (number + 1), "b1": 0.5, "space": "AnyNetE"},
        distributions={} if failed else DISTRIBUTIONS,
        user_attrs={"identity": f"id{number}", "error": None, "list": [number, 0.5], "text": 'a "ü"'},
    )


def facts(study: Any) -> list[Any]:
    return [
        (t.number, t.state, t.values, t.params, t.distributions, t.user_attrs, t.system_attrs)
        for t in study.get_trials()
    ]


def database(path: Path) -> Any:
    return optuna.create_study(storage=f"sqlite:///{path}", study_name="s", load_if_exists=True)


def test_both_ways_write_the_same_trials(tmp_path: Path) -> None:
    quick, usual = database(tmp_path / "quick.db"), database(tmp_path / "usual.db")
    for number in range(7):
        made = trial(number)
        add_trial(quick, made)
        usual.add_trial(made)
        pair = quick.trials[-1], usual.trials[-1]
        assert len({t.datetime_start for t in pair}) == len({t.datetime_complete for t in pair}) == 1
    for study in (quick, database(tmp_path / "quick.db")):
        assert facts(study) == facts(usual)
        assert study.best_trial.number == 0


def test_both_ways_go_on_after_each_other_and_beside_another_study(tmp_path: Path) -> None:
    study = database(tmp_path / "x.db")
    other = optuna.create_study(storage=f"sqlite:///{tmp_path / 'x.db'}", study_name="other")
    add_trials(study, [trial(0), trial(1)])
    add_trial(other, trial(5))
    study.add_trial(trial(2))
    add_trial(study, trial(3))
    assert [t.number for t in study.trials] == [0, 1, 2, 3]
    assert [t.user_attrs["identity"] for t in study.trials] == ["id0", "id1", "id2", "id3"]
    assert [t.number for t in other.trials] == [0]


def test_attributes_are_read_as_optuna_reads_them(tmp_path: Path) -> None:
    study = database(tmp_path / "x.db")
    add_trials(study, [trial(number) for number in range(5)])
    study.add_trial(optuna.trial.create_trial(value=1.0))  # somebody else's, without any
    keys = ("identity", "list", "missing")
    expected = [
        (t.number, {key: t.user_attrs[key] for key in keys if key in t.user_attrs}) for t in study.trials[:5]
    ]
    assert list(trial_attributes(study, keys)) == expected
    assert list(trial_attributes(study, keys, after=2)) == expected[3:]


@pytest.mark.parametrize("reason", ["memory", "version"])
def test_other_storages_and_versions_go_through_optuna(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reason: str
) -> None:
    if reason == "memory":
        study = optuna.create_study()
    else:
        study = database(tmp_path / "x.db")
        monkeypatch.setattr(sql_trials, "_TABLES", 13)
    assert sql_trials._engine(study) is None
    add_trial(study, trial(0))
    add_trials(study, [trial(1)])
    assert [number for number, _ in trial_attributes(study, ["identity"])] == [0, 1]
    assert [number for number, _ in trial_attributes(study, ["identity"], after=0)] == [1]
    assert len(facts(study)) == 2


def test_a_store_written_half_by_optuna_is_read_whole(
    make_study: MakeStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = load_plan(make_study())
    jobs = planned_jobs(plan)
    store = open_store(plan.store)
    store.add(jobs[0], GOOD)
    assert store.scores() == {jobs[0].identity: GOOD}
    with monkeypatch.context() as patch:
        patch.setattr(sql_trials, "_TABLES", 13)
        store.add(jobs[1], BAD)
    store.add(jobs[2], GOOD)
    assert store.scores() == {
        job.identity: score for job, score in zip(jobs, (GOOD, BAD, GOOD), strict=False)
    }
