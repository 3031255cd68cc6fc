"""The one exception that users cause, and the hints that go with it.

An ``InputError`` carries one line: what came, what is allowed, how to mend it. The command
line prints it and exits with status 2; whoever calls the library catches it. Everything else
that is raised is a fault of the program.
"""

from collections.abc import Iterable
from difflib import get_close_matches


class InputError(ValueError):
    """Input that can't be used; the message is one line that says how to mend it."""


def unknown(kind: str, name: str, known: Iterable[str]) -> InputError:
    """The error for a name that is not among the ``known`` ones, with the nearest of them."""
    names = list(known)
    folded = {each.casefold(): each for each in names}
    near = get_close_matches(name.casefold(), folded, n=1, cutoff=0.5)
    if near:
        return InputError(f"{kind} {name!r} is not known; did you mean {folded[near[0]]!r}?")
    return InputError(f"{kind} {name!r} is not known; there are {', '.join(names) or 'none'}")
