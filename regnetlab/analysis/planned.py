"""Everything that ``plan`` answers: networks for a verdict and what they cost, from a pilot or a spread."""

import math
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from regnetlab.analysis.compare import space_errors
from regnetlab.analysis.statistics.intervals import FEWEST, median_scale
from regnetlab.analysis.statistics.verdicts import MARGIN, check_margin, networks_needed
from regnetlab.errors import InputError
from regnetlab.study.plan_file import find_study, load_plan, newest_study
from regnetlab.study.results import study_trials
from regnetlab.training.cores import usable_cores
from regnetlab.trials.error_units import ErrorUnit
from regnetlab.trials.files import read_trials


def planned(
    study: str | None,
    files: Sequence[Path],
    margin: float | None,
    power: float,
    spread: float | None,
    workers: int | None,
    errors: ErrorUnit | None = None,
) -> dict[str, Any]:
    """For every step: ``n``, the networks that each space needs for a verdict with this power.

    It is the same number for *no worse* where both medians are equal, and for *better* where the
    second is lower by the margin. The pilot is a study, a file of networks, or the standard deviation of
    normal errors. ``hours`` are those of both spaces at the pilot's own seconds a training.
    """
    if not 0.5 < power < 1:
        raise InputError(f"power is {power:g}", "it must be above 0.5 and below 1")
    seconds: float | None = None
    notes: list[str] = []
    seeds, stated = 1.0, MARGIN
    if spread is not None:
        if not 0 < spread <= 100:
            raise InputError(f"spread is {spread:g}", "it must be above 0 and at most 100 points of error")
        scale = spread * math.sqrt(math.pi / 2)  # of a normal median (David & Nagaraja 2003, section 10.3)
        scales = [("any", 0, scale), ("any", 0, scale)]
    else:
        if files:
            trials = read_trials(files, errors)
        else:
            plan = load_plan(find_study(study or newest_study()))
            trials, seeds, stated = study_trials(plan), plan.trainings_each, plan.margin
        scales = [
            (each.space, len(each.errors), median_scale(each.errors))
            for each in space_errors(trials.frame)
            if len(each.errors) >= FEWEST
        ]
        if len(scales) < 2:
            raise InputError(
                f"a pilot needs two spaces with {FEWEST} networks with errors each", "or give --spread SD"
            )
        seconds, notes = _seconds(trials.frame), list(trials.notes)
    chosen = check_margin(stated if margin is None else margin)
    if chosen == 0:
        raise InputError(
            "margin is 0", "no number of networks shows 'no worse' within nothing: give --margin"
        )
    at_once = workers or usable_cores()
    steps = []
    for (a, n_a, scale_a), (b, n_b, scale_b) in pairwise(scales):
        n = max(FEWEST, math.ceil(networks_needed((scale_a, scale_b), chosen, power)))
        steps.append(
            {
                "step": "any step" if a == b else f"{a} → {b}",
                "pilot": min(n_a, n_b),
                "n": n,
                "hours": None if seconds is None else 2 * n * seeds * seconds / at_once / 3600,
            }
        )
    return {
        "margin": chosen,
        "power": power,
        "seconds": seconds,
        "seeds": seeds,
        "workers": at_once,
        "steps": steps,
        "notes": notes,
    }


def _seconds(networks: pd.DataFrame) -> float | None:
    """Mean seconds of a training, where the file says them."""
    if "seconds" not in networks:
        return None
    known = pd.to_numeric(networks["seconds"], errors="coerce").dropna()
    return float(np.mean(known)) if len(known) else None
