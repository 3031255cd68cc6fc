"""One coordinator at a time runs a study: a lock file on this machine, a lease in a shared database.

The operating system lets go of a lock when the process ends, however it ends. It is ``flock`` by hand, as
the library ``filelock`` calls it and no more: who holds the lock and how many models are in training, which
others read without taking it, would need a second file beside.

The holder of a lease counts up a number in the database (its heart beats). Who comes later watches that
number: if it moves, the study is being run; if it stands still for ``STALE`` seconds by the newcomer's own
clock, the holder is gone. No clock is compared with another, so clocks that jump or differ do no harm.
"""

import errno
import fcntl
import json
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Protocol

from regnetlab.errors import InputError
from regnetlab.files import open_foreign, open_own

BEAT = 5.0
"""Seconds between two beats."""
STALE = 30.0
"""Seconds without a beat after which a lease may be taken over."""
_BEGINNING = '{"pid": '  # of what a lock file holds
_MOST_BYTES = 10_000
_SETTLE = 1.0  # seconds after which of two who took a free lease together the last one stands


class Lock(Protocol):
    """A study held by this coordinator."""

    def say(self, running: int) -> None:
        """Write down, for ``status``, how many models are in training."""

    def check(self) -> None:
        """Raise ``InputError`` where another coordinator holds the study by now; called before a write."""


class StudyLock:
    """A held lock file."""

    def __init__(self, file: IO[str], path: Path) -> None:
        self._file, self._path = file, path
        self.beside: StudyLock | None = None  # of the store, where that is another one
        self._said = -1
        self.say(0)

    def say(self, running: int) -> None:
        """On a full disk nothing is written, and the lock is held all the same."""
        if running == self._said:
            return
        self._said = running
        text = json.dumps({**_me(), "running": running})
        with suppress(OSError):
            os.ftruncate(self._file.fileno(), 0)
            os.write(self._file.fileno(), text.encode())

    def check(self) -> None:
        """The system holds the lock for as long as this process lives; another file in its place is free."""
        try:
            there = os.path.samestat(self._path.lstat(), os.fstat(self._file.fileno()))
        except OSError:
            there = False
        if not there:
            raise InputError(
                f"{self._path} was removed or replaced while the study ran, so another run may have begun",
                "nothing that was kept is lost: run again",
            )
        if self.beside is not None:
            self.beside.check()


@contextmanager
def locked(path: Path) -> Iterator[StudyLock]:
    """Hold the lock file; raises ``InputError`` that names the holder where another process does."""
    try:
        file = os.fdopen(open_own(path, os.O_RDWR | os.O_APPEND), "a+")
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.EISDIR, errno.EINVAL, errno.ENXIO):
            raise InputError(
                f"{path} is not a lock of regnetlab's: {error.strerror}", "check what it is, and move it away"
            ) from None
        raise InputError(
            f"{path.parent} can't be written to: {error.strerror}", "make that folder, or name another one"
        ) from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise _held(_read(file)) from None
        if not _ours(file):
            raise InputError(f"{path} is not a lock of regnetlab's", "check what it is, and move it away")
        yield StudyLock(file, path)


def running_models(path: Path) -> int:
    """How many models a living coordinator trains just now; 0 where there is none."""
    try:
        opened = open_foreign(path, _MOST_BYTES)
    except (OSError, InputError):
        return 0
    with opened as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            running = _read(file).get("running")
            return running if isinstance(running, int) else 0
    return 0


class Facts(Protocol):
    """Where the lease is written: a ``Store``."""

    def fact(self, name: str) -> Mapping[str, Any]: ...

    def keep(self, name: str, facts: Mapping[str, Any]) -> None: ...


