"""``dask``: trainings on a Dask scheduler's workers, by its address or on a cluster started for the run.

Workers may come and go at any time. A worker that has another version or other data is told so and
sent away; one that dies takes its trainings back to the scheduler; where the scheduler is gone, the
coordinator waits for it to come back and submits again what was in flight.
"""

import hashlib
import logging
import pickle
import secrets
import socket
import time
from collections.abc import Callable, Mapping
from concurrent import futures
from concurrent.futures import Future
from dataclasses import replace
from functools import cache, partial
from typing import Any, ParamSpec, TypeVar

from regnetlab.errors import InputError
from regnetlab.execution.base import (
    OnStart,
    Report,
    Request,
    Setting,
    Task,
    TrainingExecutor,
    WorkerInfo,
    WorkerLostError,
    WorkerRefusedError,
    ignore,
)
from regnetlab.execution.local import Slots
from regnetlab.execution.worker import versions

RESOURCE = "gpu_memory"
"""GPU memory as a resource of Dask: workers announce what they have, trainings ask for what they need.
A worker without a GPU announces nothing, and where none is announced none is asked for."""
ARRIVED: dict[str, bytes] = {}
"""The data that this worker process was sent, by their SHA-256."""

P = ParamSpec("P")
T = TypeVar("T")

_PATIENCE = 300.0  # seconds to wait for a scheduler that is gone
_TRY_EVERY = 2.0
_TOPIC = "regnetlab-began"  # of the events by which workers say that they begin
_STEP = 100_000_000  # bytes to which a need for GPU memory is rounded up


