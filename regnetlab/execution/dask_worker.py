"""A worker that joins a Dask scheduler, and joins again whenever the scheduler was gone.

The trainings run in children of it (``slots``), so a network that takes its process along, or never
ends, does not take the worker along; killed itself, its children end with it.
"""

import asyncio
import logging
import signal
import socket
import tempfile
from collections.abc import Callable
from typing import Any

from regnetlab.errors import InputError
from regnetlab.execution.dask import REFUSED, announced, check_address
from regnetlab.plain import plural

_TRY_EVERY = 2.0


def join(address: str, trainings: int, host: str | None, once: bool, note: Callable[[str], None]) -> None:
    """Work for the scheduler until told to stop by SIGTERM or Ctrl-C; with ``once`` until it is gone.

    ``host`` is the address of this machine that others reach it by, and that it listens on; by default the
    one by which it reaches the scheduler. Raises ``InputError`` where a coordinator refused this worker.
    """
    check_address(address)
    try:
        import distributed  # noqa: F401
    except ImportError:
        raise InputError("a worker needs Dask", "install it: pip install 'regnetlab[cluster]'") from None
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    asyncio.run(_join(address, trainings, host, once, note))
    if REFUSED:
        raise InputError(REFUSED[-1])


async def _join(
    address: str, trainings: int, host: str | None, once: bool, note: Callable[[str], None]
) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    waiting = False
    while not stop.is_set() and not REFUSED:
        try:
            worker = await _worker(address, trainings, host or _towards(address))
        except (OSError, TimeoutError):
            if not waiting:
                note(f"{address} does not answer; waiting for it")
            waiting = True
            await _either(stop.wait(), asyncio.sleep(_TRY_EVERY))
            continue
        note(f"joined {address} with room for {plural(trainings, 'training')}")
        waiting = False
        await _either(stop.wait(), worker.finished())
        await worker.close(timeout=5)  # the scheduler hands what was in flight to others
        if once:
            return


def _towards(address: str) -> str:
    """The address of this machine from which it reaches that one; nothing is sent to find it."""
    host, port = address.rpartition("://")[2].rsplit(":", 1)
    family, kind, _, _, place = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_DGRAM)[0]
    with socket.socket(family, kind) as probe:
        probe.connect(place)
        return str(probe.getsockname()[0])


async def _worker(address: str, trainings: int, host: str) -> Any:
    from distributed import Worker

    return await Worker(
        address,
        nthreads=trainings,
        host=host,
        resources=announced(),
        dashboard=False,
        dashboard_address="127.0.0.1:0",  # of the pages that Dask serves all the same
        memory_limit=0,  # the trainings' memory is that of the children
        local_directory=tempfile.gettempdir(),
        death_timeout=20,
    )


async def _either(*waited: Any) -> None:
    tasks = [asyncio.ensure_future(each) for each in waited]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()
