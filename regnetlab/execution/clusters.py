"""Clusters that are started for one run and end with it, one function each.

What the user says is passed on to Dask's own class; a study file, which may come from elsewhere, may say only
what neither runs nor redirects anything (``check_stated``). Without being told otherwise, nothing listens
beyond the loopback interface; where a scheduler must be reached from other machines, its connections are
encrypted with a key made for the run.
"""

import os
import re
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from shlex import quote
from types import MappingProxyType
from typing import Any

from regnetlab.children import SECRETS, environment
from regnetlab.errors import InputError, unknown
from regnetlab.execution.base import Request

_QUEUES = MappingProxyType(
    {"slurm": "SLURMCluster", "pbs": "PBSCluster", "sge": "SGECluster", "lsf": "LSFCluster"}
)


KINDS = ("local", "ssh", "kubernetes", *_QUEUES)

GPU_MEMORY = "gpu_memory"
"""The key by which each worker that a batch system starts announces so many bytes of GPU memory."""
_HIDDEN = "127.0.0.1:0"
"""Where a scheduler serves its pages, which Dask does even where there is no dashboard."""
_STATED = {
    *("account", "cores", GPU_MEMORY, "interface", "job_cpu", "job_mem", "memory", "ncpus", "processes"),
    *("project", "queue", "walltime"),
}
"""What a study file may say of a batch system's jobs: their size, and where they are counted and queue."""
_PLAIN = re.compile(r"[A-Za-z0-9][\w.:+-]{0,60}(?: ?[KMGT]i?B)?", re.ASCII)
"""Texts that are one word in a job's script, and so no further options: a name, a time, a size."""


def check_stated(scheduler: str | None, options: Mapping[str, Any]) -> None:
    """Raise ``InputError`` where a study file says of a cluster what only the user may say.

    Dask's classes run what some of their options name, and whoever runs the scheduler can run programs here.
    """
    own = "say it where you run it: --scheduler, and --cluster FILE for what stands in [run.cluster]"
    if scheduler is not None and "://" in scheduler:
        raise InputError(f"run: scheduler {scheduler!r} in a study file could be anybody's", own)
    allowed = _STATED if scheduler in _QUEUES else ()
    for key, value in options.items():
        if key not in allowed:
            raise InputError(f"run.cluster: {key!r} in a study file could run or redirect anything", own)
        number = type(value) in (int, float) and 0 < value < 1e15
        if not number and not (isinstance(value, str) and _PLAIN.fullmatch(value)):
            raise InputError(
                f"run.cluster: {key} is {str(value)[:60]!r}", "it must be a number above 0, or one word"
            )


def check_kind(kind: str) -> None:
    """Raise ``InputError`` unless clusters of this kind can be started."""
    if kind not in KINDS:
        raise unknown("scheduler", kind, [*KINDS, "tcp://HOST:PORT"])


def start_cluster(kind: str, request: Request) -> Any:
    """A running cluster of this kind with ``request.workers`` workers."""
    starters: dict[str, Callable[[Request], Any]] = {"local": _local, "ssh": _ssh, "kubernetes": _kubernetes}
    starters |= {name: lambda request, name=name: _queued(name, request) for name in _QUEUES}  # type: ignore[misc]
    check_kind(kind)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of ports that other runs have
            return starters[kind](request)
    except InputError:
        raise
    except (TypeError, ValueError, RuntimeError, OSError) as error:
        line = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(
            f"a {kind} cluster can't be started: {line}", "look at [run.cluster], or --cluster FILE"
        ) from error


def _local(request: Request) -> Any:
    from distributed import LocalCluster, Security

    _needed("cryptography", "cryptography")  # other users of this machine can reach its ports, too
    security = Security.temporary()
    options = {"threads_per_worker": 1, "dashboard_address": _HIDDEN, "silence_logs": 50, "host": "127.0.0.1"}
    secured = {"security": security, "protocol": "tls"}
    with _as_for_children():
        return LocalCluster(n_workers=request.workers or 1, **(options | secured | dict(request.cluster)))


