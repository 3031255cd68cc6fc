"""Everything that ``fit-regnet`` answers, from a study or a CSV of networks, as one document."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from regnetlab.analysis.derive import derive
from regnetlab.analysis.guessing import guessed
from regnetlab.analysis.networks import (
    complete,
    read_networks,
    records,
    spaces_of,
    study_networks,
    with_widths,
    without_law,
)
from regnetlab.analysis.quantized_fit import fit_quantized
from regnetlab.analysis.width_law import ONE_STAGE, PopulationLaw, fits_of_all, population_law
from regnetlab.errors import InputError
from regnetlab.spaces.complexity import config_complexity
from regnetlab.spaces.config import Config
from regnetlab.spaces.ranges import PAPER_RANGES, Ranges
from regnetlab.spaces.regime import Regime, Window, parse_window
from regnetlab.spaces.template import PAPER, Template, template_named
from regnetlab.study.plan_file import find_study, load_plan, newest_study
from regnetlab.study.provenance import guessing_in, recorded

_CONFIG = ("depths", "widths", "group_widths", "bottleneck_ratios")
_DERIVED = 8  # RegNets where neither the study nor the user says how many


def fitted_law(
    study: str | None,
    files: Sequence[Path],
    law: str,
    n: int | None = None,
    template: str | None = None,
    flops: str | None = None,
) -> dict[str, Any]:
    """The fits of all networks, the law of the best, and RegNets derived from it.

    A study brings its template, regime and ranges. A file's networks are taken to be on the template
    named, the paper's by default; their regime is the window given, else the flops that they have.
    """
    if files:
        networks, guess = with_widths(read_networks(files)), None
        shape, ranges, regime = PAPER, PAPER_RANGES, _regime_of(networks)
    else:
        plan = load_plan(find_study(study or newest_study()))
        networks, guess = study_networks(plan), guessing_in(recorded(plan))
        shape, ranges, regime = plan.template, plan.ranges, plan.regime
        n = n or plan.derived
    shape = shape if template is None else template_named(template)
    regime = regime if flops is None else Regime(flops=parse_window("flops", flops))

    population, derived, reason = _population(networks, n or _DERIVED, shape, regime, ranges)
    return {
        "law": law,
        **guessed(guess, _errors(networks)),
        "models": _fits(law, _networks(networks)),
        "population": population,
        "derived": [described(config, shape) for config in derived],
        "derived_reason": reason,
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
            each | asdict(fit_quantized(*(row[column] for column in _CONFIG)))
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


def _population(
    networks: pd.DataFrame, n: int, template: Template, regime: Regime, ranges: Ranges
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
        return _described_law(law), derive(law, n, template, regime, ranges), None
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


def _regime_of(networks: pd.DataFrame) -> Regime:
    flops = networks["flops"].dropna()
    return Regime(flops=Window(float(flops.min()), float(flops.max()))) if len(flops) else Regime()
