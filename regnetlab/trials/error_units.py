"""What the numbers in a foreign file of networks are: errors or accuracies, in percent or as fractions.

Everywhere else an error is top-1 in percent. Read in the wrong unit, a difference of 3 points is one of 0.03
and no worse; read in the wrong direction, every verdict is inverted. So a unit that neither the file nor the
user states is checked against the values, and what contradicts itself is refused.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from regnetlab.errors import InputError

if TYPE_CHECKING:  # commands name the units in their options, and start without pandas
    import pandas as pd

ErrorUnit = Literal["percent", "fraction", "accuracy", "accuracy-fraction"]
"""Errors in percent or as fractions of 0 to 1; accuracies in percent or as fractions."""

ERRORS = ("error", "top1_err")
"""Columns of errors; the first that a file has counts."""
ACCURACY = "accuracy"
"""The column of accuracies, read where there is none of errors."""

EMPTY = frozenset(("", "nan", "na", "n/a", "#n/a", "<na>", "none", "null"))
"""What stands, in any case of letters, where a number is not known."""
_FAILED = EMPTY | {sign + word for sign in ("", "+", "-") for word in ("inf", "infinity")}
"""What stands where a training earned no error."""


@dataclass(frozen=True, slots=True)
class ErrorReading:
    """How the errors of one file are read: from ``column``, in ``unit``.

    ``said`` is whether the file or the user states the unit; ``check_supposed`` looks at the values of the
    others. Messages call the numbers ``label``, and end with ``otherwise``, what else may stand there.
    """

    column: str
    unit: ErrorUnit
    said: bool
    label: str
    otherwise: str = "or empty"

    @property
    def accuracy(self) -> bool:
        return self.unit.startswith(ACCURACY)

    @property
    def most(self) -> int:
        """The largest number that the unit allows."""
        return 1 if self.unit.endswith("fraction") else 100

    @property
    def note(self) -> str:
        """What the numbers are read as."""
        share = "as fractions" if self.most == 1 else "in percent"
        return f"accuracies ({share}; error = 100% − accuracy)" if self.accuracy else f"errors ({share})"

    def error(self, row: Mapping[str, str]) -> float:
        """The error of this row in percent; NaN where the training earned none."""
        text = (row.get(self.column) or "").strip()
        if text.lower() in _FAILED:
            return math.nan
        try:  # 43.9% is in percent in any file
            value = float(text[:-1]) * self.most / 100 if text.endswith("%") else float(text)
        except ValueError:
            value = math.inf
        if "_" in text:  # which float() takes for nothing
            value = math.inf
        if not 0 <= value <= self.most:
            raise InputError(
                f"{self.label} is {text[:40]!r}", f"it must be a number of 0 to {self.most}, {self.otherwise}"
            )
        # Rounded because 100 − 79.9 is 20.099999999999994, and equal accuracies must stay equal errors.
        percent = value if self.most == 100 else round(100 * value, 9)
        return round(100 - percent, 9) if self.accuracy else percent


def error_reading(
    column: str, errors: ErrorUnit | None, what: str, share: str = "", own: bool = False
) -> ErrorReading:
    """How this column is read.

    Args:
        column: One of ``ERRORS``, or ``ACCURACY``.
        errors: The unit that the user states, if any.
        what: What messages call the column.
        share: ``percent`` or ``fraction`` where the file itself states it.
        own: Whether a study wrote the file, so that the errors are known to be in percent.

    Raises:
        InputError: The user's unit contradicts the file.
    """
    accuracy = column == ACCURACY
    if errors is None:
        stated = "percent" if own else share
        return ErrorReading(column, _same_share(stated, accuracy), bool(stated), column)
    if errors.startswith(ACCURACY) != accuracy:
        right = _same_share(errors, accuracy)
        if accuracy:
            raise InputError(f"{what} holds accuracies", f"give --errors {right} instead of {errors}")
        raise InputError(
            f"{what} holds errors by its name",
            f"give --errors {right} instead of {errors}, or name it accuracy",
        )
    if share and errors.endswith("fraction") != (share == "fraction"):
        raise InputError(f"{what} says {share}, and --errors {errors} does not", "leave one of the two out")
    return ErrorReading(column, errors, True, column)


def check_supposed(networks: "pd.DataFrame", reading: ErrorReading, source: str) -> None:
    """Raise ``InputError`` where a unit was only supposed and the errors of a space look like fractions."""
    if reading.said:
        return
    values = 100 - networks["error"] if reading.accuracy else networks["error"]
    most = values.groupby(networks["space"], sort=False).max().dropna()
    small = most[most <= 1]
    word = "accuracies" if reading.accuracy else "errors"
    fraction, percent = (_same_share(each, reading.accuracy) for each in ("fraction", "percent"))
    if len(most) and len(small) == len(most):
        raise InputError(
            f"{source}: no {reading.column} is above {most.max():.4g}, so these may be fractions",
            f"give --errors {fraction}, or --errors {percent} if they are percent",
        )
    if len(small):
        raise InputError(
            f"{source}: the {word} of space {small.index[0]!r} are at most {small.iloc[0]:.4g}, others"
            f" reach {most.max():.4g}",
            f"give all in one unit, or --errors {percent} if all are percent",
        )
    for space, numbers in values[values > 0].groupby(networks["space"], sort=False):
        few, many = numbers[numbers <= 1], numbers[numbers > 1]
        if _may_be_mixed(len(few), len(many), few.max(), many.min(), reading.accuracy):
            ends = dict.fromkeys((f"{many.min():.4g}", f"{many.max():.4g}"))
            raise InputError(
                f"{source}: of {len(numbers)} {word} of space {space!r}, {len(few)} are at most"
                f" {few.max():.4g} and {len(many)} are {' to '.join(ends)}",
                f"give all in one unit:"
                f" --errors {fraction} with the large ones empty if they stand for failed trainings, or"
                f" --errors {percent} if all are percent",
            )


def _may_be_mixed(small: int, large: int, most: float, least: float, accuracy: bool) -> bool:
    """Whether these counts of numbers up to 1 and above suggest two units, or a penalty among fractions.

    Most are small, or nothing is between ``most`` of the small and ``least`` of the large. A few accuracies
    of 1% and less are of networks that answer always the same.
    """
    few = small < 0.1 * (small + large)
    return small > 0 and (small > large > 0 or (least >= 5 * most and least >= 5 and not (accuracy and few)))


def _same_share(errors: str, accuracy: bool) -> ErrorUnit:
    """This unit for accuracies, or for errors."""
    fraction = errors.endswith("fraction")
    if accuracy:
        return "accuracy-fraction" if fraction else "accuracy"
    return "fraction" if fraction else "percent"
