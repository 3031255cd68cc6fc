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


TEXT = f"""{SMALL}
[run]
executor = "dask"
scheduler = "ssh"
"""


def cluster_of(options: str, folder: Path) -> list[str]:
    """The words that name a file with the hosts, and with these options of the connections."""
    own = folder / "own.toml"
    own.write_text(
        'hosts = ["127.0.0.1", "127.0.0.1", "127.0.0.1"]\n'
        f"connect_options = {options}\nworker_options = {{ nthreads = 1 }}\n"
    )
    return ["--cluster", str(own)]


def dask_processes() -> str:
    done = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True)
    return "\n".join(line for line in done.stdout.splitlines() if "distributed.cli.dask_spec" in line)


def test_a_run_starts_scheduler_and_workers_by_ssh_and_ends_them(
    make_study: MakeStudy, data_dir: Path, options: str, tmp_path: Path
) -> None:
    calm = make_study(SMALL, "calm")
    assert processes.run(calm, "--data-dir", str(data_dir), "--executor", "inline").returncode == 0
    before = dask_processes()
    study = make_study(TEXT)
    done = processes.run(study, "--data-dir", str(data_dir), *cluster_of(options, tmp_path))
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
        words = ("--data-dir", str(data_dir), *cluster_of(wrong, tmp_path))
        done = processes.run(make_study(TEXT), *words)
        assert done.returncode == 2, done.stderr
        assert "a ssh cluster can't be started" in refusal(done.stderr, alone=False)
