"""Clusters that are started for one run and end with it, one function each.

What stands in ``[run.cluster]`` is passed on to Dask's own class. Without being told otherwise, nothing
listens beyond the loopback interface; where a scheduler must be reached from other machines, its
connections are encrypted with a key made for the run.
"""

import warnings
from collections.abc import Callable
from importlib import import_module
from types import MappingProxyType
from typing import Any

from regnetlab.errors import InputError, unknown
from regnetlab.execution.base import Request

_QUEUES = MappingProxyType(
    {"slurm": "SLURMCluster", "pbs": "PBSCluster", "sge": "SGECluster", "lsf": "LSFCluster"}
)


KINDS = ("local", "ssh", "kubernetes", *_QUEUES)


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
        raise InputError(f"a {kind} cluster can't be started: {line}", "look at [run.cluster]") from error


def _local(request: Request) -> Any:
    from distributed import LocalCluster

    options = {"threads_per_worker": 1, "dashboard_address": None, "silence_logs": 50, "host": "127.0.0.1"}
    return LocalCluster(n_workers=request.workers or 1, **(options | dict(request.cluster)))


def _ssh(request: Request) -> Any:
    """``hosts``: the first runs the scheduler, the others a worker each, of one training at a time unless
    ``worker_options`` say another ``nthreads``."""
    from distributed import SSHCluster

    hosts = request.cluster.get("hosts")
    if not isinstance(hosts, list | tuple) or len(hosts) < 2:
        raise InputError(
            "an ssh cluster needs [run.cluster] hosts = [SCHEDULER, WORKER, …]: two names at least, both may"
            " be the same"
        )
    _needed("asyncssh", "asyncssh")
    options = {key: _listed(value) for key, value in request.cluster.items() if key != "hosts"}
    # Where all is this machine, nothing listens beyond it; the dashboard's port may be another run's.
    bound = {"host": "127.0.0.1"} if set(hosts) <= {"127.0.0.1", "localhost"} else {}
    usual = {"scheduler_options": bound | {"dashboard": False}, "worker_options": bound | {"nthreads": 1}}
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
    options = dict(request.cluster)
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
    options.setdefault("scheduler_options", {}).setdefault("dashboard_address", None)
    options.setdefault("cores", 1)
    options.setdefault("memory", "2GB")
    cluster = getattr(jobqueue, _QUEUES[kind])(silence_logs="CRITICAL", **options)
    jobs = request.workers or 1
    cluster.adapt(minimum_jobs=jobs, maximum_jobs=jobs)
    return cluster


def _kubernetes(request: Request) -> Any:
    """By Dask's operator, which must be installed in the Kubernetes cluster; ``image`` has regnetlab."""
    operator = _needed("dask_kubernetes.operator", "dask-kubernetes")
    if "image" not in request.cluster:
        raise InputError(
            "a kubernetes cluster needs [run.cluster] image = …: an image with regnetlab[cluster]"
        )
    return operator.KubeCluster(n_workers=request.workers or 1, **dict(request.cluster))


def _needed(module: str, package: str) -> Any:
    try:
        return import_module(module)
    except ImportError:
        raise InputError(f"this kind of cluster needs {package}: pip install {package}") from None
