"""What trials of Optuna tell of their networks, in journals as Optuna itself writes them."""

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.distributions import CategoricalDistribution
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from regnetlab.analysis.compare import compare
from regnetlab.errors import InputError
from regnetlab.spaces.law import RegNetLaw
from regnetlab.trials.error_units import ErrorUnit
from regnetlab.trials.files import read_trials
from regnetlab.trials.table import complete

ERRORS = [20.0, 21.0, 22.0, 23.0, 24.0, 25.0]


def study(
    path: Path,
    params: Sequence[Mapping[str, Any]] = ({},),
    attributes: Mapping[str, Any] | None = None,
    values: Sequence[float] = ERRORS,
    direction: str = "minimize",
    metric: str = "",
) -> Path:
    """A study with a trial for each of the values, its parameters one of ``params`` in turn."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    storage = JournalStorage(JournalFileBackend(str(path)))
    found = optuna.create_study(storage=storage, study_name=path.stem, direction=direction)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # experimental, says Optuna
        if metric:
            found.set_metric_names([metric])
    for i, value in enumerate(values):
        known = dict(params[i % len(params)])
        found.add_trial(
            optuna.trial.create_trial(
                params=known,
                distributions={name: CategoricalDistribution([each]) for name, each in known.items()},
                value=value,
                user_attrs=dict(attributes or {}),
            )
        )
    return path


@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize("stages", [1, 4, 11])
@pytest.mark.parametrize("letters", ["dw", "dwgb", "DW"])
def test_stages_are_counted_from_zero_or_from_one(
    tmp_path: Path, first: int, stages: int, letters: str
) -> None:
    sizes = {"d": 1, "w": 16, "D": 1, "W": 16, "g": 8, "b": 2}
    params = {
        f"{each}{i}": sizes[each] * (1 if each in "gb" else i - first + 1)
        for each in letters
        for i in range(first, first + stages)
    }
    row = read_trials([study(tmp_path / "x.log", [params])]).frame.iloc[0]
    assert row["depths"] == tuple(range(1, stages + 1))
    assert row["widths"] == tuple(range(16, 16 * (stages + 1), 16))
    assert row["group_widths"] == ((8,) * stages if "g" in letters else None)


@pytest.mark.parametrize(
    "names", ["d1 d3 w1 w3", "d0 d1 w0 w1 w2", "d1 d2 w0 w1 w2", "d0 d1 w1 w2", "d2 d3 w2 w3", "d1 w1 g1 g2"]
)
def test_stages_with_gaps_or_of_different_counts_are_refused(tmp_path: Path, names: str) -> None:
    path = study(tmp_path / "x.log", [dict.fromkeys(names.split(), 8)])
    with pytest.raises(
        InputError, match=r"trial 0: its parameters are .* alike, from 0 or 1 on, without gaps"
    ):
        read_trials([path])


def test_the_law_of_regnets_is_no_stage(tmp_path: Path) -> None:
    law = {"d": 13, "w0": 24, "wa": 36.4, "wm": 2.5, "g": 8}
    row = read_trials([study(tmp_path / "x.log", [law])]).frame.iloc[0]
    config = RegNetLaw(24, 36.4, 2.5, 13, 8).config
    assert (row["depths"], row["widths"], row["wm"]) == (config.depths, config.widths, "2.5")


@pytest.mark.parametrize(
    "params",
    [
        {"d": 0.3, "w": 1e-4},
        {"d": 2, "lr": 0.1},
        {"d": 0.3, "w1": 8},
        {"d1": 0.1, "d2": 0.2, "w1": 64, "w2": 64},
        {"d": 13, "w0": 24, "wa": 36.4, "wm": 2.5},
        {"lr": 0.1},
    ],
)
def test_parameters_that_tell_no_network_leave_the_errors(
    tmp_path: Path, params: Mapping[str, object]
) -> None:
    files = [study(tmp_path / f"{name}.log", [params]) for name in "AB"]
    found = read_trials(files)
    frame = found.frame
    assert frame["widths"].isna().all()
    assert any("only its errors are read" in note for note in list(found.notes))
    assert len(compare(read_trials(files)).steps) == 1


@pytest.mark.parametrize(
    ("metric", "direction"),
    [
        *((each, "maximize") for each in ("error", "val_error", "test_err", "loss", "valLoss", "Top-1 err")),
        *((each, "minimize") for each in ("accuracy", "val_accuracy", "test_acc", "top1_acc", "valAcc")),
    ],
)
def test_a_metric_that_contradicts_the_direction_is_refused_with_options_that_work(
    tmp_path: Path, metric: str, direction: str
) -> None:
    path = study(tmp_path / "x.log", direction=direction, metric=metric)
    with pytest.raises(InputError, match=f"'{metric}'; say what .*--errors accuracy or --errors percent"):
        read_trials([path])
    assert read_trials([path], "accuracy").frame["error"].tolist() == [100 - each for each in ERRORS]
    assert read_trials([path], "percent").frame["error"].tolist() == ERRORS
    fractions: dict[ErrorUnit, float] = {"fraction": 20, "accuracy-fraction": 80}
    small = study(
        tmp_path / "y.log", direction=direction, metric=metric, values=[each / 100 for each in ERRORS]
    )
    for unit, error in fractions.items():
        assert read_trials([small], unit).frame["error"][0] == pytest.approx(error)


def test_a_metric_that_suits_the_direction_is_read(tmp_path: Path) -> None:
    assert read_trials([study(tmp_path / "x.log", metric="val_error")]).frame["error"].tolist() == ERRORS
    path = study(tmp_path / "y.log", metric="val_acc", direction="maximize")
    assert read_trials([path]).frame["error"].tolist() == [100 - each for each in ERRORS]


@pytest.mark.parametrize(
    ("depths", "widths"),
    [([1, 2], [8, 16]), ("1 2", "8 16"), ("[1, 2]", "(8, 16)"), ([1.0, 2.0], "8,16"), ("1-2", "8-16")],
)
def test_attributes_are_read_as_lists_and_as_a_csv_writes_them(
    tmp_path: Path, depths: object, widths: object
) -> None:
    attributes = {"depths": depths, "widths": widths, "group_width": 8, "bottleneck_ratio": 2}
    row = read_trials([study(tmp_path / "x.log", attributes=attributes)]).frame.iloc[0]
    assert (row["depths"], row["widths"]) == ((1, 2), (8, 16))
    assert (row["group_widths"], row["bottleneck_ratios"]) == ((8, 8), (2, 2))


@pytest.mark.parametrize("depths", [{"1": 3, "2": 4}, [[1, 2]], [True, 2], ["1", "2"], [], True])
def test_other_attributes_are_refused_by_name_and_trial(tmp_path: Path, depths: object) -> None:
    path = study(tmp_path / "x.log", attributes={"depths": depths, "widths": [8, 16]})
    with pytest.raises(InputError, match=r"trial 0: attribute depths is .* as in \[1, 2, 4\]"):
        read_trials([path])


def test_equal_parameters_are_trainings_of_one_network(tmp_path: Path) -> None:
    params = [{"d1": 1, "w1": 8, "lr": 0.1}, {"d1": 2, "w1": 8, "lr": 0.1}, {"d1": 2, "w1": 8, "lr": 0.2}]
    found = read_trials([study(tmp_path / "x.log", params)])
    frame = found.frame
    assert frame["index"].tolist() == [0, 1, 2, 0, 1, 2]
    assert complete(frame)["error"].tolist() == [21.5, 22.5, 23.5]
    notes = " ".join(list(found.notes))
    assert "6 trials are of 3 networks" in notes
    assert "3 networks are counted, of which 2 differ" in notes  # the learning rate is none of a network


def test_a_penalty_among_fractions_is_refused(tmp_path: Path) -> None:
    path = study(tmp_path / "x.log", values=[0.2, 0.21, 0.22, 100])
    with pytest.raises(InputError, match=r"3 are at most 0\.22 and 1 are 100; .* --errors fraction"):
        read_trials([path])


def test_steps_of_floats_that_are_whole_numbers_are_stages(tmp_path: Path) -> None:
    row = read_trials([study(tmp_path / "x.log", [{"d0": 2.0, "w0": 16.0}])]).frame.iloc[0]
    assert (row["depths"], row["widths"]) == ((2,), (16,))