class DaskExecutor(TrainingExecutor):
    """A client of a scheduler, and the cluster if it was started for this run."""

    def __init__(self, connect: Callable[[], Any], cluster: Any, request: Request) -> None:
        self._connect, self._cluster, self._request = connect, cluster, request
        self._patience = _PATIENCE
        self._digest = hashlib.sha256(request.payload).hexdigest() if request.payload else None
        self._counted = (-1.0, 0)  # when the threads were counted, and how many there were
        self._most = 0.0  # GPU memory that one worker announced
        self._on_start: dict[str, OnStart] = {}  # by the token of a training
        self._client = self._ready()
        self._asked: dict[Future[Any], Any] = {}  # calls in flight, and Dask's futures of them

    def capacity(self) -> int:
        """A thread is a training; a few more wait at the scheduler, so that no worker waits."""
        now = time.monotonic()
        if now - self._counted[0] > 1.0:
            try:
                workers = self._client.scheduler_info(n_workers=-1)["workers"]
                threads = sum(each["nthreads"] for each in workers.values())
                self._most = most_of_one(workers)
            except (OSError, TimeoutError, RuntimeError, ValueError):
                threads = 0
            self._counted = (now, threads)
        threads = self._counted[1]
        return threads + (threads + 3) // 4

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        return self._ask({}, fn, *args, **kwargs)

    def _ask(self, resources: dict[str, float], fn: Callable[..., T], *args: Any, **kwargs: Any) -> Future[T]:
        """A call at a worker that has these resources free.

        Dask's own executor never ends a call whose result is fetched just when the scheduler dies.
        """
        ours: Future[T] = Future()
        theirs = self._client.submit(fn, *args, pure=False, resources=resources or None, **kwargs)
        self._asked[ours] = theirs
        ours.add_done_callback(self._forget)
        self._client.loop.add_callback(_hand_over, theirs, ours)
        return ours

    def _forget(self, ours: Future[Any]) -> None:
        theirs = self._asked.pop(ours)
        if ours.cancelled() and theirs.status == "pending":
            theirs.cancel()

    def train(self, setting: Setting, task: Task, on_start: OnStart = ignore) -> Future[Report]:
        token = secrets.token_hex(8)
        arguments = pickle.dumps((setting, task, self._request.memory, token))
        memory = asked_for(task, self._most)
        self._on_start[token] = on_start
        future = self._ask({RESOURCE: memory} if memory else {}, remote, versions(), self._digest, arguments)
        future.add_done_callback(lambda _: self._on_start.pop(token, None))
        return future

    def _hear(self, event: tuple[float, Any]) -> None:
        """A worker began with a training, of this run or of another one on the same scheduler."""
        token, worker, device = event[1]
        self._on_start.get(token, ignore)(WorkerInfo(worker, device))

    def explain(self, error: BaseException) -> BaseException:
        from distributed.scheduler import KilledWorker

        if isinstance(error, KilledWorker):
            return WorkerLostError("each worker that took it was lost")
        if isinstance(error, ModuleNotFoundError):
            return InputError(f"a worker can't import {error.name}: install regnetlab[cluster] on it")
        return error

    def send_away(self, worker: str) -> int:
        self._client.retire_workers([worker], close_workers=True)
        self._counted = (-1.0, 0)
        return len(self._client.nthreads())

    def revive(self) -> None:
        if self._client.status == "running":
            return
        self._request.note("the scheduler is gone; waiting for it to come back")
        self._client.close(timeout=1)
        self._client = self._ready()
        self._counted = (-1.0, 0)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        try:
            if self._client.status == "running":
                if wait and not cancel_futures:
                    futures.wait(list(self._asked))
                else:
                    self._client.cancel(list(self._asked.values()))
            self._client.close(timeout=5)
        finally:
            if self._cluster is not None:
                self._cluster.close()

    def _ready(self) -> Any:
        """A client of a scheduler that answers, tried until the patience ends or the run is asked to stop."""
        end, told = time.monotonic() + self._patience, False
        while True:
            try:
                client = self._connect()
                break
            except (OSError, TimeoutError) as error:
                if time.monotonic() > end:
                    raise InputError(
                        f"the scheduler does not answer ({_first_line(error)})",
                        "start it, then run again: what was trained is kept",
                    ) from None
                if self._request.stopped():
                    raise KeyboardInterrupt from None
                if not told:
                    waits = f"waiting for it for up to {self._patience:.0f} s"
                    self._request.note(f"the scheduler does not answer ({_first_line(error)}); {waits}")
                told = True
                time.sleep(_TRY_EVERY)
            except (TypeError, RuntimeError) as error:  # how Dask speaks of encryption
                raise InputError(f"the scheduler can't be used: {_first_line(error)}") from None
        client.subscribe_topic(_TOPIC, self._hear)
        if self._request.payload is not None:
            client.register_plugin(_delivery(self._digest or "", self._request.payload))
        return client


async def _hand_over(theirs: Any, ours: Future[Any]) -> None:
    """End our future as Dask's ends; as cancelled where its result is lost with the scheduler."""
    result, wrong = None, None
    try:
        result = await theirs
    except BaseException as error:
        wrong = error
        if theirs.status != "error":  # not the training's own
            ours.cancel()
    if not ours.set_running_or_notify_cancel():
        return
    if wrong is None:
        ours.set_result(result)
    else:
        ours.set_exception(wrong)


def make_dask(request: Request) -> TrainingExecutor:
    """Connect to the scheduler, or start the kind of cluster that ``scheduler`` names."""
    try:
        import distributed
    except ImportError:
        raise InputError(
            "executor dask needs Dask", "install it here and on the workers: pip install 'regnetlab[cluster]'"
        ) from None
    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # what matters is said by notes
    where = request.scheduler or "local"
    if "://" not in where:
        from regnetlab.execution.clusters import start_cluster

        cluster = start_cluster(where, request)
        security = getattr(cluster, "security", None)
        return DaskExecutor(lambda: distributed.Client(cluster, security=security), cluster, request)
    check_answers(where)
    return DaskExecutor(lambda: distributed.Client(where, timeout=5), None, request)


def check_answers(address: str) -> None:
    """Raise ``InputError`` at once for an address that can't be right or where nothing listens."""
    host, port = check_address(address)
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=10).close()
    except OSError as error:
        raise InputError(
            f"scheduler {address} does not answer ({error.strerror or error})",
            f"start one with: dask scheduler --host {host}",
        ) from None


