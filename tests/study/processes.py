"""Real processes for the tests: runs of studies, clusters on loopback, and faults put into them."""

import csv
import io
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from regnetlab.study.plan_file import load_plan
from regnetlab.trials.store import open_store

COMMAND = [sys.executable, "-m", "regnetlab"]
ROOT = Path(__file__).parents[2]

SMALL = """
seed = 3
[regime]
flops = "0.05M:0.4M"
[ranges]
depth = [1, 2]
width = [8, 32]
[budget]
images = 128
batch_size = 32
validation = 100
[[spaces]]
space = "AnyNetE"
n = 4
"""
"""Four networks: what a test needs that is about something else than the study."""


def environment(**more: str) -> dict[str, str]:
    """Ours with this checkout importable; what is None is left out."""
    paths = [more.pop("first", ""), str(ROOT), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths)), **more}


def run(study: Path, *words: str, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """``regnetlab run`` to its end."""
    return subprocess.run(
        [*COMMAND, "run", str(study), "--device", "cpu", *words],
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
        env=env or environment(),
    )


def start(*words: str, env: Mapping[str, str] | None = None) -> "subprocess.Popen[str]":
    """A command of regnetlab in the background, both outputs in its stderr."""
    return subprocess.Popen(
        [*COMMAND, *words],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=env or environment(),
    )


@contextmanager
def background(*words: str, env: Mapping[str, str] | None = None) -> Iterator["subprocess.Popen[bytes]"]:
    """Any process, killed at the end of the block."""
    process = subprocess.Popen(
        words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=env or environment()
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


_HIDDEN = ("--no-dashboard", "--dashboard-address", "127.0.0.1:0")


def scheduler_words(port: int, *more: str) -> list[str]:
    place = ["--host", "127.0.0.1", "--port", str(port)] if not more else ["--port", str(port)]
    return [sys.executable, "-m", "distributed.cli.dask_scheduler", *place, *_HIDDEN, *more]


def worker_words(address: str, *more: str) -> list[str]:
    return [*COMMAND, "worker", address, "--trainings", "1", *more]


def listening(pid: int) -> set[str]:
    """The addresses on which a process and its descendants wait for TCP connections, without ports."""
    sockets = set()
    for each in (pid, *children_of(pid)):
        with suppress(OSError):
            for entry in Path(f"/proc/{each}/fd").iterdir():
                sockets.add(str(entry.readlink()))
    found = set()
    for table, family in (("tcp", socket.AF_INET), ("tcp6", socket.AF_INET6)):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            _, local, _, state, *_, inode = line.split()[:10]
            if state == "0A" and f"socket:[{inode}]" in sockets:
                words = bytes.fromhex(local.partition(":")[0])
                packed = b"".join(words[i : i + 4][::-1] for i in range(0, len(words), 4))
                found.add(socket.inet_ntop(family, packed))
    return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def wait_for(condition: Callable[[], bool], seconds: float = 150) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "this took too long"
        time.sleep(0.05)


def children_of(pid: int) -> list[int]:
    """All living descendants."""
    text = subprocess.run(["ps", "-eo", "pid,ppid,stat"], capture_output=True, text=True, check=True).stdout
    rows = [line.split() for line in text.splitlines()[1:]]
    direct = [int(child) for child, parent, state in rows if int(parent) == pid and state[0] != "Z"]
    return direct + [each for child in direct for each in children_of(child)]


def commands_of(pid: int) -> list[str]:
    """The command lines of all living descendants."""
    return [Path(f"/proc/{each}/cmdline").read_bytes().decode() for each in children_of(pid)]


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def without_seconds(text: str) -> list[dict[str, str]]:
    """The rows of a trials.csv but for the time that they took: what must be the same to the last bit."""
    return [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(io.StringIO(text))]


def trials_of(study: Path) -> list[dict[str, str]]:
    return without_seconds((study.parent / "trials.csv").read_text())


def identities_of(study: Path) -> list[str]:
    """Of every trial in its store, sorted: a doubled one is there twice."""
    return sorted(row["identity"] for row in open_store(load_plan(study).store).rows())


def with_fault(
    folder: Path, body: str, where: str = "regnetlab.execution.child", coordinator: str = "pass"
) -> str:
    """A folder to put in front of PYTHONPATH; ``body`` runs before each training in a child process, and
    ``coordinator`` once in the process that runs the study.

    The body may use ``seed`` and ``here``, a folder for files that remember what happened before.
    """
    folder.mkdir(parents=True, exist_ok=True)
    inner = textwrap.indent(textwrap.dedent(body), " " * 8)
    text = f"""
import sys
if "run" in sys.orig_argv:
    {coordinator}
if {where!r} in sys.orig_argv:
    import os, signal, time
    from pathlib import Path
    from regnetlab.execution import worker as _module
    _real, here = _module.train, Path({str(folder)!r})
    def train(build, data, budget, recipe, seed, kernels, *given):
{inner}
        return _real(build, data, budget, recipe, seed, kernels, *given)
    _module.train = train
"""
    (folder / "sitecustomize.py").write_text(text)
    return str(folder)
