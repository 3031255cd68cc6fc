"""The findings: sentences computed from the data, each with its interval.

A sentence claims a difference only where its interval excludes zero; where it does not, it says that
these networks can't tell, which is not the same as no difference.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from regnetlab.analysis.edf import edf
from regnetlab.analysis.intervals import Interval, median_difference
from regnetlab.analysis.width_law import PopulationLaw
from regnetlab.errors import InputError
from regnetlab.report.figures import title
from regnetlab.study.plan import DERIVED

Errors = Mapping[str, Sequence[float]]


@dataclass(frozen=True, slots=True)
class Finding:
    """One sentence, and whether it is a difference (``better``, ``worse``), ``open`` or a ``fact``."""

    kind: str
    text: str


def findings(
    errors: Errors, planned: int, failed: int, law: PopulationLaw | None, reason: str
) -> list[Finding]:
    """What the data say, the most important first."""
    found = [_overview(errors, planned, failed)]
    spaces = [space for space in errors if space != DERIVED]
    found += [_step(a, b, errors) for a, b in pairwise(spaces)]
    found.append(_law(law) if law is not None else Finding("open", f"No width law: {reason}."))
    if DERIVED in errors:
        found += _derived(errors)
    return found


def caution(errors: Errors, seeds: int) -> str:
    """How much so many networks can show at all."""
    trainings = "One training seed" if seeds == 1 else f"{seeds} training seeds"
    drawn = [values for space, values in errors.items() if space != DERIVED] or list(errors.values())
    fewest = min(drawn, key=len)
    margin = edf(np.asarray(fewest)).margin
    return (
        f"Intervals are 95 % and each stands alone: over many comparisons, one in twenty misses by"
        f" chance. With {len(fewest)} networks, a whole error distribution is known to ± {100 * margin:.0f}"
        f" points of share (Dvoretzky–Kiefer–Wolfowitz). {trainings} per network, one budget:"
        " a longer budget may order the spaces differently."
    )


def _overview(errors: Errors, planned: int, failed: int) -> Finding:
    trained = sum(len(each) for each in errors.values())
    best, space = min((min(each), space) for space, each in errors.items())
    missing = planned - trained - failed
    notes = [
        f"{failed} of {planned} networks failed" if failed else "",
        f"{missing} are missing" if missing else "",
    ]
    ending = "".join(f"; {note}" for note in notes if note)
    return Finding(
        "fact",
        f"{trained} networks earned an error; the best is {best:.2f} % in {title(space)}{ending}.",
    )


def _step(a: str, b: str, errors: Errors) -> Finding:
    try:
        change = median_difference(np.asarray(errors[a]), np.asarray(errors[b]))
    except InputError as error:
        return Finding("open", f"{title(a)} → {title(b)}: {error}.")
    numbers = signed(change)
    if change.high < 0:
        return Finding("better", f"{title(a)} → {title(b)}: lower median error, {numbers}.")
    if change.low > 0:
        return Finding("worse", f"{title(a)} → {title(b)}: higher median error, {numbers}.")
    return Finding(
        "open",
        f"{title(a)} → {title(b)}: undecided; the median error changes by {numbers}.",
    )


def _law(law: PopulationLaw) -> Finding:
    grows = (
        "their widths grow from stage to stage"
        if law.growth.low > 1
        else "their widths fall from stage to stage"
        if law.growth.high < 1
        else "whether their widths grow is undecided"
    )
    return Finding(
        "fact",
        f"Over the best {law.n_best} of {law.n} freely drawn networks {grows}: by a factor of"
        f" {law.growth.estimate:.2f} a stage (95 % interval {law.growth.low:.2f} to {law.growth.high:.2f})."
        f" One common line explains {_percent(law.r2)} of the variance of their log widths; a line of"
        f" its own explains {_percent(law.median_r2)} of a typical network's.",
    )


def _derived(errors: Errors) -> list[Finding]:
    """The derived RegNets against the narrowest space of free widths, and against RegNet."""
    rivals = [space for space in errors if space not in (DERIVED, "RegNet")][-1:]
    rivals += ["RegNet"] if "RegNet" in errors else []
    found = []
    for rival in rivals:
        step = _step(rival, DERIVED, errors)
        arrow = f"{title(rival)} → {title(DERIVED)}"
        text = step.text.replace(arrow, f"The derived RegNets against {title(rival)}")
        found.append(Finding(step.kind, text))
    return found


def signed(change: Interval) -> str:
    return (f"{change.estimate:+.1f} points (95 % interval {change.low:+.1f} to {change.high:+.1f})").replace(
        "-", "−"
    )


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if np.isfinite(share) else "nothing"
