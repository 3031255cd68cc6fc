"""The child process of a slot: answers calls until its parent is gone.

``python -m regnetlab.execution.child FD [BYTES]``; BYTES is what it may allocate.
"""

import os
import pickle
import signal
import sys
import threading
from multiprocessing.connection import Connection
from typing import Any


def main(words: list[str]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # when to stop is the parent's to say
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if len(words) > 1:
        import resource

        limit = int(words[1])
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    connection: Connection[Any, Any] = Connection(int(words[0]))
    while True:
        try:
            fn, args = connection.recv()
        except EOFError:
            return
        connection.send(_answer(fn, args))


def _answer(fn: Any, args: Any) -> tuple[bool, Any]:
    """Whether the call worked, and what it returned or raised."""
    try:
        return True, fn(*args)
    except Exception as error:
        try:
            pickle.dumps(error)
        except Exception:
            return False, RuntimeError(f"{type(error).__name__}: {error}")
        return False, error


def _end_with_parent() -> None:
    os.read(0, 1)  # returns at the end of stdin alone: nothing is ever written there
    os._exit(1)


if __name__ == "__main__":
    main(sys.argv[1:])
