"""The lock of a study: one coordinator at a time, and how many models it trains just now."""

import fcntl
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Protocol

from regnetlab.errors import InputError


class Lock(Protocol):
    """A study held by this coordinator: on this machine, or in a shared store (``stores.lease``)."""

    def say(self, running: int) -> None:
        """Write down, for ``status``, how many models are in training."""

    def check(self) -> None:
        """Raise ``InputError`` where somebody else holds the study by now; called before a write."""


class StudyLock:
    """A held lock; the operating system lets go of it when the process ends, however it ends."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file
        self._said = -1
        self.say(0)

    def say(self, running: int) -> None:
        """Write down, for ``status``, how many models are in training; on a full disk nothing is said,
        and the lock is held all the same."""
        if running == self._said:
            return
        self._said = running
        text = json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "running": running})
        with suppress(OSError):
            os.ftruncate(self._file.fileno(), 0)
            os.write(self._file.fileno(), text.encode())

    def check(self) -> None:
        """The system holds the lock for as long as this process lives: nothing to look at."""


@contextmanager
def locked(path: Path) -> Iterator[StudyLock]:
    """Hold the lock file; raises ``InputError`` that names the holder where somebody else does."""
    try:
        file = path.open("a+")
    except OSError as error:
        raise InputError(f"{path} can't be written: {error.strerror}", "a study's folder must be") from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = _read(file)
            raise InputError(
                f"this study is being run already (process {holder.get('pid')} on {holder.get('host')})",
                "wait for it, or stop it first",
            ) from None
        yield StudyLock(file)


def running_models(path: Path) -> int:
    """How many models a living coordinator trains just now; 0 where there is none."""
    if not path.exists():
        return 0
    with path.open("r") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return int(_read(file).get("running") or 0)
    return 0


def _read(file: IO[str]) -> dict[str, Any]:
    file.seek(0)
    try:
        content = json.load(file)
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}
