"""The first line of a CSV of networks: names as people and spreadsheets write them, and their units.

``Group Widths``, ``error (%)`` and ``flops (M)`` are read. A unit is honoured or refused, never dropped.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from regnetlab.errors import InputError
from regnetlab.trials.error_units import ACCURACY, ERRORS

COUNTS = ("flops", "params", "acts")
NETWORK = ("depths", "widths", "group_widths", "group_width", "bottleneck_ratios")
_KNOWN = {"name", "id", "space", "index", "ended", "seconds", ACCURACY, *ERRORS, *COUNTS, *NETWORK}
_ALIASES = {
    **dict.fromkeys(("acc", "acc1", "acc@1", "top1_acc", "top1_accuracy"), ACCURACY),
    **dict.fromkeys(("top1_error", "error_rate"), "error"),
    "bottleneck_ratio": "bottleneck_ratios",
}
_UNIT = re.compile(r"(.*?)[\s_]*(?:[(\[]\s*(.*?)\s*[)\]]|(%))")
_MULTIPLE = re.compile(
    r"(k|m|g|b|10\^[369]|1e[369]|thousands?|millions?|billions?)?\s*(f|flops?|macs?|params?|acts?)?"
)
_POWERS = {"k": 3, "t": 3, "m": 6, "g": 9, "b": 9}
_SHARES = {
    **dict.fromkeys(("%", "percent", "pct"), "percent"),
    **dict.fromkeys(("fraction", "0-1", "0–1", "0..1"), "fraction"),
}
_SCORE = re.compile(r"(?:^|_)(?:(err|errors?)|acc|accuracy|accuracies)(?:_|@|[0-9]|$)")
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


@dataclass(frozen=True, slots=True)
class Header:
    """The columns by the names that the reader knows, others as they were.

    ``powers`` has what a column of counts is multiplied by; ``share`` is ``percent`` or ``fraction`` where
    the column ``scores``, of errors or accuracies, says so; a file without either has none.
    """

    columns: tuple[str, ...]
    scores: str
    share: str
    powers: Mapping[str, float]

    @property
    def others(self) -> list[str]:
        """The columns that are let through."""
        return [name for name in self.columns if name and name not in _KNOWN]


def read_header(names: Sequence[str], source: str, accuracies: bool = False) -> Header:
    """What these columns are; raises ``InputError`` where they are no networks, or more than one thing.

    Of a file with both, errors are read, or ``accuracies`` where these are asked for.
    """
    found: dict[str, str] = {}
    columns: list[str] = []
    powers: dict[str, float] = {}
    shares: dict[str, str] = {}
    for name in names:
        column, unit = _split(name)
        if column not in _KNOWN:
            columns.append(name.strip())
            continue
        if column in found:
            raise InputError(
                f"{source}: columns {found[column]!r} and {name!r} are both {column}", "keep one"
            )
        found[column] = name
        columns.append(column)
        if not unit or (column == "seconds" and unit in ("s", "sec", "seconds")):
            continue
        power, share = _power(unit), _SHARES.get(unit)
        if column in COUNTS and power:
            powers[column] = power
        elif column in (*ERRORS, ACCURACY) and share:
            shares[column] = share
        else:
            raise InputError(
                f"{source}: the unit in column {name!r} is not known",
                "flops, params and acts may have (K), (M) or (G), errors (%) or (fraction)",
            )
    order = (ACCURACY, *ERRORS) if accuracies else (*ERRORS, ACCURACY)
    scores = next((each for each in order if each in found), "")
    _check_columns(names, set(columns), scores, source)
    return Header(tuple(columns), scores, shares.get(scores, ""), powers)


def column_of(name: str) -> str:
    """What the reader calls a column of this name."""
    return _split(name)[0]


def score_of(name: str) -> str:
    """``error`` or ``accuracy`` where this name seems to be one's, as ``val_acc`` and ``testError``."""
    column = column_of(_HUMP.sub("_", name.strip()))
    match = _SCORE.search(column)
    if match is None or "top5" in column or "acc5" in column:
        return ""
    return "error" if match[1] else ACCURACY


def _check_columns(names: Sequence[str], columns: set[str], scores: str, source: str) -> None:
    maybe = [] if scores else [repr(each) for each in names if score_of(each) or "top1" in column_of(each)]
    if maybe:
        raise InputError(
            f"{source}: no column is named error or accuracy, and {', '.join(maybe)} may be meant",
            "rename the one that counts to error or to accuracy, or leave it out",
        )
    missing = sorted({"depths", "widths"} - columns)
    if missing and not (len(missing) == 2 and scores):
        quoted = ", ".join(repr(name) for name in names) or "none"
        between = next((mark for mark in ";\t|" if len(names) == 1 and mark in names[0]), "")
        raise InputError(
            f"{source}: column {' and '.join(missing)} missing from {quoted}",
            f"write commas for {between!r}, and decimal points"
            if between
            else "a CSV of networks has depths and widths, numbers with spaces between",
        )


def _split(name: str) -> tuple[str, str]:
    """A column's name as the reader knows it, and its unit."""
    match = _UNIT.fullmatch(name.strip())
    base, unit = (match[1], match[2] or match[3] or "") if match else (name, "")
    column = re.sub(r"[\s\-]+", "_", base.strip().casefold()).replace("top_", "top")
    return _ALIASES.get(column, column), unit.casefold()


def _power(unit: str) -> float:
    """What counts in this unit are multiplied by; 0 where it is not known."""
    match = _MULTIPLE.fullmatch(unit)
    if match is None:
        return 0
    prefix = match[1] or ""
    return 10.0 ** (int(prefix[-1]) if prefix[-1:].isdigit() else _POWERS.get(prefix[:1], 0))
