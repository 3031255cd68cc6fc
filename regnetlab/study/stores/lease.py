"""The lease of a shared store: one coordinator at a time, on whichever machine.

The holder counts up a number in the store (its heart beats). Whoever else comes watches that number:
if it moves, the study is being run; if it stands still for ``STALE`` seconds by the newcomer's own
clock, the holder is gone. No clock is compared with another, so clocks that jump or differ do no harm.
"""

import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

from regnetlab.errors import InputError

BEAT = 5.0
"""Seconds between two beats."""
STALE = 30.0
"""Seconds without a beat after which a lease may be taken over."""
_SETTLE = 1.0  # seconds after which of two who took a free lease together the last one stands


class Board(Protocol):
    """Where the lease is written."""

    def lease(self) -> Mapping[str, Any]: ...

    def keep_lease(self, facts: Mapping[str, Any]) -> None: ...


class Inner(Protocol):
    """The lock of this machine, which the lease goes beside."""

    def say(self, running: int) -> None: ...


class Lease:
    """A held lease."""

    def __init__(self, board: Board, inner: Inner) -> None:
        self._board, self._inner = board, inner
        self._me = secrets.token_hex(8)
        self._beats = 0
        self._running = 0
        self._at = time.monotonic()
        self._writing = threading.Lock()
        self._done = threading.Event()
        self._taken_by: Mapping[str, Any] | None = None

    def take(self, seen_free: float) -> bool:
        """Write it down; whether it stands a moment later. ``seen_free`` is when the store was asked.

        Between that and the write another one may have come and seen its own stand, where this process
        was held up for long; it then gets the time in which it is sure to look again, and stops.
        """
        self._write()
        held_up = time.monotonic() - seen_free > _SETTLE / 2
        time.sleep(STALE / 2 + _SETTLE if held_up else _SETTLE)
        return bool(self._board.lease().get("holder") == self._me)

    def say(self, running: int) -> None:
        """Write down, with the next beat, how many models are in training."""
        self._running = running
        self._inner.say(running)

    def check(self) -> None:
        """Raise ``InputError`` where somebody else holds the study by now; called before every write.

        Looks again at the store where the last beat is so long ago that somebody may have come.
        """
        if self._taken_by is None and time.monotonic() - self._at > STALE / 2:
            self.beat()
        if self._taken_by is not None:
            raise InputError(
                (
                    f"another coordinator took this study over ({holder_line(self._taken_by)}) while this one"
                    " could not reach the store"
                ),
                "it goes on there, and nothing that was kept is lost",
            )

    def beat(self) -> None:
        with self._writing:
            found = self._board.lease()
            if found.get("holder") != self._me:
                self._taken_by = found
                return
            self._write()

    def keep_beating(self) -> None:
        while not self._done.wait(BEAT):
            if self._taken_by is None:
                try:
                    self.beat()
                except Exception:  # the store does not answer: the next beat or ``check`` looks again
                    continue

    def release(self) -> None:
        self._done.set()
        with self._writing:
            if self._taken_by is None and self._board.lease().get("holder") == self._me:
                self._board.keep_lease({})

    def _write(self) -> None:
        self._beats += 1
        self._board.keep_lease(
            {
                "holder": self._me,
                "host": socket.gethostname(),
                "pid": os.getpid(),
                "beat": self._beats,
                "running": self._running,
            }
        )
        self._at = time.monotonic()


@contextmanager
def leased(board: Board, inner: Inner, note: Callable[[str], None]) -> Iterator[Lease]:
    """Hold the lease; raises ``InputError`` that names the holder where somebody else does."""
    lease = Lease(board, inner)
    if not lease.take(_wait_for_a_free_lease(board, note)):
        raise InputError(_held(board.lease()))
    threading.Thread(target=lease.keep_beating, daemon=True).start()
    try:
        yield lease
    finally:
        lease.release()


def holder_line(facts: Mapping[str, Any]) -> str:
    return f"process {facts.get('pid')} on {facts.get('host')}"


def _wait_for_a_free_lease(board: Board, note: Callable[[str], None]) -> float:
    """When the store was asked (monotonic seconds) that then said that nobody holds it any more."""
    asked = time.monotonic()
    first = board.lease()
    if not first:
        return asked
    if first.get("host") == socket.gethostname() and not _alive(first.get("pid")):
        return asked
    note(f"{holder_line(first)} was running this study; watching up to {STALE:.0f} s whether it still does")
    end = time.monotonic() + STALE
    while time.monotonic() < end:
        time.sleep(0.25)
        asked = time.monotonic()
        now = board.lease()
        if not now:
            return asked
        if (now.get("holder"), now.get("beat")) != (first.get("holder"), first.get("beat")):
            raise InputError(_held(now))
    return asked


def _held(facts: Mapping[str, Any]) -> str:
    return f"this study is being run already ({holder_line(facts)}); wait for it, or stop it first"


def _alive(pid: object) -> bool:
    if not isinstance(pid, int) or pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
