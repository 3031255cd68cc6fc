"""How many networks a verdict needs and what they cost, from a pilot's errors or from their spread."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from regnetlab.analysis.space_errors import paired, space_errors
from regnetlab.analysis.statistics.intervals import FEWEST, median_scale
from regnetlab.analysis.statistics.verdicts import POWER, networks_needed, points
from regnetlab.errors import InputError
from regnetlab.trials.table import Trials
from regnetlab.trials.terms import MARGIN, check_margin


@dataclass(frozen=True, slots=True)
class StepSize:
    """What one step needs: ``n`` networks in each space, told from the ``pilot`` networks of the smaller one.

    ``hours`` are those of both spaces, at the pilot's seconds a training; ``None`` where these are not known.
    """

    name: str
    pilot: int
    n: int
    hours: float | None


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
            f"so many give a chance of {self.power:.0%} to find the second space no worse within {margin}"
            f" if both are equal, or better if its median is lower by {margin}"
        ]
        if self.seconds is not None:
            found.append(
                f"{self.seconds:.1f} s a training, as measured; {self.seeds:g} a network,"
                f" trainings at once {self.workers}"
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
            "steps": [{"step": s.name, "pilot": s.pilot, "n": s.n, "hours": s.hours} for s in self.steps],
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
    scales = _of_trials(pilot) if isinstance(pilot, Trials) else _of_spread(pilot)
    if check_margin(margin) == 0:
        raise InputError(
            "margin is 0", "no number of networks shows 'no worse' within nothing: give --margin"
        )
    seconds = _seconds(pilot.frame) if isinstance(pilot, Trials) else None
    steps = []
    for name, networks, pair in scales:
        n = max(FEWEST, math.ceil(networks_needed(pair, margin, power)))
        hours = None if seconds is None else 2 * n * seeds * seconds / workers / 3600
        steps.append(StepSize(name, networks, n, hours))
    notes = pilot.notes if isinstance(pilot, Trials) else ()
    return SampleSize(margin, power, seconds, seeds, workers, tuple(steps), notes)


_Scales = Sequence[tuple[str, int, tuple[float, float]]]
"""Of every step: its name, the networks of the smaller pilot, √n times the errors of both medians."""


def _of_trials(trials: Trials) -> _Scales:
    found = [each for each in space_errors(trials.frame) if len(each.errors) >= FEWEST]
    pairs = paired(found, trials.steps)
    if not pairs:
        raise InputError(
            f"a pilot needs two spaces with {FEWEST} networks with errors each", "or give --spread SD"
        )
    scales = {each.space: median_scale(each.errors) for each in found}
    return [
        (
            f"{a.space} → {b.space}",
            min(len(a.errors), len(b.errors)),
            (scales[a.space], scales[b.space]),
        )
        for a, b in pairs
    ]


def _of_spread(spread: float) -> _Scales:
    if not 0 < spread <= 100:
        raise InputError(f"spread is {spread:g}", "it must be above 0 and at most 100 points of error")
    scale = spread * math.sqrt(math.pi / 2)  # of a normal median (David & Nagaraja 2003, section 10.3)
    return [("any step", 0, (scale, scale))]


def _seconds(networks: pd.DataFrame) -> float | None:
    """Mean seconds of a training, where the trials say them."""
    if "seconds" not in networks:
        return None
    known = pd.to_numeric(networks["seconds"], errors="coerce").dropna()
    return float(known.mean()) if len(known) else None
