"""Studies on a real Slurm: workers that the run asks for by itself, and a job array of one's own."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from regnetlab.study.plan_file import load_plan
from regnetlab.trials.store import open_store
from tests.cluster import slurm
from tests.study import processes
from tests.study.processes import SMALL, background, environment, scheduler_words, worker_words

MakeStudy = Callable[..., Path]
pytest.importorskip(
    "dask_jobqueue", reason="dask-jobqueue is not installed: pip install 'regnetlab[cluster]'"
)
pytestmark = pytest.mark.skipif(slurm.missing() is not None, reason=slurm.missing() or "")


@pytest.fixture(scope="module")
def cluster() -> Iterator[slurm.Slurm]:
    with slurm.slurm() as made:
        yield made


@pytest.fixture
def calm(make_study: MakeStudy, data_dir: Path) -> list[dict[str, str]]:
    study = make_study(SMALL, "calm")
    assert processes.run(study, "--data-dir", str(data_dir), "--executor", "inline").returncode == 0
    return processes.trials_of(study)


def at_least(study: Path, wanted: int) -> bool:
    location = load_plan(study).store
    return location.exists() and open_store(location).count() >= wanted


def test_a_run_asks_slurm_for_its_workers_and_gives_them_back(
    make_study: MakeStudy,
    data_dir: Path,
    tmp_path: Path,
    cluster: slurm.Slurm,
    calm: list[dict[str, str]],
) -> None:
    text = """
[run]
scheduler = "slurm"
executor = "dask"
workers = 1
[run.cluster]
interface = "lo"
memory = "900MB"
walltime = "00:10:00"
"""
    study, own = make_study(SMALL + text, "queued"), tmp_path / "own.toml"
    own.write_text(f'tls = true\nshared_temp_directory = "{tmp_path}"\nlog_directory = "{tmp_path}"\n')
    words = ("--data-dir", str(data_dir), "--cluster", str(own))
    done = processes.run(study, *words, env=environment(**cluster.environment))
    assert done.returncode == 0, done.stderr + cluster.ask("squeue") + cluster.logs()
    assert processes.trials_of(study) == calm
    processes.wait_for(lambda: cluster.ask("squeue", "-h") == "", 60)


def test_a_job_array_of_workers_may_be_preempted(
    make_study: MakeStudy,
    data_dir: Path,
    tmp_path: Path,
    cluster: slurm.Slurm,
    calm: list[dict[str, str]],
) -> None:
    study = make_study(SMALL, "array")
    port = processes.free_port()
    address = f"tcp://127.0.0.1:{port}"
    slow = processes.with_fault(tmp_path / "slow", "time.sleep(3)")
    env = environment(first=slow, **cluster.environment)
    script = tmp_path / "workers.sh"
    script.write_text(f"#!/bin/sh\nexec {' '.join(worker_words(address))}\n")
    with background(*scheduler_words(port), env=env):
        processes.wait_for(partial(processes.listens, port))
        words = f"--array=1-2 --requeue --mem=500M --output={tmp_path}/%a.log {script}"
        with background("sbatch", *words.split(), env=env) as submit:
            assert submit.wait(timeout=30) == 0
        run = processes.start(
            "run", str(study), "--data-dir", str(data_dir), "--device", "cpu", "--scheduler", address, env=env
        )
        processes.wait_for(partial(at_least, study, 1))
        running = cluster.ask("squeue", "-h", "-r", "-t", "running", "-o", "%A").split()
        said = cluster.ask("scontrol", "requeue", running[0])  # SIGTERM, then it waits for its turn again
        assert said == "", said
        _, said = run.communicate(timeout=240)
        cluster.ask("scancel", "--full", "--user", "root")
    assert run.returncode == 0, said
    assert processes.trials_of(study) == calm
