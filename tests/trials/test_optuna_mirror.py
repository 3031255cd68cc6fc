from pathlib import Path

import optuna
import pytest

from regnetlab.errors import InputError
from regnetlab.trials.optuna_mirror import mirror
from tests.trials.trainings import BAD, GOOD, OTHER_DATA, job, trial


def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'mirror.db'}"


def test_a_training_is_a_trial_with_the_networks_parameters_and_all_that_is_kept_of_it(
    tmp_path: Path,
) -> None:
    mirror(url(tmp_path), "mine").add(trial(0))
    study = optuna.load_study(study_name="mine", storage=url(tmp_path))
    assert study.best_value == GOOD.error
    config = job(0).config
    assert config is not None
    best = study.best_trial
    assert [best.params[f"w{i}"] for i in range(1, 5)] == list(config.widths)
    assert [best.params[f"d{i}"] for i in range(1, 5)] == list(config.depths)
    assert {"g1", "b4"} <= best.params.keys()
    assert best.user_attrs["identity"] == job(0).identity
    assert best.user_attrs["model"] == job(0).model
    assert best.user_attrs["curve"] == "[[64, 2.25, 80.0, null], [128, 1.5, 60.0, 12.5]]"


def test_a_failed_training_and_a_named_network_are_trials_too(tmp_path: Path) -> None:
    shown = mirror(url(tmp_path), "mine")
    shown.add(trial(0, BAD))
    shown.add(trial(1, model="resnet18"))
    first, second = optuna.load_study(study_name="mine", storage=url(tmp_path)).trials
    assert (first.state.name, first.user_attrs["ended"]) == ("FAIL", BAD.ended)
    assert (second.value, second.params) == (GOOD.error, {})


def test_a_training_is_shown_once(tmp_path: Path) -> None:
    for _ in range(2):
        again = mirror(url(tmp_path), "mine")
        for each in (trial(0), trial(0), trial(1)):
            again.add(each)
    again.add(trial(0, data=OTHER_DATA))
    trials = optuna.load_study(study_name="mine", storage=url(tmp_path)).trials
    assert [each.user_attrs["index"] for each in trials] == [0, 1, 0]


@pytest.mark.parametrize(
    "storage", ["nonsense", "sqlite:////none/there/x.db", "postgresql://me:s3cret@127.0.0.1:1/x"]
)
def test_a_storage_that_cant_be_opened_is_refused_without_its_password(storage: str) -> None:
    with pytest.raises(InputError, match="can't be opened") as caught:
        mirror(storage, "mine")
    assert "s3cret" not in str(caught.value)
