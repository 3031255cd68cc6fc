"""Everything that ``fit-regnet`` answers, from a study or a CSV of networks, as one document."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from regnetlab.analysis.derive import derive
from regnetlab.analysis.guessing import guessed
from regnetlab.analysis.quantized_fit import QuantizedFit, fit_quantized
from regnetlab.analysis.width_law import ONE_STAGE, PopulationLaw, fits_of_all, population_law
from regnetlab.errors import InputError
from regnetlab.spaces.complexity import config_complexity
from regnetlab.spaces.config import Config
from regnetlab.spaces.ranges import PAPER_RANGES, Ranges
from regnetlab.spaces.regime import Regime, Window, parse_window
from regnetlab.spaces.template import PAPER, Template, template_named
from regnetlab.study.plan_file import find_study, load_plan, newest_study
from regnetlab.study.provenance import guessing_in, recorded
from regnetlab.study.results import study_trials
from regnetlab.trials.error_units import ErrorUnit
from regnetlab.trials.files import read_trials
from regnetlab.trials.table import (
    complete,
    incomplete,
    records,
    spaces_of,
    with_widths,
    without_law,
)

_CONFIG = ("depths", "widths", "group_widths", "bottleneck_ratios")
_DERIVED = 8  # RegNets where neither the study nor the user says how many


def fitted_law(
    study: str | None,
    files: Sequence[Path],
    law: str,
    n: int | None = None,
    template: str | None = None,
    flops: str | None = None,
    input: str | None = None,
    classes: int | None = None,
    errors: ErrorUnit | None = None,
) -> dict[str, Any]:
    """The fits of all networks, the law of the best, and RegNets derived from it.

    A study brings its template, regime and ranges. A file's networks are on the template named, else on
    the one that the file tells, else on the paper's; their regime is the window given, else the flops that
    they have. ``input`` and ``classes`` change the template.
    """
    shape: Template | InputError
    se_ratio = 0.0
    if files:
        trials = read_trials(files, errors)
        every = trials.frame
        networks, guess = with_widths(every), None
        shape, ranges, regime = _template_of(networks), PAPER_RANGES, _regime_of(networks)
        se_ratio = _se_ratio_of(networks)
    else:
        plan = load_plan(find_study(study or newest_study()))
        trials = study_trials(plan)
        networks = every = trials.frame
        guess = guessing_in(recorded(plan))
        shape, ranges, regime = plan.template, plan.ranges, plan.regime
        n = n or plan.derived
    if template is not None:
        shape = template_named(template)
    if isinstance(shape, Template):
        shape = shape.changed(input, classes)
    regime = regime if flops is None else Regime(flops=parse_window("flops", flops))

    population, derived, reason = _population(networks, n or _DERIVED, shape, regime, ranges, se_ratio)
    unfinished = incomplete(every)
    return {
        "law": law,
        **guessed(guess, _errors(networks)),
        "models": _fits(law, _networks(networks)),
        "incomplete": len(unfinished),
        "population": population,
        "template": asdict(shape) | {"input": shape.input} if isinstance(shape, Template) else None,
        "derived": [described(config, shape) for config in derived] if isinstance(shape, Template) else [],
        "derived_reason": reason,
        "failed": len(_networks(every)) - len(complete(every)) - len(unfinished),
        "notes": list(trials.notes),
    }


def described(config: Config, template: Template) -> dict[str, Any]:
    """A config as ``sample`` describes one, and the notation that other commands take."""
    return {
        "id": config.id,
        "model": config.text,
        "depths": config.depths,
        "widths": config.widths,
        "group_widths": config.group_widths,
        "bottleneck_ratios": config.bottleneck_ratios,
        **config_complexity(config, template),
    }


def _errors(networks: pd.DataFrame) -> dict[str, list[float]]:
    """The errors of every space."""
    scored = complete(networks)
    return {space: scored.loc[scored["space"] == space, "error"].tolist() for space in spaces_of(scored)}


def _networks(networks: pd.DataFrame) -> pd.DataFrame:
    """One row per network; those without an error too."""
    return networks.drop_duplicates([key for key in ("space", "index") if key in networks])


def _fits(law: str, networks: pd.DataFrame) -> list[dict[str, Any]]:
    """Every network and its own law."""
    rows = records(networks[["name", "space", "error", *_CONFIG]])
    known = [
        {
            "name": row["name"],
            "space": row["space"],
            "error": row["error"] if np.isfinite(row["error"]) else None,
            "depths": row["depths"],
            "widths": row["widths"],
        }
        for row in rows
    ]
    if law == "quantized":
        return [
            each | _law_beside(fit_quantized(*(row[column] for column in _CONFIG)))
            for each, row in zip(known, rows, strict=True)
        ]
    fits = fits_of_all(networks)
    columns = {name: getattr(fits, name).tolist() for name in ("w0", "growth", "r2", "e_fit")}
    return [
        each
        | (
            dict(zip(columns, own, strict=True))
            if len(each["widths"]) > 1
            else dict.fromkeys(columns) | {"reason": ONE_STAGE}
        )
        for each, own in zip(known, zip(*columns.values(), strict=True), strict=True)
    ]


def _law_beside(fit: QuantizedFit) -> dict[str, Any]:
    """The parameters of a fit; the stages that they give are not the network's own."""
    found = asdict(fit)
    return {f"fitted_{name}" if name in ("depths", "widths") else name: found[name] for name in found}


