"""Optuna studies as populations, in stores as Optuna itself writes them.

Those of other versions than the one installed are in foreign/, made by foreign/make_study.py.
"""

import hashlib
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from regnetlab.analysis.compare import compare
from regnetlab.analysis.width_law import fit_law
from regnetlab.errors import InputError
from regnetlab.report.content import files_content
from regnetlab.trials.files import read_trials
from regnetlab.trials.optuna_file import optuna_trials
from regnetlab.trials.store import open_store
from regnetlab.trials.terms import Terms
from tests.trials.trainings import BAD, DATA, OTHER_DATA, trial

FOREIGN = Path(__file__).parent / "foreign"
JOURNALS = ["optuna-3.6.2.log", "optuna-4.5.0.log"]


def _study(
    path: Path,
    value: Callable[[float], float | Sequence[float]] = lambda error: error,
    name: str = "theirs",
    directions: Sequence[str] = ("minimize",),
    metrics: Sequence[str] = (),
    middle: float = 20.0,
    trials: int = 12,
) -> Path:
    """A study of random networks whose errors, in percent, are normal; ``value`` is what it returns."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(
        storage=f"sqlite:///{path}",
        study_name=name,
        directions=list(directions),
        sampler=optuna.samplers.RandomSampler(seed=0),
    )
    if metrics:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # experimental, says Optuna
            study.set_metric_names(list(metrics))
    errors = random.Random(name)

    def objective(trial: optuna.Trial) -> float | Sequence[float]:
        for stage in (1, 2):
            trial.suggest_int(f"d{stage}", 1, 3)
            trial.suggest_int(f"w{stage}", 8, 32, step=8)
        trial.suggest_categorical("g", [8])
        trial.set_user_attr("flops", 1_000)
        return value(errors.gauss(middle, 1.0))

    study.optimize(objective, n_trials=trials)
    return path


def _failing(path: Path) -> Path:
    """A study in which six of ten trials end in each of the ways that earn no error."""
    optuna.logging.set_verbosity(optuna.logging.CRITICAL)
    study = optuna.create_study(
        storage=f"sqlite:///{path}", study_name="theirs", sampler=optuna.samplers.RandomSampler(seed=0)
    )

    def objective(trial: optuna.Trial) -> float:
        trial.suggest_int("d1", 1, 3)
        if trial.number == 0:
            raise ValueError("out of memory before the width was drawn")
        trial.suggest_int("w1", 8, 8 * 2**10, step=8)  # no network twice
        if trial.number == 1:
            trial.report(50.0, 1)
            raise optuna.TrialPruned
        if trial.number == 2:
            raise ValueError("out of memory")
        return {3: float("inf"), 4: float("-inf"), 5: float("nan")}.get(trial.number, 20.0 + trial.number)

    study.optimize(objective, n_trials=10, catch=(ValueError,))
    return path


def test_an_optuna_study_is_read_without_being_touched(tmp_path: Path) -> None:
    path = _study(tmp_path / "theirs.db").rename(tmp_path / "theirs 50%41?.db")
    before = hashlib.sha256(path.read_bytes()).hexdigest()
    found = read_trials([path])
    frame = found.frame
    assert hashlib.sha256(path.read_bytes()).hexdigest() == before
    assert list(tmp_path.iterdir()) == [path]
    assert frame["space"].tolist() == ["theirs"] * 12
    assert all(len(each) == 2 for each in frame["depths"])
    assert frame["group_widths"][0] == (8, 8)
    assert frame["flops"].tolist() == [1_000] * 12
    (note,) = list(found.notes)
    assert "minimised; its values are read as errors (in percent)" in note


def test_a_maximised_study_holds_accuracies(tmp_path: Path) -> None:
    files = [
        _study(tmp_path / f"{name}.db", lambda error: 100 - error, name, ["maximize"], middle=middle)
        for name, middle in (("A", 20.0), ("B", 15.0))
    ]
    document = compare(read_trials(files), Terms(0.5)).to_json()
    (found,) = document["comparisons"]
    assert found["verdict"] == "better"
    assert found["median_difference"] == pytest.approx(-5, abs=1)
    assert all("maximised" in note and "100% − accuracy" in note for note in document["notes"])
    fits = fit_law(read_trials(files)).fits
    assert fits.loc[fits["space"] == "B", "error"].min() < 15
    content = files_content(files)
    assert "Study 'A' of A.db is maximised" in content.origin.lead
    assert not any(str(tmp_path) in each for each in (content.origin.lead, *content.law.notes))


def test_equal_accuracies_are_equal_errors(tmp_path: Path) -> None:
    path = _study(tmp_path / "x.db", lambda _: 79.9, directions=["maximize"])
    assert set(read_trials([path]).frame["error"]) == {20.1}


def test_a_maximised_study_of_fractions_names_the_option_that_reads_it(tmp_path: Path) -> None:
    path = _study(tmp_path / "x.db", lambda error: 1 - error / 100, directions=["maximize"])
    with pytest.raises(InputError, match="give --errors accuracy-fraction, or --errors accuracy if"):
        read_trials([path])
    assert read_trials([path], "accuracy-fraction").frame["error"].median() == pytest.approx(20, abs=1)
    for wrong, right in (("fraction", "accuracy-fraction"), ("percent", "accuracy")):
        with pytest.raises(InputError, match=f"holds accuracies; give --errors {right} instead"):
            read_trials([path], wrong)  # type: ignore[arg-type]


def test_fractions_name_the_option_that_reads_them(tmp_path: Path) -> None:
    path = _study(tmp_path / "x.db", lambda error: error / 100)
    with pytest.raises(InputError, match="give --errors fraction, or --errors percent if"):
        read_trials([path])
    assert read_trials([path], "fraction").frame["error"].median() == pytest.approx(20, abs=1)
    assert read_trials([path], "percent").frame["error"].median() == pytest.approx(0.2, abs=0.01)


def test_accuracies_in_a_study_with_the_default_direction_can_be_stated(tmp_path: Path) -> None:
    path = _study(tmp_path / "x.db", lambda error: 100 - error)
    found = read_trials([path], "accuracy")
    frame = found.frame
    assert frame["error"].median() == pytest.approx(20, abs=1)
    assert "minimised; its values are read as accuracies" in found.notes[0]


def test_a_study_that_minimises_what_it_calls_an_accuracy_is_asked_about(tmp_path: Path) -> None:
    path = _study(tmp_path / "x.db", lambda error: 100 - error, metrics=["accuracy"])
    with pytest.raises(InputError, match=r"minimised, .* called 'accuracy'.*--errors accuracy"):
        read_trials([path])
    assert read_trials([path], "accuracy").frame["error"].median() == pytest.approx(20, abs=1)


@pytest.mark.parametrize(
    ("value", "direction", "quoted"),
    [(lambda error: -error, "maximize", "maximised"), (lambda error: 1e8 + error, "minimize", "an error")],
)
def test_values_that_can_be_neither_name_the_trial_and_the_way_out(
    tmp_path: Path, value: Callable[[float], float], direction: str, quoted: str
) -> None:
    path = _study(tmp_path / "x.db", value, directions=[direction])
    with pytest.raises(InputError, match=rf"trial 0: value \(.*{quoted}\).*CSV with a column error"):
        read_trials([path])


def test_one_of_several_objectives_is_named(tmp_path: Path) -> None:
    path = _study(tmp_path / "x.db", lambda error: (100 - error, 4e8), directions=["maximize", "minimize"])
    with pytest.raises(InputError, match=r"objectives 1 \(maximize\), 2 \(minimize\).*x.db#theirs#1"):
        read_trials([path])
    assert read_trials([Path(f"{path}#theirs#1")]).frame["error"].median() == pytest.approx(20, abs=1)
    with pytest.raises(InputError, match="trial 0: value"):
        read_trials([Path(f"{path}#theirs#2")])
    with pytest.raises(InputError, match="has the objectives"):
        read_trials([Path(f"{path}#theirs#3")])


def test_the_objective_with_a_metric_name_of_ours_is_taken(tmp_path: Path) -> None:
    path = _study(
        tmp_path / "x.db",
        lambda error: (4e8, 100 - error),
        directions=["minimize", "maximize"],
        metrics=["flops", "top1_acc"],
    )
    assert read_trials([path]).frame["error"].median() == pytest.approx(20, abs=1)


def test_trials_without_a_finite_value_are_failed_trainings(tmp_path: Path) -> None:
    path = _failing(tmp_path / "x.db")
    frame = read_trials([path]).frame
    assert np.isnan(frame["error"]).tolist() == [True] * 6 + [False] * 4
    assert frame["error"].tolist()[6:] == [26, 27, 28, 29]
    assert frame["ended"].tolist()[:6] == ["failed", "pruned", "failed", *["no finite value"] * 2, "failed"]
    assert frame["widths"][0] is None
    assert frame["widths"].notna().tolist()[1:] == [True] * 9


def test_failed_trials_are_counted_in_what_is_said(tmp_path: Path) -> None:
    files = [_failing(tmp_path / "x.db"), _study(tmp_path / "A.db", name="A")]
    (found,) = compare(read_trials(files)).to_json()["comparisons"]
    assert (found["n_a"], found["failed_a"], found["n_b"], found["failed_b"]) == (4, 6, 12, 0)
    law = fit_law(read_trials(files))
    assert (law.failed, law.scored) == (6, 16)
    assert len(law.fits) == 21  # one trial failed before it was a network
    content = files_content(files)
    assert (len(content.networks.frame), len(content.networks.failed)) == (16, 6)


@pytest.mark.parametrize("name", JOURNALS)
def test_a_journal_is_read_and_nothing_is_left_beside_it(tmp_path: Path, name: str) -> None:
    path = tmp_path / "study of theirs.txt"
    shutil.copy(FOREIGN / name, path)
    before = path.read_bytes()
    found = read_trials([path])
    frame = found.frame
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
    assert frame["space"].tolist() == ["theirs"] * 8
    assert frame["error"].dropna().tolist() == [18.59, 22.09, 21.02, 19.44, 21.52]
    assert frame["ended"].tolist()[3:6] == ["failed", "pruned", "no finite value"]
    assert frame["depths"][0] == (3, 3, 2)
    assert "maximised" in found.notes[0]


def test_a_journal_of_this_optuna_with_two_studies_needs_a_name(tmp_path: Path) -> None:
    path = tmp_path / "journal.json"
    storage = JournalStorage(JournalFileBackend(str(path)))
    for name in ("one", "other"):
        study = optuna.create_study(storage=storage, study_name=name)
        study.optimize(lambda trial: trial.suggest_int("w1", 8, 32) + trial.suggest_int("d1", 1, 3), 3)
    with pytest.raises(InputError, match="has the studies one, other"):
        read_trials([path])
    assert read_trials([Path(f"{path}#other")]).frame["space"].tolist() == ["other"] * 3


@pytest.mark.parametrize(
    "line", ["garbage", '{"op_code":1,"worker_id":"x"}', '{"op_code":99,"worker_id":"x"}']
)
def test_a_damaged_journal_is_one_line(tmp_path: Path, line: str) -> None:
    lines = (FOREIGN / JOURNALS[1]).read_text().splitlines()
    path = tmp_path / "x.log"
    path.write_text("\n".join([*lines[:5], line, *lines[6:]]) + "\n")
    with pytest.raises(InputError, match="no whole journal of Optuna") as caught:
        read_trials([path])
    assert "\n" not in str(caught.value)


def test_a_store_of_an_older_optuna_says_how_it_is_upgraded(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "of 2021.db"
    shutil.copy(FOREIGN / "optuna-2.10.1.db", path)
    with pytest.raises(InputError, match=r"older Optuna \(schema v2.6.0.a\); upgrade a copy") as caught:
        read_trials([path])
    assert "\n" not in str(caught.value)
    assert capfd.readouterr().err == ""  # nothing of Optuna's own ten lines of SQL
    assert list(tmp_path.iterdir()) == [path]

    command = str(caught.value).split("read that: ")[1]
    path_with_optuna = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = os.environ | {"PATH": path_with_optuna}
    subprocess.run(command, shell=True, check=True, capture_output=True, env=environment)
    frame = read_trials([tmp_path / "of 2021-upgraded.db"]).frame
    assert frame["error"].isna().tolist() == [False] * 3 + [True, True] + [False] * 3
    assert frame["error"].dropna().between(15, 25).all()


def test_a_store_of_a_newer_optuna_says_so(tmp_path: Path) -> None:
    path = _study(tmp_path / "x.db")
    connection = sqlite3.connect(path)
    connection.execute("UPDATE alembic_version SET version_num = 'v99.0.0.a'")
    connection.execute("ALTER TABLE trial_values RENAME COLUMN value TO values_of_the_future")
    connection.commit()
    connection.close()
    with pytest.raises(InputError, match=r"newer Optuna \(schema v99.0.0.a\)"):
        read_trials([path])


def test_a_file_of_several_studies_needs_a_name(tmp_path: Path) -> None:
    path = tmp_path / "both #2.db"
    for name in ("one", "other"):
        _study(path, name=name)
    with pytest.raises(InputError, match="has the studies one, other"):
        read_trials([path])
    assert read_trials([Path(f"{path}#other")]).frame["space"].tolist() == ["other"] * 12
    with pytest.raises(InputError, match="did you mean 'other'"):
        read_trials([Path(f"{path}#othr")])


def test_a_database_of_something_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "else.db"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE t (x)")
    connection.close()
    with pytest.raises(InputError, match=r"no Optuna storage|has no study"):
        read_trials([path])


def test_a_store_of_regnetlab_is_read_as_the_trainings_that_count(tmp_path: Path) -> None:
    store = open_store(tmp_path / "study.db")
    for each in (trial(0), trial(1, BAD), trial(2, data=OTHER_DATA)):
        store.add(each)
    store.keep("changes", {"began": {"data.checksum": DATA}})
    found = optuna_trials(tmp_path / "study.db")
    assert found.own
    assert [row["error"] for _, row in found.rows] == ["12.5", ""]
    assert [row["widths"] for _, row in found.rows] == ["8 16 24 32"] * 2
    assert [row["space"] for _, row in found.rows] == ["AnyNetA"] * 2
