"""How many networks a verdict needs and what they cost, from a pilot's errors or from their spread."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from regnetlab.analysis.space_errors import paired, space_errors
from regnetlab.analysis.statistics.intervals import FEWEST, median_scale
from regnetlab.analysis.statistics.planning import RANGE, Range, networks_range, resolution
from regnetlab.analysis.statistics.verdicts import POWER, held_together, networks_needed, points
from regnetlab.errors import InputError
from regnetlab.trials.table import Trials
from regnetlab.trials.terms import MARGIN, MEDIAN, Terms, check_margin, verdicts_on


@dataclass(frozen=True, slots=True)
class StepSize:
    """What one step needs: ``n`` networks in each space, told from the ``pilot`` networks of the smaller one.

    ``n`` is the upper end of ``n_range``, in which the number truly needed lies with 80% confidence;
    ``n_estimate`` is the single best guess. Without a pilot there is no range and ``n`` is that guess.
    ``hours`` are those of ``n`` networks in both spaces, at the pilot's seconds a training; ``None`` where
    these are not known.
    """

    name: str
    pilot: int
    n: int
    hours: float | None
    n_estimate: int
    n_range: tuple[int, int] | None

    def to_json(self) -> dict[str, Any]:
        return {
            "step": self.name,
            "pilot": self.pilot,
            "n": self.n,
            "n_estimate": self.n_estimate,
            "n_range": None if self.n_range is None else list(self.n_range),
            "hours": self.hours,
        }


@dataclass(frozen=True, slots=True)
class SampleSize:
    """Networks for a verdict on every step with a chance of ``power``.

    The number is the same for *no worse* where both medians are equal, and for *better* where the second is
    lower by the margin. ``seconds`` is the mean of a training, ``seeds`` the trainings a network, ``workers``
    the trainings at once.
    """

    margin: float
    power: float
    seconds: float | None
    seeds: float
    workers: int
    steps: tuple[StepSize, ...]
    notes: tuple[str, ...] = ()

    def remarks(self) -> list[str]:
        """What the numbers promise, and what they rest on."""
        margin = points(self.margin)
        found = [
            f"these numbers give a chance of {self.power:.0%} or more to find the second space no worse"
            f" within {margin} if both are equal, or better if its median is lower by {margin}"
        ]
        if any(each.n_range for each in self.steps):
            found.append(
                "a pilot gives such a number only roughly: the true one lies in the range with"
                f" {RANGE:.0%} confidence, so the table plans its upper end"
            )
        if self.seconds is not None:
            found.append(
                f"{self.seconds:.1f} s a training, as measured; {self.seeds:g} trainings a network,"
                f" {self.workers} at once"
            )
        return found

    def to_json(self) -> dict[str, Any]:
        """The document of ``regnetlab plan --json``."""
        return {
            "margin": self.margin,
            "power": self.power,
            "seconds": self.seconds,
            "seeds": self.seeds,
            "workers": self.workers,
            "steps": [each.to_json() for each in self.steps],
            "notes": list(self.notes),
        }

    def to_pandas(self) -> pd.DataFrame:
        """A row a step."""
        return pd.DataFrame(self.to_json()["steps"])

    def _repr_html_(self) -> str:
        return str(self.to_pandas().to_html(index=False, float_format="{:.1f}".format))


def sample_size(
    pilot: Trials | float,
    margin: float = MARGIN,
    power: float = POWER,
    seeds: float = 1.0,
    workers: int = 1,
) -> SampleSize:
    """Say how many networks each space needs.

    Args:
        pilot: Trials of at least two spaces, whose steps are answered; or the standard deviation of normal
            errors, in points, for any step.
        margin: Percentage points of error that still count as no worse.
        power: The chance of the verdict.
        seeds: Trainings a network.
        workers: Trainings at once.

    Raises:
        InputError: A number is out of range, or the pilot is too small.
    """
    if not 0.5 < power < 1:
        raise InputError(f"power is {power:g}", "it must be above 0.5 and below 1")
    check_margin(margin)
    if isinstance(pilot, Trials):
        needed, seconds, notes = _of_trials(pilot, margin, power), _seconds(pilot.frame), pilot.notes
        if pilot.terms is not None and pilot.terms.statistic != MEDIAN:
            named = f"the study's verdicts are on another statistic ({pilot.terms.statistic})"
            notes = (*notes, f"these numbers are for verdicts on the median; {named}")
    else:
        needed, seconds, notes = _of_spread(pilot, margin, power), None, ()
    steps = []
    for name, networks, each in needed:
        estimate, low, n = (math.ceil(number) for number in each)
        hours = None if seconds is None else 2 * n * seeds * seconds / workers / 3600
        steps.append(StepSize(name, networks, n, hours, estimate, (low, n) if networks else None))
    return SampleSize(margin, power, seconds, seeds, workers, tuple(steps), notes)


_Needed = Sequence[tuple[str, int, Range]]
"""Of every step: its name, the networks of the smaller pilot, and the networks that it needs."""


def _of_trials(trials: Trials, margin: float, power: float) -> _Needed:
    earned = [each for each in space_errors(trials.frame) if len(each.errors)]
    found = [each for each in earned if len(each.with_failures) >= FEWEST]
    pairs = paired(found, trials.steps)
    if not pairs:
        raise InputError(
            f"a pilot needs two spaces with errors of {FEWEST} networks each",
            "train more networks, or give --spread SD",
        )
    for each in (space for pair in pairs for space in pair):
        if median_scale(each.with_failures) == 0:
            raise InputError(
                f"most networks of {each.space} in the pilot have one and the same error",
                "they can't say how far a median varies: train them for more steps, or give --spread SD",
            )
    needed = []
    level = held_together(verdicts_on(max(len(pairs), len(trials.steps)), trials.terms or Terms()))
    for a, b in pairs:
        errors = a.with_failures, b.with_failures
        numbers = networks_range(*errors, margin, power, level)
        if not math.isfinite(numbers.high):
            raise InputError(
                f"margin is {points(margin)}, and the pilot's errors come in steps of"
                f" {resolution(np.append(*errors)):g}",
                "give a margin of more than half a step, or judge by more validation images",
            )
        needed.append((f"{a.space} → {b.space}", min(map(len, errors)), numbers))
    return needed


def _of_spread(spread: float, margin: float, power: float) -> _Needed:
    if not 0 < spread <= 100:
        raise InputError(f"spread is {spread:g}", "it must be above 0 and at most 100 points of error")
    scale = spread * math.sqrt(math.pi / 2)  # of a normal median (David & Nagaraja 2003, section 10.3)
    n = max(networks_needed((scale, scale), margin, power), FEWEST)
    return [("any step", 0, Range(n, n, n))]


def _seconds(networks: pd.DataFrame) -> float | None:
    """Mean seconds of a training, where the trials say them."""
    if "seconds" not in networks:
        return None
    known = pd.to_numeric(networks["seconds"], errors="coerce").dropna()
    return float(known.mean()) if len(known) else None
