"""Writes a study of eight trials of three stages, as the installed version of Optuna stores it.

    pip install "optuna==2.10.1" "sqlalchemy<2" "numpy<2"; python make_study.py sqlite:///optuna-2.10.1.db
    pip install "optuna==3.6.2" "numpy<2";                 python make_study.py optuna-3.6.2.log
    pip install "optuna==4.5.0";                           python make_study.py optuna-4.5.0.log

The journal's objective is an accuracy and maximised, the database's an error in percent. Trial 3 raises an
exception, trial 4 is pruned, trial 5 has an infinite value, each before or after its parameters are drawn.
"""

import random
import sys

import optuna

place = sys.argv[1]
journal = not place.startswith("sqlite:")
if journal:
    try:
        from optuna.storages.journal import JournalFileBackend
    except ImportError:  # before Optuna 4
        from optuna.storages import JournalFileStorage as JournalFileBackend
    storage = optuna.storages.JournalStorage(JournalFileBackend(place))
else:
    storage = place
values = random.Random(0)


def objective(trial: optuna.Trial) -> float:
    for stage in (1, 2, 3):
        trial.suggest_int(f"d{stage}", 1, 4)
        if trial.number == 3 and stage == 2:
            raise ValueError("out of memory")
        trial.suggest_int(f"w{stage}", 8, 64, step=8)
    if trial.number == 4:
        raise optuna.TrialPruned
    if trial.number == 5 and journal:  # Optuna 2 has no way to keep it
        return float("-inf")
    return round(values.gauss(80.0 if journal else 20.0, 1.5), 2)


study = optuna.create_study(
    storage=storage,
    study_name="theirs",
    direction="maximize" if journal else "minimize",
    sampler=optuna.samplers.RandomSampler(seed=0),
)
study.optimize(objective, n_trials=8, catch=(ValueError,))