class Lease:
    """A held lease, beside the lock of this machine."""

    def __init__(self, store: Facts, lock: Lock) -> None:
        self._store, self._lock = store, lock
        self._holder = secrets.token_hex(8)
        self._beats = 0
        self._running = 0
        self._at = time.monotonic()
        self._writing = threading.Lock()
        self._done = threading.Event()
        self._taken_by: Mapping[str, Any] | None = None

    def take(self, seen_free: float) -> bool:
        """Write it down; whether it stands a moment later. ``seen_free`` is when the store was asked.

        Between that and the write another coordinator may have come and seen its own stand, where this
        process was held up for long; it then gets the time in which it is sure to look again, and stops.
        """
        self._write()
        held_up = time.monotonic() - seen_free > _SETTLE / 2
        time.sleep(STALE / 2 + _SETTLE if held_up else _SETTLE)
        return bool(self._store.fact("lease").get("holder") == self._holder)

    def say(self, running: int) -> None:
        """Write down, with the next beat, how many models are in training."""
        self._running = running
        self._lock.say(running)

    def check(self) -> None:
        """Looks at the store where the last beat is so long ago that another coordinator may have come."""
        if self._taken_by is None and time.monotonic() - self._at > STALE / 2:
            self.beat()
        if self._taken_by is not None:
            raise InputError(
                f"another coordinator took this study over ({_line(self._taken_by)}) while this one"
                " could not reach the store",
                "it goes on there, and nothing that was kept is lost",
            )

    def beat(self) -> None:
        with self._writing:
            found = self._store.fact("lease")
            if found.get("holder") != self._holder:
                self._taken_by = found
                return
            self._write()

    def keep_beating(self) -> None:
        while not self._done.wait(BEAT):
            if self._taken_by is None:
                with suppress(Exception):  # the store does not answer: the next beat or ``check`` looks again
                    self.beat()

    def release(self) -> None:
        self._done.set()
        with self._writing:
            if self._taken_by is None and self._store.fact("lease").get("holder") == self._holder:
                self._store.keep("lease", {})

    def _write(self) -> None:
        self._beats += 1
        beat = {"holder": self._holder, **_me(), "beat": self._beats, "running": self._running}
        self._store.keep("lease", beat)
        self._at = time.monotonic()


@contextmanager
def leased(store: Facts, lock: Lock, note: Callable[[str], None]) -> Iterator[Lease]:
    """Hold the lease of a shared store.

    Args:
        store: Keeps it as its fact ``lease``.
        lock: The study's lock on this machine.
        note: Told once where another holder has to be watched first.

    Raises:
        InputError: Another coordinator holds it, who is named.
    """
    lease = Lease(store, lock)
    if not lease.take(_wait_for_a_free_lease(store, note)):
        raise _held(store.fact("lease"))
    threading.Thread(target=lease.keep_beating, daemon=True).start()
    try:
        yield lease
    finally:
        lease.release()


def _wait_for_a_free_lease(store: Facts, note: Callable[[str], None]) -> float:
    """When the store was asked (monotonic seconds) that then said that the lease is free."""
    asked = time.monotonic()
    first = store.fact("lease")
    if not first or (first.get("host") == socket.gethostname() and not _alive(first.get("pid"))):
        return asked
    note(f"{_line(first)} was running this study; watching up to {STALE:.0f} s whether it still does")
    end = time.monotonic() + STALE
    while time.monotonic() < end:
        time.sleep(0.25)
        asked = time.monotonic()
        now = store.fact("lease")
        if not now:
            return asked
        if (now.get("holder"), now.get("beat")) != (first.get("holder"), first.get("beat")):
            raise _held(now)
    return asked


def _held(holder: Mapping[str, Any]) -> InputError:
    return InputError(f"this study is being run already ({_line(holder)})", "wait for it, or stop it first")


def _me() -> dict[str, Any]:
    return {"pid": os.getpid(), "host": socket.gethostname()}


def _line(holder: Mapping[str, Any]) -> str:
    return f"process {holder.get('pid')} on {holder.get('host')}"


def _read(file: IO[str] | IO[bytes]) -> dict[str, Any]:
    file.seek(0)
    try:
        content = json.load(file)
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}


def _ours(file: IO[str] | IO[bytes]) -> bool:
    """Whether this is what ``StudyLock.say`` wrote, or its beginning if that could not be written whole."""
    file.seek(0)
    start = file.read(len(_BEGINNING))
    text = start.decode("ascii", "replace") if isinstance(start, bytes) else start
    return _BEGINNING.startswith(text)


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
