"""Who is told how reading goes on."""

from collections.abc import Callable
from dataclasses import dataclass


def _ignore(*_: object) -> None:
    pass


@dataclass(frozen=True, slots=True)
class Listener:
    """``note`` gets lines to show, ``progress`` what is done, how many are done, and of how many."""

    note: Callable[[str], None] = _ignore
    progress: Callable[[str, int, int], None] = _ignore