@contextmanager
def _as_for_children() -> Iterator[None]:
    """The environment that processes get which Dask starts meanwhile: as our own children's, and nothing is
    imported from the current folder.
    """
    kept = dict(os.environ)
    try:
        os.environ.clear()
        os.environ.update(environment(PYTHONSAFEPATH="1"))
        yield
    finally:
        os.environ.clear()
        os.environ.update(kept)


def _ssh(request: Request) -> Any:
    """``hosts``: the first runs the scheduler, the others a worker each, of one training at a time unless
    ``worker_options`` say another ``nthreads``."""
    from distributed import SSHCluster

    hosts = request.cluster.get("hosts")
    if not isinstance(hosts, list | tuple) or len(hosts) < 2:
        raise InputError(
            "an ssh cluster needs hosts = [SCHEDULER, WORKER, …]: two names at least, both may be the same",
            "write them into a TOML file of your own, and give it with --cluster FILE",
        )
    _needed("asyncssh", "asyncssh")
    options = {key: _listed(value) for key, value in request.cluster.items() if key != "hosts"}
    # Where all is this machine, nothing listens beyond it; the dashboard's port may be another run's.
    bound = {"host": "127.0.0.1"} if set(hosts) <= {"127.0.0.1", "localhost"} else {}
    hidden = {"dashboard": False, "dashboard_address": _HIDDEN}
    usual = {"scheduler_options": bound | hidden, "worker_options": bound | {"nthreads": 1}}
    for name, values in usual.items():
        options[name] = values | options.get(name, {})
    return SSHCluster(list(hosts), **options)


def _listed(value: Any) -> Any:
    """The value with the lists that its file has; asyncssh takes a tuple for a key and its certificate."""
    if isinstance(value, dict):
        return {key: _listed(each) for key, each in value.items()}
    return list(map(_listed, value)) if isinstance(value, list | tuple) else value


def _queued(kind: str, request: Request) -> Any:
    """A batch system's jobs, each one worker; a job that ends (time limit, preemption) is asked for
    again."""
    jobqueue = _needed("dask_jobqueue", "dask-jobqueue")
    cluster = getattr(jobqueue, _QUEUES[kind])(silence_logs="CRITICAL", **job_options(kind, request.cluster))
    jobs = request.workers or 1
    cluster.adapt(minimum_jobs=jobs, maximum_jobs=jobs)
    return cluster


def job_options(kind: str, said: Mapping[str, Any]) -> dict[str, Any]:
    """What Dask's class for a batch system gets, with what was said of the cluster."""
    options = dict(said)
    if "interface" not in options:
        raise InputError(
            f"a {kind} cluster needs to know by which network its nodes reach this machine",
            (
                "write"
                ' [run.cluster] interface = "eth0" (ip -brief address lists them; "lo" is this machine alone)'
            ),
        )
    if options.pop("tls", options["interface"] != "lo"):
        from distributed import Security

        _needed("cryptography", "cryptography")
        options |= {"security": Security.temporary(), "protocol": "tls"}
    options.setdefault("scheduler_options", {}).setdefault("dashboard_address", _HIDDEN)
    if memory := options.pop(GPU_MEMORY, None):
        announced = ["--resources", f"gpu_memory={float(memory):g}"]
        options["worker_extra_args"] = [*options.get("worker_extra_args", ()), *announced]
    options.setdefault("cores", 1)
    options.setdefault("memory", "2GB")
    # A job starts in the current folder, with the environment of this process.
    options.setdefault("python", f"{quote(sys.executable)} -P")
    options["job_script_prologue"] = [
        f"unset {' '.join(SECRETS)}",
        *options.get("job_script_prologue", ()),
    ]
    return options


def _kubernetes(request: Request) -> Any:
    """By Dask's operator, which must be installed in the Kubernetes cluster; ``image`` has regnetlab."""
    operator = _needed("dask_kubernetes.operator", "dask-kubernetes")
    if "image" not in request.cluster:
        raise InputError(
            "a kubernetes cluster needs image = …: an image with regnetlab[cluster]",
            "write it into a TOML file of your own, and give it with --cluster FILE",
        )
    return operator.KubeCluster(n_workers=request.workers or 1, **dict(request.cluster))


def _needed(module: str, package: str) -> Any:
    try:
        return import_module(module)
    except ImportError:
        raise InputError(f"this kind of cluster needs {package}: pip install {package}") from None
