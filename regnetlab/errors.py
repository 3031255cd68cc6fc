"""The one exception that users cause, and the hints that go with it.

An ``InputError`` carries one line: what came, what is allowed, how to mend it. The command
line prints it and exits with status 2; whoever calls the library catches it. Everything else
that is raised is a fault of the program.
"""

from collections.abc import Iterable
from difflib import get_close_matches

_LONGEST = 4_000


class InputError(ValueError):
    """Input that can't be used; the message is one line that says how to mend it.

    What a message quotes may be as long as a file, or steer a terminal: of more than 4,000 characters the
    middle is left out, and characters that are not printed become spaces or are written out.
    """

    def __init__(self, message: str = "") -> None:
        text = (
            message
            if len(message) <= _LONGEST
            else f"{message[: _LONGEST // 2]} … {message[-_LONGEST // 2 :]}"
        )
        super().__init__("".join(map(_printable, text)))


def _printable(character: str) -> str:
    if character.isprintable():
        return character
    return " " if character.isspace() else ascii(character)[1:-1]


def unknown(kind: str, name: str, known: Iterable[str]) -> InputError:
    """The error for a name that is not among the ``known`` ones, with the nearest of them."""
    names = list(known)
    folded = {each.casefold(): each for each in names}
    near = get_close_matches(name.casefold(), folded, n=1, cutoff=0.5)
    if near:
        return InputError(f"{kind} {name!r} is not known; did you mean {folded[near[0]]!r}?")
    return InputError(f"{kind} {name!r} is not known; there are {', '.join(names) or 'none'}")
