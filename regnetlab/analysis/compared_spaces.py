"""Everything that ``compare`` answers, from a study or a file of networks, as one document."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from regnetlab.analysis.compare import (
    Comparison,
    SpaceErrors,
    compare,
    space_errors,
    steps,
    summary,
)
from regnetlab.analysis.guessing import guessed, has_learned
from regnetlab.analysis.statistics.edf import edf
from regnetlab.analysis.statistics.intervals import LEVEL, Interval
from regnetlab.analysis.statistics.matching import Matched
from regnetlab.analysis.statistics.seed_noise import SeedNoise, seed_noise
from regnetlab.analysis.statistics.verdicts import MARGIN, POWER, check_margin, verdict
from regnetlab.errors import InputError
from regnetlab.study.plan_file import find_study, load_plan, newest_study
from regnetlab.study.provenance import guessing_in, recorded
from regnetlab.study.results import stated_margin, study_trials
from regnetlab.training.guessing import Guessing
from regnetlab.trials.error_units import ErrorUnit
from regnetlab.trials.files import read_trials


def compared_spaces(
    study: str | None = None,
    files: Sequence[Path] = (),
    margin: float | None = None,
    pairs: Sequence[tuple[str, str]] = (),
    errors: ErrorUnit | None = None,
) -> dict[str, Any]:
    """The spaces, each step's comparison and verdict, and the noise of seeds.

    A study states its margin itself; for a file it is the one given, or the default of study files.
    ``errors`` is the unit of the files' errors (``read_trials``).
    """
    order: tuple[str, ...] = ()
    stated, guess = math.nan, None
    if files:
        trials = read_trials(files, errors)
    else:
        plan = load_plan(find_study(study or newest_study()))
        trials = study_trials(plan)
        order = tuple(draw.space.name for draw in plan.draws)
        pairs = pairs or trials.steps
        stated, guess = plan.margin, guessing_in(recorded(plan))
        margin = stated_margin(plan) if margin is None else margin
    chosen = check_margin(MARGIN if margin is None else margin)
    found = space_errors(trials.frame, order)
    pairs_found = steps(found, pairs)
    if not pairs_found:
        only = found[0].space if found else "none"
        raise InputError(f"there is only one space ({only})", "a comparison needs two, in the column space")
    comparisons = compare(pairs_found, chosen)
    earned = {each.space: each.errors for each in found if len(each.errors)}
    return {
        "margin": chosen,
        "margin_stated": None if math.isnan(stated) else stated,
        "level": LEVEL,
        **guessed(guess, earned),
        "spaces": [_space(each, guess) for each in found if len(each.errors)],
        "comparisons": [described(each) for each in comparisons],
        "seed_noise": _noise(seed_noise(trials.frame)),
        "notes": list(trials.notes),
    }


def described(each: Comparison) -> dict[str, Any]:
    """One comparison, ready for JSON."""
    tests = each.tests
    return {
        "a": each.a.space,
        "b": each.b.space,
        "n_a": len(each.a.errors),
        "n_b": len(each.b.errors),
        "failed_a": each.a.failed,
        "failed_b": each.b.failed,
        "verdict": each.verdict,
        "margin": each.margin,
        "median_difference": each.difference.estimate,
        "interval": _ends(each.difference),
        "interval_method": "percentile bootstrap of the medians' difference",
        "corrected": {"interval": _ends(each.corrected), "verdict": each.verdict_corrected},
        "superiority": _interval(tests.superiority),
        "kolmogorov_smirnov": {"distance": tests.ks, "p": tests.ks_p, "p_holm": each.ks_holm},
        "mann_whitney": {"p": tests.mann_whitney_p, "p_holm": each.mann_whitney_holm},
        "permuted": tests.permuted,
        "failures_as_worst": None
        if each.failures is None
        else {
            "median_difference": each.failures.estimate,
            "interval": _ends(each.failures),
            "verdict": each.verdict_with_failures,
        },
        "matched": {name: _matched(found, each.margin) for name, found in each.matched.items()},
        "networks_to_decide": {claim: _whole(n) for claim, n in each.to_decide.items()},
        "power": POWER,
    }


def _space(population: SpaceErrors, guess: Guessing | None) -> dict[str, Any]:
    found = summary(population)
    return {
        "space": found.space,
        "n": found.n,
        "failed": found.failed,
        "incomplete": population.incomplete,
        "min": found.least,
        "q05": _interval(found.q05),
        "median": _interval(found.median),
        "mean": _interval(found.mean),
        "band": edf(population.errors).margin,
        "learned": has_learned(population.errors, guess),
    }


def _matched(found: Matched, margin: float) -> dict[str, Any]:
    return {
        "bins": found.bins,
        "n_a": found.used[0],
        "n_b": found.used[1],
        "median_difference": found.difference.estimate,
        "interval": _ends(found.difference),
        "verdict": verdict(found.difference, margin),
    }


def _noise(noise: SeedNoise | None) -> dict[str, Any] | None:
    if noise is None:
        return None
    return {
        "networks": noise.networks,
        "trainings": noise.trainings,
        "between_sd": _interval(noise.between),
        "seed_sd": _interval(noise.seed),
        "agreement": _interval(noise.agreement),
    }


def _interval(interval: Interval) -> dict[str, float]:
    return {"estimate": interval.estimate, "low": interval.low, "high": interval.high}


def _ends(interval: Interval) -> list[float]:
    return [interval.low, interval.high]


def _whole(n: float) -> int | None:
    return math.ceil(n) if math.isfinite(n) else None
