"""The one exception that users cause, and the hints that go with it.

An ``InputError`` says what is wrong and how to fix it. The command line prints both, a line each, and exits
with status 2; a program that uses the library catches it. Everything else that is raised is a fault of this
package.
"""

from collections.abc import Iterable
from difflib import get_close_matches

_LONGEST = 4_000


class InputError(ValueError):
    """Input that can't be used: ``what`` is wrong, and a ``hint`` how to fix it, a line each.

    What a message quotes may be as long as a file, or steer a terminal: of more than 4,000 characters the
    middle is left out, and characters that are not printed become spaces or are written out.
    """

    def __init__(self, what: str = "", hint: str = "") -> None:
        self.what, self.hint = _line(what), _line(hint)
        super().__init__(f"{self.what}; {self.hint}" if hint else self.what)

    def at(self, place: object) -> "InputError":
        """The same error, with the place where it was found in front."""
        return InputError(f"{place}: {self.what}", self.hint)

    def __reduce__(self) -> tuple[type["InputError"], tuple[str, str]]:
        return InputError, (self.what, self.hint)


def _line(text: str) -> str:
    if len(text) > _LONGEST:
        text = f"{text[: _LONGEST // 2]} … {text[-_LONGEST // 2 :]}"
    return printable(text, kept="")


def printable(text: str, kept: str = "\n\t") -> str:
    """The text with everything written out that could steer a terminal or hide what stands there, such as
    ESC and marks of writing direction; the characters in ``kept`` stay, other white space becomes spaces.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        each if each.isprintable() or each in kept else " " if each.isspace() else ascii(each)[1:-1]
        for each in text
    )


def unknown(kind: str, name: str, known: Iterable[str]) -> InputError:
    """The error for a name that is not among the ``known`` ones, with the nearest of them."""
    names = list(known)
    folded = {each.casefold(): each for each in names}
    near = get_close_matches(name.casefold(), folded, n=1, cutoff=0.5)
    hint = f"did you mean {folded[near[0]]!r}?" if near else f"there are {', '.join(names) or 'none'}"
    return InputError(f"{kind} {name!r} is not known", hint)
