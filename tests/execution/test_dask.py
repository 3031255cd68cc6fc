"""Dask: which schedulers are refused, and GPU memory, which workers without a GPU pretend to have."""

import asyncio
import sys
import threading
import time
from collections import Counter
from collections.abc import Generator, Iterator
from concurrent.futures import Future, wait
from typing import Any

import pytest

from regnetlab.errors import InputError
from regnetlab.execution import dask, make_executor
from regnetlab.execution.base import Request, Setting, Task
from regnetlab.execution.clusters import job_options
from regnetlab.spaces.template import SMALL
from regnetlab.training.budget import Budget, Recipe
from regnetlab.training.devices import training_bytes
from regnetlab.trials.job import Job

distributed = pytest.importorskip(
    "distributed", reason="Dask is not installed: pip install 'regnetlab[cluster]'"
)
GB = 1_000_000_000
JOB = Job("x", SMALL, "fashion-mnist", Budget(), Recipe(), 0)
_lock, _now, _most = threading.Lock(), Counter[str](), Counter[str]()


def pretended(versions: dict[str, str], digest: str | None, arguments: bytes) -> str:
    """In place of a training: remembers how many run at once on this worker."""
    name = distributed.get_worker().name
    with _lock:
        _now[name] += 1
        _most[name] = max(_most[name], _now[name])
    time.sleep(0.2)
    with _lock:
        _now[name] -= 1
    return str(name)


@pytest.fixture
def executor(monkeypatch: pytest.MonkeyPatch) -> Iterator[dask.DaskExecutor]:
    """Two workers of four threads each: ``large`` announces 2 GB, ``small`` 1 GB."""
    monkeypatch.setattr(dask, "remote", pretended)
    _most.clear()
    workers = {
        name: {
            "cls": distributed.Worker,
            "options": {"nthreads": 4, "resources": {dask.RESOURCE: memory}, "dashboard": False},
        }
        for name, memory in (("large", 2.0 * GB), ("small", 1.0 * GB))
    }
    scheduler: dict[str, Any] = {
        "cls": distributed.Scheduler,
        "options": {"host": "127.0.0.1", "dashboard": False},
    }
    with distributed.SpecCluster(workers, scheduler, silence_logs=50) as cluster:
        made = dask.DaskExecutor(lambda: distributed.Client(cluster), None, Request())
        made.capacity()
        yield made
        made.shutdown()


def run(executor: dask.DaskExecutor, *tasks: Task) -> list[Any]:
    return [future.result(60) for future in [executor.train(Setting(), task) for task in tasks]]


def asking(memory: int, alone: bool = False) -> Task:
    return Task(JOB, gpu_bytes=memory, alone=alone)


def test_no_more_trainings_run_on_a_worker_than_its_gpu_memory_holds(executor: dask.DaskExecutor) -> None:
    run(executor, *[asking(400_000_000)] * 16)
    assert set(_most) == {"large", "small"}
    assert _most["small"] <= 2  # of the four that its threads would take


def test_what_needs_more_than_a_worker_has_goes_where_there_is_more(executor: dask.DaskExecutor) -> None:
    assert run(executor, *[asking(1_500_000_000)] * 4) == ["large"] * 4
    assert _most == {"large": 1}


def test_what_needs_more_than_any_worker_has_gets_the_largest_for_itself(executor: dask.DaskExecutor) -> None:
    names = run(executor, *[asking(9 * GB)] * 2, *[asking(GB, alone=True)] * 2)
    assert names == ["large"] * 4
    assert _most == {"large": 1}


def test_where_no_worker_announces_anything_nothing_is_asked_for() -> None:
    assert dask.most_of_one({"a": {"resources": {}}, "b": {}}) == 0
    assert dask.asked_for(asking(GB, alone=True), 0) == 0


class Asked:
    """A future of Dask's that has ended in some way."""

    def __init__(self, status: str, result: object) -> None:
        self.status, self._result = status, result

    def __await__(self) -> Generator[None, None, object]:
        yield
        if isinstance(self._result, BaseException):
            raise self._result
        return self._result


@pytest.mark.parametrize(
    ("status", "lost"),
    [
        ("cancelled", distributed.client.FutureCancelledError("training", "scheduler-connection-lost", "")),
        ("finished", distributed.comm.CommClosedError("the scheduler died while the result was fetched")),
        ("finished", KeyError("a new scheduler knows nothing of it")),
    ],
)
def test_a_result_that_is_lost_with_the_scheduler_ends_its_training_as_cancelled(
    status: str, lost: BaseException
) -> None:
    ours: Future[object] = Future()
    asyncio.run(dask._hand_over(Asked(status, lost), ours))
    assert wait([ours], timeout=1).done == {ours}
    assert ours.cancelled()


def test_a_result_and_a_trainings_own_error_arrive_as_they_are() -> None:
    for status, result in (("finished", 7), ("error", OSError("no room on the worker"))):
        ours: Future[object] = Future()
        asyncio.run(dask._hand_over(Asked(status, result), ours))
        assert (ours.exception() or ours.result()) == result


def test_the_need_follows_from_closed_form_activations_and_the_batch() -> None:
    context = training_bytes(0, 64)
    assert training_bytes(100_000, 64) - context == 2 * (training_bytes(100_000, 32) - context)
    assert training_bytes(100_000, 64) - context == 16 * 100_000 * 64


@pytest.mark.parametrize("kind", ["slurm", "pbs"])
def test_the_script_of_a_batch_systems_job_imports_nothing_of_its_folder_and_has_no_secrets(
    kind: str,
) -> None:
    jobqueue = pytest.importorskip("dask_jobqueue")
    job = {"slurm": "SLURMJob", "pbs": "PBSJob"}[kind]
    options = job_options(kind, {"interface": "lo", "job_script_prologue": ["module load cuda"]})
    options.pop("scheduler_options")
    module = getattr(jobqueue, kind)
    script = getattr(module, job)("tcp://127.0.0.1:1", "worker", **options).job_script()
    lines = [line for line in script.splitlines() if line and not line.startswith("#")]
    assert lines[0] == "unset REGNETLAB_STORAGE PGPASSWORD PGPASSFILE"
    assert lines[1] == "module load cuda"
    assert lines[2].startswith(f"{sys.executable} -P -m distributed.cli.dask_worker")


@pytest.mark.parametrize(
    ("scheduler", "message"),
    [
        ("tcp://127.0.0.1:1", "does not answer"),
        ("tcp://127.0.0.1", "is no address"),
        ("http://x:80", "is no address"),
        ("slurn", "did you mean 'slurm'"),
        ("ssh", "hosts"),
        ("slurm", "interface"),
        ("kubernetes", "dask-kubernetes"),
    ],
)
def test_a_scheduler_that_can_not_be_is_refused_in_a_line(scheduler: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        make_executor("dask", Request(1, scheduler=scheduler))
    assert "\n" not in str(caught.value)


def test_a_run_that_waits_for_a_scheduler_says_so_and_ends_when_it_is_asked_to_stop() -> None:
    """What listens speaks another protocol, as a scheduler with TLS does to ``tcp://``."""

    def silent() -> None:
        raise OSError("no answer\nand more")

    notes: list[str] = []
    request = Request(note=notes.append, stopped=lambda: bool(notes))
    with pytest.raises(KeyboardInterrupt):
        dask.DaskExecutor(silent, None, request)
    assert notes == ["the scheduler does not answer (no answer); waiting for it for up to 300 s"]
