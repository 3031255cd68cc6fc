"""Custom spaces: a parent and named constraints, written as expressions or installed by a package."""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from importlib.metadata import entry_points

from regnetlab.errors import InputError, unknown
from regnetlab.spaces.constraints import Constraint
from regnetlab.spaces.expression import parse_constraint
from regnetlab.spaces.space import SPACES, DesignSpace

ENTRY_POINTS = "regnetlab.constraints"
"""The group of entry points under which a package offers constraints by name."""

_RESERVED = ("derived", "tuning", "final", "retrained", "networks")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 _.+\-]{0,59}")
_PLUGIN = re.compile(r"[A-Za-z_][A-Za-z0-9_\-]*")


def custom_space(
    name: str,
    parent: str,
    constraints: Mapping[str, str] | Iterable[str],
    known: Mapping[str, DesignSpace] = SPACES,
) -> DesignSpace:
    """The space ``name``: all networks of the parent that satisfy these constraints.

    ``constraints`` are texts, by name or each named by itself. Raises ``InputError`` where the name is
    taken, the parent is not known or a constraint can't be read.
    """
    if not _NAME.fullmatch(name) or name in _RESERVED or name in SPACES:
        raise InputError(
            f"space name {name[:60]!r} can't be used",
            "take 1 to 60 letters, digits, spaces and - _ . +, but none of"
            f" {', '.join((*SPACES, *_RESERVED))}",
        )
    if parent not in known:
        raise unknown("parent space", parent, known)
    texts = constraints if isinstance(constraints, Mapping) else {text: text for text in constraints}
    if not texts:
        raise InputError(
            f"space {name!r} has no constraints, so it is its parent {parent}", f"add one, or use {parent}"
        )
    own = [each for each, _ in known[parent].own]
    return known[parent].child(name, [named_constraint(text, label, own) for label, text in texts.items()])


def named_constraint(text: str, name: str | None = None, own: Collection[str] = ()) -> Constraint:
    """The constraint that a text says, or that an installed package offers under this name.

    ``own`` are the names of the own parameters of a space's block.
    """
    if not _PLUGIN.fullmatch(text.strip()):
        return parse_constraint(text, name, own)
    offered = {each.name: each for each in entry_points(group=ENTRY_POINTS)}
    if text.strip() not in offered:
        hint = f"they offer {', '.join(offered)}" if offered else "install the one that does"
        raise InputError(
            f"constraint {text.strip()[:60]!r} is no comparison, such as w[i] <= w[i+1], and no installed"
            f" package offers it",
            hint,
        )
    entry = offered[text.strip()]
    try:
        loaded = entry.load()
        constraint = loaded if isinstance(loaded, Constraint) else loaded()
    except Exception as error:
        raise InputError(
            f"constraint {entry.name!r} of {entry.value} can't be loaded: {type(error).__name__}: {error}",
            "update or remove the package that offers it",
        ) from None
    if not isinstance(constraint, Constraint):
        raise InputError(
            f"constraint {entry.name!r} of {entry.value} is no regnetlab Constraint",
            "its package must offer a Constraint, or a function that returns one",
        )
    return replace(constraint, name=name or constraint.name, meaning=entry.name)
