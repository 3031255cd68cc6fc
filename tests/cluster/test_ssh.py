"""Studies on a cluster that the run starts by SSH, to a server on the loopback interface."""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cluster import ssh
from tests.conftest import refusal
from tests.study import processes
from tests.study.processes import SMALL

MakeStudy = Callable[..., Path]
pytest.importorskip("asyncssh", reason="asyncssh is not installed: pip install 'regnetlab[cluster]'")
pytestmark = pytest.mark.skipif(ssh.missing() is not None, reason=ssh.missing() or "")


@pytest.fixture(scope="module")
def options() -> Iterator[str]:
    with ssh.server() as made:
        yield made


def study_text(options: str) -> str:
    return f"""{SMALL}
[run]
executor = "dask"
scheduler = "ssh"
[run.cluster]
hosts = ["127.0.0.1", "127.0.0.1", "127.0.0.1"]
connect_options = {options}
worker_options = {{ nthreads = 1 }}
"""


def dask_processes() -> str:
    done = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True)
    return "\n".join(line for line in done.stdout.splitlines() if "distributed.cli.dask_spec" in line)


def test_a_run_starts_scheduler_and_workers_by_ssh_and_ends_them(
    make_study: MakeStudy, data_dir: Path, options: str
) -> None:
    calm = make_study(SMALL, "calm")
    assert processes.run(calm, "--data-dir", str(data_dir), "--executor", "inline").returncode == 0
    before = dask_processes()
    study = make_study(study_text(options))
    done = processes.run(study, "--data-dir", str(data_dir))
    assert done.returncode == 0, done.stderr
    assert processes.trials_of(study) == processes.trials_of(calm)
    processes.wait_for(lambda: dask_processes() == before, 30)


def test_a_host_that_lets_no_one_in_is_refused(
    make_study: MakeStudy, data_dir: Path, options: str, tmp_path: Path
) -> None:
    (tmp_path / "known").touch()
    known = options.split('known_hosts = "')[1].partition('"')[0]
    unknown_host = options.replace(known, str(tmp_path / "known"))
    for wrong in (unknown_host, options.replace("/user", "/none"), "{ port = 1 }"):
        done = processes.run(make_study(study_text(wrong)), "--data-dir", str(data_dir))
        assert done.returncode == 2, done.stderr
        assert "a ssh cluster can't be started" in refusal(done.stderr, alone=False)