def check_address(address: str) -> tuple[str, str]:
    """Host and port of a scheduler's address; raises ``InputError`` for anything else."""
    kind, _, rest = address.partition("://")
    host, _, port = rest.rpartition(":")
    known = kind in ("tcp", "tls") and host and port.isascii() and port.isdigit()
    if not known or len(port) > 5 or not 0 < int(port) < 65_536:
        raise InputError(f"scheduler {address!r} is no address", "write tcp://HOST:PORT or tls://HOST:PORT")
    return host, port


def remote(theirs: dict[str, str], payload: str | None, arguments: bytes) -> Report:
    """One training on a cluster's worker, in a child of it; the versions are looked at first of all,
    since nothing else is sure to be understood by another version."""
    from distributed import get_worker

    worker = get_worker()
    ours = versions()
    if ours != theirs:
        parts = (
            f"{name} {ours.get(name, 'none')} (the coordinator has {theirs[name]})"
            for name in theirs
            if ours.get(name) != theirs[name]
        )
        raise _refused(
            f"worker {socket.gethostname()} has {', '.join(parts)}; install the same there", worker
        )
    setting, task, memory, token = pickle.loads(arguments)
    if payload is not None and payload not in ARRIVED:
        raise _refused(f"worker {socket.gethostname()} did not get the data; run again", worker)
    with _slots(worker.state.nthreads, setting.device, memory).taken(task.alone) as slot:
        try:
            sent = ARRIVED.get(payload) if payload else None
            report = slot.train(setting, task, sent, partial(_tell, worker, token))
            return replace(report, worker=worker.address)
        except InputError as error:
            raise _refused(str(error), worker) from None


def _tell(worker: Any, token: str, info: WorkerInfo) -> None:
    worker.log_event(_TOPIC, (token, worker.address, info.device))


REFUSED: list[str] = []
"""Why this process may not train, once a coordinator has said so: ``regnetlab worker`` ends with it."""


def _refused(reason: str, worker: Any) -> WorkerRefusedError:
    REFUSED.append(reason)
    return WorkerRefusedError(reason, worker.address)


@cache
def _slots(count: int, device: str, memory: int | None) -> Slots:
    from regnetlab.training.devices import find_device, visible_gpus

    cuda = find_device(device).type == "cuda" and ":" not in device
    return Slots(count, visible_gpus() if cuda else (), memory)


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def announced() -> dict[str, float]:
    """What a worker of this machine has for trainings, in bytes over all GPUs that it may use."""
    import torch

    from regnetlab.training.devices import usable_bytes

    if not torch.cuda.is_available():
        return {}
    gpus = range(torch.cuda.device_count())
    return {RESOURCE: float(sum(usable_bytes(torch.cuda.mem_get_info(each)[0]) for each in gpus))}


def most_of_one(workers: Mapping[str, Mapping[str, Any]]) -> float:
    """The most that one of these workers (``scheduler_info``'s) announced; 0 where none did."""
    return max((each.get("resources", {}).get(RESOURCE, 0.0) for each in workers.values()), default=0.0)


def asked_for(task: Task, most: float) -> float:
    """Bytes that this training asks for where a worker has ``most``: all of it if it is to be alone,
    and never more, since it would wait for ever."""
    needed = -(-task.gpu_bytes // _STEP) * _STEP
    return most if task.alone else min(most, float(needed))


def _delivery(digest: str, payload: bytes) -> Any:
    """A plugin by which every worker gets the data once, when it joins, whole or not at all."""
    from distributed import WorkerPlugin

    class Delivery(WorkerPlugin):
        """The scheduler keeps it and hands it to every worker, those that come later too."""

        name = f"regnetlab-data-{digest[:12]}"

        def setup(self, worker: Any) -> None:
            from regnetlab.execution.dask import ARRIVED  # the module's, not a copy that came with the class

            if hashlib.sha256(payload).hexdigest() == digest:
                ARRIVED[digest] = payload

    return Delivery()
