"""Finished trainings as trials of an Optuna study, for optuna-dashboard and Optuna's own tools.

Everything goes through Optuna's public API, to any of its storages. A trial has the network's parameters
d1, w1, g1, b1, d2, …, its error as value, and the whole row of the store as user attributes.
"""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from regnetlab.errors import InputError
from regnetlab.spaces.config import MAX_DEPTH, MAX_WIDTH
from regnetlab.spaces.law import parse_config
from regnetlab.spaces.ratio import MOST_NARROWING, MOST_WIDENING
from regnetlab.training.budget import COMPLETE
from regnetlab.trials.job import Trial
from regnetlab.trials.location import mask, readable_url
from regnetlab.trials.store import row_of, why


class Mirror:
    """An open mirror. Make one with ``mirror``."""

    def __init__(self, study: Any) -> None:
        self._study = study
        shown = [each.user_attrs for each in study.get_trials(deepcopy=False)]
        self._known = {(each.get("identity"), each.get("data")) for each in shown}

    def add(self, trial: Trial) -> None:
        """Show this training there, too, unless it is there already."""
        self.add_row(row_of(trial))

    def add_row(self, row: Mapping[str, Any]) -> None:
        """The same for a row of a store."""
        import optuna

        key = row["identity"], row["data"]
        if key in self._known:
            return
        complete = row["ended"] == COMPLETE
        state = optuna.trial.TrialState
        params = _parameters(row["model"])
        trial = optuna.trial.create_trial(
            state=state.COMPLETE if complete else state.FAIL,
            value=row["error"] if complete else None,
            params=params,
            distributions={name: _distribution(name) for name in params},
            user_attrs=dict(row),
        )
        try:
            self._study.add_trial(trial)
        except Exception as error:  # whatever a storage raises
            raise InputError(f"the mirror can't be written ({why(error)})", "run without it") from error
        self._known.add(key)


def mirror(storage: Any, study: str) -> Mirror:
    """The mirror of a study in an Optuna storage, made where there is none.

    Args:
        storage: A URL that Optuna knows, such as ``sqlite:///FILE``, or one of its storages.
        study: The study's name there.

    Raises:
        InputError: It can't be opened.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    if isinstance(storage, str) and "://" in storage:
        readable_url(storage)
    try:
        made = optuna.create_study(
            storage=storage, study_name=study, direction="minimize", load_if_exists=True
        )
        return Mirror(made)
    except Exception as error:  # whatever a storage raises
        hint = "name one that Optuna knows, such as sqlite:///FILE"
        raise InputError(
            f"Optuna storage {mask(str(storage))!r} can't be opened ({why(error)})", hint
        ) from None


def _parameters(model: str) -> dict[str, float]:
    """Of a network that was drawn or derived; a named one has none."""
    with suppress(InputError):
        config = parse_config(model)
        columns = (config.depths, config.widths, config.group_widths, config.bottleneck_ratios)
        named = zip("dwgb", columns, strict=True)
        return {f"{name}{i}": value for name, values in named for i, value in enumerate(values, start=1)}
    return {}


def _distribution(name: str) -> Any:
    from optuna.distributions import FloatDistribution, IntDistribution

    if name.startswith("b"):
        return FloatDistribution(1 / MOST_WIDENING, MOST_NARROWING, log=True)
    return IntDistribution(1, MAX_DEPTH if name.startswith("d") else MAX_WIDTH, log=True)
