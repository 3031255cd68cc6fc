"""On what terms spaces are compared: what a study states before its first error is known."""

import math
from collections.abc import Container
from dataclasses import asdict, dataclass
from typing import Literal, get_args

from regnetlab.errors import InputError, unknown

MARGIN = 1.0
"""Percentage points of error by which a median may be worse and still count as no worse, where a study or a
user states no other margin."""

MEDIAN, Q05, MEAN, AREA = "median", "q05", "mean", "area"
NO_MATCHING = "none"
LOOKS = tuple(look / 10 for look in range(1, 11))
"""Planned looks: the share of the planned networks at each."""
Statistic = Literal["median", "q05", "mean", "area"]
Matching = Literal["none", "flops", "params", "acts", "depth", "latency"]


@dataclass(frozen=True, slots=True)
class Terms:
    """``[compare]``: on what terms spaces are compared, stated before the first training.

    ``margin`` is in percentage points of error. Verdicts are on a ``statistic``: the median, ``q05`` (the
    error that the best twentieth does not exceed), the mean, or the area between the distribution
    functions up to the error of guessing. ``matched`` names the one comparison at equal complexity that
    has a verdict too. ``sequential`` plans for looks at every tenth of the networks, so that a clear
    difference ends a study early. ``walk`` does so one step after the other, and leaves a constraint that is
    found worse out of all later spaces (``analysis.walk``).
    """

    margin: float = MARGIN
    statistic: Statistic = "median"
    matched: Matching = "none"
    sequential: bool = False
    walk: bool = False

    def __post_init__(self) -> None:
        check_margin(self.margin)
        if self.statistic not in get_args(Statistic):
            raise unknown("statistic", str(self.statistic), get_args(Statistic))
        if self.matched not in get_args(Matching):
            raise unknown("matched", str(self.matched), get_args(Matching))
        if self.walk:
            if self.matched != NO_MATCHING:
                raise InputError(
                    f"compare: a walk has one verdict a step, and matched is {self.matched!r}",
                    "leave out matched or walk",
                )
            object.__setattr__(self, "sequential", True)


def unchanged(
    terms: Terms, began: Terms | None, given: Container[str] = (), whose: str = "the study"
) -> Terms:
    """These terms; raises ``InputError`` where they are not those that ``whose`` first training ``began``
    with.

    Those ``given`` by name elsewhere are not looked at.
    """
    for name, then in {} if began is None else asdict(began).items():
        now = getattr(terms, name)
        if name not in given and then != now:
            raise InputError(
                f"{whose} began with {name} {_said(then)} and now states {_said(now)}",
                f"what is chosen after the errors are known proves nothing: put {_said(then)} back"
                + ("" if name in ("sequential", "walk") else f", or give --{name}"),
            )
    return terms


def _said(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value).lower()


def verdicts_on(steps: int, terms: Terms) -> int:
    """How many verdicts hold together over so many steps: two of each where a matching is named."""
    return max(steps, 1) * (1 if terms.matched == NO_MATCHING else 2)


def look_size(planned: int, share: float) -> int:
    """The networks of a space at the look at this share of the planned ones."""
    return math.ceil(share * planned - 1e-9)


def check_margin(margin: float) -> float:
    """This margin; raises ``InputError`` unless it is above 0 and at most 100 percentage points."""
    if not 0 < margin <= 100:
        raise InputError(
            f"margin is {margin:g}", "it must be above 0, at most 100 percentage points of error"
        )
    return margin
