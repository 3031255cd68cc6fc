"""Nothing listens beyond what the user named: the sockets of every role that a run on Dask has."""

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from tests.study import processes
from tests.study.processes import SMALL, background, scheduler_words, worker_words

MakeStudy = Callable[..., Path]
pytest.importorskip("distributed", reason="Dask is not installed: pip install 'regnetlab[cluster]'")
OTHER = "127.0.0.2"
"""An address of this machine that is not the one of *localhost*, in place of one in a network."""


def test_the_documentation_starts_schedulers_as_these_tests_do() -> None:
    text = Path("docs/cluster.md").read_text()
    started = re.findall(r"^ *dask scheduler (.*)$", text, flags=re.MULTILINE)
    assert len(started) == 3
    assert all("--no-dashboard --dashboard-address 127.0.0.1:0" in words for words in started)
    assert all("--host" in words or "--interface" in words for words in started)


def test_a_scheduler_and_a_worker_listen_where_they_were_told_and_pages_on_loopback() -> None:
    port = processes.free_port()
    words = scheduler_words(port, "--host", OTHER)
    with background(*words) as scheduler:
        processes.wait_for(lambda: OTHER in processes.listening(scheduler.pid), 60)
        with background(*worker_words(f"tcp://{OTHER}:{port}")) as worker:
            processes.wait_for(lambda: bool(processes.listening(worker.pid)), 60)
            assert processes.listening(worker.pid) <= {"127.0.0.1", OTHER}
        assert processes.listening(scheduler.pid) <= {"127.0.0.1", OTHER}


def test_a_run_that_starts_its_own_cluster_listens_on_loopback_alone_and_encrypts(
    make_study: MakeStudy, data_dir: Path
) -> None:
    pytest.importorskip("cryptography")
    study = make_study(SMALL)
    words = ("--data-dir", str(data_dir), "--executor", "dask", "--scheduler", "local", "--workers", "1")
    run = processes.start("run", str(study), "--device", "cpu", *words)
    try:
        processes.wait_for(partial(_children_listen, run.pid), 60)
        assert processes.listening(run.pid) == {"127.0.0.1"}
        assert any("tls://" in each for each in processes.commands_of(run.pid))
        _, said = run.communicate(timeout=200)
    finally:
        run.kill()
    assert run.returncode == 0, said


def _children_listen(pid: int) -> bool:
    return any(processes.listening(child) for child in processes.children_of(pid))