def _population(
    networks: pd.DataFrame,
    n: int,
    template: Template | InputError,
    regime: Regime,
    ranges: Ranges,
    se_ratio: float,
) -> tuple[dict[str, Any] | None, list[Config], str | None]:
    """The law of the best, the RegNets derived from it, and why there are none."""
    scored = complete(without_law(networks))
    if not len(scored):
        return None, [], "no network has an error, so there are no best ones"
    try:
        law = population_law(scored)
    except InputError as reason:
        keys = ("w0", "growth", "growth_interval", "r2", "median_r2")
        empty = {"n": len(scored), "n_best": 0, **dict.fromkeys(keys), "reason": str(reason)}
        return empty, [], str(reason)
    try:
        if isinstance(template, InputError):
            raise template
        return _described_law(law), derive(law, n, template, regime, ranges, se_ratio), None
    except InputError as reason:
        return _described_law(law), [], str(reason)


def _described_law(law: PopulationLaw) -> dict[str, Any]:
    return {
        "n": law.n,
        "n_best": law.n_best,
        "w0": law.w0.estimate,
        "w0_interval": [law.w0.low, law.w0.high],
        "growth": law.growth.estimate,
        "growth_interval": [law.growth.low, law.growth.high],
        "r2": law.r2,
        "median_r2": law.median_r2,
        "depth_growth": law.depth_growth,
        "depth": law.depth,
    }


def _template_of(networks: pd.DataFrame) -> Template | InputError:
    """The template that the files tell, or why it can't be used; the paper's where they tell none."""
    if "template" not in networks:
        return PAPER
    told = {each for each in networks["template"] if isinstance(each, Template)}
    reasons = [each for each in networks["template"] if isinstance(each, InputError)]
    if reasons:
        return InputError(f"{reasons[0]}", "to derive RegNets all the same, give --template")
    if len(told) > 1:
        inputs = ", ".join(sorted({each.input for each in told}))
        return InputError(
            f"the networks were trained on {len(told)} different templates ({inputs})",
            "give --template, or the files one by one",
        )
    return told.pop() if told else PAPER


def _se_ratio_of(networks: pd.DataFrame) -> float:
    """The squeeze-and-excitation ratio that all networks have, as far as the files tell; else 0."""
    told = set(networks["se_ratio"]) if "se_ratio" in networks else set()
    return told.pop() if len(told) == 1 and all(isinstance(each, float) for each in told) else 0.0


def _regime_of(networks: pd.DataFrame) -> Regime:
    flops = networks["flops"].dropna()
    return Regime(flops=Window(float(flops.min()), float(flops.max()))) if len(flops) else Regime()
